"""One photo to pixels: checked, decoded, made square.

Nothing of the process is changed while photos are read, so any number of threads may read them: neither Python's
warning filters nor anything of Pillow. Pillow's warnings go where the program sends them; a program that makes errors
of warnings still reads every sound photo.
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

from siamesekit.allocator import return_freed_memory
from siamesekit.component_faults import given, line_in, place_of, told
from siamesekit.data.foreign_formats import refuse_foreign
from siamesekit.data.photo_colours import Pixels as Pixels
from siamesekit.data.photo_colours import to_rgb
from siamesekit.data.photo_files import MAX_BYTES, Room, check_length, content_of
from siamesekit.data.photo_files import UnreadableError as UnreadableError  # for those who read photos
from siamesekit.data.photo_geometry import Box, fitted, upright
from siamesekit.data.photo_geometry import Fit as Fit
from siamesekit.data.photo_geometry import square as square
from siamesekit.data.photo_headers import check_size, check_structure, essential, orientation_in, orientation_of
from siamesekit.data.records import Record
from siamesekit.errors import SiamesekitError, line_of_name

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""What is opened; Pillow's other decoders never see a photo."""
PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin, BmpImagePlugin, TiffImagePlugin,
           GifImagePlugin)  # fmt: skip
"""Their modules, which register themselves when they are imported.

Pillow would import them when it opens its first photo, under a lock that a forked child might find taken for ever.
"""
DRAFT = 4
"""A JPEG is decoded at a scale that leaves its sides at least so many times as long as wanted."""
DECODING = Room(2 * 2**30)
"""What all photos that are being decoded may take, whatever the number of threads."""
LARGE = 2**25
"""Bytes past which a photo's memory goes back to the system at once: glibc keeps what each thread has freed."""
_REASON = 200
"""Characters of a decoder's own words that are told."""
_PREFIX = 16
"""Bytes by which a format is recognised."""
_ORIENTATION = 274


def read_square(record: Record, size: int, fit: Fit) -> Pixels:
    """A record's photo as the network sees it, uint8 RGB `[size, size, 3]`.

    A JPEG that is at least `2 · DRAFT` = 8 times as large as wanted in both directions is decoded at ½, ¼ or ⅛ of its
    size (libjpeg scales while it decodes), never below `DRAFT` times the wanted size. That takes a third of the time.
    Nothing moves: the scaled picture is cut where the photo ends, to a fraction of a pixel. On large pictures of smooth
    colours, texture and edges the values differ from those after full decoding by 0.12 of 255 in the mean, by 0.34 on
    the worst picture, and by at most 5 in any pixel. All other photos are decoded in full.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        with content_of(record.source, record.root) as content:
            made_square = partial(fitted, size=size, fit=fit)
            return _read(content, DRAFT * size, made_square, record.source.suffix)
    return square(read_pixels(record), size, fit)


def read_pixels(record: Record) -> Pixels:
    """A record's pixels at their own size, uint8 RGB `[height, width, 3]`, upright.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        return decode(record.source, record.root)
    return _given_by(record.source)


def _given_by(source: Callable[[], Pixels]) -> Pixels:
    """The pixels that a reader's function gives, uint8 RGB `[height, width, 3]`.

    Raises:
        UnreadableError: it fails, or gives something else.
    """
    try:
        pixels = source()
    except (SiamesekitError, UnreadableError, MemoryError):
        raise
    except Exception as error:  # a plugin's code raises anything
        function = source.func if isinstance(source, partial) else source
        file = getattr(getattr(function, "__code__", None), "co_filename", "")
        where = line_in(error, file) if file else ""
        raise UnreadableError(f"its reader's function fails{where and f' {where} of {place_of(file)}'}: {told(error)}",
                              "mend the reader, or the photo") from error  # fmt: skip
    shape: tuple[int, ...] = getattr(pixels, "shape", ())
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise UnreadableError(f"its reader gave {given(pixels)}", "a reader gives uint8 [height, width, 3]")
    return pixels


def decode(file: Path, root: Path | None = None) -> Pixels:
    """A photo file's pixels, uint8 RGB `[height, width, 3]`, turned upright as its EXIF orientation says.

    The photo's size in pixels is checked against `MAX_PIXELS` and `MAX_SIDE` from the header alone; then the whole
    photo is decoded, so a truncated one is found. Of an animation it is the first frame; transparency becomes black;
    16-bit values keep their upper 8 bits; floats are 0 … 255, or 0 … 65,535 where one is above 255, and are refused
    where none reaches a sixteenth of that, as of a photo with values 0 … 1. Damaged metadata round sound pixels does
    no harm.

    Args:
        file: the photo.
        root: the folder that it has to lie in, links followed; None: any.

    Raises:
        UnreadableError: with the reason and the mend.
    """
    with content_of(file, root) as content:
        return _read(content, suffix=file.suffix)


def square_of_content(content: bytes, size: int, fit: Fit) -> Pixels:
    """The photo in a file's content as `read_square` gives that file's, `[size, size, 3]`.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    check_length(len(content))
    return _read(content, DRAFT * size, partial(fitted, size=size, fit=fit))


def square_of_image(image: Image.Image, size: int, fit: Fit) -> Pixels:
    """A Pillow image as `read_square` gives its file's photo, `[size, size, 3]`.

    It is turned as its EXIF says, transparency becomes black, and so on. A JPEG that was opened and not yet decoded
    gives the very pixels that its file gives; of a JPEG that is decoded, those of full decoding. The image stays as it
    is, but that Pillow decodes one that it has not decoded yet.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    content = _jpeg_behind(image)
    if content is not None:
        return square_of_content(content, size, fit)
    with _damage_told():
        if 0 in image.size:
            raise UnreadableError(f"has no pixels ({image.width} × {image.height})", "give another one")
        check_size(*image.size)
        image.load()
        exif = image.info.get("exif")
        orientation = _orientation(image, lambda: orientation_of(exif) if isinstance(exif, bytes) else None)
        turned, box = upright(image, (0, 0, *image.size), orientation)
        return np.asarray(fitted(to_rgb(turned), box, size, fit))


def _jpeg_behind(image: Image.Image) -> bytes | None:
    """The content of the JPEG that a Pillow image was opened from; None where it is decoded, changed, or no JPEG."""
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("JPEG", "MPO") or not image.tile:
        return None
    try:
        file = image.fp
        assert file is not None
        position = file.tell()
        try:
            file.seek(0)
            content = file.read(MAX_BYTES + 1)
        finally:
            file.seek(position)
        same = opened(content)
        unchanged = image.tell() == 0 and _looks(image) == _looks(same)
    except Exception:  # a file that is closed or no longer there, or of which only Pillow's own state is sound
        return None
    return content if unchanged else None


def _looks(image: ImageFile.ImageFile) -> tuple[object, ...]:
    """What a program may have changed of an image that is not decoded yet: by `draft`, or in its EXIF."""
    return image.size, image.mode, image.getexif().get(_ORIENTATION)


def _read(
    content: bytes,
    smallest: int | None = None,
    use: Callable[[Image.Image, Box], Image.Image] = lambda image, _: image,
    suffix: str = "",
) -> Pixels:
    """The photo in a file's content, RGB, upright, then used; a JPEG at a smaller scale whose sides are `smallest`.

    Where that fails it is tried without the metadata: they may be all that is damaged.
    """
    refuse_foreign(content, suffix, FORMATS)
    check_structure(content)
    try:
        return _pixels(content, smallest, use)
    except UnreadableError:
        pixels_alone = essential(content)
        if pixels_alone is None:
            raise
        return _pixels(pixels_alone, smallest, use, orientation_in(content) or 1)


def _pixels(
    content: bytes, smallest: int | None, use: Callable[[Image.Image, Box], Image.Image], orientation: int | None = None
) -> Pixels:
    try:
        with _damage_told():
            image = opened(content)
            check_size(*image.size)
            full = image.width * image.height
            drafted = None if smallest is None else image.draft(None, (smallest, smallest))  # of JPEG alone not None
            wanted = _memory(image, full)
            with DECODING.take(wanted):
                image.load()
                box: Box = (0, 0, *image.size) if drafted is None else drafted[1]
                if orientation is None:
                    orientation = _orientation(image, lambda: orientation_in(content))
                turned, box = upright(image, box, orientation)
                pixels = np.asarray(use(to_rgb(turned), box))
                image.close()  # the next one in this room needs its memory
                if wanted > LARGE:
                    return_freed_memory()
            return pixels
    except MemoryError:
        raise UnreadableError("does not fit into memory", "make it smaller") from None


def opened(content: bytes) -> ImageFile.ImageFile:
    """A photo's file, opened and not yet decoded, as `PIL.Image.open` does it with `FORMATS` alone.

    Not by that function: it warns of sizes that are allowed here, which is an error where warnings are, and imports
    all of Pillow's plugins where a file is no photo.

    Raises:
        UnidentifiedImageError: it is of no such format.
        Exception: whatever a decoder raises on damage.
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
def _damage_told() -> Iterator[None]:
    """What Pillow raises, as an `UnreadableError`."""
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
    """Bytes that decoding takes at most; `full` are the pixels before `draft`."""
    plain = image.mode in ("1", "L", "RGB", "CMYK", "YCbCr") and "transparency" not in image.info
    held = 8 * full if image.info.get("progressive") else 0  # libjpeg keeps all coefficients
    return (8 if plain else 20) * image.width * image.height + held


def _orientation(image: Image.Image, as_stored: Callable[[], int | None]) -> int | None:
    """What its EXIF says, or its XMP; None where they cannot be read.

    Args:
        image: decoded.
        as_stored: finds it in the EXIF by itself, for where Pillow warns of something else in there and the program
            has made errors of warnings.
    """
    try:
        found: int = image.getexif().get(_ORIENTATION, 1)
        return found
    except Warning:
        return as_stored()
    except Exception:  # of metadata anything can be wrong, and the pixels are sound
        return None
