"""Read all 16 bits of PNGs; Pillow keeps only the upper 8 of those in colour."""

from __future__ import annotations

import numpy as np
from PIL import Image

from siamesekit.data.deep_photos import Deep
from siamesekit.data.photo_formats import opened

_DEPTH, _COLOUR = 24, 25
"""Positions of the number of bits and of the kind of colour in a PNG."""


def is_deep_png(content: bytes) -> bool:
    """Whether a file is a PNG of 16 bits per sample."""
    return content[:4] == b"\x89PNG" and content[12:16] == b"IHDR" and content[_DEPTH : _DEPTH + 1] == b"\x10"


def png_samples(content: bytes) -> Deep:
    """The samples of a PNG of 16 bits.

    Pillow decodes a colour PNG once with the upper and once with the lower bytes; of grey ones with transparency it
    gives the upper bytes alone.

    Raises:
        Exception: any error of Pillow on a damaged file.
    """
    image = opened(content)
    if image.mode in ("RGB", "RGBA"):
        upper, lower = (np.asarray(_decoded(content, bytes_)).astype(np.uint16) for bytes_ in ("B", "L"))
        values = upper << 8 | lower
        if values.shape[2] == 3:
            return Deep(values, "RGB")
        return Deep(values[..., :3], "RGB", opacity=(values[..., 3] / np.float32(65535)).astype(np.float32))
    image.load()
    if image.mode == "LA":
        both = np.asarray(image).astype(np.uint16) * 257
        return Deep(both[..., 0], "L", opacity=(both[..., 1] / np.float32(65535)).astype(np.float32))
    return Deep(np.asarray(image).astype(np.uint16), "L")


def _decoded(content: bytes, bytes_: str) -> Image.Image:
    """A colour PNG of 16 bits with the upper (`B`) or the lower (`L`) byte of each sample."""
    image = opened(content)
    tile = image.tile[0]
    mode = f"{image.mode};16{bytes_}"
    image.tile = [tuple.__new__(type(tile), (*tile[:3], mode))]  # a plain tuple before Pillow 11
    image.load()
    return image
