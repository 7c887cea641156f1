"""`photo-id-strong` against plain loops photo by photo, and its ranges."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from test_photo_id import picture
from test_warp import look

from siamesekit.components.augmentations.light import GREY
from siamesekit.components.augmentations.photo_id_strong import OPERATIONS, Geometry, PhotoIdStrong
from siamesekit.randomness import Streams

Numbers = NDArray[np.float64]
STILL = {"smallest": 1.0, "rotation": 0.0, "shear": 0.0, "erase": 0.0}


def by_hand(image: Numbers, own: Streams, options: dict[str, float]) -> Numbers:
    """The view of one photo, step by step, by the documented draws."""
    size = image.shape[-1]

    def draw(low: float = 0.0, high: float = 1.0) -> float:
        return own.uniform(low, high).item()

    area, ratio = draw(options["smallest"], 1), math.exp(draw(-math.log(4 / 3), math.log(4 / 3)))
    width, height = min(math.sqrt(area * ratio), 1), min(math.sqrt(area / ratio), 1)
    left, top = draw() * (1 - width), draw() * (1 - height)
    angle, shear = (math.radians(draw(-options[name], options[name])) for name in ("rotation", "shear"))
    mirrored = draw() < options["mirror"]
    values, middle = np.zeros_like(image), (size - 1) / 2
    for row in range(size):
        for column in range(size):
            x, y = (column - middle) * width * (-1 if mirrored else 1), (row - middle) * height
            x = x + math.tan(shear) * y
            x, y = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
            x, y = x + (left + width / 2) * size - 0.5, y + (top + height / 2) * size - 0.5
            values[:, row, column] = look(image, x, y)
    ranks = [draw() for _ in OPERATIONS]
    magnitudes = [draw(-options["strength"], options["strength"]) for _ in OPERATIONS]
    blue, seed = draw(-options["strength"], options["strength"]), own.bits()[0]
    chosen = {OPERATIONS[number] for number in sorted(range(8), key=ranks.__getitem__)[: int(options["operations"])]}
    m = {name: magnitude if name in chosen else 0.0 for name, magnitude in zip(OPERATIONS, magnitudes, strict=True)}
    if "white balance" in chosen:
        values = values * np.exp([0.4 * m["white balance"], 0, 0.4 * blue])[:, None, None]
    values = values * (1 + 0.6 * m["brightness"])
    mean = np.tensordot(GREY, values, 1).mean()
    values = mean + (values - mean) * (1 + 0.6 * m["contrast"])
    grey = np.tensordot(GREY, values, 1)
    values = (grey + (values - grey) * (0 if "grey" in chosen else 1 + 0.9 * m["saturation"])).clip(0, 255)
    if "blur" in chosen:
        reach = max(1, math.ceil(3 * 0.015 * size * options["strength"]))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.015 * size * abs(m["blur"]))) ** 2)
        kernel /= kernel.sum()
        values = correlate1d(correlate1d(values, kernel, axis=1, mode="nearest"), kernel, axis=2, mode="nearest")
    if "noise" in chosen:
        drawn = np.random.default_rng(seed).standard_normal(values.shape, dtype=np.float32)
        values = values + 30 * abs(m["noise"]) * drawn
    if "posterize" in chosen:
        step = 1 + 63 * abs(m["posterize"])
        values = np.rint(values / step) * step
    values = values.clip(0, 255)
    covered, area = draw() < options["erase"], draw(0.02, options["erase_area"])
    ratio = math.exp(draw(-math.log(3.3), math.log(3.3)))
    high, wide = (min(round(size * math.sqrt(part)), size) for part in (area * ratio, area / ratio))
    high *= covered
    first, side = int(draw() * (size - high + 1)), int(draw() * (size - wide + 1))
    values[:, first : first + high, side : side + wide] = values.mean((1, 2))[:, None, None]
    return values


@pytest.mark.parametrize("operations", [0, 3, 8])
def test_a_view_applies_the_draws_in_the_order_that_is_documented(operations: int) -> None:
    size, count = 16, 12
    options = {"smallest": 0.4, "rotation": 20.0, "shear": 15.0, "mirror": 0.5, "operations": operations}
    options |= {"strength": 0.8, "erase": 0.6, "erase_area": 0.3}
    images = torch.stack([picture(size).roll(shift, 2) for shift in range(count)])
    views = PhotoIdStrong(**options)(images, Streams.of(3, np.arange(count))).numpy()  # type: ignore[arg-type]
    for number in range(count):
        expected = by_hand(images[number].double().numpy(), Streams.of(3, [number]), options)
        apart = np.abs(views[number] - expected)
        if operations < 8:
            assert np.median(apart) <= 0.6
        assert (apart <= 1.1).mean() > 0.97, "but for values at the edge of a step of posterizing"


def test_without_any_change_a_photo_stays_as_it_is() -> None:
    images = torch.randint(0, 256, (5, 3, 20, 20), dtype=torch.uint8)
    # a crop of the whole area has the whole photo's width or height, so its shape must be square: none is drawn
    geometry = Geometry(Streams.of(1, np.arange(5)), 1.0, 0.0, 0.0, 0.0)
    geometry.width[:], geometry.height[:], geometry.left[:], geometry.top[:] = 1, 1, 0, 0
    np.testing.assert_allclose(geometry.matrices(), np.broadcast_to(np.eye(2, 3), (5, 2, 3)), atol=1e-12)
    even = torch.full_like(images, 90)
    assert torch.equal(PhotoIdStrong(operations=0)(even, Streams.of(1, np.arange(5))), even)


def test_each_photo_gets_as_many_operations_as_told_and_all_are_as_frequent() -> None:
    count = 4000
    streams = Streams.of(9, np.arange(count))
    for _ in range(7):
        streams.uniform()
    ranks = np.stack([streams.uniform() for _ in OPERATIONS])
    rows = np.random.default_rng(0).integers(60, 200, (1, 3, 4, 4), dtype=np.uint8)
    images = torch.from_numpy(rows).expand(count, -1, -1, -1)
    views = PhotoIdStrong(**STILL, operations=1, strength=1.0)(images, Streams.of(9, np.arange(count)))
    grey = (views.amax(1).int() - views.amin(1).int()).amax((1, 2)) <= 1
    np.testing.assert_array_equal(grey.numpy()[ranks.argmin(0) == 4], True)
    np.testing.assert_allclose(np.bincount(ranks.argmin(0)) / count, 1 / 8, atol=0.02)


def test_mirrored_views_occur_only_by_option() -> None:
    images = torch.zeros(300, 3, 9, 9, dtype=torch.uint8)
    images[:, :, :, 6:] = 200
    for mirror, share in ((0.0, 0.0), (0.4, 0.4)):
        views = PhotoIdStrong(0.95, 0.0, 0.0, mirror, operations=0, erase=0.0)(images, Streams.of(1, np.arange(300)))
        flipped = views[:, 0, 4, 0] > views[:, 0, 4, 8]
        assert flipped.double().mean().item() == pytest.approx(share, abs=0.08)


def test_a_view_does_not_depend_on_the_other_photos() -> None:
    images = torch.stack([picture(32).roll(shift, 1) for shift in range(10)])
    component = PhotoIdStrong(operations=8, strength=1.0)
    views = component(images, Streams.of(3, np.arange(10)))
    alone = torch.cat([component(images[n : n + 1], Streams.of(3, [n])) for n in range(10)])
    assert (views.int() - alone.int()).abs().double().mean() < 0.05
