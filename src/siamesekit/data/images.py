"""One photo to pixels: checked, decoded, made square."""

from __future__ import annotations

import stat
import struct
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from siamesekit.data.records import Record

Fit = Literal["squash", "pad", "crop"]
Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""What is opened; Pillow's other decoders never see a photo."""
MAX_PIXELS = 100_000_000
"""A photo whose header declares more pixels is refused before it is decoded."""
DRAFT = 2
"""A JPEG is decoded at a scale that leaves its sides at least so many times as long as wanted."""


class UnreadableError(Exception):
    """One photo cannot be read: (reason, mend)."""


def read_square(record: Record, size: int, fit: Fit) -> Pixels:
    """A record's photo as the network sees it, uint8 RGB `[size, size, 3]`.

    A JPEG that is at least `2 · DRAFT` = 4 times as large as wanted in both directions is decoded at ½, ¼ or ⅛ of its
    size (libjpeg scales while it decodes), never below `DRAFT` times the wanted size, which is faster and changes
    pixels a little against full decoding: by 0.2 of 255 in the mean. All other photos are decoded in full.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        return np.asarray(_fitted(_open(record.source, DRAFT * size), size, fit))
    return square(read_pixels(record), size, fit)


def read_pixels(record: Record) -> Pixels:
    """A record's pixels at their own size, uint8 RGB `[height, width, 3]`, upright.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        return np.asarray(_open(record.source))
    pixels = record.source()
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UnreadableError(
            f"its reader gave {pixels.dtype} {list(pixels.shape)}", "a reader gives uint8 [height, width, 3]"
        )
    return pixels


def decode(file: Path) -> Pixels:
    """A photo file's pixels, uint8 RGB `[height, width, 3]`, turned upright as its EXIF orientation says.

    The file's size in pixels is checked against `MAX_PIXELS` from the header alone; then the whole photo is
    decoded, so a truncated one is found. Of an animation it is the first frame; transparency becomes black.

    Raises:
        UnreadableError: with the reason and the mend.
    """
    with quiet():
        return np.asarray(_open(file))


def quiet() -> warnings.catch_warnings[None]:
    """Silence Pillow's warnings of sizes, which `MAX_PIXELS` judges; filters are the process's: not for threads."""
    return warnings.catch_warnings(action="ignore")


def _open(file: Path, smallest: int | None = None) -> Image.Image:
    """The file's photo, RGB, upright, decoded; a JPEG at a smaller scale whose sides are at least `smallest`."""
    try:
        info = file.stat()
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror})", "check the file and its permissions") from None
    if not stat.S_ISREG(info.st_mode):  # opening a FIFO would wait for ever
        raise UnreadableError("is not a regular file", "remove it")
    if info.st_size == 0:
        raise UnreadableError("is empty (0 bytes)", "copy it again or remove it")
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableError(
                    f"is too large: {width} × {height} pixels, the limit is {MAX_PIXELS // 10**6} megapixels",
                    "make it smaller",
                )
            if smallest is not None:
                image.draft(None, (smallest, smallest))  # does nothing but to JPEG
            return _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnreadableError(f"is not an image ({', '.join(FORMATS)})", "remove it or convert it") from None
    except PermissionError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror})", "check the file and its permissions") from None
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"is too large: {error}", "make it smaller") from None
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        struct.error,
        TypeError,
        IndexError,
        KeyError,
    ) as error:
        # Pillow's decoders raise any of these on damaged files
        raise UnreadableError(f"cannot be decoded ({error})", "copy it again or remove it") from None


def _rgb(image: Image.Image) -> Image.Image:
    """To 8-bit RGB; 16-bit greys keep their upper 8 bits, where Pillow would clip."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if values.max() > 255 else 255
        return Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def square(pixels: Pixels, size: int, fit: Fit) -> Pixels:
    """Resize `[height, width, 3]` to `[size, size, 3]`: squashed, padded with black, or cropped to its middle."""
    if pixels.shape[:2] == (size, size):
        return pixels
    return np.asarray(_fitted(Image.fromarray(pixels), size, fit))


def _fitted(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    if image.size == (size, size):
        return image
    if fit == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR)
    if fit == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return image.resize((size, size), Image.Resampling.BILINEAR)
