"""Photos of more than 8 bits per sample: which range of their values becomes 0 … 255."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_reading import Reading, Remark
from siamesekit.data.tiff_samples import RGB, SEPARATED, WHITE_IS_ZERO, Layout

Pixels = NDArray[np.uint8]
FEWEST_LEVELS = 32
"""Number of grey levels of 8 bits below which a photo of more than 8 bits gets a remark."""
FEW_LEVELS = Remark(
    f"of more than 8 bits with fewer than {FEWEST_LEVELS} grey levels left", 'set data.depth = "set" or "photo"'
)
_STRIP = 2**20
"""Number of values that are scaled at a time."""
_DARKEST = 1 / 16
"""Minimum of a photo's brightest value, as a share of the range of its type, where the range is not certain."""
_MEND = 'set data.depth = "set" or "photo", or save it with 8 bits'
_OPACITY = (1, 2)
"""Kinds of extra samples of a TIFF that are opacity: colours multiplied by it, or not."""


class Deep(NamedTuple):
    """Samples of more than 8 bits.

    Attributes:
        values: colours, `[height, width]` or `[height, width, channels]`.
        mode: `L`, `RGB` or `CMYK`.
        bits: number of bits of a sample of unsigned integers; its type may have more.
        inverted: whether the smallest value is white.
        opacity: share of the colour that covers black, 0 … 1, `[height, width]`; None without transparency.
    """

    values: NDArray[Any]
    mode: str
    bits: int = 16
    inverted: bool = False
    opacity: NDArray[np.float32] | None = None


def deep_of_samples(samples: NDArray[Any], layout: Layout) -> Deep:
    """The colours in the samples `[height, width, samples]` of a TIFF.

    Raises:
        UnreadableError: the number of samples does not fit their meaning.
    """
    colours = {RGB: 3, SEPARATED: 4}.get(layout.photometric, 1)
    more = layout.samples - colours
    if more < 0 or (more and colours == 1 and layout.extra not in _OPACITY):
        raise UnreadableError(
            f"is a TIFF of a kind that is not read ({layout.told()})", "save the bands that show the animal as RGB"
        )
    values = samples[..., 0] if colours == 1 else samples[..., :colours]
    opacity = None
    if more and layout.extra == _OPACITY[1]:
        top = 1.0 if layout.kind == "f" else float(2 ** (layout.bits - (layout.kind == "i")) - 1)
        opacity = (samples[..., colours] / np.float32(top)).astype(np.float32).clip(0, 1)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[colours]
    return Deep(values, mode, layout.bits, layout.photometric == WHITE_IS_ZERO, opacity)


def range_of(deep: Deep) -> tuple[float, float] | None:
    """Smallest and largest finite value; None if there are none."""
    low, high = _range(deep.values)
    return (low, high) if low <= high else None


def eight_bits(deep: Deep, reading: Reading, remarks: list[Remark]) -> Image.Image:
    """Scale samples to 8 bits, in mode `L`, `RGB` or `CMYK`; NaN and infinite values become 0, opacity is applied.

    Args:
        deep: the samples.
        reading: which range of values becomes 0 … 255.
        remarks: receives a remark if fewer than `FEWEST_LEVELS` levels are left.

    Raises:
        UnreadableError: the range is not certain.
    """
    values = deep.values
    if values.dtype.kind == "f" and range_of(deep) is None:
        raise UnreadableError("holds floats that are all NaN or infinite", "save it anew with the values of the photo")
    if reading.depth == "photo":
        scaled = _by_range(values, range_of(deep))
    elif reading.depth == "set" and reading.value_range is not None:
        scaled = _by_range(values, reading.value_range)
    else:
        scaled = _by_type(deep)
        if _few(values, scaled):
            remarks.append(FEW_LEVELS)
    if deep.inverted:
        np.subtract(255, scaled, out=scaled)
        if values.dtype.kind == "f":
            scaled[~np.isfinite(values)] = 0
    if deep.opacity is not None:
        opacity = deep.opacity if deep.mode == "L" else deep.opacity[..., None]
        scaled = np.rint(scaled * opacity).astype(np.uint8)
    return Image.fromarray(scaled, deep.mode) if deep.mode == "CMYK" else Image.fromarray(scaled)


def has_few_levels(deep: Deep) -> bool:
    """Whether the range of the type leaves fewer than `FEWEST_LEVELS` levels of samples that have more.

    Raises:
        UnreadableError: the range is not certain.
    """
    return _few(deep.values, _by_type(deep))


def _few(values: NDArray[Any], scaled: Pixels) -> bool:
    levels = int(np.count_nonzero(np.bincount(scaled.reshape(-1), minlength=256)))
    return levels < FEWEST_LEVELS and _has_more(values, levels)


def _by_range(values: NDArray[Any], bounds: tuple[float, float] | None) -> Pixels:
    """Scale a range of values to 0 … 255, rounded; all values are 0 if the range is empty."""
    low, high = bounds or (0.0, 0.0)
    slope = 255 / (high - low) if high > low else 0.0
    return _mapped(values, low, high, slope, 0.5)


def _by_type(deep: Deep) -> Pixels:
    """Scale the range of the type to 0 … 255, without rounding up.

    Raises:
        UnreadableError: the values are floats, signed or of 32 bits, and fit no usual range.
    """
    values, kind = deep.values, deep.values.dtype.kind
    if kind == "u" and deep.bits <= 16:
        shift = deep.bits - 8
        return (values >> shift if shift >= 0 else _widened(values, deep.bits)).astype(np.uint8)
    low, high = _range(values)
    if low == high == 0:
        return np.zeros(values.shape, np.uint8)
    if kind == "f" and low >= 0 and _DARKEST <= high <= 1:
        return _mapped(values, 0.0, 1.0, 255.0, 0.5)
    top = 65535 if high > 255 else 255
    whole = kind != "f" and 0 <= low <= high <= top
    if whole or (kind == "f" and top * _DARKEST <= high <= 65535 and low >= -top * _DARKEST):
        return _mapped(values, 0.0, float(top), 255 / top, 0.0)
    what = {"f": "float", "i": "signed"}.get(kind, f"{deep.bits}-bit")
    usual = "0 … 1, 0 … 255 or 0 … 65,535 would be"
    raise UnreadableError(f"holds {what} values {low:.5g} … {high:.5g}, whose range is not certain ({usual})", _MEND)


def _widened(values: NDArray[Any], bits: int) -> NDArray[np.float64]:
    widened: NDArray[np.float64] = np.rint(values * (255 / (2**bits - 1)))
    return widened


def _mapped(values: NDArray[Any], low: float, high: float, slope: float, up: float) -> Pixels:
    """`(value − low) · slope + up`, without its fraction, of values that are clipped to `low … high`."""
    flat = values.reshape(-1)
    scaled = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _STRIP):  # float64 for the whole photo would take eight times the memory
        strip = flat[start : start + _STRIP]
        finite = np.isfinite(strip)
        numbers = np.where(finite, strip, low).astype(np.float64).clip(low, high)  # NumPy warns of a signalling NaN
        numbers = (numbers - low) * slope + up
        scaled[start : start + _STRIP] = np.where(finite, numbers, 0)
    return scaled.reshape(values.shape)


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest finite value; (∞, −∞) if there are none."""
    flat = values.reshape(-1)
    low, high = np.inf, -np.inf
    for start in range(0, len(flat), _STRIP):
        strip = flat[start : start + _STRIP]
        finite = strip[np.isfinite(strip)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high


def _has_more(values: NDArray[Any], levels: int) -> bool:
    """Whether there are more distinct values than levels, in the whole photo or in an even sample of it."""
    step = max(1, values.size // _STRIP)
    return len(np.unique(values.reshape(-1)[::step])) > levels
