"""Read one photo: check the file, decode it, crop it to its box, make it square.

Reading is thread-safe: it changes neither Python's warning filters nor any setting of Pillow. Pillow's warnings go
where the program sends them; a program that turns warnings into errors still reads every sound photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from siamesekit.data.cropping import cropped
from siamesekit.data.decoding import DECODING as DECODING
from siamesekit.data.decoding import ORIENTATION, Use, Wanted, decoded, turned
from siamesekit.data.photo_colours import Decoded, to_rgb
from siamesekit.data.photo_colours import Pixels as Pixels
from siamesekit.data.photo_files import UnreadableError as UnreadableError  # for those who read photos
from siamesekit.data.photo_files import check_length, content_of
from siamesekit.data.photo_formats import FORMATS as FORMATS
from siamesekit.data.photo_formats import decoder_errors, opened
from siamesekit.data.photo_geometry import Edges, fitted
from siamesekit.data.photo_geometry import Fit as Fit
from siamesekit.data.photo_geometry import square as square
from siamesekit.data.photo_reading import PLAIN, Reading, Remark
from siamesekit.data.records import Box, Record
from siamesekit.errors import SiamesekitError
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.files.untrusted import MAX_PHOTO_BYTES

DRAFT = 4
"""A JPEG is decoded at a reduced scale whose sides are at least this many times the wanted size."""
_BEHIND = ("JPEG", "MPO", "PNG", "TIFF")
"""Formats of which Pillow's image may be less than its file: at another scale, of fewer bits, of another page."""


Look = Callable[[Record, bytes, Decoded, Edges], None]
"""Looks at a photo while it is decoded: its record, the content of its file (empty for a photo without a file), the
decoded photo, upright and cropped to the box, and the photo's edges in it."""


def read_square(
    record: Record,
    size: int,
    fit: Fit,
    reading: Reading = PLAIN,
    remarks: list[Remark] | None = None,
    look: Look | None = None,
) -> Pixels:
    """Read a record's photo as the network sees it, cropped to its box, uint8 RGB `[size, size, 3]`.

    A JPEG whose box has sides of at least `2 · DRAFT` = 8 times the wanted size is decoded at ½, ¼ or ⅛ of its size
    (libjpeg scales while it decodes), with sides of the box never below `DRAFT` times the wanted size. Without a box,
    these are the sides of the photo; where `crop_share` keeps less than the whole, both sizes are divided by it. This
    takes a third of the time. The content does not shift: the scaled picture ends exactly where the photo ends, to a
    fraction of a pixel. On large pictures of smooth colours, texture and edges, the values differ from those of full
    decoding by 0.12 of 255 in the mean, by 0.34 on the worst picture, and by at most 5 in any pixel. All other photos
    are decoded in full.

    Args:
        record: record of the photo.
        size: side of the square in pixels.
        fit: how the photo is made square.
        reading: how it is decoded and resized.
        remarks: receives remarks on a photo that is read with reservations.
        look: called once with the decoded photo; it must not change it.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path | RemotePhoto):
        with content_of(record.source, record.root) as content:
            wanted = _wanted_square(size, fit, reading, [] if remarks is None else remarks, record.box)
            if look is not None:
                wanted = replace(wanted, use=_looked_at(record, content, look, wanted.use), resizes=False)
            return decoded(content, wanted, record.source.suffix)
    pixels = read_pixels(record, reading)
    if look is not None:
        look(record, b"", pixels, (0, 0, *pixels.shape[1::-1]))
    return square(pixels, size, fit, reading)


def look_at_content(record: Record, content: bytes, size: int, look: Look, reading: Reading = PLAIN) -> None:
    """Decode the content of a record's file as `read_square` does for this size, and look at it.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    suffix = record.source.suffix if isinstance(record.source, Path | RemotePhoto) else ""
    use = _looked_at(record, content, look, lambda *_: Image.new("RGB", (1, 1)))  # nobody asks for the pixels
    decoded(content, Wanted(_smallest(size, reading), use, record.box, reading), suffix)


def _looked_at(record: Record, content: bytes, look: Look, use: Use) -> Use:
    """`use`, preceded by a look at the decoded photo."""

    def look_and_use(photo: Decoded, edges: Edges) -> Decoded:
        look(record, content, photo, edges)
        return use(photo, edges)

    return look_and_use


def _wanted_square(size: int, fit: Fit, reading: Reading, remarks: list[Remark], box: Box | None = None) -> Wanted:
    use = partial(fitted, size=size, fit=fit, reading=reading)
    return Wanted(_smallest(size, reading), use, box, reading, remarks, resizes=True)


def _smallest(size: int, reading: Reading) -> int:
    """Smallest sides to which a JPEG may be scaled while it is decoded."""
    return ceil(DRAFT * size / (reading.crop_share or 1))


def read_pixels(record: Record, reading: Reading = PLAIN) -> Pixels:
    """Read a record's photo at its full size, uint8 RGB `[height, width, 3]`, upright and cropped to its box.

    Raises:
        UnreadableError: the photo cannot be used, or the box is outside it.
    """
    if isinstance(record.source, Path | RemotePhoto):
        return decode(record.source, record.root, record.box, reading)
    pixels = _given_by(record.source)
    if record.box is None:
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(cropped(image, (0, 0, *image.size), record.box, image.size)[0])


def _given_by(source: Callable[[], Pixels]) -> Pixels:
    """Call a reader's function for the pixels, uint8 RGB `[height, width, 3]`.

    Raises:
        UnreadableError: the function fails or returns something else.
    """
    # here, because the registries take time to import
    from siamesekit.registry.component_faults import given, line_in, place_of, told

    try:
        pixels = source()
    except (SiamesekitError, UnreadableError, MemoryError):
        raise
    except Exception as error:  # a plugin may raise anything
        function = source.func if isinstance(source, partial) else source
        file = getattr(getattr(function, "__code__", None), "co_filename", "")
        where = line_in(error, file) if file else ""
        raise UnreadableError(
            f"its reader's function fails{where and f' {where} of {place_of(file)}'}: {told(error)}",
            "fix the reader or the photo",
        ) from error
    shape: tuple[int, ...] = getattr(pixels, "shape", ())
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise UnreadableError(f"its reader returned {given(pixels)}", "a reader must return uint8 [height, width, 3]")
    return pixels


def decode(
    file: Path | RemotePhoto, root: Path | None = None, box: Box | None = None, reading: Reading = PLAIN
) -> Pixels:
    """Decode a photo file to uint8 RGB `[height, width, 3]`, turned upright by its EXIF orientation, cropped to a box.

    The size in pixels is checked from the header alone; then the whole photo is decoded, so damage is noticed where the
    format shows it. Colours are converted from the photo's ICC profile to sRGB. Animations give their first frame,
    TIFFs their largest page; transparency becomes black. Values of more than 8 bits are scaled as `reading` says: by
    default, 16 bits keep their upper 8, and floats are read as 0 … 1, 0 … 255 or 0 … 65,535, the smallest range that
    holds them; floats that would be nearly black or beyond these are refused. Damaged metadata of sound pixels is
    ignored.

    Args:
        file: file of the photo, or the photo on another machine.
        root: folder that must contain the file after links are resolved; None: any folder.
        box: the rectangle to return; None: the whole photo.
        reading: how the photo is decoded.

    Raises:
        UnreadableError: the photo cannot be used; the error has the reason and what to do.
    """
    with content_of(file, root) as content:
        return pixels_of_content(content, file.suffix, box, reading)


def pixels_of_content(content: bytes, suffix: str = "", box: Box | None = None, reading: Reading = PLAIN) -> Pixels:
    """Decode the content of a photo file to `[height, width, 3]`, exactly as `decode` does with the file.

    Args:
        content: the content.
        suffix: suffix of the file's name.
        box: the rectangle to return; None: the whole photo.
        reading: how the photo is decoded.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    return decoded(content, Wanted(box=box, reading=reading), suffix)


def square_of_content(content: bytes, size: int, fit: Fit, reading: Reading = PLAIN) -> Pixels:
    """Decode the content of a photo file to `[size, size, 3]`, exactly as `read_square` does with the file.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    return decoded(content, _wanted_square(size, fit, reading, []))


def square_of_image(image: Image.Image, size: int, fit: Fit, reading: Reading = PLAIN) -> Pixels:
    """Convert a Pillow image to `[size, size, 3]`, as `read_square` does with its file.

    The image is turned by its EXIF orientation, transparency becomes black, and so on. An image that is opened but not
    yet decoded gives exactly the pixels of its file; a decoded JPEG gives the pixels of full decoding. The image is not
    changed, except that Pillow may decode it.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    content = _file_behind(image)
    if content is not None:
        return square_of_content(content, size, fit, reading)
    with decoder_errors():
        photo, edges = turned(image)
        return np.asarray(fitted(to_rgb(photo, reading), edges, size, fit, reading))


def pixels_of_image(image: Image.Image, reading: Reading = PLAIN) -> Pixels:
    """Convert a Pillow image to `[height, width, 3]`, upright, without transparency; the image is not changed.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    content = _file_behind(image)
    if content is not None:
        return pixels_of_content(content, reading=reading)
    with decoder_errors():
        return np.asarray(to_rgb(turned(image)[0], reading))


def _file_behind(image: Image.Image) -> bytes | None:
    """The file content of a Pillow image that was opened from a photo file; None if it is decoded or changed."""
    if not isinstance(image, ImageFile.ImageFile) or image.format not in _BEHIND or not image.tile:
        return None
    try:
        file = image.fp
        assert file is not None
        position = file.tell()
        try:
            file.seek(0)
            content = file.read(MAX_PHOTO_BYTES + 1)
        finally:
            file.seek(position)
        same = opened(content)
        unchanged = image.tell() == 0 and _looks(image) == _looks(same)
    except Exception:  # the file is closed, missing or damaged; Pillow's own state may still be sound
        return None
    return content if unchanged else None


def _looks(image: ImageFile.ImageFile) -> tuple[object, ...]:
    """Properties that a program may have changed before decoding: by `draft`, or in the EXIF."""
    return image.size, image.mode, image.getexif().get(ORIENTATION)
