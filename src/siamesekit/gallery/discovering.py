"""Discover individuals among embeddings, among photos, or among those of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from siamesekit.artifact.named_model import load
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.data.loading import UnusablePhoto, report
from siamesekit.data.records import Record
from siamesekit.errors import DataError, UserError
from siamesekit.gallery.catalogue_search import CatalogueSearch
from siamesekit.gallery.discovery import QUESTIONS, Answers, Discovery, Method, PhotoSet, check_discovery, discover
from siamesekit.gallery.identifying import trained_individuals
from siamesekit.gallery.links import Links
from siamesekit.gallery.names import composed, unique_names
from siamesekit.gallery.pair_answers import read_answers
from siamesekit.gallery.recorded_links import recorded_links
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.progress import Progress


def cluster(
    embeddings: Tensor,
    model: SimilarityModel,
    names: Sequence[str] | None = None,
    individuals: Sequence[str] | None = None,
    method: Method = "average",
    answers: Answers = (),
    questions: int = QUESTIONS,
) -> Discovery:
    """Find individuals among the embeddings of photos.

    Args:
        embeddings: embeddings `[N, D]` of the model.
        model: the model; it must have a threshold.
        names: names of the N photos, all different; by default their numbers from 1 on.
        individuals: known individual of each photo, empty where unknown; they only measure the clusters.
        method: `average` (linkage) or `hdbscan`.
        answers: a person's answers on pairs of photos, or a table of them.
        questions: most pairs to ask about for the number of individuals.

    Raises:
        UserError: the photos cannot be clustered as asked.
        DataError: answers are wrong, or contradict each other.
    """
    count = len(embeddings)
    names = [str(number) for number in range(1, count + 1)] if names is None else names
    individuals = [""] * count if individuals is None else individuals
    if not len(names) == len(individuals) == count:
        raise UserError(f"{count} embeddings, {len(names)} names and {len(individuals)} individuals: expected as many")
    return discover(PhotoSet(names, individuals, embeddings, Links(count)), model, method, answers, questions)


cluster.__module__ = "siamesekit"


def cluster_records(
    run: str | Path,
    records: Sequence[Record],
    method: Method = "average",
    answers: Answers = (),
    questions: int = QUESTIONS,
    device: DeviceChoice = "auto",
    progress: Progress | None = None,
) -> tuple[Discovery, tuple[UnusablePhoto, ...]]:
    """Find individuals among photos by a run's model; return also findings on photos that cannot be read.

    Args:
        run: folder of a finished run, or another name of a model, as on the command line.
        records: records of the photos, such as a reader gives; known individuals only measure the clusters.
        method: `average` (linkage) or `hdbscan`.
        answers: a person's answers on pairs of photos, or a table of them.
        questions: most pairs to ask about for the number of individuals.
        device: device on which the model runs.
        progress: progress display.

    Raises:
        ArtifactError: the run has no model.
        UserError: the photos cannot be clustered as asked.
        DataError: no photo can be read, or answers are wrong or contradict each other.
    """
    model = load(run, device)
    check_discovery(model, len(records), method)
    given = read_answers(Path(answers)) if isinstance(answers, str | Path) else answers
    bad: dict[int, UnusablePhoto] = {}
    embeddings = model.embed_records(records, progress, bad)
    if not len(embeddings):
        raise DataError(*report(tuple(bad.values()), len(records)))
    kept = [record for number, record in enumerate(records) if number not in bad]
    check_discovery(model, len(kept), method)
    photos = PhotoSet(
        [record.name for record in kept],
        [composed(record.individual) for record in kept],
        embeddings,
        Links(len(kept)),
        frozenset() if model.source is None else frozenset(trained_individuals(model.source)),
    )
    return discover(photos, model, method, given, questions), tuple(bad.values())


def cluster_catalogue(
    search: CatalogueSearch,
    method: Method = "average",
    where: str | None = None,
    answers: Answers = (),
    questions: int = QUESTIONS,
) -> Discovery:
    """Find the individuals of a catalogue without their names; see `Catalogue.cluster`."""
    storage = search.storage
    with storage.telling():
        gallery, names = search.gallery(where)
        check_discovery(storage.model, len(gallery), method)
        links = recorded_links(storage.connection, gallery, search.distance)
        trained = search.trained(names.individuals)
    photos = PhotoSet(
        unique_names(names.photos, gallery.photos.tolist()),
        [names.individuals[number] for number in gallery.individuals.tolist()],
        gallery.embeddings,
        links,
        frozenset(name for name, each in zip(names.individuals, trained, strict=True) if each),
    )
    return discover(photos, storage.model, method, answers, questions)
