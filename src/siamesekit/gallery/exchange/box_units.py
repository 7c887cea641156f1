"""Boxes in the units of a format: shares of the upright photo, or its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.photo_formats import decoder_errors, opened
from siamesekit.data.photo_headers import orientation_in
from siamesekit.data.records import Box
from siamesekit.data.tiff_directories import is_tiff, with_largest_page_first
from siamesekit.errors import DataError
from siamesekit.gallery.exchange.observation import Observation, note_of
from siamesekit.wording import line_of_name

Sides = tuple[float, float, float, float]
"""Left edge, upper edge, width and height."""
ROUNDING = 1e-9
"""Share of a photo by which a box may reach beyond it, because of rounding."""


def upright_size(file: Path) -> tuple[int, int]:
    """Width and height of a photo in pixels, after its EXIF orientation is applied.

    Raises:
        DataError: the file is not there, or is no photo.
    """
    try:
        with content_of(file) as content, decoder_errors(content):
            image = opened(with_largest_page_first(content) if is_tiff(content) else content)
            if is_tiff(content):
                image.load()  # Pillow turns it upright
            turned = (orientation_in(content) or 1) >= 5
            return image.size[::-1] if turned else image.size
    except UnreadableError as error:
        reason, mend = error.args
        raise DataError(
            f"{line_of_name(str(file))} {reason}, and the size of the photo is needed for its box: {mend}"
        ) from None


@dataclass
class BoxUnits:
    """Converts boxes, and remembers what the format could not hold.

    Attributes:
        converted: names of photos whose boxes had other units.
        turned: names of photos whose boxes are turned; they become the upright boxes around them.
        cut: names of photos whose boxes reach beyond the photo; they end where it ends.
    """

    converted: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    _sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def size(self, observation: Observation) -> tuple[int, int]:
        """Width and height of an observation's photo in pixels.

        Raises:
            DataError: the file is not there, or is no photo.
        """
        if observation.file not in self._sizes:
            self._sizes[observation.file] = upright_size(observation.file)
        return self._sizes[observation.file]

    def shares(self, observation: Observation) -> Sides | None:
        """The box in shares of the photo's sides, inside the photo; None without a box.

        Raises:
            DataError: the photo's size is needed, and the photo cannot be read; or the box is outside.
        """
        box = observation.record.box
        if box is None:
            return None
        if box.relative and not box.rotation % 360:
            return self._inside((box.x, box.y, box.width, box.height), (1, 1), observation)
        width, height = self.size(observation)
        x, y, across, down = self._upright(box, observation, "shares")
        return self._inside((x / width, y / height, across / width, down / height), (1, 1), observation)

    def pixels(self, observation: Observation) -> Sides | None:
        """The box in pixels of the photo, inside the photo; None without a box.

        Raises:
            DataError: the photo cannot be read, or the box is outside.
        """
        box = observation.record.box
        if box is None:
            return None
        return self._inside(self._upright(box, observation, "pixels"), self.size(observation), observation)

    def notes(self, units: str) -> list[str]:
        """What became of boxes, in sentences; `units` are those of the format."""
        return [
            *note_of(self.converted, f"have boxes in other units, which are written in {units}"),
            *note_of(self.turned, "have turned boxes, which the format cannot hold: the upright boxes around them"),
            *note_of(self.cut, "have boxes that reach beyond them, which end where the photo ends"),
        ]

    def _upright(self, box: Box, observation: Observation, units: str) -> Sides:
        """A box in pixels, without rotation."""
        across, down = self.size(observation) if box.relative else (1, 1)
        x, y, width, height = box.x * across, box.y * down, box.width * across, box.height * down
        if box.relative != (units == "shares"):
            self.converted.append(observation.record.name)
        if not box.rotation % 360:
            return x, y, width, height
        self.turned.append(observation.record.name)
        angle = math.radians(box.rotation)
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
        outer = (width * cos + height * sin, width * sin + height * cos)
        return x + (width - outer[0]) / 2, y + (height - outer[1]) / 2, *outer

    def _inside(self, sides: Sides, most: tuple[float, float], observation: Observation) -> Sides:
        """A box that ends where the photo ends; a box inside stays as it is, to the last bit.

        Raises:
            DataError: nothing is left.
        """
        x, y, width, height = sides
        beyond = (-x / most[0], -y / most[1], (x + width) / most[0] - 1, (y + height) / most[1] - 1)
        if max(beyond) <= ROUNDING and x >= 0 and y >= 0 and width <= most[0] and height <= most[1]:
            return sides
        left, top = max(x, 0.0), max(y, 0.0)
        right, bottom = min(x + width, most[0]), min(y + height, most[1])
        if right <= left or bottom <= top:
            raise DataError(f"the box of {line_of_name(observation.record.name)} is outside its photo: correct it")
        if max(beyond) > ROUNDING:
            self.cut.append(observation.record.name)
        return left, top, right - left, bottom - top
