"""Match the photos of a season with a catalogue: candidates for each photo, or for each encounter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import torch

from siamesekit.data.loading import EMBEDDING, UnusablePhoto
from siamesekit.data.records import Record
from siamesekit.errors import DataError, UserError
from siamesekit.files.spooled import Spooled
from siamesekit.gallery.enrolling import fingerprints
from siamesekit.gallery.promise import with_promise
from siamesekit.gallery.search import AT_ONCE, Answer, Verdict
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.second_look import SecondLook
from siamesekit.gallery.shared_points import Points
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import InParts, Progress
from siamesekit.wording import near

if TYPE_CHECKING:
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.gallery.catalogue import Catalogue

Status = Literal["enrolled", "bad"]
"""Why a photo is not matched: the catalogue has it already, or a person has called it bad."""
Group = tuple[str, list[Sighting]]
"""Name of an encounter, or nothing, and the photos of its query."""


@dataclass(frozen=True)
class Query:
    """One photo, or the photos of one encounter, with its answer.

    Attributes:
        name: name of the photo or of the encounter.
        photos: its photos.
        answer: the candidates.
        shared: the points `[M, 4]` that each of its photos, by its place among `photos`, shares with the best photo of
            a candidate, by that photo's number; empty without a second look.
    """

    name: str
    photos: tuple[Sighting, ...]
    answer: Answer
    shared: Mapping[tuple[int, int], Points] = field(default_factory=dict, compare=False, repr=False)

    @property
    def uncertainty(self) -> float:
        """How open the answer is, 0 … 1: one minus the probability of the likeliest answer.

        Without probabilities, the distance of the first candidate as a share of the second one's.
        """
        candidates = self.answer.candidates
        if self.answer.new is not None:
            return 1 - max([self.answer.new, *(each.probability or 0.0 for each in candidates)])
        if len(candidates) < 2 or candidates[1].distance <= 0:
            return 0.0
        return min(1.0, max(0.0, candidates[0].distance / candidates[1].distance))


@dataclass(frozen=True)
class Matches:
    """The queries of a season, and what was left out.

    Attributes:
        queries: the queries, in the order of the input; many are kept on the disk, and read when they are asked for.
        unusable: photos that cannot be read.
        enrolled: number of photos that the catalogue has already.
        bad: number of photos that a person has called bad.
        copies: number of photos that occur twice in the input.
        note: what the probabilities are worth, in words, or why there are none.
    """

    queries: Sequence[Query]
    unusable: tuple[UnusablePhoto, ...]
    enrolled: int
    bad: int
    copies: int
    note: str

    def called(self, verdict: Verdict) -> int:
        """Number of queries with this verdict; 0 without a promise."""
        return self._verdicts[verdict]

    @cached_property
    def _verdicts(self) -> Counter[Verdict | None]:
        return Counter(query.answer.verdict for query in self.queries)


def match(
    catalogue: Catalogue,
    records: Sequence[Record],
    options: SearchOptions,
    encounter: str | None = None,
    progress: Progress | None = None,
) -> Matches:
    """Search the individuals that are most like the photos of a season; nothing is changed.

    Photos that the catalogue has already, copies, and photos that were called bad are counted and left out.

    Args:
        catalogue: the catalogue.
        records: records of the photos, such as a reader gives; the individuals' names are not used.
        options: how they are searched.
        encounter: attribute whose value photos of one encounter share: they are searched together. A photo without a
            value is a query of its own.
        progress: progress display.

    Raises:
        DataError: no photo is left to match, or a record's source is not a file.
        UserError: no photo has the attribute, or the search cannot be made as asked.
    """
    progress = progress or Progress()
    _check_attribute(records, encounter)
    catalogue.require_search(options, progress)
    photos: dict[tuple[str, str], Sighting] = {}
    unusable: list[UnusablePhoto] = []
    for record, digest in zip(records, fingerprints(records, progress), strict=True):
        if isinstance(digest, UnusablePhoto):
            unusable.append(digest)
        else:
            photo = Sighting(record, digest)
            photos.setdefault(photo.identity, photo)  # the first of copies
    copies = len(records) - len(unusable) - len(photos)
    status = catalogue.status(list(photos))
    left = [photo for identity, photo in photos.items() if identity not in status]
    counts = {word: sum(each == word for each in status.values()) for word in ("enrolled", "bad")}
    groups = _groups(left, encounter)
    if encounter is not None and options.false_known is not None:
        catalogue.require_search(options, progress, max(map(len, groups.values()), default=1))
    queries: Spooled[Query] = Spooled()
    together = 1
    with catalogue.same_model() as model:
        with InParts(progress, len(left), EMBEDDING, "photos") as embedding:
            for part in _parts(groups.items()):
                kept, embeddings = _embedded(model, part, embedding, unusable)
                found = _search(catalogue, kept, embeddings, options)
                if options.second_look is not None:
                    found = _with_shared_points(catalogue, found, options.second_look, progress)
                for query in found:
                    together = max(together, len(query.photos))
                    queries.append(query)
        if not queries:
            left_out = f"{counts['enrolled']} are in the catalogue already, {counts['bad']} were called bad"
            raise DataError(
                f"there is nothing to match: of {len(records)} photos, {left_out}, {len(unusable)} cannot be read, and "
                f"{copies} are copies of others",
                [str(finding) for finding in unusable[:10]],
            )
        note = catalogue.identification(options.scoring, together, options.second_look, options.refinement).note
        note = with_promise(note, options.false_known)
    return Matches(queries, tuple(unusable), counts["enrolled"], counts["bad"], copies, note)


def _groups(photos: Sequence[Sighting], encounter: str | None) -> dict[str | int, list[Sighting]]:
    """The photos of each query, by the name of their encounter, or by a number."""
    groups: dict[str | int, list[Sighting]] = {}
    for number, photo in enumerate(photos):
        value = photo.record.attributes.get(encounter, "") if encounter else ""
        groups.setdefault(value or number, []).append(photo)
    return groups


def _parts(groups: Iterable[tuple[str | int, list[Sighting]]]) -> Iterator[list[Group]]:
    """Some queries at a time, of `AT_ONCE` photos at most, or one query that has more."""
    part: list[Group] = []
    count = 0
    for value, photos in groups:
        if part and count + len(photos) > AT_ONCE:
            yield part
            part, count = [], 0
        part.append((value if isinstance(value, str) else "", photos))
        count += len(photos)
    if part:
        yield part


def _embedded(
    model: SimilarityModel, part: Sequence[Group], progress: Progress, unusable: list[UnusablePhoto]
) -> tuple[list[Group], torch.Tensor]:
    """The queries with the photos that can be read, and the embeddings of these, in a row; the others are added to
    `unusable`."""
    photos = [photo for _, group in part for photo in group]
    bad: dict[int, UnusablePhoto] = {}
    embeddings = model.embed_records([photo.record for photo in photos], progress, bad)
    unusable += bad.values()
    numbers = iter(range(len(photos)))
    kept = [(name, [photo for photo in group if next(numbers) not in bad]) for name, group in part]
    return [(name, group) for name, group in kept if group], embeddings


def _search(
    catalogue: Catalogue, groups: Sequence[Group], embeddings: torch.Tensor, options: SearchOptions
) -> list[Query]:
    """The queries with their answers; those of single photos are searched at once."""
    photos = [photo for _, group in groups for photo in group]
    ends = [*accumulate(len(group) for _, group in groups)]

    def found(rows: Sequence[int], together: bool = False) -> list[Answer]:
        seen = [photos[row] for row in rows]
        names = [photo.record.name for photo in seen]
        return catalogue.search_embeddings(names, embeddings[torch.tensor(rows)], options, together, seen)

    single = [end - 1 for end, (_, group) in zip(ends, groups, strict=True) if len(group) == 1]
    answers = dict(zip(single, found(single), strict=True)) if single else {}
    return [
        Query(
            name or group[0].record.name,
            tuple(group),
            answers[end - 1] if len(group) == 1 else found(range(end - len(group), end), together=True)[0],
        )
        for end, (name, group) in zip(ends, groups, strict=True)
    ]


def _with_shared_points(
    catalogue: Catalogue, queries: Sequence[Query], look: SecondLook, progress: Progress
) -> list[Query]:
    """The queries with the points that their photos share with the best photos of the candidates."""
    places = [
        (number, place, each.best.photo)
        for number, query in enumerate(queries)
        for each in query.answer.candidates
        if each.points
        for place in range(len(query.photos))
    ]
    known = {photo: catalogue.photo(photo) for photo in {photo for _, _, photo in places}}
    others = {number: Sighting(photo.record, photo.sha256) for number, photo in known.items()}
    pairs = [(queries[number].photos[place], others[photo]) for number, place, photo in places]
    shared: list[dict[tuple[int, int], Points]] = [{} for _ in queries]
    for (number, place, photo), points in zip(places, look.shared.points(pairs, progress), strict=True):
        if points is not None and len(points):
            shared[number][place, photo] = points
    return [replace(query, shared=found) for query, found in zip(queries, shared, strict=True)]


def _check_attribute(records: Sequence[Record], name: str | None) -> None:
    """Refuse an attribute that no photo has."""
    known = {each for record in records for each in record.attributes}
    if name is not None and name not in known:
        columns = f"; columns: {', '.join(sorted(known))}" if known else "; the photos have no further columns"
        raise UserError(f"the photos have no column {name!r}{near(name, known)}{columns}")
