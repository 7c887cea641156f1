"""Files of embeddings, and the photos that go into them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.data import photo_folders
from siamesekit.data.photo_folders import photos_below
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files import write_atomic

SUFFIXES = (".npz", ".csv", ".parquet")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""How a cell begins that a spreadsheet would not show as it is."""


def check_output(path: Path) -> None:
    """Refuse, before any work, a file that could not be written.

    Raises:
        OutputError: unknown suffix, or no such folder, or no library for the format.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path}: the suffix says the format: {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise OutputError(f"{path}: .parquet needs pyarrow: pip install 'siamesekit[parquet]'") from None


def photos_of(inputs: Iterable[Path]) -> list[Path]:
    """The photos among files, whatever they are called, and those below folders, as people count.

    Raises:
        UserError: an input does not exist.
        DataError: no photo is there, or a folder cannot be read.
    """
    photos: list[Path] = []
    for path in inputs:
        if path.is_dir():
            photos += photos_below(path)
        elif path.exists():
            photos.append(path)
        else:
            raise UserError(f"there is no {path}")
    if not photos:
        raise DataError(f"no photos there ({', '.join(photo_folders.SUFFIXES)})")
    return photos


def spreadsheet_cell(text: str) -> str:
    """Text as a cell that no spreadsheet takes for a formula.

    A cell that begins with `=`, `+`, `-`, `@`, a tab, a line's end or an apostrophe gets an apostrophe in front
    (OWASP, "CSV Injection"). `text_of_cell` takes it away, so nothing is lost.
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def text_of_cell(cell: str) -> str:
    """The text that `spreadsheet_cell` was given: without the one apostrophe in front, where there is one."""
    return cell.removeprefix("'")


def write_embeddings(path: Path, photos: Sequence[Path], embeddings: NDArray[np.float32]) -> None:
    """Write embeddings `[N, D]` with the photos' paths.

    `.npz` has arrays `path` (strings `[N]`) and `embedding` (float32 `[N, D]`), readable with `allow_pickle=False`;
    `.csv` and `.parquet` have a row a photo: `path`, then `e0` … (in `.parquet` one list column `embedding`).

    In `.csv` paths are quoted and are `spreadsheet_cell`s: take an apostrophe at the front away. A file name that is
    not UTF-8 stands in `.csv` and `.parquet` with its bytes as escapes, `caf\\udce9.jpg`.

    Raises:
        OutputError: the file cannot be written.
    """
    names = [photo.as_posix() for photo in photos]
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, path=np.array(names, dtype=np.str_), embedding=embeddings)
        write_atomic(path, buffer.getvalue())
        return
    names = [name.encode("utf-8", "backslashreplace").decode("utf-8") for name in names]
    if path.suffix == ".csv":
        lines = [",".join(["path", *(f"e{i}" for i in range(embeddings.shape[1]))])]
        for name, row in zip(names, embeddings, strict=True):
            quoted = spreadsheet_cell(name).replace('"', '""')
            lines.append(",".join([f'"{quoted}"', *(f"{value:.9g}" for value in row)]))
        write_atomic(path, "\n".join([*lines, ""]))
    else:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({"path": names, "embedding": list(embeddings)})
        write_atomic(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))
