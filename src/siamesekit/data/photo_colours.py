"""Decoded photos of every mode to 8-bit RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.photo_files import UnreadableError

Pixels = NDArray[np.uint8]
_STRIP = 2**20
"""Numbers that are scaled to 8 bits at a time."""
_DARKEST = 1 / 16
"""What part of its range the brightest value of a photo of floats reaches at least."""


def to_rgb(image: Image.Image) -> Image.Image:
    """To 8-bit RGB; 16-bit greys keep their upper 8 bits, where Pillow would clip."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBa", "La"):  # in memory only: colours that are multiplied by the opacity already
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray[np.int32] | NDArray[np.float32]) -> Pixels:
    """Numbers 0 … 255, or 0 … 65,535 where one is above 255, to 0 … 255; what is not a number is black.

    Raises:
        UnreadableError: they are floats that would all be nearly black, so they are of another range.
    """
    flat = values.reshape(-1)
    strips = [flat[start : start + _STRIP] for start in range(0, len(flat), _STRIP)]
    low, high = _range_of(strips)
    top = 65535 if high > 255 else 255
    if values.dtype.kind == "f" and not (low == high == 0 or high >= top * _DARKEST):
        told = f"floats {low:.4g} … {high:.4g}" if low <= high else "floats, none of which is a number"
        raise UnreadableError(
            f"holds {told}, which would all be black: values are taken as 0 … 255, or as 0 … 65,535 where one is above "
            "255",
            "save it with 8 bits, its values scaled to 0 … 255",
        )
    scaled = np.empty(flat.shape, np.uint8)
    for number, strip in enumerate(strips):  # float64 of all of them would take eight times the memory
        finite = np.nan_to_num(strip).astype(np.float64)  # what signals is none by then: NumPy warns of its cast
        scaled[number * _STRIP :][: len(strip)] = finite.clip(0, top) * (255 / top)
    return scaled.reshape(values.shape)


def _range_of(strips: Sequence[NDArray[np.int32] | NDArray[np.float32]]) -> tuple[float, float]:
    """The least and the largest number; infinite and the wrong way round where there is none."""
    low, high = np.inf, -np.inf
    for strip in strips:
        finite = strip[np.isfinite(strip)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high
