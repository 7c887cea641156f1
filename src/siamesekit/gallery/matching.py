"""Match the photos of a season with a catalogue: candidates for each photo, or for each encounter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.records import Record
from siamesekit.errors import DataError, UserError
from siamesekit.gallery.enrolling import fingerprints
from siamesekit.gallery.promise import with_promise
from siamesekit.gallery.search import Answer, Verdict
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.second_look import SecondLook
from siamesekit.gallery.shared_points import Points
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.wording import near

if TYPE_CHECKING:
    from siamesekit.gallery.catalogue import Catalogue

Status = Literal["enrolled", "bad"]
"""Why a photo is not matched: the catalogue has it already, or a person has called it bad."""


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
        queries: the queries, in the order of the input.
        unusable: photos that cannot be read.
        enrolled: number of photos that the catalogue has already.
        bad: number of photos that a person has called bad.
        copies: number of photos that occur twice in the input.
        note: what the probabilities are worth, in words, or why there are none.
    """

    queries: tuple[Query, ...]
    unusable: tuple[UnusablePhoto, ...]
    enrolled: int
    bad: int
    copies: int
    note: str

    def called(self, verdict: Verdict) -> int:
        """Number of queries with this verdict; 0 without a promise."""
        return sum(query.answer.verdict == verdict for query in self.queries)


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
    if encounter is not None and options.false_known is not None:
        sizes = Counter(photo.record.attributes.get(encounter, "") or photo.identity for photo in left)
        catalogue.require_search(options, progress, max(sizes.values(), default=1))
    bad: dict[int, UnusablePhoto] = {}
    counts = {word: sum(each == word for each in status.values()) for word in ("enrolled", "bad")}
    with catalogue.same_model() as model:
        try:
            embeddings = model.embed_records([photo.record for photo in left], progress, bad)
        except DataError:
            if len(bad) < len(left):
                raise
        unusable += bad.values()
        kept = [photo for number, photo in enumerate(left) if number not in bad]
        if not kept:
            left_out = f"{counts['enrolled']} are in the catalogue already, {counts['bad']} were called bad"
            raise DataError(
                f"there is nothing to match: of {len(records)} photos, {left_out}, {len(unusable)} cannot be read, and "
                f"{copies} are copies of others",
                [str(finding) for finding in unusable[:10]],
            )
        groups: dict[str | int, list[int]] = {}
        for number, photo in enumerate(kept):
            value = photo.record.attributes.get(encounter, "") if encounter else ""
            groups.setdefault(value or number, []).append(number)
        answers = _search(catalogue, kept, embeddings, list(groups.values()), options)
        queries = [
            Query(str(value) if isinstance(value, str) else kept[members[0]].record.name,
                  tuple(kept[number] for number in members), answer)
            for (value, members), answer in zip(groups.items(), answers, strict=True)
        ]  # fmt: skip
        if options.second_look is not None:
            queries = _with_shared_points(catalogue, queries, options.second_look, progress)
        together = max(len(query.photos) for query in queries)
        note = catalogue.identification(options.scoring, together, options.second_look, options.refinement).note
        note = with_promise(note, options.false_known)
    return Matches(tuple(queries), tuple(unusable), counts["enrolled"], counts["bad"], copies, note)


def _search(
    catalogue: Catalogue,
    photos: Sequence[Sighting],
    embeddings: torch.Tensor,
    groups: Sequence[list[int]],
    options: SearchOptions,
) -> list[Answer]:
    """One answer for each group of photos; those of single photos are searched at once."""

    def found(rows: list[int], together: bool = False) -> list[Answer]:
        seen = [photos[row] for row in rows]
        names = [photos[row].record.name for row in rows]
        return catalogue.search_embeddings(names, embeddings[torch.tensor(rows)], options, together, seen)

    answers: dict[int, Answer] = {}
    single = [place for place, members in enumerate(groups) if len(members) == 1]
    if single:
        answers.update(zip(single, found([groups[place][0] for place in single]), strict=True))
    for place, members in enumerate(groups):
        if len(members) > 1:
            (answers[place],) = found(members, together=True)
    return [answers[place] for place in range(len(groups))]


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
