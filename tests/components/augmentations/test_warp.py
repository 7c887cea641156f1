"""Warping against a loop over pixels."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from siamesekit.components.augmentations.warp import to_bytes, warp

Numbers = NDArray[np.float64]


def look(picture: Numbers, x: float, y: float) -> Numbers:
    """Bilinear value of `[C, S, S]` at column x and row y, pixel centres at whole numbers, its edge beyond it."""
    size = picture.shape[-1]
    x, y = min(max(x, 0), size - 1), min(max(y, 0), size - 1)
    left, top = min(int(x), size - 2), min(int(y), size - 2)
    right, down = x - left, y - top
    above = picture[:, top, left] * (1 - right) + picture[:, top, left + 1] * right
    below = picture[:, top + 1, left] * (1 - right) + picture[:, top + 1, left + 1] * right
    return above * (1 - down) + below * down


@pytest.mark.parametrize("size", [8, 11])
def test_each_pixel_is_what_its_matrix_points_at(size: int) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0, 255, (3, 2, size, size))
    matrices = np.array([[[1, 0, 0], [0, 1, 0]]] * 3) + rng.normal(0, 0.3, (3, 2, 3))
    found = warp(torch.from_numpy(pictures).float(), matrices).numpy()
    for picture, matrix, result in zip(pictures, matrices, found, strict=True):
        for row in range(size):
            for column in range(size):
                at = np.array([(2 * column + 1) / size - 1, (2 * row + 1) / size - 1, 1])
                x, y = ((matrix @ at + 1) * size - 1) / 2
                np.testing.assert_allclose(result[:, row, column], look(picture, x, y), atol=0.01)


def test_bytes_are_the_nearest_values() -> None:
    values = torch.tensor([-3.0, 0.4, 0.6, 100.49, 254.6, 300.0])
    assert to_bytes(values).tolist() == [0, 0, 1, 100, 255, 255]
