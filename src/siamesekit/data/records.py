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
        name: unique in the data set and stable between runs, `w_0012/3.jpg` say.
        individual: who is on it.
        source: the file, or a callable that gives the pixels, uint8 RGB `[height, width, 3]`.
        group: the photo's group (its site, species or encounter, say), by which the sampler `hierarchical` goes; empty
            where the reader gives none.
        root: the folder in which the file must lie once symbolic links are followed; anywhere without it.
    """

    name: str
    individual: str
    source: Path | Callable[[], NDArray[np.uint8]]
    group: str = ""
    root: Path | None = field(default=None, compare=False)


def individuals_of(records: Sequence[Record]) -> list[str]:
    """The distinct individuals, sorted."""
    return sorted({record.individual for record in records})
