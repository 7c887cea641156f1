"""Random patches against their draws, and their covering against slices."""

import math

import numpy as np
import torch

from siamesekit.components.augmentations.patches import Patches, erase, inside, random_patches
from siamesekit.randomness import Streams


def test_a_patch_is_covered_with_the_mean_colour() -> None:
    images = torch.rand(3, 3, 8, 8, dtype=torch.float64)
    patches = np.array([[2, 1, 3, 4], [0, 0, 8, 8], [5, 5, 0, 3]], dtype=float)
    found = erase(images, Patches(*patches.T))
    covered = inside(Patches(*patches.T), images)
    for image, patch, result, mask in zip(images, patches.astype(int), found, covered, strict=True):
        top, left, height, width = patch
        expected, marked = image.numpy().copy(), np.zeros((1, 8, 8), dtype=bool)
        expected[:, top : top + height, left : left + width] = image.numpy().mean((1, 2))[:, None, None]
        marked[:, top : top + height, left : left + width] = True
        np.testing.assert_allclose(result.numpy(), expected)
        np.testing.assert_array_equal(mask.numpy(), marked)


def test_patches_are_drawn_in_the_order_that_is_documented() -> None:
    found = random_patches(Streams.of(5, np.arange(40)), 30, 0.6, (0.1, 0.5), 2.0)
    for number in range(40):
        own = Streams.of(5, [number])
        covered, area = own.uniform().item() < 0.6, own.uniform(0.1, 0.5).item()
        ratio = math.exp(own.uniform(-math.log(2), math.log(2)).item())
        height, width = (min(round(30 * math.sqrt(part)), 30) for part in (area * ratio, area / ratio))
        height *= covered
        top, left = (math.floor(own.uniform().item() * (30 - side + 1)) for side in (height, width))
        assert tuple(each[number] for each in found) == (top, left, height, width)
    assert 0 < (found.height == 0).sum() < 40
