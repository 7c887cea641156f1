"""How photos are resized: the pixels are those of timm, by files and in arrays, with and without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform, resolve_data_config

from siamesekit.data.images import read_square
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_inputs import prepared
from siamesekit.data.photo_reading import Reading, Resampling
from siamesekit.data.records import Record

LANDSCAPE, PORTRAIT, SMALL, LONG = (640, 481), (333, 500), (41, 29), (40, 1000)


def photo(width: int, height: int) -> Image.Image:
    """Patches of colours with noise: edges at which filters differ."""
    rng = np.random.default_rng(width)
    patches = Image.fromarray(rng.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8))


def of_timm(image: Image.Image, size: int, fit: Fit, reading: Reading) -> np.ndarray:
    """What timm's preprocessing for evaluation gives, before the mean is subtracted, `[size, size, 3]`."""
    wanted = {
        "input_size": (3, size, size), "interpolation": reading.resampling, "crop_pct": reading.crop_share or 1.0,
        "crop_mode": "center" if fit == "crop" else fit, "mean": (0, 0, 0), "std": (1, 1, 1),
    }  # fmt: skip
    pixels = create_transform(**resolve_data_config(wanted))(image)
    return np.asarray(np.rint(255 * pixels.numpy().transpose(1, 2, 0))).astype(int)


@pytest.mark.medium
@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize("share", [None, 1.0, 0.95, 0.9, 0.875])
@pytest.mark.parametrize("size", [64, 160])
def test_the_pixels_are_those_of_timm(resampling: Resampling, share: float | None, size: int, tmp_path: Path) -> None:
    reading, fit = Reading(resampling=resampling, crop_share=share), "squash" if share is None else "crop"
    for sides in (LANDSCAPE, PORTRAIT, SMALL, (size, size), (size, 100)):
        image = photo(*sides)
        expected = of_timm(image, size, fit, reading)  # type: ignore[arg-type]
        image.save(tmp_path / "a.png")
        of_file = read_square(Record("a", "", tmp_path / "a.png"), size, fit, reading)  # type: ignore[arg-type]
        of_array = prepared(np.asarray(image), size, fit, reading)  # type: ignore[arg-type]
        of_image = prepared(image, size, fit, reading)  # type: ignore[arg-type]
        for found in (of_file, of_array, of_image):
            assert np.array_equal(found, expected), sides


def test_of_a_very_long_photo_the_pixels_differ_by_few_levels() -> None:
    image, reading = photo(*LONG), Reading(resampling="bicubic", crop_share=0.875)
    difference = np.abs(prepared(image, 64, "crop", reading).astype(int) - of_timm(image, 64, "crop", reading))
    assert difference.max() <= 5 and difference.mean() < 0.5


def test_a_very_long_photo_is_not_resized_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made, resize = [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, sides, *by: made.append(sides) or resize(self, sides, *by))
    pixels = prepared(np.zeros((30_000, 2, 3), np.uint8), 64, "crop", Reading(crop_share=0.5))
    assert pixels.shape == (64, 64, 3) and made == [(64, 64)]


def test_a_large_jpeg_is_decoded_at_a_scale_that_is_fine_enough_for_the_share(tmp_path: Path) -> None:
    file, looked = tmp_path / "a.jpg", []
    photo(1600, 1400).save(file, quality=95)
    for share in (None, 0.5):
        reading = Reading(resampling="bicubic", crop_share=share)
        read_square(Record("a", "", file), 64, "crop", reading, look=lambda *seen: looked.append(seen[2]))
    assert [min(np.asarray(each).shape[:2]) for each in looked] == [350, 700]
    found = prepared(file, 64, "crop", reading).astype(int)
    assert np.abs(found - of_timm(Image.open(file), 64, "crop", reading)).mean() < 1


def test_without_the_options_pixels_are_bilinear_and_the_middle_square_whole() -> None:
    image = photo(*LANDSCAPE)
    whole = image.resize((64, 64), Image.Resampling.BILINEAR, (79.5, 0, 560.5, 481))
    assert np.array_equal(prepared(image, 64, "crop"), np.asarray(whole))
    assert np.array_equal(prepared(image, 64, "squash"), np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)))
    bicubic = prepared(image, 64, "squash", Reading(resampling="bicubic"))
    assert not np.array_equal(bicubic, prepared(image, 64, "squash")), "the test's point"


def test_padded_photos_take_the_filter_too() -> None:
    image = photo(*LANDSCAPE)
    found = prepared(image, 64, "pad", Reading(resampling="bicubic"))
    assert np.array_equal(found[8:56], np.asarray(image.resize((64, 48), Image.Resampling.BICUBIC)))
    assert not found[:8].any() and not found[56:].any()
