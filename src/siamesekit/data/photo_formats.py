"""The formats of photos that are read, and how a file of one is opened without decoding it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    features,
)

from siamesekit.data.foreign_formats import AVIF_IS_READ, HEIF_IS_READ, is_heif
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.tiff_directories import is_tiff, with_largest_page_first
from siamesekit.data.tiff_samples import layout_of, refusal_of
from siamesekit.files.untrusted import MAX_PHOTO_BYTES
from siamesekit.wording import line_of_name

PILLOW_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin, BmpImagePlugin, TiffImagePlugin,
                  GifImagePlugin, PpmImagePlugin, Jpeg2KImagePlugin)  # fmt: skip
"""Pillow's modules for these formats, which register themselves on import.

Otherwise Pillow imports them when it opens its first photo, under a lock that may stay locked for ever in a forked
child.
"""
if AVIF_IS_READ:
    from PIL import AvifImagePlugin as AvifImagePlugin
_BY_BUILD = (("JPEG2000", features.check_codec("jpg_2000")), ("AVIF", AVIF_IS_READ))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", *(name for name, is_read in _BY_BUILD if is_read))
"""Formats that Pillow reads here; its other decoders never see a photo."""
READ = (*FORMATS, *(("HEIC",) if HEIF_IS_READ else ()))
"""All formats that are read, for messages."""
_REASON = 200
"""Maximum number of characters of a decoder's error that are shown."""
_PREFIX = 16
"""Number of first bytes by which Pillow recognizes a format."""


def opened(content: bytes) -> ImageFile.ImageFile:
    """Open a photo file without decoding it, as `PIL.Image.open` does with these formats alone.

    `PIL.Image.open` itself warns of sizes that are allowed here, which fails if warnings are errors, and it imports all
    plugins of Pillow if a file is not a photo.

    Raises:
        UnidentifiedImageError: the file has none of these formats.
        Exception: any error of a decoder on a damaged file.
    """
    if HEIF_IS_READ and is_heif(content):
        return _opened_heif(content)
    for name in FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(content[:_PREFIX]) is True:
            try:
                image: ImageFile.ImageFile = factory(io.BytesIO(content), "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
            return image
    raise UnidentifiedImageError


def size_of(file: IO[bytes]) -> tuple[int, int]:
    """Width and height of the photo in an open file, as stored; little more than its header is read.

    Raises:
        Exception: any error of a decoder on a damaged file.
    """
    start = file.read(200)
    file.seek(0)
    if is_tiff(start) or (HEIF_IS_READ and is_heif(start)):
        content = file.read(MAX_PHOTO_BYTES)
        return opened(with_largest_page_first(content) if is_tiff(start) else content).size
    with Image.open(file, formats=FORMATS) as image:
        return image.size


def _opened_heif(content: bytes) -> ImageFile.ImageFile:
    image: ImageFile.ImageFile = _heif_file()(io.BytesIO(content), "")
    return image


@cache
def _heif_file() -> type:
    """The class of pillow-heif for a HEIC file; nothing is registered with Pillow."""
    from pillow_heif.as_plugin import HeifImageFile

    made: type = HeifImageFile
    return made


@contextmanager
def decoder_errors(content: bytes = b"") -> Iterator[None]:
    """Raise errors of decoders as `UnreadableError`.

    Args:
        content: content of the file, which may explain an error.
    """
    try:
        yield
    except (UnreadableError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise _unknown(content) from None
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"is too large: {error}", "make it smaller") from None
    except Exception as error:  # decoders raise anything on damaged files
        layout = layout_of(content) if is_tiff(content) else None
        if layout is not None and layout.compression in _NOT_EVERYWHERE:
            raise refusal_of(layout) from None
        reason = line_of_name(str(error) or type(error).__name__)[:_REASON]
        raise UnreadableError(
            f"cannot be decoded ({reason})", "copy it again, or save it anew as JPEG or PNG"
        ) from None


_NOT_EVERYWHERE = {33003, 33005, 34712, 34887, 34933, 34934, 50001, 50002, 52546}
"""Compressions of TIFF that Pillow has only in some builds, or never."""


def _unknown(content: bytes) -> UnreadableError:
    layout = layout_of(content) if is_tiff(content) else None
    if layout is not None and layout.width and layout.height:
        return refusal_of(layout)
    return UnreadableError(f"is not an image ({', '.join(READ)})", "save it as JPEG or PNG")
