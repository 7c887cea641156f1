"""Margins by class size against a loop, and wrong sizes."""

import re

import numpy as np
import pytest

from siamesekit.components.losses.arcface import ArcFaceLoss
from siamesekit.components.losses.class_margins import class_margins, margins_by_size
from siamesekit.components.losses.cosface import CosFaceLoss
from siamesekit.errors import ComponentError

COUNTS = [3, 1, 250, 16, 3]


def test_margins_are_a_times_a_power_plus_b_between_the_two_ends() -> None:
    found = margins_by_size(COUNTS, 0.2, 0.5).tolist()
    a = (0.5 - 0.2) / (1 ** (-1 / 4) - 250 ** (-1 / 4))
    b = 0.5 - a
    for margin, count in zip(found, COUNTS, strict=True):
        assert margin == pytest.approx(a / count**0.25 + b, rel=1e-12)
    assert found[2] == pytest.approx(0.2, rel=1e-12)


def test_the_more_photos_the_smaller_the_margin() -> None:
    assert (margins_by_size(np.arange(1, 50), 0.1, 0.4).diff() < 0).all()


def test_individuals_of_one_size_all_have_the_greatest_margin() -> None:
    assert margins_by_size([7, 7, 7], 0.2, 0.5).tolist() == [0.5] * 3


def test_without_a_smallest_margin_no_counts_are_needed() -> None:
    assert class_margins("loss 'x'", 0.5, None, 3, None) is None


@pytest.mark.parametrize("loss", [ArcFaceLoss, CosFaceLoss])
@pytest.mark.parametrize(
    ("smallest", "counts", "message"),
    [
        (0.6, [1, 2], "smallest_margin = 0.6 is above margin = 0.4, the greatest: lower it"),
        (0.1, None, "smallest_margin needs class_counts, the number of photos of each training individual"),
        (
            0.1,
            [1, 2, 3],
            "class_counts must be 2 numbers of photos, one for each training individual, at least 1, not 3",
        ),
        (0.1, [4, 0], "at least 1, not 2 from 0"),
    ],
)
def test_wrong_margins_and_counts_are_refused(
    loss: type, smallest: float, counts: list[int] | None, message: str
) -> None:
    with pytest.raises(ComponentError, match=re.escape(message)):
        loss(margin=0.4, smallest_margin=smallest, embedding_dim=3, num_classes=2, class_counts=counts)
