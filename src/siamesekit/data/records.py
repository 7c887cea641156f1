"""Records: the photos of a data set, before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from siamesekit.files.remote_address import RemotePhoto

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from siamesekit.data.unusable import UnusablePhoto


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around one animal in a photo.

    Attributes:
        x: left edge.
        y: upper edge.
        width: width.
        height: height.
        relative: whether the four numbers are shares of the photo's width and height, 0 … 1, instead of pixels. Both
            count in the upright photo, after its EXIF orientation is applied.
        rotation: degrees by which the rectangle is turned clockwise about its centre.
    """

    __module__ = "siamesekit"

    x: float
    y: float
    width: float
    height: float
    relative: bool = False
    rotation: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """One photo of one individual, or one animal of a photo that shows several.

    Attributes:
        name: name of the photo, unique in the data set and stable between runs, such as `w_0012/3.jpg`.
        individual: name of the individual; empty if unknown.
        source: path of the file; a photo on another machine; or a callable that returns the pixels, uint8 RGB
            `[height, width, 3]`.
        group: group of the photo for the sampler `hierarchical`, such as its site, species or encounter; empty without
            one.
        root: folder that must contain the file after symbolic links are resolved; None: any folder.
        box: the rectangle that shows the animal; None: the whole photo.
        attributes: further facts about the photo by column name, as text, such as `encounter`, `side`, `species`,
            `site`, `date` and `split`. A fact that is unknown is absent or empty.
    """

    __module__ = "siamesekit"

    name: str
    individual: str
    source: Path | RemotePhoto | Callable[[], NDArray[np.uint8]]
    group: str = ""
    root: Path | None = field(default=None, compare=False)
    box: Box | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)


class Records(list[Record]):
    """Records of a reader, with what the reader says about them.

    Args:
        records: the records.
        notes: sentences on what was left out, left alone, or understood otherwise than it is written.
        passed_over: number of files that are not photos, by suffix.
        left_out: photos that cannot be used, such as missing ones, and were left out as asked.
    """

    def __init__(
        self,
        records: Iterable[Record] = (),
        notes: Iterable[str] = (),
        passed_over: Mapping[str, int] | None = None,
        left_out: Iterable[UnusablePhoto] = (),
    ) -> None:
        super().__init__(records)
        self.notes = tuple(notes)
        self.passed_over = dict(passed_over or {})
        self.left_out = tuple(left_out)


class Attributes(Mapping[str, str]):
    """Attributes of a record of a table, which shares their names with all records of the table, to save memory.

    Args:
        names: names of the attributes.
        values: values in the same order.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        self._names, self._values = names, values

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


def individuals_of(records: Sequence[Record]) -> list[str]:
    """Names of the distinct individuals, sorted; unknown individuals are none."""
    return sorted({record.individual for record in records} - {""})
