"""A review: the queries of a match, each decision on which goes into the catalogue at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from siamesekit.errors import DataError
from siamesekit.gallery.deciding import decide
from siamesekit.gallery.decisions import Decision, Word
from siamesekit.gallery.matching import Query
from siamesekit.gallery.names import checked_name
from siamesekit.gallery.storage import Storage
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.progress import Progress

OPEN = "open"
"""The word by which a reviewer takes a decision back."""


class DecidedMeanwhileError(Exception):
    """Another reviewer has decided on the query since this one has looked at it."""


class Review:
    """What is decided on the queries of a match. To be used by one thread, which made it.

    Args:
        catalogue: the catalogue's folder.
        queries: the queries.
        author: who decides; by default the user of this process.
        device: device on which the model runs.

    Attributes:
        said: by the number of the query: `decision`, `individual`, `rejected`, and `change`, the number of the entry in
            the journal.
    """

    def __init__(
        self, catalogue: Path, queries: Sequence[Query], author: str | None = None, device: DeviceChoice = "auto"
    ) -> None:
        self.queries = queries
        self.said: dict[int, dict[str, Any]] = {}
        self._storage = Storage(catalogue, device, author)

    def close(self) -> None:
        """Close the catalogue."""
        self._storage.connection.close()

    def put(self, number: int, word: str, individual: str, rejected: Sequence[str], seen: int | None) -> None:
        """Decide on a query in place of the decision that the reviewer has seen, or take that one back.

        Args:
            number: the query.
            word: the decision, or `open` to take the last one back.
            individual: name of the individual; empty for `unsure`, `bad` and `open`.
            rejected: names of individuals that the reviewer has rejected.
            seen: the change that wrote the decision that the reviewer has seen; None if there was none.

        Raises:
            DecidedMeanwhileError: there is another decision by now; it stays.
            DataError: there is no such query, or the decision contradicts the catalogue; what was there stays.
            OutputError: another process changes the catalogue at this moment.
        """
        if not 0 <= number < len(self.queries):
            raise DataError(f"there is no query {number}")
        if word not in (*get_args(Word), OPEN):
            raise DataError(f"the decision is {word!r}; expected {', '.join(get_args(Word))} or {OPEN}")
        before = self.said.get(number)
        if (None if before is None else before["change"]) != seen:
            raise DecidedMeanwhileError(self.queries[number].name)
        if word in ("same", "new"):
            individual = checked_name(individual)
        if before is not None:
            self._storage.undo(before["change"])
            del self.said[number]
        if word == OPEN:
            return
        made = {each["individual"] for each in self.said.values() if each["decision"] == "new"}
        try:
            self._decide(number, "same" if word == "new" and individual in made else word, individual, rejected)
        except DataError:
            if before is not None:
                self._decide(number, before["decision"], before["individual"], before["rejected"])
            raise

    def _decide(self, number: int, word: str, individual: str, rejected: Sequence[str]) -> None:
        named: Word = word  # type: ignore[assignment]
        decisions = [
            Decision(replace(photo.record, individual=individual), photo.sha256, named, tuple(rejected), "decision")
            for photo in self.queries[number].photos
        ]
        decide(self._storage, decisions, Progress())
        self.said[number] = {
            "decision": word,
            "individual": individual,
            "rejected": list(rejected),
            "change": self._storage.last_change(),
        }
