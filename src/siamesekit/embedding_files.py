"""Files of embeddings, and the photos that go into them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files import write_atomic

SUFFIXES = (".npz", ".csv", ".parquet")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


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
    """The photos among files and, sorted by name, below folders.

    Raises:
        UserError: an input does not exist.
        DataError: no photo is there.
    """
    photos: list[Path] = []
    for path in inputs:
        if path.is_dir():
            below = (file for file in path.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file())
            photos += sorted(below)
        elif path.exists():
            photos.append(path)
        else:
            raise UserError(f"there is no {path}")
    if not photos:
        raise DataError(f"no photos there ({', '.join(PHOTO_SUFFIXES)})")
    return photos


def write_embeddings(path: Path, photos: Sequence[Path], embeddings: NDArray[np.float32]) -> None:
    """Write embeddings `[N, D]` with the photos' paths.

    `.npz` has arrays `path` (strings `[N]`) and `embedding` (float32 `[N, D]`); `.csv` and `.parquet` have a row a
    photo: `path`, then `e0` … (in `.parquet` one list column `embedding`).
    """
    names = [photo.as_posix() for photo in photos]
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, path=np.array(names), embedding=embeddings)
        write_atomic(path, buffer.getvalue())
    elif path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", *(f"e{i}" for i in range(embeddings.shape[1]))])
        writer.writerows(
            [name, *(f"{value:.9g}" for value in row)] for name, row in zip(names, embeddings, strict=True)
        )
        write_atomic(path, text.getvalue())
    else:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({"path": names, "embedding": list(embeddings)})
        write_atomic(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))
