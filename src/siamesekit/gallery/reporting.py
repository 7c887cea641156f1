"""Report on a catalogue: which of its photos are searched for, and in which ways."""

from __future__ import annotations

from dataclasses import dataclass

from siamesekit.errors import UserError
from siamesekit.gallery import known_photos
from siamesekit.gallery.catalogue_report import ENCOUNTERS_UNKNOWN, CatalogueReport, catalogue_report
from siamesekit.gallery.catalogue_search import CatalogueSearch
from siamesekit.gallery.discovering import cluster_catalogue
from siamesekit.gallery.held_out_search import Judged, Way
from siamesekit.gallery.holding_out import encounter_numbers
from siamesekit.gallery.promise import check_share
from siamesekit.gallery.refinement import Refinement
from siamesekit.gallery.search import Gallery, Scoring
from siamesekit.gallery.second_look import SecondLook
from siamesekit.gallery.storage import finite
from siamesekit.progress import Progress


@dataclass(frozen=True)
class ReportOptions:
    """What a report measures; `Catalogue.report` explains each option.

    Raises:
        UserError: the promised share is none.
    """

    second_look: SecondLook | None = None
    refinement: Refinement | None = None
    mirror: bool = False
    scoring: Scoring = "nearest"
    encounter: str | None = None
    false_known: float | None = None

    def __post_init__(self) -> None:
        if self.false_known is not None:
            check_share(self.false_known)


def report(search: CatalogueSearch, options: ReportOptions, progress: Progress) -> CatalogueReport:
    """Measure what a catalogue is worth; see `Catalogue.report`."""
    storage = search.storage
    with storage.telling():
        gallery, names = search.gallery()
        groups = [""] * len(gallery)
        if options.encounter is not None:
            groups = known_photos.values(storage.connection, options.encounter, gallery, names)
        trained = search.trained(names.individuals)
    encounters = encounter_numbers(groups)
    told = options.scoring, options.false_known
    subject = Judged(gallery, search.distance, encounters, trained, search.sighting(gallery), *told)
    subject.individuals()
    ways = _ways(search, gallery, options, progress)
    notes = [] if options.encounter is not None else [ENCOUNTERS_UNKNOWN]
    rand_index = None
    try:
        rand_index = cluster_catalogue(search).rand_index
    except UserError as error:
        notes.append(f"No clusters: {error}.")
    return catalogue_report(subject, ways, rand_index, notes, progress)


def _ways(search: CatalogueSearch, gallery: Gallery, options: ReportOptions, progress: Progress) -> list[Way]:
    """The embeddings alone, and a way for each option that is asked for."""
    ways = [Way("alone", gallery.embeddings)]
    if options.mirror:
        model, photo = search.storage.model, search.sighting(gallery)
        records = [photo(index).record for index in range(len(gallery))]
        views = tuple(dict.fromkeys([*model.tta, "mirror"]))
        ways.append(Way("with mirror", finite(model.embed_records(records, progress, None, views))))
    look, refinement = options.second_look, options.refinement
    if look is not None:
        ways.append(Way(f"with {look.label}", gallery.embeddings, look))
    if refinement is not None:
        ways.append(Way(f"with {refinement}", gallery.embeddings, None, refinement))
    if look is not None and refinement is not None:
        ways.append(Way(f"with {look.label}, {refinement}", gallery.embeddings, look, refinement))
    return ways
