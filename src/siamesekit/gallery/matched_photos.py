"""Two photos with the points that they share, as one picture in a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from siamesekit.components.matchers.matcher import Matcher
from siamesekit.data.photo_inputs import pixels_of
from siamesekit.data.records import Record
from siamesekit.errors import DataError, OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_what_is_not_ours
from siamesekit.gallery.shared_points import Points, SharedPoints, sightings
from siamesekit.report.matched_points import side_by_side
from siamesekit.wording import line_of_name

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
MARK = "siamesekit matched points"
"""Text in a picture's file by which it is known as one of ours."""
BEGINNING = 4096
"""Bytes of a picture's file among which the mark is."""


class MatchedPhotos(NamedTuple):
    """Two photos, uint8 RGB `[height, width, 3]` each, and the points `[M, 4]` that they share."""

    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    points: Points


def matched_photos(a: Path, b: Path, matcher: Matcher) -> MatchedPhotos:
    """Find the points that two photos share.

    Raises:
        DataError: a photo cannot be read.
    """
    records = [Record(str(path), "", path) for path in (a, b)]
    first, second = (pixels_of(path) for path in (a, b))
    seen = sightings(records)
    (points,) = SharedPoints(matcher).points([(seen[0], seen[1])])
    if points is None:
        raise DataError(f"{line_of_name(str(a))} or {line_of_name(str(b))} has changed while it was read; try again")
    return MatchedPhotos(first, second, points)


def check_picture(file: Path) -> None:
    """Check, before any work, that a picture can be written.

    Raises:
        OutputError: the name does not end in a format's suffix, there is no such folder, or the file is the user's own.
    """
    shown = line_of_name(str(file))
    if file.suffix.lower() not in FORMATS:
        raise OutputError(f"{shown}: a picture's name must end in {', '.join(FORMATS)}")
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{shown}: there is no folder {line_of_name(str(file.absolute().parent))}")
    refuse_what_is_not_ours(file, "a picture of matched points", _is_picture)


def write_picture(file: Path, matched: MatchedPhotos) -> None:
    """Draw the photos side by side, with lines between the points.

    Raises:
        OutputError: the file cannot be written.
    """
    drawn = side_by_side(*matched)
    kind = FORMATS[file.suffix.lower()]
    marked = PngImagePlugin.PngInfo()
    marked.add_text("Software", MARK)
    options = {"pnginfo": marked} if kind == "PNG" else {"comment": MARK, "quality": 90}
    write_atomic(file, lambda path: drawn.save(path, kind, **options))


def _is_picture(file: Path) -> bool:
    with file.open("rb") as opened:
        return MARK.encode() in opened.read(BEGINNING)
