"""A sequence that is kept on the disk when it is long."""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Generic, TypeVar, overload

from siamesekit.errors import OutputError
from siamesekit.wording import line_of_name

Item = TypeVar("Item")
IN_MEMORY = 1 << 24
"""Bytes of items that are kept in memory."""


class Spooled(Sequence[Item], Generic[Item]):
    """A sequence to which items are added; beyond 16 MiB they are in a temporary file of this process.

    Each access reads an item anew, so two of them are equal, and not the same object. Threads may read at once.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it is removed with this object
        self._ends = array("q", [0])
        self._lock = Lock()

    def append(self, item: Item) -> None:
        """Add an item.

        Raises:
            OutputError: the disk of the temporary files is full.
        """
        content = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            try:
                self._file.seek(self._ends[-1])
                self._file.write(content)
                self._file.flush()
            except OSError as error:
                place, why = line_of_name(tempfile.gettempdir()), os.strerror(error.errno or 0)
                raise OutputError(
                    f"a temporary file in {place} cannot be written: {why}; free some space, or name another folder in "
                    "the environment variable TMPDIR"
                ) from error
            self._ends.append(self._ends[-1] + len(content))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return tuple(self._read(number) for number in range(len(self))[index])
        return self._read(range(len(self))[index])

    def __iter__(self) -> Iterator[Item]:
        return map(self._read, range(len(self)))

    def _read(self, number: int) -> Item:
        start, end = self._ends[number], self._ends[number + 1]
        with self._lock:
            self._file.seek(start)
            content = self._file.read(end - start)
        item: Item = pickle.loads(content)  # this process has written it
        return item
