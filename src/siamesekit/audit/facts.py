"""What the audit measures on a decoded photo."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from siamesekit.data import jpeg
from siamesekit.data.photo_colours import Decoded
from siamesekit.data.photo_formats import opened
from siamesekit.data.photo_geometry import Edges
from siamesekit.data.photo_headers import orientation_in
from siamesekit.data.records import Record

SIDE = 256
"""Longest side in pixels at which a photo is measured, unless it is smaller."""
THUMBNAIL = 32
"""Width and height of the grey thumbnail."""
ROUNDING, LEAST_SHARPNESS = 20 / 12, 0.1
"""Variance of the Laplacian of values that are only rounded, 4² + 4 · 1² times 1/12, and the least sharpness told."""
HASH = 8
"""Width and height of each half of the difference hash."""
_DIGEST = 16
_EXIF_IFD, _TAKEN, _MODIFIED = 0x8769, 0x9003, 0x0132
_TAKEN_PLACE = 4
"""Place of `taken` among the attributes behind the first."""
_HEAD = 1 << 18
"""First bytes of a file in which its EXIF is looked for."""
_MOST_REDUCED = 4
"""Pixels a side for each one of the scaled picture, from which Pillow first takes the means of whole blocks."""
_GREYS = np.arange(256, dtype=np.float64)
_FORM = struct.Struct(f"<{_DIGEST}s{_DIGEST}sQII20sddddddI{HASH * HASH // 4}s{THUMBNAIL * THUMBNAIL}s")


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """Facts about a photo, or about the animal's box in it.

    Attributes:
        file: digest of the file; empty for a photo without a file.
        picture: digest of the grey picture, at most `SIDE` pixels wide or high, and of the histogram of its colours.
        file_bytes: size of the file; 0 without one.
        width: width in pixels of the upright photo, or of the box.
        height: height in pixels.
        taken: date and time in the EXIF, `2021:03:04 10:15:30`, as ASCII; empty if unknown.
        brightness: mean grey value, 0 … 255.
        contrast: largest standard deviation of a colour's values.
        low: grey value below which 5 % of the pixels are.
        high: grey value below which 95 % of the pixels are.
        sharpness: variance of the Laplacian of the grey picture, beyond that of rounding to whole values; at least
            `LEAST_SHARPNESS`.
        detail: variance of the grey picture.
        levels: number of different values of the green channel.
        hash: difference hash, `2 · HASH²` bits.
        thumbnail: grey thumbnail, `THUMBNAIL²` bytes.
    """

    file: bytes
    picture: bytes
    file_bytes: int
    width: int
    height: int
    taken: bytes
    brightness: float
    contrast: float
    low: float
    high: float
    sharpness: float
    detail: float
    levels: int
    hash: bytes
    thumbnail: bytes

    def packed(self) -> bytes:
        """The facts as bytes of a fixed length."""
        return _FORM.pack(*(getattr(self, name) for name in self.__slots__))

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """The facts of `packed`.

        Raises:
            struct.error: the bytes have another length.
        """
        file, *others = _FORM.unpack(packed)
        others[_TAKEN_PLACE] = others[_TAKEN_PLACE].rstrip(b"\0")
        return cls(file if any(file) else b"", *others)


def digest_of(content: bytes) -> bytes:
    """A digest of a file's content; empty for no content."""
    return sha256(content).digest()[:_DIGEST] if content else b""


def measure(record: Record, content: bytes, photo: Decoded, edges: Edges, digest: bytes | None = None) -> PhotoFacts:
    """Measure a decoded photo, upright RGB and cropped to the record's box, between edges of the image.

    Args:
        record: record of the photo.
        content: content of its file; empty for a photo without a file.
        photo: decoded image, or its pixels `[height, width, 3]`, perhaps at a reduced scale.
        edges: edges of the photo in the image.
        digest: `digest_of` the content, if it is known.
    """
    small = _scaled(photo, edges)
    grey = small.convert("L")
    shades, tones, colours = grey.tobytes(), np.array(grey.histogram()), np.array(small.histogram())
    means, variances = _moments(np.concatenate([tones, colours]).reshape(4, 256))
    low, high = np.searchsorted(np.cumsum(tones), np.array([0.05, 0.95]) * (small.width * small.height))
    return PhotoFacts(
        file=digest_of(content) if digest is None else digest,
        picture=digest_of(repr(small.size).encode() + shades + colours.tobytes()),
        file_bytes=len(content),
        **dict(zip(("width", "height"), _sides(record, content, edges), strict=True)),
        taken=_taken(content),
        brightness=float(means[0]),
        contrast=float(variances[1:].max()) ** 0.5,
        low=float(low),
        high=float(high),
        sharpness=_sharpness(np.frombuffer(shades, np.uint8).reshape(grey.height, grey.width)),
        detail=float(variances[0]),
        levels=_levels(photo),
        hash=difference_hash(grey),
        thumbnail=grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes(),
    )


def difference_hash(grey: Image.Image) -> bytes:
    """The signs of the differences between neighbours in a tiny picture, along its rows and along its columns."""
    rows = np.asarray(grey.resize((HASH + 1, HASH), Image.Resampling.BOX), np.int16)
    columns = np.asarray(grey.resize((HASH, HASH + 1), Image.Resampling.BOX), np.int16)
    signs = np.concatenate([np.diff(rows, axis=1).ravel() >= 0, np.diff(columns, axis=0).ravel() >= 0])
    return np.packbits(signs).tobytes()


def _scaled(photo: Decoded, edges: Edges) -> Image.Image:
    """The photo between edges of an image, at most `SIDE` pixels wide or high.

    PyTorch takes half of Pillow's time; rounding differs in one of 700 values, by 1.
    """
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    scale = min(1.0, SIDE / max(width, height))
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    if isinstance(photo, np.ndarray):
        if edges == (0, 0, *photo.shape[1::-1]) and 1 / _MOST_REDUCED < scale < 1:
            pixels = torch.from_numpy(photo)[None].permute(0, 3, 1, 2)  # channels last: PyTorch's fast kernel
            scaled = functional.interpolate(pixels, sides[::-1], mode="bilinear", antialias=True)
            return Image.fromarray(scaled[0].permute(1, 2, 0).numpy())
        photo = Image.fromarray(photo)
    return photo.resize(sides, Image.Resampling.BILINEAR, edges, reducing_gap=_MOST_REDUCED / 2)


def _levels(photo: Decoded) -> int:
    """The number of different values of the green channel."""
    if isinstance(photo, np.ndarray):
        return int(np.count_nonzero(np.bincount(photo[..., 1].ravel(), minlength=256)))
    return sum(map(bool, photo.getchannel("G").histogram()))


def _moments(histograms: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means `[H]` and variances `[H]` of values 0 … 255 with histograms `[H, 256]`."""
    counts = histograms.sum(axis=1)
    means = histograms @ _GREYS / counts
    variances: NDArray[np.float64] = (histograms * (_GREYS - means[:, None]) ** 2).sum(axis=1) / counts
    return means, variances


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Sharpness of a grey picture `[height, width]`; the least sharpness for one without inner pixels."""
    if min(grey.shape) < 3:
        return LEAST_SHARPNESS
    values = grey.astype(np.int16)
    laplacian = values[1:-1, 1:-1] * -4
    for beside in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        laplacian += beside
    flat = laplacian.ravel().astype(np.float32)
    flat -= flat.mean()
    return max(LEAST_SHARPNESS, float(flat @ flat) / len(flat) - ROUNDING)


def _sides(record: Record, content: bytes, edges: Edges) -> tuple[int, int]:
    """Width and height of the upright photo, or of the box. JPEGs may be decoded at a reduced scale, others are not."""
    box = record.box
    if box is not None and not box.relative:
        return round(box.width), round(box.height)
    found = jpeg.size_in(content)
    if found is None:
        return round(edges[2] - edges[0]), round(edges[3] - edges[1])
    width, height = found if (orientation_in(content) or 1) < 5 else found[::-1]
    return (width, height) if box is None else (max(1, round(box.width * width)), max(1, round(box.height * height)))


def _taken(content: bytes) -> bytes:
    """Date and time in the EXIF, or empty."""
    if b"xif" not in content[:_HEAD].replace(b"EXIF", b"Exif") and content[:2] not in (b"II", b"MM"):
        return b""
    found = None
    with suppress(Exception):  # damaged EXIF is no EXIF
        exif = opened(content).getexif()
        found = exif.get_ifd(_EXIF_IFD).get(_TAKEN) or exif.get(_MODIFIED)
    text = found.strip() if isinstance(found, str) else ""
    return text.encode("ascii", "ignore")[:20].strip(b"\0 ")
