"""Convert decoded photos of any mode to 8-bit RGB in the colour space sRGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.colour_profiles import to_srgb
from siamesekit.data.deep_photos import Deep, eight_bits
from siamesekit.data.photo_reading import PLAIN, Reading, Remark

Pixels = NDArray[np.uint8]
Decoded = Image.Image | Pixels
"""A decoded photo: an image, or its pixels `[height, width, 3]` if they need no more work."""
_PROFILE = "icc_profile"


def to_rgb(
    image: Image.Image, reading: Reading = PLAIN, remarks: list[Remark] | None = None, deep: Deep | None = None
) -> Image.Image:
    """Convert an image to 8-bit RGB: by its colour profile, and with black behind what is transparent.

    An image of mode `RGBX`, without a profile, stays as it is.

    Args:
        image: a decoded image.
        reading: which range of values of more than 8 bits becomes 0 … 255.
        remarks: receives remarks on few grey levels and on profiles that are ignored.
        deep: the samples of the image, if they have more than 8 bits and its mode does not hold them.

    Raises:
        UnreadableError: the image holds values whose range is not certain.
    """
    profile, told = image.info.get(_PROFILE), [] if remarks is None else remarks
    deep = deep or _deep_of_mode(image)
    if deep is not None:
        image = eight_bits(deep, reading, told)
    if image.mode in ("RGBa", "La"):  # modes in memory only: colours already multiplied by the opacity
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        if profile:
            colours = image.convert("L") if image.mode == "LA" else clear.convert("RGB")
            colours = to_srgb(colours, profile, told).convert("RGB")
            colours.putalpha(clear.getchannel("A"))
            clear = colours
        return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), clear).convert("RGB")
    if profile and image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    converted = to_srgb(image, profile, told) if profile else image
    return converted if converted.mode in ("RGB", "RGBX") else converted.convert("RGB")


def _deep_of_mode(image: Image.Image) -> Deep | None:
    """The values of an image whose mode has more than 8 bits; None of other modes."""
    if image.mode.startswith("I;16"):
        return Deep(np.asarray(image).astype(np.uint16), "L")
    if image.mode == "I":
        values = np.asarray(image)
        # in formats of at most 16 bits, Pillow chooses this mode by its version
        of_16 = getattr(image, "format", None) in ("PNG", "PPM", "JPEG2000")
        return Deep(values.astype(np.uint16), "L") if of_16 else Deep(values, "L", 32)
    return Deep(np.asarray(image), "L", 32) if image.mode == "F" else None
