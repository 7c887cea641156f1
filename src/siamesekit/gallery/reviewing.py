"""A review: the queries of a match, each decision on which goes into the catalogue at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from siamesekit.errors import DataError
from siamesekit.gallery import database, who
from siamesekit.gallery.deciding import decide
from siamesekit.gallery.decisions import Decision, Word, checked_individual
from siamesekit.gallery.matching import Query
from siamesekit.gallery.names import checked_name
from siamesekit.gallery.storage import Storage
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.progress import Progress
from siamesekit.wording import line_of_name

OPEN = "open"
"""The word by which a reviewer takes a decision back."""


class DecidedMeanwhileError(Exception):
    """Another reviewer has decided on the query since this one has looked at it."""


class Review:
    """What is decided on the queries of a match. To be used by one thread, which made it.

    Args:
        catalogue: the catalogue's folder.
        queries: the queries.
        author: who decides, if a decision does not say; by default the user of this process.
        device: device on which the model runs.
    """

    def __init__(
        self, catalogue: Path, queries: Sequence[Query], author: str | None = None, device: DeviceChoice = "auto"
    ) -> None:
        self.queries = queries
        self._said: dict[int, dict[str, Any]] = {}
        self._made: set[str] = set()
        self._storage = Storage(catalogue, device, author)
        self._author = self._storage.author
        self._seen = self._storage.last_change()
        self._at_the_start = self._names()
        self._by_number: dict[int, tuple[int | None, tuple[int, ...]]] = {}

    def close(self) -> None:
        """Close the catalogue."""
        self._storage.close()

    def said(self) -> dict[int, dict[str, Any]]:
        """What is decided now, by the number of the query, without decisions that were undone elsewhere.

        Each has `decision`, `individual`, `rejected`, and `change`, the number of the entry in the journal; 0 if the
        catalogue had the decision before, so that nothing was written.
        """
        with self._storage.telling():
            last = self._storage.last_change()
            if last != self._seen:
                undone = database.undone_since(self._storage.connection, self._seen)
                self._said = {number: each for number, each in self._said.items() if each["change"] not in undone}
                self._rename(self._names())
                self._seen = last
        return dict(self._said)

    def renamed(self) -> dict[str, str]:
        """New names of individuals that were renamed since the review began, by their names then."""
        with self._storage.telling():
            now = self._names()
        return {name: now[each] for each, name in self._at_the_start.items() if now[each] != name}

    def _present(self, names: Sequence[str]) -> list[str]:
        """Names that a page has shown, as they are now: a page that was not loaded again has the former ones."""
        renamed = self.renamed()
        there = {*self._names().values()} if renamed else set()
        return [name if name in there else renamed.get(name, name) for name in names]

    def _names(self) -> dict[int, str]:
        """Names of all individuals by their numbers, also of those without photos."""
        return dict(self._storage.connection.execute("SELECT id, name FROM individuals"))

    def _rename(self, names: dict[int, str]) -> None:
        """Give the individuals of decisions their present names."""
        for number, each in self._said.items():
            individual, rejected = self._by_number[number]
            self._said[number] = {
                **each,
                "individual": "" if individual is None else names[individual],
                "rejected": [names[other] for other in rejected],
            }

    def put(
        self,
        number: int,
        word: str,
        individual: str,
        rejected: Sequence[str],
        seen: int | None,
        fresh: bool = False,
        author: str = "",
    ) -> None:
        """Decide on a query in place of the decision that the reviewer has seen, or take that one back.

        Args:
            number: the query.
            word: the decision, or `open` to take the last one back.
            individual: name of the individual; empty for `unsure`, `bad` and `open`.
            rejected: names of individuals that the reviewer has rejected.
            seen: the change that wrote the decision that the reviewer has seen; None if there was none.
            fresh: whether a new individual is to get a name of its own: the next free one, if this one is taken.
            author: who decides; empty for the author of the review.

        Raises:
            DecidedMeanwhileError: there is another decision by now; it stays.
            DataError: there is no such query, or the decision contradicts the catalogue; what was there stays.
            OutputError: another process changes the catalogue at this moment; what was there stays.
            UserError: the photos have been moved since they were decided on; they stay.
        """
        if not 0 <= number < len(self.queries):
            raise DataError(f"there is no query {number}")
        if word not in (*get_args(Word), OPEN):
            raise DataError(f"the decision is {word!r}; expected {', '.join(get_args(Word))} or {OPEN}")
        self._storage.author = checked_name(author) if author else self._author
        individual = checked_individual("bad" if word == OPEN else word, individual)
        individual, *rejected = self._present([individual, *rejected])
        before = self.said().get(number)
        if (None if before is None else before["change"]) != seen:
            if _same(before, word, individual):
                return  # said twice, such as after an answer that was lost
            raise DecidedMeanwhileError(line_of_name(self.queries[number].name))
        change = before["change"] or None if before is not None else None
        if word == OPEN:
            if change is not None:
                self._storage.undo(change)
            self._said.pop(number, None)
            return
        others = self._others(number, change)
        if word == "new" and fresh:
            individual = _free(individual, others)
        if word == "new" and individual in self._made & others:
            word = "same"  # new for the page, and there by now
        self._decide(number, word, individual, rejected, change)

    def _decide(self, number: int, word: Any, individual: str, rejected: Sequence[str], instead_of: int | None) -> None:
        decisions = [
            Decision(replace(photo.record, individual=individual), photo.sha256, word, tuple(rejected), "decision")
            for photo in self.queries[number].photos
        ]
        _, change = decide(self._storage, decisions, Progress(), instead_of)
        known = who.individuals(self._storage.connection)
        kept = [name for name in rejected if name in known]
        self._said[number] = {"decision": word, "individual": individual, "rejected": kept, "change": change}
        number_of = known.get(individual) if individual else None
        self._by_number[number] = number_of, tuple(known[name] for name in kept)
        if word == "new":
            self._made.add(individual)

    def _others(self, number: int, change: int | None) -> set[str]:
        """Names of individuals that are there without the decision on a query."""
        with self._storage.telling():
            known = who.individuals(self._storage.connection, without=change)
        return {*known, *(each["individual"] for other, each in self._said.items() if other != number)}


def _same(before: dict[str, Any] | None, word: str, individual: str) -> bool:
    """Whether a decision is the one that is there."""
    if before is None or word == OPEN:
        return before is None and word == OPEN
    named = ("same", "new")
    alike = before["decision"] == word or (before["decision"] in named and word in named)
    return alike and before["individual"] == individual


def _free(name: str, taken: set[str]) -> str:
    """The name, or, if it is taken, the next one of its form `name-NUMBER` that is free."""
    stem, _, digits = name.rpartition("-")
    number = int(digits) if digits.isascii() and digits.isdigit() and stem and len(digits) < 10 else 0
    if not number:
        stem, number = name, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
