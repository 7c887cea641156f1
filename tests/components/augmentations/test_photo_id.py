"""`photo-id` against plain loops, and its ranges."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from test_warp import look

from siamesekit.components.augmentations.light import GREY
from siamesekit.components.augmentations.photo_id import PhotoId, move_photos
from siamesekit.randomness import Streams

Numbers = NDArray[np.float64]
OFF = dict.fromkeys(("rotation", "shift", "scale", "brightness", "contrast", "saturation", "erase"), 0.0)
COUNT = 2000


def picture(size: int) -> torch.Tensor:
    blotches = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = Image.fromarray(blotches).resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(smooth).transpose(2, 0, 1).copy())


def moved_by_hand(image: Numbers, angle: float, right: float, down: float, zoom: float, mirrored: bool) -> Numbers:
    """Each pixel of the result: where on the picture is it?"""
    size = image.shape[-1]
    middle, result = (size - 1) / 2, np.zeros_like(image)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    for row in range(size):
        for column in range(size):
            x, y = column - middle - right * size, row - middle - down * size
            x, y = (cos * x + sin * y) / zoom, (-sin * x + cos * y) / zoom
            result[:, row, column] = look(image, middle + (-x if mirrored else x), middle + y)
    return result


@pytest.mark.parametrize(
    ("angle", "right", "down", "zoom", "mirrored"),
    [(0, 0, 0, 1, False), (30, 0, 0, 1, False), (0, 0.2, -0.1, 1, False), (0, 0, 0, 1.4, False), (0, 0, 0, 1, True),
     (-17, 0.1, 0.25, 0.8, True), (100, -0.3, 0.05, 1.2, False)],
)  # fmt: skip
def test_moving_is_the_loop_s(angle: float, right: float, down: float, zoom: float, mirrored: bool) -> None:
    image = picture(13)
    parameters = (np.array([value]) for value in (angle, right, down, zoom, mirrored))
    found = move_photos(image[None].float(), *parameters)[0].numpy()
    np.testing.assert_allclose(
        found, moved_by_hand(image.double().numpy(), angle, right, down, zoom, mirrored), atol=0.02
    )


def test_right_is_right_and_clockwise_is_clockwise() -> None:
    dot = torch.zeros(1, 1, 9, 9)
    dot[0, 0, 4, 6] = 1  # to the right of the middle

    def at(**change: float) -> list[int]:
        given = {"angle": 0.0, "right": 0.0, "down": 0.0, "zoom": 1.0, "mirrored": 0.0} | change
        found = move_photos(dot, *(np.array([value]) for value in given.values()))[0, 0]
        return [int(place) for place in np.unravel_index(int(found.argmax()), (9, 9))]

    assert at() == [4, 6]
    assert at(right=1 / 9) == [4, 7]
    assert at(down=2 / 9) == [6, 6]
    assert at(angle=90.0) == [6, 4], "clockwise: from the right to below"
    assert at(mirrored=1.0) == [4, 2]
    assert at(zoom=2.0) == [4, 8]
    assert at(zoom=2.0, right=-2 / 9) == [4, 6], "shifted after scaling"


def test_a_view_applies_the_draws_in_the_order_that_is_documented() -> None:
    size, count = 12, 6
    images = torch.stack([picture(size).roll(shift, 2) for shift in range(count)])
    component = PhotoId(20, 0.1, 0.3, 0.5, 0.3, 0.4, 0.5, 0.7, 0.3)
    views = component(images, Streams.of(3, np.arange(count))).numpy().astype(int)
    for number in range(count):
        own = Streams.of(3, [number])

        def draw(low: float = 0.0, high: float = 1.0, own: Streams = own) -> float:
            return own.uniform(low, high).item()

        angle, right, down = draw(-20, 20), draw(-0.1, 0.1), draw(-0.1, 0.1)
        zoom, mirrored = math.exp(draw(-math.log(1.3), math.log(1.3))), draw() < 0.5
        values = moved_by_hand(images[number].double().numpy(), angle, right, down, zoom, mirrored)
        values = values * (1 + draw(-0.3, 0.3))
        mean = np.tensordot(GREY, values, 1).mean()
        values = mean + (values - mean) * (1 + draw(-0.4, 0.4))
        grey = np.tensordot(GREY, values, 1)
        values = (grey + (values - grey) * (1 + draw(-0.5, 0.5))).clip(0, 255)
        covered, area, ratio = draw() < 0.7, draw(0.02, 0.3), math.exp(draw(-math.log(3.3), math.log(3.3)))
        height, width = (min(round(size * math.sqrt(part)), size) for part in (area * ratio, area / ratio))
        height *= covered
        top, left = int(draw() * (size - height + 1)), int(draw() * (size - width + 1))
        values[:, top : top + height, left : left + width] = values.mean((1, 2))[:, None, None]
        assert np.abs(views[number] - values).max() <= 0.6


def test_with_all_at_0_a_photo_stays_as_it_is() -> None:
    images = torch.randint(0, 256, (5, 3, 20, 20), dtype=torch.uint8)
    assert torch.equal(PhotoId(**OFF)(images, Streams.of(1, np.arange(5))), images)


def positions(option: str, value: float, size: int = 65) -> tuple[Numbers, Numbers]:
    """Where a blob that was a quarter right of the middle is in each view, from the middle, in sides."""
    at = (torch.arange(size) - size // 2) / size
    blob = torch.exp(-((at[None, :] - 0.25) ** 2 + at[:, None] ** 2) / 0.002)
    images = (200 * blob).to(torch.uint8).expand(COUNT, 3, size, size)
    views = PhotoId(**{**OFF, option: value})(images, Streams.of(4, np.arange(COUNT)))[:, 0].double()
    mass = views.sum((1, 2))
    return ((views.sum(1) * at).sum(1) / mass).numpy(), ((views.sum(2) * at).sum(1) / mass).numpy()


@pytest.mark.medium
def test_rotation_fills_its_range_evenly() -> None:
    x, y = positions("rotation", 30.0)
    angles = np.degrees(np.arctan2(y, x))
    assert angles.min() == pytest.approx(-30, abs=1)
    assert angles.max() == pytest.approx(30, abs=1)
    np.testing.assert_allclose(np.quantile(angles, [0.25, 0.5, 0.75]), [-15, 0, 15], atol=2)


def test_shift_fills_its_range_evenly_both_ways() -> None:
    x, y = positions("shift", 0.2)
    for shift in (x - 0.25, y):
        assert shift.min() == pytest.approx(-0.2, abs=0.01)
        assert shift.max() == pytest.approx(0.2, abs=0.01)
        np.testing.assert_allclose(np.quantile(shift, [0.25, 0.5, 0.75]), [-0.1, 0, 0.1], atol=0.02)
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(0, abs=0.07)


def test_scale_is_even_in_its_logarithm() -> None:
    x, _ = positions("scale", 0.5)
    zoom = np.log(x / 0.25) / np.log(1.5)
    assert zoom.min() == pytest.approx(-1, abs=0.05)
    assert zoom.max() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(np.quantile(zoom, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.1)


@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation"])
def test_colours_change_within_their_range(option: str) -> None:
    images = torch.full((COUNT, 3, 2, 2), 100, dtype=torch.uint8)
    images[:, :, 1] = 50 if option == "contrast" else 100
    images[:, 0] += 50 if option == "saturation" else 0
    views = PhotoId(**{**OFF, option: 0.4})(images, Streams.of(6, np.arange(COUNT))).double()
    factors = {
        "brightness": views[:, 0, 0, 0] / 100,
        "contrast": (views[:, 0, 0, 0] - views[:, 0, 1, 0]) / 50,
        "saturation": (views[:, 0, 0, 0] - views[:, 1, 0, 0]) / 50,
    }[option]
    assert factors.min() == pytest.approx(0.6, abs=0.03)
    assert factors.max() == pytest.approx(1.4, abs=0.03)
    np.testing.assert_allclose(np.quantile(factors, [0.25, 0.5, 0.75]), [0.8, 1, 1.2], atol=0.03)


def test_patches_are_as_frequent_and_as_large_as_told() -> None:
    size = 50
    images = torch.zeros(COUNT, 3, size, size, dtype=torch.uint8)
    images[:, :, ::2] = 200  # rows of 0 and 200: a covered pixel is neither
    views = PhotoId(**OFF | {"erase": 0.3, "erase_area": 0.2})(images, Streams.of(7, np.arange(COUNT)))[:, 0]
    covered = ((views != 0) & (views != 200)).double()
    areas = covered.mean((1, 2))
    assert (areas > 0).double().mean().item() == pytest.approx(0.3, abs=0.04)
    areas = areas[areas > 0]
    assert 0.015 < areas.min() < 0.03
    assert 0.18 < areas.max() < 0.22
    assert areas.mean().item() == pytest.approx(0.11, abs=0.01)
    rows, columns = covered.amax(2).sum(1), covered.amax(1).sum(1)
    ratios = (rows[rows > 0] / columns[rows > 0]).log()
    assert ratios.abs().max() < math.log(3.3) + 0.3
    assert ratios.mean().item() == pytest.approx(0, abs=0.12)
    assert ratios.std() > 0.5


def test_it_does_not_mirror_unless_asked_to() -> None:
    images = torch.zeros(COUNT, 3, 4, 4, dtype=torch.uint8)
    images[..., 0] = 255

    def mirrored(flip: float) -> float:
        views = PhotoId(**{**OFF, "flip": flip})(images, Streams.of(8, np.arange(COUNT)))
        return (views[:, 0, 0, 3] == 255).double().mean().item()

    assert PhotoId().flip == 0
    assert mirrored(0.0) == 0
    assert mirrored(0.25) == pytest.approx(0.25, abs=0.04)
