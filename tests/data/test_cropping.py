"""Crops to a box: Pillow's own crop, loops over pixels, and boxes that miss the photo."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from helpers import encoded, written
from siamesekit.data.cropping import cropped, shortest_side
from siamesekit.data.images import DRAFT, read_pixels, read_square
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.records import Box, Record

ORIENTATION = 0x0112


def picture(height: int = 24, width: int = 32, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def smooth(height: int, width: int) -> Image.Image:
    """A large picture of waves, whose values change from pixel to pixel by less than 3."""
    down, across = np.mgrid[:height, :width]
    waves = [np.sin(across / 50) + np.cos(down / 40), np.sin(down / 60 + across / 90), np.cos(across / 70)]
    return Image.fromarray(np.stack([127 + 60 * wave for wave in waves], axis=2).astype(np.uint8))


def stored(tmp_path: Path, image: Image.Image, form: str = "PNG", orientation: int = 1, **options: object) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return written(tmp_path, encoded(image, form, exif=exif, **options), f"photo.{form.lower()}")


def record(source: Path | Callable[[], NDArray[np.uint8]], box: Box | None) -> Record:
    return Record("photo", "ann", source, box=box)


def pillows(file: Path, *edges: int) -> NDArray[np.uint8]:
    """The oracle: Pillow's upright photo, and its crop."""
    with Image.open(file) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB").crop(edges))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_box_is_pillows_crop_of_the_upright_photo(tmp_path: Path, form: str, orientation: int) -> None:
    file = stored(tmp_path, picture(), form, orientation)
    expected = pillows(file, 3, 5, 14, 22)
    assert np.array_equal(read_pixels(record(file, Box(3, 5, 11, 17))), expected)
    width, height = (32, 24) if orientation < 5 else (24, 32)
    relative = Box(3 / width, 5 / height, 11 / width, 17 / height, relative=True)
    assert np.array_equal(read_pixels(record(file, relative)), expected)


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_the_crop_is_made_square_as_a_photo_of_its_own_would_be(tmp_path: Path, fit: str) -> None:
    """A JPEG that is too small to be scaled while it is decoded: pixel by pixel."""
    file = stored(tmp_path, picture(200, 300), "JPEG", 6)
    alone = stored(tmp_path, Image.fromarray(pillows(file, 20, 30, 150, 190)))
    found = read_square(record(file, Box(20, 30, 130, 160)), 32, fit)  # type: ignore[arg-type]
    assert np.array_equal(found, read_square(record(alone, None), 32, fit))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "edges"),
    [
        (Box(-5, -7, 15, 17), (0, 0, 10, 10)),
        (Box(20, 10, 100, 100), (20, 10, 32, 24)),
        (Box(-1, -1, 1000, 1000), (0, 0, 32, 24)),
        (Box(2.6, 3.4, 10, 10), (3, 3, 13, 13)),
        (Box(0.5, 0.5, 2, 0.5, relative=True), (16, 12, 32, 24)),
        (Box(31, 23, 1, 1), (31, 23, 32, 24)),
        (Box(4, 4, 8, 8, rotation=360), (4, 4, 12, 12)),
    ],
    ids=["upper left", "lower right", "all around", "fractions", "relative", "last pixel", "turned full circle"],
)
def test_a_box_ends_where_the_photo_ends_and_on_whole_pixels(
    tmp_path: Path, box: Box, edges: tuple[int, int, int, int]
) -> None:
    file = stored(tmp_path, picture())
    assert np.array_equal(read_pixels(record(file, box)), pillows(file, *edges))


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_jpeg_that_is_scaled_while_it_is_decoded_gives_the_crop_of_full_decoding(
    tmp_path: Path, orientation: int
) -> None:
    """The box has 8 times the wanted side, so the photo is decoded at half its size; its sides are odd."""
    side, size = 16 * DRAFT * 2, 16
    file = stored(tmp_path, smooth(301, 403), "JPEG", orientation, quality=95)
    x, y = 77, 51
    found = read_square(record(file, Box(x, y, side + 3, side + 9)), size, "squash").astype(int)
    crop = Image.fromarray(pillows(file, x, y, x + side + 3, y + side + 9))
    expected = np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
    assert 0 < np.abs(found - expected).max() <= 3  # not 0: it was indeed scaled
    assert np.abs(found - expected).mean() < 0.5
    shifted = Image.fromarray(pillows(file, x + 4, y + 4, x + side + 7, y + side + 13))
    elsewhere = np.asarray(shifted.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found - elsewhere).mean() > 1  # a shift by four pixels would be seen


@pytest.mark.parametrize("orientation", [1, 8])
def test_a_jpeg_is_not_scaled_below_what_its_box_needs(tmp_path: Path, orientation: int) -> None:
    """The photo has 25 times the wanted side, its box less than 8 times: every pixel as after full decoding."""
    file = stored(tmp_path, picture(400, 420), "JPEG", orientation)
    found = read_square(record(file, Box(100, 120, 127, 200)), 16, "squash")
    crop = Image.fromarray(pillows(file, 100, 120, 227, 320))
    assert np.array_equal(found, np.asarray(crop.resize((16, 16), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3), (-90, 3)])
def test_a_box_turned_by_right_angles_is_the_turned_crop(tmp_path: Path, degrees: float, turns: int) -> None:
    """Turned clockwise, so the crop is turned back counter-clockwise."""
    file = stored(tmp_path, picture(40, 40))
    found = read_pixels(record(file, Box(8, 12, 10, 14, rotation=degrees)))
    upright = (8, 12, 18, 26) if turns == 2 else (6, 14, 20, 24)  # about its centre (13, 19)
    np.testing.assert_allclose(found, np.rot90(pillows(file, *upright), turns), atol=1)


def test_a_turned_box_is_sampled_bilinearly_and_black_beyond_the_photo(tmp_path: Path) -> None:
    """A loop over the pixels of the crop, each looked up in the photo; half of the box is outside."""
    image = smooth(60, 80)
    box = Box(50, 30, 40, 36, rotation=30)
    found = read_pixels(record(stored(tmp_path, image), box)).astype(int)
    photo = np.asarray(image).astype(float)
    outside, worst = 0, 0.0
    assert found.shape == (36, 40, 3)
    for v in range(36):
        for u in range(40):
            across, down = u + 0.5 - 20, v + 0.5 - 18
            x = 70 + across * math.cos(math.pi / 6) - down * math.sin(math.pi / 6) - 0.5
            y = 48 + across * math.sin(math.pi / 6) + down * math.cos(math.pi / 6) - 0.5
            if 0 <= x <= 78.9 and 0 <= y <= 58.9:
                i, j, p, q = int(x), int(y), x % 1, y % 1
                rows = [photo[j + k, i] * (1 - p) + photo[j + k, i + 1] * p for k in (0, 1)]
                worst = max(worst, np.abs(rows[0] * (1 - q) + rows[1] * q - found[v, u]).max())
            elif x < -0.6 or y < -0.6 or x > 79.6 or y > 59.6:
                outside += 1
                assert not found[v, u].any()
    assert worst <= 1
    assert outside > 100


def test_a_turned_box_of_a_scaled_jpeg_shows_the_same(tmp_path: Path) -> None:
    file = stored(tmp_path, smooth(300, 400), "JPEG", 6, quality=95)
    box = Box(80, 90, 140, 150, rotation=20)
    found = read_square(record(file, box), 16, "squash").astype(int)
    whole = Image.fromarray(read_pixels(record(file, box)))
    expected = np.asarray(whole.resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    assert 0 < np.abs(found - expected).max() <= 4
    assert np.abs(found - expected).mean() < 0.7


def test_the_pixels_of_a_readers_function_are_cropped_too() -> None:
    pixels = np.asarray(picture())
    assert np.array_equal(read_pixels(record(lambda: pixels, Box(3, 5, 11, 17))), pixels[5:22, 3:14])
    assert read_square(record(lambda: pixels, Box(3, 5, 8, 8)), 8, "pad").tolist() == pixels[5:13, 3:11].tolist()


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Box(32, 0, 5, 5), r"its box \(x 32, y 0, 5 × 5 pixels\) lies outside the photo, which has 32 × 24 pixels"),
        (Box(0, -9, 5, 9), "lies outside"),
        (Box(1.2, 0, 0.5, 0.5, relative=True), r"1\.2, y 0, 0\.5 × 0\.5 of the photo\) lies outside"),
        (Box(math.nan, 0, 5, 5), "lies outside"),
        (Box(3.1, 3.1, 0.2, 5), r"shows less than one pixel in its box"),
        (Box(50, 0, 10, 10, rotation=45), r"10 × 10 pixels, turned by 45°\) lies outside"),
        (Box(-5e5, -5e5, 1e6, 1e6, rotation=45), "is too large"),
    ],
    ids=["right", "above", "relative", "not a number", "thin", "turned", "huge"],
)
def test_a_box_that_shows_nothing_is_a_finding_on_its_photo(tmp_path: Path, box: Box, reason: str) -> None:
    file = stored(tmp_path, picture())
    for read in (read_pixels, lambda record: read_square(record, 8, "squash")):
        with pytest.raises(UnreadableError, match=reason):
            read(record(file, box))


@pytest.mark.medium
@given(
    st.floats(-20, 60), st.floats(-20, 50), st.floats(1, 30), st.floats(1, 30), st.floats(-180, 180)
)  # fmt: skip
def test_a_turned_box_is_refused_only_if_none_of_its_points_is_in_the_photo(
    x: float, y: float, width: float, height: float, rotation: float
) -> None:
    """A grid of points of the box; what lies within half a step of the photo may go either way."""
    box, angle = Box(x, y, width, height, rotation=rotation or 1.0), math.radians(rotation or 1.0)
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, 61) * width, np.linspace(-0.5, 0.5, 61) * height)
    right = x + width / 2 + across * math.cos(angle) - down * math.sin(angle)
    below = y + height / 2 + across * math.sin(angle) + down * math.cos(angle)
    away = np.hypot(np.maximum(np.maximum(-right, right - 32), 0), np.maximum(np.maximum(-below, below - 24), 0)).min()
    try:
        cropped(picture(), (0, 0, 32, 24), box, (32, 24))
    except UnreadableError:
        assert away > 0
    else:
        assert away < 1


def test_the_shortest_side_is_that_inside_the_photo() -> None:
    assert shortest_side(Box(-5, 0, 15, 20), (100, 100)) == 10
    assert shortest_side(Box(0.5, 0, 1, 1, relative=True), (100, 80)) == 50
    assert shortest_side(Box(0, 0, 30, 20, rotation=10), (10, 10)) == 20
    assert shortest_side(Box(200, 0, 30, 20), (10, 10)) == 0
