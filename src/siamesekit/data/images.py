"""One photo to pixels: checked, decoded, made square."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from siamesekit.allocator import return_freed_memory
from siamesekit.data.photo_files import Room, content_of
from siamesekit.data.photo_files import UnreadableError as UnreadableError  # for those who read photos
from siamesekit.data.photo_headers import check_size, check_structure, essential
from siamesekit.data.quiet import quiet as quiet
from siamesekit.data.records import Record
from siamesekit.errors import line_of_name

Fit = Literal["squash", "pad", "crop"]
Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""What is opened; Pillow's other decoders never see a photo."""
DRAFT = 2
"""A JPEG is decoded at a scale that leaves its sides at least so many times as long as wanted."""
DECODING = Room(2 * 2**30)
"""What all photos that are being decoded may take, whatever the number of threads."""
LARGE = 2**25
"""Bytes past which a photo's memory goes back to the system at once: glibc keeps what each thread has freed."""
_STRIP = 2**20
"""Numbers that are scaled to 8 bits at a time."""
_REASON = 200
"""Characters of a decoder's own words that are told."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation (EXIF 2.3, tag 274)."""


def read_square(record: Record, size: int, fit: Fit) -> Pixels:
    """A record's photo as the network sees it, uint8 RGB `[size, size, 3]`.

    A JPEG that is at least `2 · DRAFT` = 4 times as large as wanted in both directions is decoded at ½, ¼ or ⅛ of its
    size (libjpeg scales while it decodes), never below `DRAFT` times the wanted size, which is faster and changes
    pixels a little against full decoding: by 0.2 of 255 in the mean. All other photos are decoded in full.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        return _read(record.source, record.root, DRAFT * size, lambda image: _fitted(image, size, fit))
    return square(read_pixels(record), size, fit)


def read_pixels(record: Record) -> Pixels:
    """A record's pixels at their own size, uint8 RGB `[height, width, 3]`, upright.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        return _read(record.source, record.root)
    pixels = record.source()
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UnreadableError(
            f"its reader gave {pixels.dtype} {list(pixels.shape)}", "a reader gives uint8 [height, width, 3]"
        )
    return pixels


def decode(file: Path) -> Pixels:
    """A photo file's pixels, uint8 RGB `[height, width, 3]`, turned upright as its EXIF orientation says.

    The photo's size in pixels is checked against `MAX_PIXELS` and `MAX_SIDE` from the header alone; then the whole
    photo is decoded, so a truncated one is found. Of an animation it is the first frame; transparency becomes black;
    16-bit values keep their upper 8 bits. Damaged metadata round sound pixels does no harm.

    Raises:
        UnreadableError: with the reason and the mend.
    """
    with quiet():
        return _read(file)


def _read(
    file: Path,
    root: Path | None = None,
    smallest: int | None = None,
    use: Callable[[Image.Image], Image.Image] = lambda image: image,
) -> Pixels:
    """The file's photo, RGB, upright, decoded, then used; a JPEG at a smaller scale whose sides are `smallest`.

    Where that fails it is tried without the metadata: they may be all that is damaged.
    """
    with content_of(file, root) as content:
        check_structure(content)
        try:
            return _pixels(content, smallest, use)
        except UnreadableError:
            pixels_alone = essential(content)
            if pixels_alone is None:
                raise
            return _pixels(pixels_alone, smallest, use)


def _pixels(content: bytes, smallest: int | None, use: Callable[[Image.Image], Image.Image]) -> Pixels:
    try:
        with _damage_told(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            check_size(*image.size)
            full = image.width * image.height
            if smallest is not None:
                image.draft(None, (smallest, smallest))  # does nothing but to JPEG
            wanted = _memory(image, full)
            with DECODING.take(wanted):
                pixels = np.asarray(use(_decoded(image)))
                image.close()  # the next one in this room needs its memory
                if wanted > LARGE:
                    return_freed_memory()
            return pixels
    except MemoryError:
        raise UnreadableError("does not fit into memory", "make it smaller") from None


def _decoded(image: ImageFile.ImageFile) -> Image.Image:
    image.load()
    return _rgb(_upright(image))


@contextmanager
def _damage_told() -> Iterator[None]:
    """What Pillow raises, as an `UnreadableError`."""
    try:
        yield
    except UnidentifiedImageError:
        raise UnreadableError(f"is not an image ({', '.join(FORMATS)})", "remove it or convert it") from None
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"is too large: {error}", "make it smaller") from None
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything on damaged files
        reason = line_of_name(str(error) or type(error).__name__)[:_REASON]
        raise UnreadableError(f"cannot be decoded ({reason})", "copy it again or remove it") from None


def _memory(image: ImageFile.ImageFile, full: int) -> int:
    """Bytes that decoding takes at most; `full` are the pixels before `draft`."""
    plain = image.mode in ("1", "L", "RGB", "CMYK", "YCbCr") and "transparency" not in image.info
    held = 8 * full if image.info.get("progressive") else 0  # libjpeg keeps all coefficients
    return (8 if plain else 20) * image.width * image.height + held


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says (TIFF is already), or as it lies where its EXIF cannot be read."""
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # of metadata anything can be wrong, and the pixels are sound
        method = None
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image) -> Image.Image:
    """To 8-bit RGB; 16-bit greys keep their upper 8 bits, where Pillow would clip."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray[np.int32] | NDArray[np.float32]) -> Pixels:
    """Numbers 0 … 255, or 0 … 65,535 where one is above 255, to 0 … 255; what is not a number is black."""
    flat = values.reshape(-1)
    top = 65535 if np.nanmax(flat, initial=0) > 255 else 255
    scaled = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _STRIP):  # in strips: float64 of all of them would take eight times the memory
        strip = np.nan_to_num(flat[start : start + _STRIP].astype(np.float64))
        scaled[start : start + _STRIP] = strip.clip(0, top) * (255 / top)
    return scaled.reshape(values.shape)


def square(pixels: Pixels, size: int, fit: Fit) -> Pixels:
    """Resize `[height, width, 3]` to `[size, size, 3]`: squashed, padded with black, or cropped to its middle."""
    if pixels.shape[:2] == (size, size):
        return pixels
    return np.asarray(_fitted(Image.fromarray(pixels), size, fit))


def _fitted(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    if image.size == (size, size):
        return image
    if fit == "pad" and min(image.size) * 2 * size <= max(image.size):  # its short side would round to no pixel at all
        sides = (size, 1) if image.width > image.height else (1, size)
        return ImageOps.pad(image.resize(sides, Image.Resampling.BILINEAR), (size, size), Image.Resampling.BILINEAR)
    if fit == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR)
    if fit == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return image.resize((size, size), Image.Resampling.BILINEAR)
