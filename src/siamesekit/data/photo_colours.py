"""Convert decoded photos of any mode to 8-bit RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.photo_files import UnreadableError

Pixels = NDArray[np.uint8]
_STRIP = 2**20
"""Number of values that are scaled to 8 bits at a time."""
_DARKEST = 1 / 16
"""Minimum of a float photo's brightest value, as a share of its range."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to 8-bit RGB; 16-bit greys keep their upper 8 bits, which Pillow would clip."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBa", "La"):  # modes in memory only: colours already multiplied by the opacity
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray[np.int32] | NDArray[np.float32]) -> Pixels:
    """Scale values 0 … 255, or 0 … 65,535 if one is above 255, to 0 … 255; NaN and infinite values become black.

    Raises:
        UnreadableError: all values are floats that would be nearly black, so their range is another one.
    """
    flat = values.reshape(-1)
    strips = [flat[start : start + _STRIP] for start in range(0, len(flat), _STRIP)]
    low, high = _range_of(strips)
    top = 65535 if high > 255 else 255
    if values.dtype.kind == "f" and not (low == high == 0 or high >= top * _DARKEST):
        found = f"floats {low:.4g} … {high:.4g}" if low <= high else "floats that are all NaN or infinite"
        raise UnreadableError(
            f"holds {found}, which would all be black: values must be 0 … 255, or 0 … 65,535 if one is above 255",
            "scale its values to 0 … 255 and save it with 8 bits",
        )
    scaled = np.empty(flat.shape, np.uint8)
    for number, strip in enumerate(strips):  # float64 for the whole photo would take eight times the memory
        finite = np.nan_to_num(strip).astype(np.float64)  # NumPy warns of the cast of a signalling NaN
        scaled[number * _STRIP :][: len(strip)] = finite.clip(0, top) * (255 / top)
    return scaled.reshape(values.shape)


def _range_of(strips: Sequence[NDArray[np.int32] | NDArray[np.float32]]) -> tuple[float, float]:
    """Smallest and largest finite value; (∞, −∞) if there are none."""
    low, high = np.inf, -np.inf
    for strip in strips:
        finite = strip[np.isfinite(strip)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high
