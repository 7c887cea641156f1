"""A catalogue of individuals: enrol photos, correct who is who, and search."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact.loading import load, model_folder
from siamesekit.artifact.similarity_model import Photo, SimilarityModel
from siamesekit.data.loading import UnusablePhoto, report
from siamesekit.data.photo_inputs import one_by_one, pixels_of
from siamesekit.data.records import Record
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.writer_lock import writer
from siamesekit.gallery import database, known_photos, who
from siamesekit.gallery.bound_model import MODELS, copy_model, model_digest
from siamesekit.gallery.catalogue_report import ENCOUNTERS_UNKNOWN, CatalogueReport, Judged, Way, catalogue_report
from siamesekit.gallery.catalogue_store import FOLDER, new_collection
from siamesekit.gallery.deciding import Decided, decide
from siamesekit.gallery.decisions import Decision, read_decisions
from siamesekit.gallery.discovery import QUESTIONS, Answers, Discovery, Method, PhotoSet, check_discovery, discover
from siamesekit.gallery.enrolling import refuse_contradictions, sort
from siamesekit.gallery.holding_out import encounter_numbers
from siamesekit.gallery.identification import NEAREST
from siamesekit.gallery.identifying import FittedIdentification, fit_identification
from siamesekit.gallery.known_photos import KnownPhoto
from siamesekit.gallery.matching import Matches, Status, match
from siamesekit.gallery.moving_store import move_store
from siamesekit.gallery.names import checked_name, unique_names
from siamesekit.gallery.promise import promise
from siamesekit.gallery.re_embedding import facts_of, re_embed
from siamesekit.gallery.recorded_links import recorded_links
from siamesekit.gallery.refinement import Expand, Refinement, Refiner, Rerank, refinement_of
from siamesekit.gallery.search import Answer, Gallery, Names, Scoring, answers, rank
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.second_look import Looker, SecondLook, look_again
from siamesekit.gallery.sighting import Sighting
from siamesekit.gallery.storage import DATABASE, LOCK, MATRICES, Storage, finite
from siamesekit.gallery.store_choice import OWN, StoreChoice, try_store
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.progress import Progress, progress_here
from siamesekit.wording import line_of_name

CANDIDATES = 12
"""Individuals in an answer by default, as the field shows them."""


@dataclass(frozen=True)
class Added:
    """What `Catalogue.add` did.

    Attributes:
        photos: number of photos that were added.
        individuals: number of individuals that are new.
        enrolled: number of photos that were in the catalogue already.
        copies: number of photos that occurred twice in the input.
        unnamed: number of photos without an individual, which were left out.
        unusable: photos that cannot be read, which were left out.
    """

    photos: int
    individuals: int
    enrolled: int
    copies: int
    unnamed: int
    unusable: tuple[UnusablePhoto, ...]


@dataclass(frozen=True)
class CatalogueInfo:
    """Facts about a catalogue.

    Attributes:
        individuals: number of individuals with at least one photo.
        photos: number of their photos.
        kept: number of known photos without an individual: removed, called bad, or open.
        changes: number of entries in the journal.
        model: digest of the model.
        encoder: name of the model's encoder.
        dimensions: length of an embedding.
        columns: attributes of the photos, as conditions name them.
        store: the store in which the embeddings are searched, with its options.
    """

    individuals: int
    photos: int
    kept: int
    changes: int
    model: str
    encoder: str
    dimensions: int
    columns: tuple[str, ...]
    store: str


class Catalogue:
    """A folder of known individuals with their photos; `enrol` creates one, and `Catalogue(path)` opens it.

    Photos are referred to by their paths and known by the content of their files. Each change is written whole or not
    at all, is entered into a journal with date and author, and can be undone.

    Args:
        path: the folder.
        device: device on which the model runs.
        author: who makes changes; by default the user of this process.

    Raises:
        ArtifactError: there is no catalogue, or it is damaged.
    """

    __module__ = "siamesekit"

    def __init__(self, path: str | Path, device: DeviceChoice = "auto", author: str | None = None) -> None:
        self.path = Path(path)
        self._storage = Storage(self.path, device, author)
        self._searched: tuple[int, Gallery, Names] | None = None
        self._chosen: tuple[int, str, Gallery, Names] | None = None
        self._fitted: tuple[Gallery, dict[Hashable, FittedIdentification]] | None = None
        self._refined: tuple[Gallery, Refiner] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and the database."""
        self._storage.searched.close()
        self._storage.connection.close()

    def __repr__(self) -> str:
        info = self.info()
        return f"Catalogue({str(self.path)!r}: {info.individuals} individuals, {info.photos} photos)"

    @property
    def author(self) -> str:
        """Who makes changes."""
        return self._storage.author

    @property
    def device(self) -> DeviceChoice:
        """Device on which the model runs."""
        return self._storage.device

    @property
    def model(self) -> SimilarityModel:
        """The model to which the catalogue is bound."""
        return self._storage.model

    def add(self, records: Sequence[Record], progress: Progress | None = None, skip_bad: bool = False) -> Added:
        """Add photos with their individuals; photos that are there already are counted and left.

        An interrupted call changes nothing, and the embeddings that it has computed are kept for the next one.

        Args:
            records: records of the photos, such as a reader gives; boxes are cropped.
            progress: progress display.
            skip_bad: whether to leave out photos that cannot be read.

        Raises:
            DataError: photos cannot be read, have two individuals, or are not files.
            OutputError: another process changes the catalogue, or the disk refuses.
        """
        progress = progress or progress_here()
        with self._storage.writing():
            found = sort(records, lambda identity: who.known_photo(self._storage.connection, identity), progress)
            refuse_contradictions(found.contradictions)
            stored = self._storage.store(found.new, progress, found.unusable)
            if found.unusable and not skip_bad:
                message, details = report(found.unusable, len(records))
                raise DataError(f"{message}; nothing was added: fix them, or add the rest with --skip-bad", details)
            placed = [*found.known, *stored]
            if not placed:
                return Added(0, 0, found.enrolled, found.copies, found.unnamed, tuple(found.unusable))
            with self._storage.transaction():
                before = who.individuals(self._storage.connection)
                numbers = who.numbers_of(self._storage.connection, {photo.individual for _, photo in placed})
                new = len({photo.individual for _, photo in placed} - set(before))
                change = self._storage.change("add", f"{len(placed)} photos, {new} new individuals")
                moves = [(number, numbers[photo.individual]) for number, photo in placed]
                database.assign(self._storage.connection, change, moves)
        return Added(len(placed), new, found.enrolled, found.copies, found.unnamed, tuple(found.unusable))

    def remove(self, names: Sequence[str]) -> int:
        """Remove individuals with all their photos, or photos, by name; return the number of photos.

        Raises:
            UserError: a name is none of the catalogue, or several photos have it.
        """
        with self._storage.changing():
            individuals = who.individuals(self._storage.connection)
            photos: list[int] = []
            for name in names:
                if name in individuals:
                    photos += who.photos_of(self._storage.connection, individuals[name])
                else:
                    photos.append(who.photo_of(self._storage.connection, name, individuals))
            change = self._storage.change("remove", f"{', '.join(names)}: {len(set(photos))} photos")
            database.assign(self._storage.connection, change, [(photo, None) for photo in dict.fromkeys(photos)])
        return len(set(photos))

    def rename(self, old: str, new: str) -> None:
        """Rename an individual.

        Raises:
            UserError: there is no such individual, or another has the new name.
            DataError: the new name is none.
        """
        new = checked_name(new)
        with self._storage.changing():
            individuals = who.individuals(self._storage.connection)
            number = who.individual_of(old, individuals)
            if new in individuals:
                if individuals[new] == number:
                    raise UserError(f"{new} has this name already")
                raise UserError(f"another individual is named {new}; to join the two: merge {new!r} {old!r}")
            change = self._storage.change("rename", f"{old} is now {new}")
            names = {number: new}
            former = self._storage.connection.execute("SELECT id FROM individuals WHERE name = ?", (new,)).fetchone()
            if former is not None:  # an individual without photos, which has been merged or removed
                names[former[0]] = f"{new} (until change {change})"
            database.set_names(self._storage.connection, change, names)

    def merge(self, kept: str, other: str) -> int:
        """Give the photos of another individual to one that is the same animal; return their number.

        Raises:
            UserError: there is no such individual, or both are one.
        """
        with self._storage.changing():
            individuals = who.individuals(self._storage.connection)
            into, out_of = who.individual_of(kept, individuals), who.individual_of(other, individuals)
            if into == out_of:
                raise UserError(f"{kept} cannot be merged with itself")
            photos = who.photos_of(self._storage.connection, out_of)
            change = self._storage.change("merge", f"{other} into {kept}: {len(photos)} photos")
            database.assign(self._storage.connection, change, [(photo, into) for photo in photos])
        return len(photos)

    def split(self, individual: str, photos: Sequence[str]) -> int:
        """Give photos, by name, to an individual, which may be new; return their number.

        Raises:
            UserError: a name is none of the catalogue's photos, or several photos have it.
            DataError: the name of the individual is none.
        """
        individual = checked_name(individual)
        with self._storage.changing():
            chosen = [who.photo_of(self._storage.connection, name) for name in photos]
            number = who.numbers_of(self._storage.connection, {individual})[individual]
            own = set(who.photos_of(self._storage.connection, number))
            chosen = [photo for photo in dict.fromkeys(chosen) if photo not in own]
            if not chosen:
                raise UserError(f"{individual} has these photos already")
            change = self._storage.change("split", f"{len(chosen)} photos to {individual}")
            database.assign(self._storage.connection, change, [(photo, number) for photo in chosen])
        return len(chosen)

    def undo(self) -> database.Change:
        """Undo the last change that is not undone yet; return it. Undoing is itself a change in the journal.

        Raises:
            UserError: there is nothing to undo.
        """
        return self._storage.undo()

    def log(self, most: int | None = None) -> list[database.Change]:
        """The latest entries of the journal, the newest first."""
        with self._storage.telling():
            return database.changes(self._storage.connection, most)

    def info(self) -> CatalogueInfo:
        """Facts about the catalogue."""
        with self._storage.telling():
            (photos, individuals), (known,), (entries,) = (
                self._storage.connection.execute(query).fetchone()
                for query in (
                    "SELECT count(individual), count(DISTINCT individual) FROM photos",
                    "SELECT count(*) FROM photos",
                    "SELECT count(*) FROM changes",
                )
            )
            return CatalogueInfo(
                individuals,
                photos,
                known - photos,
                entries,
                self._storage.fact("model"),
                self._storage.fact("encoder"),
                int(self._storage.fact("dimensions")),
                tuple(known_photos.columns(self._storage.connection)),
                str(self._storage.searched.choice),
            )

    def individuals(self) -> dict[str, int]:
        """The individuals, by name, with the number of their photos."""
        with self._storage.telling():
            return dict(
                self._storage.connection.execute(
                    "SELECT i.name, count(*) FROM photos p JOIN individuals i ON i.id = p.individual GROUP BY i.id "
                    "ORDER BY i.name"
                )
            )

    def photo(self, number: int) -> KnownPhoto:
        """What is known of a photo, by its number, its thumbnail included.

        Raises:
            UserError: there is no such photo.
        """
        with self._storage.telling():
            return known_photos.facts(self._storage.connection, number)

    def photos_of(self, individual: str) -> list[int]:
        """Numbers of an individual's photos, ascending.

        Raises:
            UserError: there is no such individual.
        """
        with self._storage.telling():
            number = who.individual_of(individual, who.individuals(self._storage.connection))
            return who.photos_of(self._storage.connection, number)

    def photos_by_individual(self) -> dict[str, list[int]]:
        """Numbers of the photos of each individual, ascending, by its name."""
        with self._storage.telling():
            return who.photos_by_individual(self._storage.connection)

    def status(self, identities: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Status]:
        """Which photos, by digest of the file and box, are enrolled already, or have been called bad."""
        found: dict[tuple[str, str], Status] = {}
        with self._storage.telling():
            for identity in identities:
                known = who.known_photo(self._storage.connection, identity)
                if known is not None and known[1] is not None:
                    found[identity] = "enrolled"
                elif known is not None and who.last_decision(self._storage.connection, known[0]) == "bad":
                    found[identity] = "bad"
        return found

    def match(
        self,
        records: Sequence[Record],
        k: int | None = None,
        where: str | None = None,
        scoring: Scoring = "nearest",
        encounter: str | None = None,
        second_look: SecondLook | None = None,
        progress: Progress | None = None,
        rerank: Rerank | None = None,
        expand: Expand | None = None,
        false_known: float | None = None,
    ) -> Matches:
        """Search the individuals that are most like the photos of a season; nothing is changed.

        Photos that the catalogue has already, copies, and photos that were called bad are counted and left out.

        Args:
            records: records of the photos, such as a reader gives; the individuals' names are not used.
            k: number of individuals in each answer, as for `search`.
            where: condition on the photos that are searched, as for `search`.
            scoring: distance to an individual, as for `search`.
            encounter: attribute whose value photos of one encounter share: they are searched together. A photo without
                a value is a query of its own.
            second_look: a second look at the best individuals, as for `search`.
            progress: progress display.
            rerank: re-ranking by shared neighbours, as for `search`.
            expand: expansion of the queries, as for `search`.
            false_known: promised share of false "known", as for `search`.

        Raises:
            DataError: no photo is left to match, or a record's source is not a file.
            UserError: no photo has the attribute, or the search cannot be made as asked.
        """
        options = SearchOptions(k, where, scoring, second_look, refinement_of(rerank, expand), false_known)
        return match(self, records, options, encounter, progress or progress_here())

    def decide(self, decisions: str | Path | Sequence[Decision], progress: Progress | None = None) -> Decided:
        """Apply a person's decisions, all or none: photos get their individuals, and what was decided is kept.

        Decisions that have been applied before are counted and left.

        Args:
            decisions: decisions, or a table of them, as the page of `siamesekit match` saves it.
            progress: progress display.

        Raises:
            DataError: decisions contradict each other or the catalogue, or photos are not there as they were.
            OutputError: another process changes the catalogue, or the disk refuses.
        """
        if isinstance(decisions, str | Path):
            decisions = read_decisions(Path(decisions))
        return decide(self._storage, decisions, progress or progress_here())[0]

    def search(
        self,
        photos: Photo | Sequence[Photo],
        k: int | None = None,
        where: str | None = None,
        scoring: Scoring = "nearest",
        together: bool = False,
        second_look: SecondLook | None = None,
        rerank: Rerank | None = None,
        expand: Expand | None = None,
        false_known: float | None = None,
    ) -> list[Answer]:
        """Search the individuals that are most like photos.

        Args:
            photos: one photo or several, in the forms that `SimilarityModel.embed` accepts.
            k: number of individuals in each answer; by default 12, or all if there are fewer.
            where: condition on the photos that are searched, such as `site = 'North' and side = 'left'`.
            scoring: how the distance to an individual follows from those to its photos: `nearest`, `mean` of all, or a
                number m for the mean of the m nearest.
            together: whether all photos show one individual, as those of one encounter; there is one answer then.
            second_look: count the points that the photos share with those of the best individuals, and order these by
                both; how much a point counts is fitted to the catalogue's own photos.
            rerank: order individuals by the neighbours that their photos share with the query: `k-reciprocal`, or a
                `KReciprocal` with its options.
            expand: search by the mean of the query and so many nearest photos, or a `QueryExpansion` with its options;
                it comes before re-ranking. Distances in the answer are those of the photos, as always.
            false_known: call each answer `known` or `maybe new` (`Answer.verdict`), so that of the photos of new
                individuals at most this share is called known.

        Raises:
            DataError: a photo cannot be read.
            UserError: nothing can be searched, k exceeds the individuals, the condition is none, or there are too few
                individuals to promise the share.
        """
        several = one_by_one(photos)
        options = SearchOptions(k, where, scoring, second_look, refinement_of(rerank, expand), false_known)
        self.require_search(options, together=len(several) if together else 1)
        with self.same_model() as model:
            names, embeddings = _names(several), model.embed(several)
            return self.search_embeddings(names, embeddings, options, together, _sightings(several, options))

    def search_embeddings(
        self,
        names: Sequence[str],
        embeddings: Tensor,
        options: SearchOptions = SearchOptions(),  # noqa: B008 - it cannot be changed
        together: bool = False,
        photos: Sequence[Sighting] = (),
    ) -> list[Answer]:
        """Search by embeddings of the catalogue's model.

        Args:
            names: names of the Q photos.
            embeddings: their embeddings, `[Q, D]`.
            options: what is searched, and how.
            together: whether all photos show one individual.
            photos: the photos, for a second look.

        Raises:
            RunError: an embedding is not finite.
            UserError: the search cannot be made as asked, as for `search`.
        """
        finite(embeddings)
        number = len(embeddings) if together else 1
        gallery, names_found = self.require_search(options, together=number)
        count = len(names_found.individuals)
        wanted = min(CANDIDATES, count) if options.k is None else options.k
        look = options.second_look
        fitted = self.identification(options.scoring, number, look, options.refinement)
        looked_at = 0 if look is None else look.individuals
        wide = min(count, max(wanted, looked_at, NEAREST if fitted.model else 0))
        refine = None if options.refinement is None else self._refiner(options.refinement, gallery)
        ranking = rank(embeddings, gallery, self.model.distance, wide, options.scoring, together, refine)
        if look is not None:
            groups = [(embeddings, photos)] if together else list(zip(embeddings[:, None], zip(photos), strict=True))
            ranking = look_again(ranking, self._looker(look, gallery), groups, fitted.fusion)
        far = ranking.distances if ranking.fused is None else ranking.fused
        chances = None if fitted.model is None else fitted.model.probabilities(far, count)
        told = [", ".join(names)] if together else names
        found = answers(told, ranking, gallery, names_found, self.model.calibration, chances)
        found = [replace(each, candidates=each.candidates[:wanted], photos=each.photos[:wanted]) for each in found]
        return found if options.false_known is None else promise(fitted, options.false_known, count).judged(found)

    def require_search(
        self, options: SearchOptions, progress: Progress | None = None, together: int = 1
    ) -> tuple[Gallery, Names]:
        """Check, before any work, that a search can be made as asked; return what it searches.

        Args:
            options: what is searched, and how.
            progress: told if the store had lost photos, which are put back.
            together: number of photos that are searched together.

        Raises:
            UserError: nothing can be searched, k exceeds the individuals, the condition is none, or there are too few
                individuals to promise the share of false "known".
        """
        gallery, names = self._gallery(options.where, progress)
        count = len(names.individuals)
        if options.k is not None and not 1 <= options.k <= count:
            raise UserError(f"k = {options.k}, but {count} individuals are searched; choose a k from 1 to {count}")
        if options.false_known is not None:
            fitted = self.identification(options.scoring, together, options.second_look, options.refinement)
            promise(fitted, options.false_known, count)
        return gallery, names

    @contextmanager
    def same_model(self) -> Iterator[SimilarityModel]:
        """The model, for embeddings that are searched for in the block.

        Raises:
            OutputError: another process has moved the catalogue to another model meanwhile, so that they do not fit.
        """
        model = self.model
        try:
            yield model
        finally:  # also in place of the errors that follow from it
            if self.model is not model:
                shown = line_of_name(str(self.path))
                raise OutputError(f"{shown} was moved to another model meanwhile; try again")

    def identification(
        self,
        scoring: Scoring = "nearest",
        together: int = 1,
        second_look: SecondLook | None = None,
        refinement: Refinement | None = None,
    ) -> FittedIdentification:
        """The model that gives candidates and "new" a probability, fitted to the catalogue's own photos.

        Each photo is searched among the others, in galleries of several sizes, once with its individual and once
        without. Photos of individuals that did not train the model are used, if there are enough of them.

        Args:
            scoring: how the distance to an individual follows from those to its photos, as for `search`.
            together: number of photos that are searched together.
            second_look: a second look at the best individuals, as for `search`.
            refinement: re-ranking and expansion of a search.
        """
        with self._storage.telling():
            gallery, names = self._gallery(None)
            if self._fitted is None or self._fitted[0] is not gallery:
                self._fitted = gallery, {}
            fitted = self._fitted[1]
            key = scoring, together, second_look and second_look.key, refinement
            if key not in fitted:
                looker = None if second_look is None else self._looker(second_look, gallery)
                trained = self._trained(names.individuals)
                distance = self.model.distance
                fitted[key] = fit_identification(gallery, distance, trained, scoring, together, looker, refinement)
            return fitted[key]

    def _refiner(self, refinement: Refinement, gallery: Gallery) -> Refiner:
        """Refines distances to the photos of a gallery; it keeps their neighbours for the next search."""
        if self._refined is None or self._refined[0] is not gallery or self._refined[1].refinement != refinement:
            self._refined = gallery, Refiner(gallery.embeddings, self.model.distance, refinement)
        return self._refined[1]

    def _looker(self, look: SecondLook, gallery: Gallery) -> Looker:
        """Takes second looks at photos of the catalogue."""
        return Looker(look, gallery, self.model.distance, self._sighting(gallery))

    def _sighting(self, gallery: Gallery) -> Callable[[int], Sighting]:
        """Gives the photo of an index in a gallery."""

        @cache
        def photo(index: int) -> Sighting:
            known = self.photo(int(gallery.photos[index]))
            return Sighting(known.record, known.sha256)

        return photo

    def cluster(
        self,
        method: Method = "average",
        where: str | None = None,
        answers: Answers = (),
        questions: int = QUESTIONS,
    ) -> Discovery:
        """Cluster the photos without their individuals' names, and compare; nothing is changed.

        What people have decided links photos: see `siamesekit.gallery.recorded_links`.

        Args:
            method: `average` (linkage) or `hdbscan`.
            where: condition on the photos, as for `search`.
            answers: a person's answers on pairs of photos, or a table of them.
            questions: most pairs to ask about for the number of individuals.

        Raises:
            UserError: the photos cannot be clustered as asked.
            DataError: answers are wrong, or contradict each other or the catalogue.
        """
        with self._storage.telling():
            gallery, names = self._gallery(where)
            check_discovery(self.model, len(gallery), method)
            links = recorded_links(self._storage.connection, gallery, self.model.distance)
            trained = self._trained(names.individuals)
        photos = PhotoSet(
            unique_names(names.photos, gallery.photos.tolist()),
            [names.individuals[number] for number in gallery.individuals.tolist()],
            gallery.embeddings,
            links,
            frozenset(name for name, each in zip(names.individuals, trained, strict=True) if each),
        )
        return discover(photos, self.model, method, answers, questions)

    def report(
        self,
        second_look: SecondLook | None = None,
        rerank: Rerank | None = None,
        expand: Expand | None = None,
        mirror: bool = False,
        scoring: Scoring = "nearest",
        encounter: str | None = None,
        progress: Progress | None = None,
    ) -> CatalogueReport:
        """Measure what the catalogue is worth: its own photos are held out, several times, and searched for.

        In each of five draws, a fifth of the individuals is left out as new, and half of each other one's photos are
        searched for among all that is left. Photos of individuals that did not train the network are taken, if there
        are ten of them. Each option adds a way to search, beside the embeddings alone.

        Args:
            second_look: a second look at the best individuals, as for `search`.
            rerank: re-ranking by shared neighbours, as for `search`.
            expand: expansion of the queries, as for `search`.
            mirror: the mean embedding of each photo and its mirror image; the photos are embedded again.
            scoring: distance to an individual, as for `search`.
            encounter: column of the encounter; photos of one encounter are held out together.
            progress: progress display.

        Raises:
            UserError: too few individuals have two photos or encounters, or there is no such column.
            DataError: a photo that is to be mirrored cannot be read any more.
        """
        progress, refinement = progress or progress_here(), refinement_of(rerank, expand)
        with self._storage.telling():
            gallery, names = self._gallery(None)
            groups = [""] * len(gallery)
            if encounter is not None:
                groups = known_photos.values(self._storage.connection, encounter, gallery, names)
            trained = self._trained(names.individuals)
        subject = Judged(
            gallery, self.model.distance, encounter_numbers(groups), trained, self._sighting(gallery), scoring
        )
        subject.individuals()
        ways = [Way("alone", gallery.embeddings)]
        if mirror:
            records = [self.photo(number).record for number in gallery.photos.tolist()]
            views = tuple(dict.fromkeys([*self.model.tta, "mirror"]))
            ways.append(Way("with mirror", finite(self.model.embed_records(records, progress, None, views))))
        if second_look is not None:
            ways.append(Way(f"with {second_look.label}", gallery.embeddings, second_look))
        if refinement is not None:
            ways.append(Way(f"with {refinement}", gallery.embeddings, None, refinement))
        notes = [] if encounter is not None else [ENCOUNTERS_UNKNOWN]
        rand_index = None
        try:
            rand_index = self.cluster().rand_index
        except UserError as error:
            notes.append(f"No clusters: {error}.")
        return catalogue_report(subject, ways, rand_index, notes, progress)

    def re_embed(self, run: str | Path, progress: Progress | None = None) -> int:
        """Move the catalogue to another model, with all individuals and decisions; return the number of photos.

        Raises:
            DataError: a photo's file is missing or has changed.
        """
        count = re_embed(self._storage, Path(run), progress or progress_here())
        self._searched = self._chosen = None
        return count

    def move_store(self, store: str | StoreChoice) -> int:
        """Search the embeddings in another store from now on; return the number of photos in it.

        Args:
            store: the store's name, or one with options.

        Raises:
            ComponentError: no store has this name, or an option is wrong.
            UserError: the catalogue is searched in it already, or it needs a package or another distance.
            OutputError: the store cannot be reached, or another process changes the catalogue.
        """
        return move_store(self._storage, StoreChoice(store) if isinstance(store, str) else store)

    def _gallery(self, where: str | None, progress: Progress | None = None) -> tuple[Gallery, Names]:
        """The photos to search, with their names.

        Raises:
            UserError: there are none.
        """
        with self._storage.telling():
            self._storage.searched.complete(progress or progress_here())
        with self._storage.reading():
            last = self._storage.last_change()
            if self._searched is None or self._searched[0] != last:
                gallery, names = known_photos.read(self._storage.connection, self._storage.matrix)
                self._searched = last, self._found_by_store(gallery, whole=True), names
            _, gallery, names = self._searched
            if not len(gallery):
                raise UserError("the catalogue is empty: add photos to it (siamesekit add CATALOGUE INPUT)")
            if where is None:
                return gallery, names
            if self._chosen is None or self._chosen[:2] != (last, where):
                part, part_names = known_photos.chosen(self._storage.connection, gallery, names, where)
                self._chosen = last, where, self._found_by_store(part, whole=False), part_names
            return self._chosen[2:]

    def _found_by_store(self, gallery: Gallery, whole: bool) -> Gallery:
        """A gallery, all of the catalogue or a part of it, that is searched in the catalogue's store."""
        return replace(gallery, find=self._storage.searched.find(gallery, whole))

    def _trained(self, individuals: Sequence[str]) -> NDArray[np.bool_]:
        """Which individuals have, or have had, the name of one that trained the model."""
        trained = set(json.loads(self._storage.fact("trained")))
        rows = self._storage.connection.execute(
            "SELECT i.name, r.before FROM renames r JOIN individuals i ON i.id = r.individual"
        )
        now = trained | {name for name, before in rows if before in trained}
        return np.array([name in now for name in individuals], np.bool_)


def enrol(
    run: str | Path,
    records: Sequence[Record],
    catalogue: str | Path,
    progress: Progress | None = None,
    skip_bad: bool = False,
    device: DeviceChoice = "auto",
    author: str | None = None,
    store: str | StoreChoice = OWN,
) -> tuple[Catalogue, Added]:
    """Create a catalogue for a run's model, and add photos to it.

    An interrupted call can be repeated: the embeddings that it has computed are kept.

    Args:
        run: folder of a finished run, whose model is copied.
        records: records of the photos with their individuals.
        catalogue: folder of the catalogue.
        progress: progress display.
        skip_bad: whether to leave out photos that cannot be read.
        device: device on which the model runs.
        author: who makes the change; by default the user of this process.
        store: where the embeddings are searched: a store's name, or one with options.

    Raises:
        ArtifactError: the run has no model.
        DataError: the photos cannot be used as asked.
        OutputError: the folder holds something else, or a catalogue with photos.
        ComponentError: no store has this name, or an option is wrong.
    """
    choice = StoreChoice(store) if isinstance(store, str) else store
    choice.check()
    folder, target = model_folder(Path(run)), Path(catalogue)
    digest = model_digest(folder)
    shown = line_of_name(str(target))
    if not (target / DATABASE).exists():
        _create(target, Path(run), digest, device, choice)
    opened = Catalogue(target, device, author)
    try:
        info = opened.info()
        if info.changes:
            raise OutputError(f"{shown} is a catalogue already; to add photos to it: siamesekit add {shown} INPUT")
        if info.model != digest:
            raise OutputError(f"{shown} is the catalogue of another model; choose another folder")
        if info.store != str(choice):
            raise OutputError(f"{shown} is a catalogue with store {info.store}; choose another folder")
        return opened, opened.add(records, progress, skip_bad)
    except BaseException:
        opened.close()
        raise


def _sightings(photos: Sequence[Photo], options: SearchOptions) -> list[Sighting]:
    """Photos for a second look; none without one."""
    if options.second_look is None:
        return []
    named = zip(_names(photos), photos, strict=True)
    return [Sighting(Record(name, "", partial(pixels_of, photo))) for name, photo in named]


def _names(photos: Sequence[Photo]) -> list[str]:
    """What photos are called in answers."""
    return [str(photo) if isinstance(photo, str | Path) else f"photo {n}" for n, photo in enumerate(photos, 1)]


def _create(target: Path, run: Path, digest: str, device: DeviceChoice, store: StoreChoice) -> None:
    """Create an empty catalogue; its database comes last and whole."""
    own, shown = {MATRICES, LOCK, MODELS, FOLDER}, line_of_name(str(target))
    if target.exists() and (not target.is_dir() or {entry.name for entry in target.iterdir()} - own):
        raise OutputError(f"{shown} exists and is not a catalogue; choose another folder")
    model = model_folder(run)
    loaded = load(model, device)
    try_store(store, loaded)
    facts = facts_of(loaded, run, digest)
    facts |= {"store": store.text(), "collection": new_collection()}
    try:
        (target / MATRICES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown} cannot be created: {error.strerror}") from error
    with writer(target / LOCK, f"the catalogue {shown}"):
        if (target / DATABASE).exists():
            raise OutputError(f"{shown} is a catalogue already")
        copy_model(model, target, digest)
        write_atomic(target / DATABASE, lambda path: database.create(path, facts))
