"""Option types: which numbers each range takes, its ends included or not."""

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from siamesekit import options

TINY = 5e-324


def accepts(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (options.Positive, [TINY, 1, 1e300], [0, -0.0, -TINY, -1]),
        (options.NonNegative, [0, -0.0, 1.5], [-TINY, -1]),
        (options.Fraction, [0, 0.5, 1], [-TINY, math.nextafter(1, 2)]),
        (options.OpenFraction, [TINY, 0.5, math.nextafter(1, 0)], [0, 1, 2]),
        (options.Count, [1, 10**6], [0, -1]),
        (options.Several, [2, 10**6], [1, 0, -2]),
        (options.Index, [0, 10**6], [-1]),
        (options.Limited, [1, 10**6], [0, 10**6 + 1]),
    ],
    ids=["Positive", "NonNegative", "Fraction", "OpenFraction", "Count", "Several", "Index", "Limited"],
)
def test_a_range_takes_what_is_inside_and_nothing_else(kind: Any, inside: list[float], outside: list[float]) -> None:
    assert [value for value in inside if not accepts(kind, value)] == []
    assert [value for value in outside if accepts(kind, value)] == []


def test_whole_numbers_have_no_fraction() -> None:
    assert not accepts(options.Count, 1.5)
    assert not accepts(options.Index, 0.5)
