"""Matcher `sift` on drawn skins whose transformation is known."""

import builtins
from typing import Any

import numpy as np
import pytest

from patterns import SIDE, turned, view
from siamesekit import Sift
from siamesekit.components.matchers import sift as module
from siamesekit.errors import UserError

STRAIGHT = turned(0)


@pytest.mark.parametrize("transformation", ["similarity", "affine", "homography"])
def test_points_lie_where_the_transformation_puts_them(transformation: Any) -> None:
    matrix = turned(25, 0.9)
    matcher = Sift(transformation=transformation)
    first, second = matcher.describe(view(1, STRAIGHT)), matcher.describe(view(1, matrix))
    found = matcher.match(first, second)
    assert len(found) > 20
    expected = found.first @ matrix[:, :2].T + matrix[:, 2]
    error = np.linalg.norm(expected - found.second, axis=1)
    assert np.median(error) < 1 and (error < 0.05 * SIDE + 2).all()


def test_a_sheared_flank_needs_an_affine_map() -> None:
    matrix = turned(10, 0.9, shear=0.45)
    counts = {}
    for transformation in ("similarity", "affine"):
        matcher = Sift(transformation=transformation, tolerance=0.01)  # type: ignore[arg-type]
        counts[transformation] = len(
            matcher.match(matcher.describe(view(2, STRAIGHT)), matcher.describe(view(2, matrix)))
        )
    assert counts["affine"] > 1.5 * counts["similarity"]


def test_another_skin_shares_few_points() -> None:
    matcher = Sift()
    mine = matcher.describe(view(3, STRAIGHT))
    own = len(matcher.match(mine, matcher.describe(view(3, turned(-20)))))
    others = [len(matcher.match(mine, matcher.describe(view(other, turned(-20))))) for other in range(4, 12)]
    assert own > 4 * max(others)


def test_points_are_pixels_of_the_photo_however_it_is_scaled() -> None:
    """A photo of three times the size is scaled down to the same picture: its points are three times as far out."""
    photo = view(1, STRAIGHT)
    large = photo.repeat(3, 0).repeat(3, 1)
    matcher = Sift(size=SIDE)
    small, scaled = matcher.describe(photo), matcher.describe(large)
    assert scaled.size == (3 * SIDE, 3 * SIDE) and small.size == (SIDE, SIDE)
    np.testing.assert_array_equal(scaled.descriptors, small.descriptors)
    np.testing.assert_allclose(scaled.points, (small.points + 0.5) * 3 - 0.5, atol=1e-3)
    assert len(matcher.match(small, scaled)) > 100


def test_descriptors_have_length_1_and_repeat() -> None:
    matcher = Sift(keypoints=50)
    first, again = matcher.describe(view(1, STRAIGHT)), matcher.describe(view(1, STRAIGHT))
    assert 40 <= len(first) <= 60  # OpenCV keeps equally strong ones
    np.testing.assert_allclose(np.linalg.norm(first.descriptors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(first.descriptors, again.descriptors)
    other = matcher.describe(view(1, turned(15)))
    np.testing.assert_array_equal(matcher.match(first, other).first, matcher.match(first, other).first)


@pytest.mark.parametrize("shape", [(240, 240), (1, 1), (1, 300), (2, 2)])
def test_a_photo_without_keypoints_shares_none(shape: tuple[int, int]) -> None:
    matcher = Sift()
    empty, full = matcher.describe(np.full((*shape, 3), 7, np.uint8)), matcher.describe(view(1, STRAIGHT))
    assert len(empty) == 0 and empty.size == shape[::-1]
    for first, second in ((empty, full), (full, empty), (empty, empty)):
        assert len(matcher.match(first, second)) == 0


def test_a_transformation_onto_a_line_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._distorts(np.array([[1.0, 0, 0], [0, 0.05, 0]]))
    assert module._distorts(np.array([[11.0, 0, 0], [0, 1, 0]]))
    assert not module._distorts(turned(40, 3.0))
    matcher = Sift()
    first, second = matcher.describe(view(1, STRAIGHT)), matcher.describe(view(1, turned(5)))
    assert len(matcher.match(first, second)) > 0
    monkeypatch.setattr(module, "_distorts", lambda matrix: True)
    assert len(matcher.match(first, second)) == 0


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs OpenCV: pip install 'siamesekit\[matchers\]'"):
        Sift()
