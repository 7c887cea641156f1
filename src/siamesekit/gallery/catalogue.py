"""A catalogue of individuals: enrol photos, correct who is who, and search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor

from siamesekit.artifact.named_model import saved_model
from siamesekit.artifact.similarity_model import Photo, SimilarityModel
from siamesekit.data.photo_inputs import one_by_one, pixels_of
from siamesekit.data.records import Record
from siamesekit.errors import OutputError
from siamesekit.gallery import corrections, database, known_photos, who
from siamesekit.gallery.adding import Added, add
from siamesekit.gallery.adding_embeddings import add_embeddings
from siamesekit.gallery.bound_model import model_digest
from siamesekit.gallery.catalogue_info import CatalogueInfo, catalogue_info
from siamesekit.gallery.catalogue_report import CatalogueReport
from siamesekit.gallery.catalogue_search import CatalogueSearch
from siamesekit.gallery.creating import create
from siamesekit.gallery.deciding import Decided, decide
from siamesekit.gallery.decisions import Decision, read_decisions
from siamesekit.gallery.discovering import cluster_catalogue
from siamesekit.gallery.discovery import QUESTIONS, Answers, Discovery, Method
from siamesekit.gallery.exchange.converting import Converted, convert, wanted
from siamesekit.gallery.exchange.filling_in import Filled, check_filled, fill_in
from siamesekit.gallery.exchange.sources import source_of
from siamesekit.gallery.identifying import FittedIdentification
from siamesekit.gallery.known_photos import KnownPhoto
from siamesekit.gallery.matching import Matches, Status, match
from siamesekit.gallery.moving_store import move_store
from siamesekit.gallery.re_embedding import re_embed
from siamesekit.gallery.refinement import Expand, Refinement, Rerank, refinement_of
from siamesekit.gallery.reporting import ReportOptions, report
from siamesekit.gallery.search import Answer, AnswerList, Gallery, Names, Scoring
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.second_look import SecondLook
from siamesekit.gallery.sighting import Sighting
from siamesekit.gallery.storage import DATABASE, Storage
from siamesekit.gallery.store_choice import OWN, StoreChoice
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.progress import Progress, progress_here
from siamesekit.wording import line_of_name


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
        self._search = CatalogueSearch(self._storage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and the database."""
        self._storage.close()

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
        return add(self._storage, records, progress or progress_here(), skip_bad)

    def add_embeddings(self, file: str | Path, progress: Progress | None = None) -> Added:
        """Add photos with their individuals by a file of their embeddings; the photos need not be here.

        The file is read some rows at a time. An interrupted call changes nothing, and can be repeated.

        Args:
            file: what `siamesekit embed` has written with the catalogue's model, `.npz`, `.csv` or `.parquet`.
            progress: progress display.

        Raises:
            DataError: the file cannot be used, or photos have two individuals.
            OutputError: another process changes the catalogue, or the disk refuses.
        """
        return add_embeddings(self._storage, Path(file), progress or progress_here())

    def remove(self, names: Sequence[str]) -> int:
        """Remove individuals with all their photos, or photos, by name; return the number of photos.

        Raises:
            UserError: a name is none of the catalogue, or several photos have it.
        """
        return corrections.remove(self._storage, names)

    def rename(self, old: str, new: str) -> None:
        """Rename an individual.

        Raises:
            UserError: there is no such individual, or another has the new name.
            DataError: the new name is none.
        """
        corrections.rename(self._storage, old, new)

    def merge(self, kept: str, other: str) -> int:
        """Give the photos of another individual to one that is the same animal; return their number.

        Raises:
            UserError: there is no such individual, or both are one.
        """
        return corrections.merge(self._storage, kept, other)

    def split(self, individual: str, photos: Sequence[str]) -> int:
        """Give photos, by name, to an individual, which may be new; return their number.

        Raises:
            UserError: a name is none of the catalogue's photos, or several photos have it.
            DataError: the name of the individual is none.
        """
        return corrections.split(self._storage, individual, photos)

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
        return catalogue_info(self._storage)

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

    def individuals_of(self, digests: Sequence[str]) -> dict[str, str]:
        """The individuals of the photos without a box that are enrolled, among photos by digest of the file."""
        with self._storage.telling():
            known = who.known_photos(self._storage.connection, digests)
        return {digest: name for digest, (_, name) in known.items() if name is not None}

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
                it comes before re-ranking. Distances in the answer are those of the photos, as always. With a second
                look, the best individuals by the refined distances are looked at, and these distances are moved.
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
            seen = _sightings(several, options)
            return AnswerList(self.search_embeddings(names, embeddings, options, together, seen))

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
        return self._search.search(names, embeddings, options, together, photos)

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
        return self._search.require(options, progress, together)

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
        return self._search.identification(scoring, together, second_look, refinement)

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
        return cluster_catalogue(self._search, method, where, answers, questions)

    def report(
        self,
        second_look: SecondLook | None = None,
        rerank: Rerank | None = None,
        expand: Expand | None = None,
        mirror: bool = False,
        scoring: Scoring = "nearest",
        encounter: str | None = None,
        progress: Progress | None = None,
        false_known: float | None = None,
    ) -> CatalogueReport:
        """Measure what the catalogue is worth: its own photos are held out, several times, and searched for.

        In each of five draws, a fifth of the individuals is left out as new, and half of each other one's photos are
        searched for among all that is left. Photos of individuals that did not train the network are taken, if there
        are ten of them. Each option adds a way to search, beside the embeddings alone; a second look with re-ranking or
        expansion adds one more.

        Args:
            second_look: a second look at the best individuals, as for `search`.
            rerank: re-ranking by shared neighbours, as for `search`.
            expand: expansion of the queries, as for `search`.
            mirror: the mean embedding of each photo and its mirror image; the photos are embedded again.
            scoring: distance to an individual, as for `search`.
            encounter: column of the encounter; photos of one encounter are held out together.
            progress: progress display.
            false_known: promised share of false "known", as for `search`: its costs are measured, too.

        Raises:
            UserError: too few individuals have two photos or encounters or are left to promise the share, or there is
                no such column.
            DataError: a photo that is to be mirrored cannot be read any more.
        """
        refinement = refinement_of(rerank, expand)
        options = ReportOptions(second_look, refinement, mirror, scoring, encounter, false_known)
        return report(self._search, options, progress or progress_here())

    def convert(
        self,
        form: str,
        output: str | Path,
        facts: Mapping[str, str] | None = None,
        base: str | Path | None = None,
        skip_bad: bool = False,
    ) -> Converted:
        """Write all photos and individuals in a format that other programs read, as `siamesekit convert` does.

        Args:
            form: `camtrap-dp`, `wildlife`, `coco` or `wildbook`.
            output: file to write, or folder for `camtrap-dp`; nothing is replaced.
            facts: what is true of all photos that do not say it, such as `{"species": "Panthera onca"}`, or of the
                whole package.
            base: folder at which the written paths begin; by default the deepest one that has all photos.
            skip_bad: whether to leave out photos that lack what the format requires, instead of an error.

        Raises:
            DataError: the photos cannot be written in this format.
            UserError: there is no such format or fact.
            OutputError: something is there already, or cannot be written.
        """
        told = [f"{name}={text}" for name, text in (facts or {}).items()]
        asked = wanted(form, Path(output), told, None if base is None else Path(base))
        return convert(source_of(self.path), asked, skip_bad)

    def fill_in(
        self,
        package: str | Path,
        output: str | Path,
        overrides: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Filled:
        """Write a Camtrap DP package's table of observations with individuals in its empty cells; all else stays.

        Args:
            package: folder of the package.
            output: table to write, in place of the package's `observations.csv`; nothing is replaced.
            overrides: options of the reader `camtrap-dp` as `data.KEY=VALUE` strings, as the photos were enrolled.
            progress: progress display.

        Raises:
            DataError: the package cannot be read.
            OutputError: the table is there already, or cannot be written.
        """
        check_filled(Path(output))
        return fill_in(self.path, Path(package), Path(output), overrides, progress or progress_here())

    def re_embed(self, run: str | Path | SimilarityModel, progress: Progress | None = None) -> int:
        """Move the catalogue to another model, with all individuals and decisions; return the number of photos.

        Raises:
            DataError: a photo's file is missing or has changed.
        """
        return re_embed(self._storage, run, progress or progress_here())

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


def enrol(
    run: str | Path | SimilarityModel,
    records: Sequence[Record] | Path,
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
        run: folder of a finished run, another name of a model as on the command line, or a model, such as that of
            `pretrained`; it is copied.
        records: records of the photos with their individuals; or a file of their embeddings, as for
            `Catalogue.add_embeddings`.
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
    target = Path(catalogue)
    with saved_model(run) as saved:
        digest = model_digest(saved.folder)
        if not (target / DATABASE).exists():
            create(target, saved, digest, device, choice)
    shown = line_of_name(str(target))
    opened = Catalogue(target, device, author)
    try:
        info = opened.info()
        if info.changes:
            raise OutputError(f"{shown} is a catalogue already; to add photos to it: siamesekit add {shown} INPUT")
        if info.model != digest:
            raise OutputError(f"{shown} is the catalogue of another model; choose another folder")
        if info.store != str(choice):
            raise OutputError(f"{shown} is a catalogue with store {info.store}; choose another folder")
        if isinstance(records, Path):
            return opened, opened.add_embeddings(records, progress)
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
