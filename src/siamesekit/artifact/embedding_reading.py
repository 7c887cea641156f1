"""Read files of embeddings, as `siamesekit embed` writes them, some rows at a time."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from siamesekit.artifact.embedding_files import SUFFIXES, is_embeddings
from siamesekit.data.spreadsheet_cells import text_of_cell
from siamesekit.errors import DataError
from siamesekit.files.paths import is_plain
from siamesekit.wording import line_of_name

ROWS = 1 << 14
"""Rows that are read at a time."""
LONGEST_TEXT = 1 << 14
"""Most bytes of a path or a name in a `.npz`, which has room for the longest in each row."""
BUFFER = 1 << 20
"""Bytes of a column of a `.parquet` that are read at a time."""
PATH, INDIVIDUAL, EMBEDDING = "path", "individual", "embedding"
"""Arrays of a `.npz`, and columns of a table."""


@dataclass(frozen=True)
class EmbeddedRows:
    """Rows of a file of embeddings.

    Attributes:
        paths: paths of the photos, B of them.
        individuals: names of their individuals, empty where unknown, B of them.
        embeddings: float32 `[B, D]`, all finite.
    """

    paths: list[str]
    individuals: list[str]
    embeddings: NDArray[np.float32]


def holds_embeddings(path: Path) -> bool:
    """Whether a path is a file of embeddings, by its suffix and its form."""
    if path.suffix not in SUFFIXES or not is_plain(path):
        return False
    try:
        return is_embeddings(path)
    except (OSError, ValueError, ImportError):  # a table of photos, or damaged: its reader says what is wrong
        return False


def read_embeddings(path: Path, dimensions: int, rows: int = ROWS) -> Iterator[EmbeddedRows]:
    """Read a file of embeddings from its beginning to its end; only some rows are in memory at a time.

    Args:
        path: the file, `.npz`, `.csv` or `.parquet`.
        dimensions: length that its embeddings must have.
        rows: rows that are given at a time, at most.

    Raises:
        DataError: the file is damaged, or has embeddings of another length or that are not finite.
    """
    reader = {".npz": _archive, ".csv": _table, ".parquet": _parquet}[path.suffix]
    before = 0
    with _telling(path):
        for paths, individuals, embeddings in reader(path, rows):
            if embeddings.ndim != 2 or embeddings.shape[1] != dimensions:
                raise DataError(
                    f"{line_of_name(str(path))} has embeddings of {embeddings.shape[-1]} numbers, and the model gives "
                    f"{dimensions}: they are another model's; embed the photos with this one"
                )
            if not len(paths) == len(individuals) == len(embeddings):
                raise ValueError("its columns have different lengths")
            found = np.require(embeddings, np.float32, ["C", "W"])
            broken = np.flatnonzero(~np.isfinite(found).all(1))
            if len(broken):
                raise DataError(
                    f"{line_of_name(str(path))}: the embedding of {line_of_name(paths[broken[0]])} (row "
                    f"{before + int(broken[0]) + 1:,}) is not finite; leave out such photos"
                )
            before += len(found)
            yield EmbeddedRows(paths, individuals, found)


def number_of_rows(path: Path) -> int:
    """Number of rows of a file of embeddings; of a `.csv`, the number of its line ends, which texts may have as well.

    Raises:
        DataError: the file is damaged.
    """
    with _telling(path):
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return len(_Array(archive.open(f"{EMBEDDING}.npy")))
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return int(parquet.read_metadata(path).num_rows)
        with path.open("rb") as opened:
            return max(0, sum(block.count(b"\n") for block in iter(lambda: opened.read(1 << 20), b"")) - 1)


_DAMAGE = (ValueError, KeyError, EOFError, OverflowError, RuntimeError, csv.Error, zipfile.BadZipFile,
           zlib.error)  # fmt: skip
"""What the packages that read a damaged file raise."""
Columns = Iterator[tuple[list[str], list[str], NDArray[Any]]]


def _archive(path: Path, rows: int) -> Columns:
    """Rows of a `.npz`, whose arrays are read side by side."""
    with zipfile.ZipFile(path) as archive:
        named = f"{INDIVIDUAL}.npy" in archive.namelist()
        arrays = [_Array(archive.open(f"{name}.npy")) for name in (PATH, EMBEDDING, *([INDIVIDUAL] if named else []))]
        if any(len(array) != len(arrays[0]) for array in arrays):
            raise ValueError("its arrays have different lengths")
        texts = arrays[:1] + arrays[2:]
        if any(each.dtype.kind != "U" or each.shape[1:] or each.dtype.itemsize > LONGEST_TEXT for each in texts):
            raise ValueError("path and individual must be arrays of text [N]")
        if arrays[1].dtype.kind != "f" or len(arrays[1].shape) != 2:
            raise ValueError("embedding must be an array of numbers [N, D]")
        for start in range(0, len(arrays[0]), rows):
            count = min(rows, len(arrays[0]) - start)
            paths, embeddings, *individuals = (array.read(count) for array in arrays)
            yield paths.tolist(), individuals[0].tolist() if individuals else [""] * count, embeddings


class _Array:
    """An array in a `.npz`, read some rows at a time.

    Args:
        opened: its file in the archive.

    Raises:
        ValueError: its header is none.
    """

    def __init__(self, opened: IO[bytes]) -> None:
        self._opened = opened
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(opened))
        if header is None:
            raise ValueError("its arrays have a form that is not known")
        self.shape, by_columns, self.dtype = header(opened)
        if not self.shape or (by_columns and len(self.shape) > 1) or self.dtype.hasobject:
            raise ValueError("its arrays have a form that is not known")

    def __len__(self) -> int:
        return int(self.shape[0])

    def read(self, rows: int) -> NDArray[Any]:
        """The next rows."""
        each = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        content = self._opened.read(rows * each)
        if len(content) < rows * each:
            raise ValueError("it is truncated")
        return np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])


def _table(path: Path, rows: int) -> Columns:
    """Rows of a `.csv`."""
    with path.open(encoding="utf-8", newline="") as opened:
        lines = csv.reader(opened, strict=True)
        header = next(lines, [])
        first = header.index("e0")
        named = INDIVIDUAL in header[:first]
        cells: list[list[str]] = []

        def columns() -> tuple[list[str], list[str], NDArray[Any]]:
            texts = [[text_of_cell(cell) for cell in line[:first]] for line in cells]
            individuals = [line[header.index(INDIVIDUAL)] for line in texts] if named else [""] * len(cells)
            numbers = np.array([line[first:] for line in cells], dtype=np.float32)
            return [line[0] for line in texts], individuals, numbers

        for line in lines:
            if len(line) != len(header):
                raise ValueError(f"line {lines.line_num} has {len(line)} cells, and the header {len(header)}")
            cells.append(line)
            if len(cells) == rows:
                yield columns()
                cells.clear()
        if cells:
            yield columns()


def _parquet(path: Path, rows: int) -> Columns:
    """Rows of a `.parquet`."""
    import pyarrow
    from pyarrow import parquet

    # pyarrow's own buffer would keep all that has been read until the file is closed
    with parquet.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as opened:
        texts_of = [PATH, *([INDIVIDUAL] if INDIVIDUAL in opened.schema_arrow.names else [])]
        wanted = [*texts_of, EMBEDDING]
        for batch in opened.iter_batches(rows, columns=wanted):
            column = batch.column(batch.schema.get_field_index(EMBEDDING))
            fixed = pyarrow.types.is_fixed_size_list(column.type)
            if not (fixed or pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(column.type)):
                raise ValueError(f"embedding must be a column of lists of numbers, not of {column.type}")
            if column.null_count:
                raise ValueError("an embedding is missing")
            numbers = column.flatten()
            each = len(numbers) // max(1, len(column))
            if not fixed and bool((np.diff(column.offsets.to_numpy()) != each).any()):
                raise ValueError("its embeddings have different lengths")
            texts = {name: batch.column(batch.schema.get_field_index(name)).to_pylist() for name in texts_of}
            individuals = texts.get(INDIVIDUAL) or [None] * len(column)
            if None in texts[PATH]:
                raise ValueError("a path is missing")
            matrix = numbers.to_numpy(zero_copy_only=False).reshape(-1, each)
            yield [str(text) for text in texts[PATH]], [_text(name) for name in individuals], matrix


def _text(cell: Any) -> str:
    """A name as text; empty if it is missing."""
    return "" if cell is None else str(cell)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what a damaged file does into words."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{line_of_name(str(path))} cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{line_of_name(str(path))} is no file of embeddings as siamesekit embed writes it: {said}"
        ) from error
