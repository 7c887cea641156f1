"""Drawn skins, each with spots of its own, seen from several sides; for tests of matchers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 240


def skin(individual: int, spots: int = 90) -> Image.Image:
    """A skin of `SIDE` pixels with spots that are this individual's own."""
    rng = np.random.default_rng(individual)
    image = Image.new("RGB", (SIDE, SIDE), (150, 120, 90))
    draw = ImageDraw.Draw(image)
    for x, y, wide, high, dark in zip(*rng.integers(0, [[SIDE], [SIDE], [14], [14], [80]], (5, spots)), strict=True):
        draw.ellipse((x, y, x + 3 + wide, y + 3 + high), fill=(int(dark), int(dark), int(dark) // 2))
    return image


def view(individual: int, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The skin as an affine map `[2, 3]` shows it: a pixel of the skin is at matrix · (x, y, 1) of the view."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    turned = skin(individual).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, inverse[:2].ravel().tolist(), Image.Resampling.BICUBIC
    )
    return np.asarray(turned)


def turned(degrees: float, scale: float = 1.0, shear: float = 0.0) -> NDArray[np.float64]:
    """An affine map `[2, 3]` about the middle of a skin."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1, shear], [0, 1]])
    middle = np.full(2, SIDE / 2)
    return np.column_stack([linear, middle - linear @ middle])
