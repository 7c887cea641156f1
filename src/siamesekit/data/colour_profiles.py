"""Convert colours from a photo's ICC profile to sRGB, with littleCMS (ICC.1:2022)."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from siamesekit.data.photo_reading import Remark

_ANEW = "save anew with the right profile what should be converted"
BROKEN = Remark("with a damaged colour profile, which is ignored", _ANEW)
UNFIT = Remark("with a colour profile of another colour space, which is ignored", _ANEW)
CACHED = 32
"""Number of different profiles that are kept ready."""
MAX_PROFILE = 16 * 2**20
"""Maximum size of a profile in bytes; those of printers have two megabytes."""
_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}
_STEP = 51
_SAME, _SAME_NAMED = 1, 3
"""Largest difference in any colour up to which a profile is taken as sRGB; larger if its name says sRGB."""


def to_srgb(image: Image.Image, profile: bytes | None, remarks: list[Remark]) -> Image.Image:
    """Convert an image of mode `L`, `RGB` or `CMYK` to RGB by its profile.

    Without a profile, or with that of sRGB itself, the image is returned unchanged, and so it is with a profile that
    is damaged or belongs to another colour space.

    Args:
        image: the image.
        profile: content of the ICC profile.
        remarks: receives a remark if the profile is ignored.
    """
    if not profile or image.mode not in _SPACES:
        return image
    if profile[16:20] != _SPACES[image.mode]:
        remarks.append(UNFIT if profile[36:40] == b"acsp" and len(profile) >= 128 else BROKEN)
        return image
    try:
        transform = _transform(profile, image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        remarks.append(BROKEN)
        return image


@lru_cache(maxsize=CACHED)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion from a profile to sRGB, in perceptual intent; None if the profile is sRGB.

    Raises:
        PyCMSError, OSError: the profile is damaged.
    """
    if len(profile) > MAX_PROFILE:
        raise OSError("too large")
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode != "RGB":
        return transform
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, _STEP, dtype=np.uint8)] * 3), -1).reshape(1, -1, 3)
    converted = ImageCms.applyTransform(Image.fromarray(grid), transform)
    difference = np.abs(np.asarray(converted).astype(int) - grid).max()
    named = "srgb" in (ImageCms.getProfileDescription(opened) or "").lower()
    return None if difference <= (_SAME_NAMED if named else _SAME) else transform
