"""Embeddings of the photos from a file of `siamesekit embed`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.wording import first_lines, line_of_name

SHOWN = 10


def embeddings_from(path: Path, records: Sequence[Record]) -> NDArray[np.float32]:
    """The embedding of each record, float32 `[N, D]`, from a `.npz` with the arrays `path` and `embedding`.

    A row belongs to the photo whose name is its path or the end of its path, after a `/`; a longer name goes first.

    Raises:
        DataError: the file cannot be read, or photos have no row in it, or several different ones.
    """
    paths, vectors = _read(path)
    places = {record.name: place for place, record in enumerate(records)}
    rows: dict[int, int] = {}
    twice: list[str] = []
    for row, text in enumerate(paths):
        place = _place(text.replace("\\", "/"), places)
        if place is not None and not np.array_equal(vectors[rows.setdefault(place, row)], vectors[row]):
            twice.append(f"{line_of_name(records[place].name)}: {paths[rows[place]]} and {text}")
    if twice:
        raise DataError(f"{path}: {len(twice)} photos have several different embeddings", first_lines(twice, SHOWN))
    missing = [line_of_name(record.name) for place, record in enumerate(records) if place not in rows]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(records)} photos have no embedding: make the file anew from all photos, "
            "with siamesekit embed",
            first_lines(missing, SHOWN),
        )
    return vectors[[rows[place] for place in range(len(records))]]


def _read(path: Path) -> tuple[list[str], NDArray[Any]]:
    """The paths and the embeddings of a file."""
    what = "it must be a .npz from siamesekit embed, with the arrays path and embedding"
    try:
        with np.load(path, allow_pickle=False) as content:
            paths, vectors = content["path"], content["embedding"]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or 'no .npz'}): {what}") from None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
        raise DataError(f"{path} cannot be read: {what}") from None
    if paths.dtype.kind != "U" or paths.ndim != 1 or vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise DataError(
            f"{path}: path is {paths.dtype} {paths.shape}, embedding {vectors.dtype} {vectors.shape}: {what}"
        )
    if len(paths) != len(vectors):
        raise DataError(f"{path} has {len(paths)} paths and {len(vectors)} embeddings: {what}")
    return paths.tolist(), vectors.astype(np.float32)


def _place(path: str, places: dict[str, int]) -> int | None:
    """The number of the record with the longest name that is the end of a path; None without one."""
    while path not in places:
        _, slash, path = path.partition("/")
        if not slash:
            return None
    return places[path]
