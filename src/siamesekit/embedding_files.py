"""Files of embeddings, and the photos that go into them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.data import photo_folders
from siamesekit.data.photo_folders import photos_below
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files import write_atomic
from siamesekit.replaceable import refuse_what_is_not_ours

SUFFIXES = (".npz", ".csv", ".parquet")
HEADER = 1 << 20
"""Bytes of a table's first line that are read to know it."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""How a cell begins that a spreadsheet would not show as it is."""

LEFT_OUT = ".left-out.csv"
LEFT_OUT_HEADER = "file,reason,what to do"
"""How a table of photos that were left out is called, and how it begins."""


def check_output(path: Path) -> None:
    """Refuse, before any work, a file that could not be written.

    Raises:
        OutputError: unknown suffix, or no such folder, or no library for the format; or a file is there that holds
            something else than embeddings.
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
    refuse_what_is_not_ours(path, "embeddings", is_embeddings)


def is_embeddings(path: Path) -> bool:
    """Whether a plain file holds embeddings as `siamesekit embed` writes them, by its suffix."""
    return {".csv": _is_table, ".npz": _is_archive, ".parquet": _is_parquet}[path.suffix](path)


def _is_table(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.readline(HEADER).decode("utf-8").strip()
    columns = [column.strip('"') for column in header.split(",")]
    return columns[0] == "path" and "e0" in columns


def _is_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return False
    return {"path.npy", "embedding.npy"} <= names and all(name.endswith(".npy") for name in names)


def _is_parquet(path: Path) -> bool:
    import pyarrow.parquet

    return {"path", "embedding"} <= set(pyarrow.parquet.read_schema(path).names)


def photos_and_individuals(inputs: Iterable[Path]) -> list[tuple[Path, str]]:
    """The photos among files, whatever they are called, and those below folders, as people count.

    Each comes with who is on it, an empty name where no folder tells it. A photo in an individual's folder below an
    input, `INPUT/INDIVIDUAL/photo.jpg` or deeper, is of that individual, as with the reader `folder`; of a photo that
    is an input itself, or lies directly in one, nobody is known.

    Raises:
        UserError: an input does not exist.
        DataError: no photo is there, or a folder cannot be read.
    """
    photos: list[tuple[Path, str]] = []
    for path in inputs:
        if path.is_dir():
            for photo in photos_below(path):
                first, *deeper = photo.relative_to(path).parts
                photos.append((photo, first if deeper else ""))
        elif path.exists():
            photos.append((path, ""))
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


def write_embeddings(
    path: Path, photos: Sequence[Path], embeddings: NDArray[np.float32], individuals: Sequence[str] | None = None
) -> None:
    """Write embeddings `[N, D]` with the photos' paths and, where they are given, the names of their individuals.

    `.npz` has arrays `path` and `individual` (strings `[N]`) and `embedding` (float32 `[N, D]`), readable with
    `allow_pickle=False`; `.csv` and `.parquet` have a row a photo: `path`, `individual`, then `e0` … (in `.parquet`
    one list column `embedding`). A name that is not known is empty.

    In `.csv` paths and names are quoted and are `spreadsheet_cell`s: take an apostrophe at the front away. A file name
    that is not UTF-8 stands in `.csv` and `.parquet` with its bytes as escapes, `caf\\udce9.jpg`.

    Raises:
        OutputError: the file cannot be written.
    """
    texts = {"path": [photo.as_posix() for photo in photos]}
    if individuals is not None:
        texts["individual"] = list(individuals)
    if path.suffix == ".npz":
        arrays = {name: np.array(values, dtype=np.str_) for name, values in texts.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays, embedding=embeddings)  # type: ignore[arg-type]
        write_atomic(path, buffer.getvalue())
    elif path.suffix == ".csv":
        lines = [",".join([*texts, *(f"e{i}" for i in range(embeddings.shape[1]))])]
        for *cells, row in zip(*texts.values(), embeddings, strict=True):
            lines.append(",".join([*map(_quoted, cells), *(f"{value:.9g}" for value in row)]))
        write_atomic(path, "\n".join([*lines, ""]))
    else:
        import pyarrow
        import pyarrow.parquet

        columns = {name: [_utf8(value) for value in values] for name, values in texts.items()}
        table = pyarrow.table({**columns, "embedding": list(embeddings)})
        write_atomic(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))


def table_of_left_out(output: Path) -> Path:
    """The table of the photos that are left out, beside a file of embeddings: `e.csv.left-out.csv` for `e.csv`.

    Raises:
        OutputError: something else is there, which is not replaced.
    """
    table = output.with_name(output.name + LEFT_OUT)
    try:
        with table.open("rb") as file:
            ours = file.read(len(LEFT_OUT_HEADER)) == LEFT_OUT_HEADER.encode()
    except FileNotFoundError:
        return table
    except OSError:
        ours = False
    if not ours:
        raise OutputError(f"{table} is there and is no table of photos that were left out: move it, or name another "
                          "file with -o")  # fmt: skip
    return table


def write_left_out(table: Path, left_out: Sequence[tuple[str, str, str]]) -> None:
    """Write the photos that are left out, a row each: the file, why, and what to do; cells as in `write_embeddings`.

    Where nothing is left out there is no table; one of an earlier time is left with its header alone.

    Raises:
        OutputError: the file cannot be written.
    """
    if left_out or table.exists():
        rows = [",".join(map(_quoted, row)) for row in left_out]
        write_atomic(table, "\n".join([LEFT_OUT_HEADER, *rows, ""]))


def _quoted(text: str) -> str:
    """A text as a cell of a table."""
    return '"' + spreadsheet_cell(_utf8(text)).replace('"', '""') + '"'


def _utf8(text: str) -> str:
    """A text with what is no Unicode of it as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
