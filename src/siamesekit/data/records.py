"""Records: the photos of a data set, before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Record:
    """One photo of one individual.

    Attributes:
        name: name of the photo, unique in the data set and stable between runs, such as `w_0012/3.jpg`.
        individual: name of the individual.
        source: path of the file, or a callable that returns the pixels, uint8 RGB `[height, width, 3]`.
        group: group of the photo for the sampler `hierarchical`, such as its site, species or encounter; empty without
            one.
        root: folder that must contain the file after symbolic links are resolved; None: any folder.
    """

    __module__ = "siamesekit"

    name: str
    individual: str
    source: Path | Callable[[], NDArray[np.uint8]]
    group: str = ""
    root: Path | None = field(default=None, compare=False)


def individuals_of(records: Sequence[Record]) -> list[str]:
    """Names of the distinct individuals, sorted."""
    return sorted({record.individual for record in records})
