"""`random-erasing` against the slices that its draws name, its areas, and its random values."""

import re

import numpy as np
import pytest
import torch

from siamesekit.components.augmentations.patches import random_patches
from siamesekit.components.augmentations.random_erasing import RandomErasing
from siamesekit.errors import ComponentError
from siamesekit.randomness import Streams

COUNT = 400


def images(size: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (COUNT, 3, size, size), dtype=torch.uint8, generator=generator)


def streams() -> Streams:
    return Streams.of(2, np.arange(COUNT))


@pytest.mark.parametrize("value", ["mean", "random"])
def test_only_the_patch_changes(value: str) -> None:
    photos = images()
    views = RandomErasing(0.5, 0.1, 0.3, 2.0, value)(photos, streams())  # type: ignore[arg-type]
    patches = random_patches(streams(), 20, 0.5, (0.1, 0.3), 2.0)
    for photo, view, *patch in zip(photos.numpy(), views.numpy(), *patches, strict=True):
        top, left, height, width = (int(each) for each in patch)
        expected = photo.astype(float)
        covered = view[:, top : top + height, left : left + width]
        if value == "mean":
            expected[:, top : top + height, left : left + width] = photo.mean((1, 2))[:, None, None]
        else:
            expected[:, top : top + height, left : left + width] = covered
            assert height == 0 or len(np.unique(covered)) > min(20, covered.size // 3)
        assert np.abs(view - expected).max() <= 0.51


def test_patches_are_as_frequent_and_as_large_as_told() -> None:
    views = RandomErasing(0.7, 0.05, 0.2, 1.5)(torch.zeros(COUNT, 3, 40, 40, dtype=torch.uint8) + 9, streams())
    assert (views == 9).all(), "the mean of an even photo is its colour"
    photos = torch.zeros(COUNT, 3, 40, 40, dtype=torch.uint8)
    views = RandomErasing(0.7, 0.05, 0.2, 1.5, "random")(photos, streams())
    share = (views != 0).any(1).double().mean((1, 2))
    erased = share[share > 0]
    assert len(erased) / COUNT == pytest.approx(0.7, abs=0.08)
    assert erased.min() == pytest.approx(0.05, abs=0.01)
    assert erased.max() == pytest.approx(0.2, abs=0.01)


def test_random_values_are_even_and_do_not_depend_on_the_other_photos() -> None:
    component, photos = RandomErasing(1.0, 0.9, 1.0, 1.0, "random"), torch.zeros(COUNT, 3, 20, 20, dtype=torch.uint8)
    views = component(photos, streams())
    values = views[:, :, 5:15, 5:15].double()
    assert values.mean().item() == pytest.approx(127.5, abs=2)
    assert values.std().item() == pytest.approx(255 / 12**0.5, abs=2)
    assert torch.equal(component(photos[7:8], Streams.of(2, [7])), views[7:8])
    assert not photos.any()


def test_no_patch_without_probability_and_a_least_area_above_the_largest_is_refused() -> None:
    assert torch.equal(RandomErasing(0.0)(images(), streams()), images())
    message = "augmentation 'random-erasing': smallest = 0.5 is above largest = 0.4: lower it"
    with pytest.raises(ComponentError, match=re.escape(message)):
        RandomErasing(smallest=0.5)
