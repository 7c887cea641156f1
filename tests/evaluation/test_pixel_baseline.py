"""Plain pixels against their plain means over blocks, and the memory that they take."""

import pytest
import torch

from siamesekit.evaluation import pixel_baseline as module
from siamesekit.evaluation.pixel_baseline import pixel_side, raw_pixels


def test_pixels_of_few_photos_are_compared_as_they_are() -> None:
    images = torch.randint(0, 256, (150, 3, 8, 8), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    photos = torch.arange(149, 0, -2)
    points, note = raw_pixels(images, photos)
    assert note is None
    assert torch.equal(points, images[photos].flatten(1).float() / 255)


@pytest.mark.parametrize(("limit", "most"), [(12 * 75 * 16, 5000), (1 << 30, 74)], ids=["bytes", "photos"])
def test_pixels_of_many_photos_are_averaged_down_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, limit: int, most: int
) -> None:
    monkeypatch.setattr(module, "PIXEL_BYTES", limit)
    monkeypatch.setattr(module, "PIXEL_PHOTOS", most)
    monkeypatch.setattr(module, "PIXEL_SIDE", 4)
    images = torch.randint(0, 256, (150, 3, 8, 8), dtype=torch.uint8)
    photos = torch.arange(149, 0, -2)
    points, note = raw_pixels(images, photos)
    blocks = images[photos].double().reshape(75, 3, 4, 2, 4, 2).mean((3, 5)) / 255
    torch.testing.assert_close(points.double(), blocks.flatten(1), rtol=0, atol=1e-6)
    assert note == "Raw pixels were compared at 4 × 4, averaged down from 8 × 8, because there are 75 test photos."


@pytest.mark.parametrize("side", [8, 28, 32, 128, 512])
@pytest.mark.parametrize("count", [1, 50, 1365, 1366, 5000, 5001, 21_845, 21_846, 10**6, 10**8])
def test_pixels_take_no_more_than_is_allowed_and_are_whole_where_they_fit(count: int, side: int) -> None:
    found = pixel_side(count, side)
    fits = 12 * count * side**2 <= 1 << 28
    assert found == side if fits and count <= 5000 else found <= min(side, 32)
    assert found == 1 or 12 * count * found**2 <= 1 << 28
    assert found == min(side, 32) or fits or 12 * count * (found + 1) ** 2 > 1 << 28, "and no less than that"
