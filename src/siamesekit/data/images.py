"""Read one photo: check the file, decode it, crop it to its box, make it square.

Reading is thread-safe: it changes neither Python's warning filters nor any setting of Pillow. Pillow's warnings go
where the program sends them; a program that turns warnings into errors still reads every sound photo.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from siamesekit.data.cropping import cropped, shortest_side
from siamesekit.data.foreign_formats import refuse_foreign
from siamesekit.data.photo_colours import Pixels as Pixels
from siamesekit.data.photo_colours import to_rgb
from siamesekit.data.photo_files import Room, check_length, content_of
from siamesekit.data.photo_files import UnreadableError as UnreadableError  # for those who read photos
from siamesekit.data.photo_geometry import Edges, fitted, upright
from siamesekit.data.photo_geometry import Fit as Fit
from siamesekit.data.photo_geometry import square as square
from siamesekit.data.photo_headers import check_size, check_structure, essential, orientation_in, orientation_of
from siamesekit.data.records import Box, Record
from siamesekit.errors import SiamesekitError
from siamesekit.files.untrusted import MAX_PHOTO_BYTES
from siamesekit.hardware.allocator import return_freed_memory
from siamesekit.registry.component_faults import given, line_in, place_of, told
from siamesekit.wording import line_of_name

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Supported formats; Pillow's other decoders never see a photo."""
PILLOW_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin, BmpImagePlugin, TiffImagePlugin,
           GifImagePlugin)  # fmt: skip
"""Pillow's modules for these formats, which register themselves on import.

Otherwise Pillow imports them when it opens its first photo, under a lock that may stay locked for ever in a forked
child.
"""
DRAFT = 4
"""A JPEG is decoded at a reduced scale whose sides are at least this many times the wanted size."""
DECODING = Room(2 * 2**30)
"""Memory for decoding, shared by all threads."""
LARGE = 2**25
"""Photos that take more bytes return their memory to the system at once; glibc keeps the freed memory of each thread.
"""
_REASON = 200
"""Maximum number of characters of a decoder's error that are shown."""
_PREFIX = 16
"""Number of first bytes by which Pillow recognizes a format."""
_ORIENTATION = 274
Look = Callable[[Record, bytes, Image.Image, Edges], None]
"""Looks at a photo while it is decoded: its record, the content of its file (empty for a photo without a file), the
decoded image, upright and cropped to the box, and the photo's edges in it."""


def read_square(record: Record, size: int, fit: Fit, look: Look | None = None) -> Pixels:
    """Read a record's photo as the network sees it, cropped to its box, uint8 RGB `[size, size, 3]`.

    A JPEG whose box has sides of at least `2 · DRAFT` = 8 times the wanted size is decoded at ½, ¼ or ⅛ of its size
    (libjpeg scales while it decodes), with sides of the box never below `DRAFT` times the wanted size. Without a box,
    these are the sides of the photo. This takes a third of the time. The content does not shift: the scaled picture
    ends exactly where the photo ends, to a fraction of a pixel. On large pictures of smooth colours, texture and edges,
    the values differ from those of full decoding by 0.12 of 255 in the mean, by 0.34 on the worst picture, and by at
    most 5 in any pixel. All other photos are decoded in full.

    Args:
        record: record of the photo.
        size: side of the square in pixels.
        fit: how the photo is made square.
        look: called once with the decoded photo; it must not change it.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        with content_of(record.source, record.root) as content:
            to_square = partial(fitted, size=size, fit=fit)
            use = to_square if look is None else _looked_at(record, content, look, to_square)
            return _read(content, DRAFT * size, use, record.source.suffix, record.box)
    pixels = read_pixels(record)
    if look is not None:
        image = Image.fromarray(pixels)
        look(record, b"", image, (0, 0, *image.size))
    return square(pixels, size, fit)


def look_at_content(record: Record, content: bytes, size: int, look: Look) -> None:
    """Decode the content of a record's file as `read_square` does for this size, and look at it.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    suffix = record.source.suffix if isinstance(record.source, Path) else ""
    _read(content, DRAFT * size, _looked_at(record, content, look, lambda photo, _: photo), suffix, record.box)


def _looked_at(
    record: Record, content: bytes, look: Look, use: Callable[[Image.Image, Edges], Image.Image]
) -> Callable[[Image.Image, Edges], Image.Image]:
    """`use`, preceded by a look at the decoded photo."""

    def look_and_use(photo: Image.Image, edges: Edges) -> Image.Image:
        look(record, content, photo, edges)
        return use(photo, edges)

    return look_and_use


def read_pixels(record: Record) -> Pixels:
    """Read a record's photo at its full size, uint8 RGB `[height, width, 3]`, upright and cropped to its box.

    Raises:
        UnreadableError: the photo cannot be used, or the box is outside it.
    """
    if isinstance(record.source, Path):
        return decode(record.source, record.root, record.box)
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


def decode(file: Path, root: Path | None = None, box: Box | None = None) -> Pixels:
    """Decode a photo file to uint8 RGB `[height, width, 3]`, turned upright by its EXIF orientation, cropped to a box.

    The size in pixels is checked against `MAX_PIXELS` and `MAX_SIDE` from the header alone; then the whole photo is
    decoded, so a truncated file is noticed. Animations give their first frame; transparency becomes black; 16-bit
    values keep their upper 8 bits. Floats are read as 0 … 255, or as 0 … 65,535 if one is above 255; they are refused
    if none reaches a sixteenth of that range, as in a photo with values 0 … 1. Damaged metadata of sound pixels is
    ignored.

    Args:
        file: file of the photo.
        root: folder that must contain the file after links are resolved; None: any folder.
        box: the rectangle to return; None: the whole photo.

    Raises:
        UnreadableError: the photo cannot be used; the error has the reason and what to do.
    """
    with content_of(file, root) as content:
        return pixels_of_content(content, file.suffix, box)


def pixels_of_content(content: bytes, suffix: str = "", box: Box | None = None) -> Pixels:
    """Decode the content of a photo file to `[height, width, 3]`, exactly as `decode` does with the file.

    Args:
        content: the content.
        suffix: suffix of the file's name.
        box: the rectangle to return; None: the whole photo.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    return _read(content, suffix=suffix, box=box)


def square_of_content(content: bytes, size: int, fit: Fit) -> Pixels:
    """Decode the content of a photo file to `[size, size, 3]`, exactly as `read_square` does with the file.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    return _read(content, DRAFT * size, partial(fitted, size=size, fit=fit))


def square_of_image(image: Image.Image, size: int, fit: Fit) -> Pixels:
    """Convert a Pillow image to `[size, size, 3]`, as `read_square` does with its file.

    The image is turned by its EXIF orientation, transparency becomes black, and so on. A JPEG that is opened but not
    yet decoded gives exactly the pixels of its file; a decoded JPEG gives the pixels of full decoding. The image is not
    changed, except that Pillow may decode it.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    content = _jpeg_behind(image)
    if content is not None:
        return square_of_content(content, size, fit)
    with _pillow_errors():
        turned, edges = _turned(image)
        return np.asarray(fitted(to_rgb(turned), edges, size, fit))


def pixels_of_image(image: Image.Image) -> Pixels:
    """Convert a Pillow image to `[height, width, 3]`, upright, without transparency; the image is not changed.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    with _pillow_errors():
        return np.asarray(to_rgb(_turned(image)[0]))


def _turned(image: Image.Image) -> tuple[Image.Image, Edges]:
    """A Pillow image turned upright by its EXIF orientation, with its edges."""
    if 0 in image.size:
        raise UnreadableError(f"has no pixels ({image.width} × {image.height})", "choose another image")
    check_size(*image.size)
    image.load()
    exif = image.info.get("exif")
    orientation = _orientation(image, lambda: orientation_of(exif) if isinstance(exif, bytes) else None)
    return upright(image, (0, 0, *image.size), orientation)


def _jpeg_behind(image: Image.Image) -> bytes | None:
    """The file content of a Pillow image opened from a JPEG; None if it is decoded, changed, or not a JPEG."""
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("JPEG", "MPO") or not image.tile:
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
    return image.size, image.mode, image.getexif().get(_ORIENTATION)


def _read(
    content: bytes,
    smallest: int | None = None,
    use: Callable[[Image.Image, Edges], Image.Image] = lambda image, _: image,
    suffix: str = "",
    box: Box | None = None,
) -> Pixels:
    """Decode a file's content to upright RGB, crop it to the box and apply `use`.

    A JPEG may be scaled down so far that the sides of the box are still at least `smallest`.


    If decoding fails, it is repeated without the metadata, because only the metadata may be damaged.
    """
    refuse_foreign(content, suffix, FORMATS)
    check_structure(content)
    try:
        return _pixels(content, smallest, use, box)
    except UnreadableError:
        pixels_alone = essential(content)
        if pixels_alone is None:
            raise
        return _pixels(pixels_alone, smallest, use, box, orientation_in(content) or 1)


def _pixels(
    content: bytes,
    smallest: int | None,
    use: Callable[[Image.Image, Edges], Image.Image],
    box: Box | None,
    orientation: int | None = None,
) -> Pixels:
    try:
        with _pillow_errors():
            image = opened(content)
            check_size(*image.size)
            width, height = image.size
            drafted = None if smallest is None else _draft(image, content, smallest, box)
            wanted = _memory(image, width * height)
            with DECODING.take(wanted):
                image.load()
                edges: Edges = (0, 0, *image.size) if drafted is None else drafted
                scale = 1 if drafted is None else width / (edges[2] - edges[0])
                if orientation is None:
                    orientation = _orientation(image, lambda: orientation_in(content))
                turned, edges = upright(image, edges, orientation)
                photo = to_rgb(turned)
                if box is not None:
                    full = (round((edges[2] - edges[0]) * scale), round((edges[3] - edges[1]) * scale))
                    photo, edges = cropped(photo, edges, box, full)
                pixels = np.asarray(use(photo, edges))
                image.close()  # free its memory for the next photo
                if wanted > LARGE:
                    return_freed_memory()
            return pixels
    except MemoryError:
        raise UnreadableError("does not fit into memory", "make it smaller") from None


def _draft(image: ImageFile.ImageFile, content: bytes, smallest: int, box: Box | None) -> Edges | None:
    """Let a JPEG be decoded at ½, ¼ or ⅛ of its size, so that the sides of the box are still at least `smallest`.

    Returns:
        The edges of the photo in the decoded image; None if the photo is not a JPEG.
    """
    wanted = (smallest, smallest)
    if box is not None:
        turned = (orientation_in(content) or 1) >= 5
        shortest = shortest_side(box, image.size[::-1] if turned else image.size)
        scale = max(1, int(shortest / smallest))
        wanted = (max(1, image.width // scale), max(1, image.height // scale))
    drafted = image.draft(None, wanted)
    return None if drafted is None else drafted[1]


def opened(content: bytes) -> ImageFile.ImageFile:
    """Open a photo file without decoding it, as `PIL.Image.open` does with `FORMATS` alone.

    `PIL.Image.open` itself warns of sizes that are allowed here, which fails if warnings are errors, and it imports all
    plugins of Pillow if a file is not a photo.

    Raises:
        UnidentifiedImageError: the file has none of these formats.
        Exception: any error of a decoder on a damaged file.
    """
    for name in FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(content[:_PREFIX]) is True:
            try:
                image: ImageFile.ImageFile = factory(io.BytesIO(content), "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
            return image
    raise UnidentifiedImageError


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """Raise errors of Pillow as `UnreadableError`."""
    try:
        yield
    except UnidentifiedImageError:
        raise UnreadableError(f"is not an image ({', '.join(FORMATS)})", "save it as JPEG or PNG") from None
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"is too large: {error}", "make it smaller") from None
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything on damaged files
        reason = line_of_name(str(error) or type(error).__name__)[:_REASON]
        raise UnreadableError(
            f"cannot be decoded ({reason})", "copy it again, or save it anew as JPEG or PNG"
        ) from None


def _memory(image: ImageFile.ImageFile, full: int) -> int:
    """Upper bound of the bytes that decoding takes; `full` is the number of pixels before `draft`."""
    plain = image.mode in ("1", "L", "RGB", "CMYK", "YCbCr") and "transparency" not in image.info
    held = 8 * full if image.info.get("progressive") else 0  # libjpeg keeps all coefficients
    return (8 if plain else 20) * image.width * image.height + held


def _orientation(image: Image.Image, as_stored: Callable[[], int | None]) -> int | None:
    """Orientation in the EXIF or XMP of an image; None if it cannot be read.

    Args:
        image: a decoded image.
        as_stored: reads the orientation from the EXIF without Pillow. It is called if Pillow warns about other tags and
            the program turns warnings into errors.
    """
    try:
        found: int = image.getexif().get(_ORIENTATION, 1)
        return found
    except Warning:
        return as_stored()
    except Exception:  # metadata may be damaged in any way while the pixels are sound
        return None
