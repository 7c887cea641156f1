"""Crops against Pillow's, and how large they are."""

import numpy as np
import pytest
import torch
from PIL import Image

from siamesekit.components.augmentations.crop import Crop, crop
from siamesekit.randomness import Streams

SIZE = 40


def smooth() -> torch.Tensor:
    blotches = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(blotches).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())[None]


@pytest.mark.parametrize(
    ("side", "left", "top"), [(1.0, 0.0, 0.0), (0.5, 0.0, 0.5), (0.75, 0.25, 0.1), (0.6, 0.33, 0.0)]
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_pillow_s(side: float, left: float, top: float, mirrored: bool) -> None:
    image = smooth()
    found = crop(image, np.array([side]), np.array([left]), np.array([top]), np.array([mirrored]))[0]
    picture = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    box = (left * SIZE, top * SIZE, (left + side) * SIZE, (top + side) * SIZE)
    expected = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)).astype(int)
    if mirrored:
        expected = expected[:, ::-1]
    inside = slice(2, -2)  # at its edge Pillow sees nothing beyond the box
    difference = np.abs(found.permute(1, 2, 0).numpy().astype(int) - expected)[inside, inside]
    assert difference.max() <= 2


@pytest.mark.medium
def test_parts_have_sides_and_places_as_told() -> None:
    count, size = 3000, 64
    ramp = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    ramp[0, 0] = torch.arange(size) * 2
    ramp[0, 1] = torch.arange(size)[:, None] * 2
    views = Crop(smallest=0.4)(ramp.expand(count, 3, size, size), Streams.of(2, np.arange(count))).double()
    widths = (views[:, 0, 0, -2] - views[:, 0, 0, 1]) / 2 / (size - 3)
    heights = (views[:, 1, -2, 0] - views[:, 1, 1, 0]) / 2 / (size - 3)
    assert (widths - heights).abs().max() < 0.03, "squares"
    assert 0.37 < widths.min() < 0.43
    assert 0.97 < widths.max() < 1.03
    assert widths.mean() == pytest.approx(0.7, abs=0.02)
    middles = views[:, :2, size // 2, size // 2] / 2 / size
    assert middles.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert middles.std(0).min() > 0.06
    assert np.corrcoef(middles.T)[0, 1] == pytest.approx(0, abs=0.06)


def test_flip_is_off_unless_asked_for() -> None:
    ramp = (torch.arange(64) * 2).to(torch.uint8).expand(500, 3, 64, 64)

    def mirrored(crop: Crop) -> float:
        views = crop(ramp, Streams.of(2, np.arange(500))).double()
        return (views[:, 0, 0, 0] > views[:, 0, 0, -1]).double().mean().item()

    assert mirrored(Crop()) == 0
    assert mirrored(Crop(flip=0.3)) == pytest.approx(0.3, abs=0.06)
