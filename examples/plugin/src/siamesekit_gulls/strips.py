"""Reader `gulls-strips`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit import READERS, DataError, MissingDataError, Record
from siamesekit.options import Count


@READERS.register("gulls-strips")
def strips(root: Path, width: Count = 32) -> list[Record]:
    """Contact strips, one picture per individual with its photos side by side: `root/INDIVIDUAL.png` → N records.

    Args:
        root: folder of the strips, relative to the config file.
        width: width of each photo on a strip, in pixels.

    Raises:
        MissingDataError: The folder does not exist.
        DataError: The folder has no strips, or the width of a strip is not a multiple of `width`.
    """
    if not root.is_dir():
        raise MissingDataError(f"no such folder: {root}; put strips at {root}/INDIVIDUAL.png")
    records = []
    for file in sorted(root.glob("*.png")):
        with Image.open(file) as strip:
            photos, rest = divmod(strip.width, width)
        if rest:
            raise DataError(f"{file} is {strip.width} pixels wide, which is not a multiple of width = {width}")
        for number in range(photos):
            pixels: Callable[[], NDArray[np.uint8]] = partial(cut, file, number * width, width)
            records.append(Record(f"{file.stem}/{number}", file.stem, pixels))
    if not records:
        raise DataError(f"{root} has no strips; put them at {root}/INDIVIDUAL.png")
    return records


def cut(file: Path, left: int, width: int) -> NDArray[np.uint8]:
    """The photo that begins at column `left` of a strip: uint8 RGB `[height, width, 3]`."""
    with Image.open(file) as strip:
        return np.asarray(strip.convert("RGB"))[:, left : left + width]
