"""One file of float32 rows, mapped into memory: the embeddings of a catalogue, whichever store searches them.

Row p belongs to photo p + 1. A row counts once its photo is in the database, so a crash leaves at most bytes after the
last row that counts, and the next photos replace them. Each batch of rows has a checksum in the database.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files.atomic import flush
from siamesekit.files.untrusted import open_regular
from siamesekit.wording import line_of_name

ITEM = 4
"""Bytes of a float32."""
CHECKED = 1 << 24
"""Bytes that are read at a time for a checksum."""


@dataclass(frozen=True)
class RowBatch:
    """Rows that were written together.

    Attributes:
        first: index of the first row.
        rows: number of rows.
        checksum: CRC-32 of their bytes.
    """

    first: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class EmbeddingMatrix:
    """A file of embeddings `[N, dimensions]`, float32 in little-endian order.

    Attributes:
        file: the file.
        dimensions: length of an embedding.
    """

    file: Path
    dimensions: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dimensions * ITEM

    def store(self, first: int, rows: NDArray[np.float32]) -> RowBatch:
        """Store rows from index `first` on, and flush them to disk.

        Args:
            first: row index, 0 … number of rows stored so far.
            rows: embeddings, float32 `[N, dimensions]`.

        Returns:
            Where the rows lie and the checksum of their bytes.

        Raises:
            OutputError: the disk refuses them; rows before `first` are unchanged.
        """
        content = np.ascontiguousarray(rows, "<f4").tobytes()
        try:
            new = not self.file.exists()
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
            with os.fdopen(handle, "r+b") as opened:
                opened.seek(first * self.row_bytes)
                opened.truncate()
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            if new:
                flush(self.file.parent)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise OutputError(
                f"{line_of_name(str(self.file))} cannot be written: {reason}; the catalogue is unchanged"
            ) from error
        return RowBatch(first, len(rows), zlib.crc32(content))

    def overwrite(self, places: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Write rows `[N, dimensions]` in the places `[N]` of rows that are there, and flush them to disk.

        Raises:
            OutputError: the disk refuses them.
        """
        try:
            with self.file.open("r+b") as opened:
                for place, row in zip(places.tolist(), np.ascontiguousarray(rows, "<f4"), strict=True):
                    opened.seek(place * self.row_bytes)
                    opened.write(row.tobytes())
                opened.flush()
                os.fsync(opened.fileno())
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise OutputError(f"{line_of_name(str(self.file))} cannot be written: {reason}") from error

    def whole_rows(self) -> int:
        """Number of rows in the file; a row that was cut off does not count."""
        try:
            return self.file.stat().st_size // self.row_bytes
        except OSError:
            return 0

    def read(self, rows: int) -> NDArray[np.float32]:
        """The first rows, mapped into memory; changes to the array do not reach the file.

        Raises:
            ArtifactError: the file is missing or too short.
        """
        if not rows:
            return np.empty((0, self.dimensions), np.float32)
        self._check_length(rows)
        return np.memmap(self.file, "<f4", "c", shape=(rows, self.dimensions))

    def verify(self, batches: Iterable[RowBatch]) -> None:
        """Compare the rows with their checksums.

        Raises:
            ArtifactError: the file is missing, too short or altered.
        """
        batches = list(batches)
        if not batches:
            return
        self._check_length(max(batch.first + batch.rows for batch in batches))
        with open_regular(self.file) as opened:
            for batch in batches:
                opened.seek(batch.first * self.row_bytes)
                left, checksum = batch.rows * self.row_bytes, 0
                while left and (block := opened.read(min(left, CHECKED))):
                    checksum = zlib.crc32(block, checksum)
                    left -= len(block)
                if left or checksum != batch.checksum:
                    raise ArtifactError(
                        f"{self._shown} is damaged in rows {batch.first} to {batch.first + batch.rows - 1}: their "
                        "checksum differs; restore a copy of the catalogue, or compute them again: siamesekit re-embed"
                    )

    def _check_length(self, rows: int) -> None:
        try:
            size = self.file.stat().st_size
        except OSError:
            raise ArtifactError(
                f"{self._shown} is missing; restore a copy of the catalogue, or compute it again: siamesekit re-embed"
            ) from None
        if size < rows * self.row_bytes:
            raise ArtifactError(
                f"{self._shown} is truncated: {size:,} bytes, expected {rows * self.row_bytes:,}; restore a copy of "
                "the catalogue, or compute it again: siamesekit re-embed"
            )

    @property
    def _shown(self) -> str:
        return line_of_name(str(self.file))
