"""Photos to pixels: decoded once, checked, made square."""

from __future__ import annotations

import os
import stat
import struct
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.progress import Progress

Fit = Literal["squash", "pad", "crop"]
Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""What is opened; Pillow's other decoders never see a photo."""
MAX_PIXELS = 100_000_000
"""A photo whose header declares more pixels is refused before it is decoded."""
SHOWN_FINDINGS = 20


class Finding(NamedTuple):
    """A photo that cannot be used: its name, why, and what to do."""

    name: str
    reason: str
    mend: str


class UnreadableError(Exception):
    """One photo cannot be read: (reason, mend)."""


def load_images(records: Sequence[Record], size: int, fit: Fit = "squash", progress: Progress | None = None) -> Tensor:
    """Decode all photos, in threads, to uint8 RGB `[N, 3, size, size]`.

    Raises:
        DataError: photos that cannot be read, all of them together, each with its reason and what to do.
    """
    images = torch.empty(len(records), 3, size, size, dtype=torch.uint8)
    findings: list[Finding] = []

    def load(index: int) -> Finding | None:
        try:
            pixels = square(read_pixels(records[index]), size, fit)
        except UnreadableError as error:
            return Finding(records[index].name, *error.args)
        images[index] = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return None

    with _quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        done = (progress or Progress()).track(
            pool.map(load, range(len(records))), len(records), "Reading photos", "photos"
        )
        findings = [finding for finding in done if finding is not None]
    if findings:
        shown = "\n".join(
            f"  {finding.name}: {finding.reason}; {finding.mend}" for finding in findings[:SHOWN_FINDINGS]
        )
        more = len(findings) - SHOWN_FINDINGS
        tail = f"\n  … and {more} more" if more > 0 else ""
        raise DataError(f"{len(findings)} of {len(records)} photos cannot be used:\n{shown}{tail}")
    return images


def read_pixels(record: Record) -> Pixels:
    """A record's pixels at their own size, uint8 RGB `[height, width, 3]`, upright.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if isinstance(record.source, Path):
        return _decode(record.source)
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
    with _quiet():
        return _decode(file)


def _quiet() -> warnings.catch_warnings[None]:
    """Silence Pillow's warnings of sizes, which `MAX_PIXELS` judges; filters are the process's: not for threads."""
    return warnings.catch_warnings(action="ignore")


def _decode(file: Path) -> Pixels:
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
            return np.asarray(_rgb(ImageOps.exif_transpose(image)))
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
    image = Image.fromarray(pixels)
    if fit == "pad":
        resized = ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR)
    elif fit == "crop":
        resized = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    else:
        resized = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)
