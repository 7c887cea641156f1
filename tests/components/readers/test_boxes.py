"""Boxes in cells: every spelling, and everything that is no box."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.components.readers.boxes import box_of
from siamesekit.data.records import Box


@pytest.mark.parametrize(
    "text",
    ["10 20 30 40", "10,20,30,40", "[10, 20, 30, 40]", "(10.0, 20.0, 30.0, 40.0)", "[10. 20.  30.  40.]",
     "10;20;30;40", " 10 , 20 , 30 , 40 ", "{10 20 30 4e1}"],
)  # fmt: skip
def test_a_box_has_many_spellings(text: str) -> None:
    assert box_of(text) == Box(10, 20, 30, 40)


@given(st.tuples(*[st.floats(-1e6, 1e6)] * 2, *[st.floats(1, 1e6)] * 2))
def test_what_python_writes_is_read_back_exactly(numbers: tuple[float, float, float, float]) -> None:
    x, y, width, height = numbers
    if x + width > 0 and y + height > 0:
        assert box_of(str(list(numbers))) == box_of(" ".join(map(repr, numbers))) == Box(*numbers)


@pytest.mark.parametrize("text", ["", "  ", "[]", " , , , "])
def test_an_empty_cell_is_no_box(text: str) -> None:
    assert box_of(text) is None


def test_a_box_may_be_relative_and_turned() -> None:
    assert box_of("0.1 0.2 0.3 0.4", relative=True) == Box(0.1, 0.2, 0.3, 0.4, relative=True)
    assert box_of("0 0 1 1", relative=True) == Box(0, 0, 1, 1, relative=True)
    assert box_of("10 20 30 40", rotation="-12.5") == Box(10, 20, 30, 40, rotation=-12.5)


@pytest.mark.parametrize("rotation", ["", "30"])
@pytest.mark.parametrize(("text", "relative"), [("10 20 30 40", False), ("0.1 0.2 0.3 0.4", True)])
def test_a_margin_widens_the_box_about_its_centre(text: str, relative: bool, rotation: str) -> None:
    plain, wide = box_of(text, relative, rotation), box_of(text, relative, rotation, margin=0.25)
    assert plain is not None and wide is not None
    assert (wide.width, wide.height) == pytest.approx((1.5 * plain.width, 1.5 * plain.height))
    assert wide.x + wide.width / 2 == pytest.approx(plain.x + plain.width / 2)
    assert wide.y + wide.height / 2 == pytest.approx(plain.y + plain.height / 2)
    assert (wide.relative, wide.rotation) == (plain.relative, plain.rotation)


@pytest.mark.parametrize(
    ("text", "relative", "rotation", "message"),
    [
        ("10 20 30", False, "", "box '10 20 30' has 3 values; expected four numbers: x y width height"),
        ("10 20 30 40 50", False, "", "has 5 values"),
        ("left", False, "", "has 1 values"),
        ("10 20 thirty 40", False, "", "has a value that is no number"),
        ("10 20 nan 40", False, "", "has a value that is not finite"),
        ("inf 20 30 40", False, "", "has a value that is not finite"),
        ("10 20 0 40", False, "", "has no area: width and height must be above 0"),
        ("10 20 30 -40", False, "", "has no area"),
        ("-30 20 30 40", False, "", "lies outside the photo"),
        ("10 -40 30 40", False, "", "lies outside the photo"),
        ("1 0 0.5 0.5", True, "", "lies outside the photo"),
        ("0.1 1.5 0.5 0.5", True, "", "lies outside the photo"),
        ("10 20 30 40", True, "", 'is larger than the photo: if it is in pixels, box_units = "absolute"'),
        ("0.1 0.2 0.3 0.4", False, "", 'has less than a pixel: if it is in shares, box_units = "relative"'),
        ("10 20 30 40", False, "north", "rotation 'north' is no number of degrees"),
        ("10 20 30 40", False, "nan", "rotation 'nan' is no number of degrees"),
        ("", False, "30", "rotation '30' without a box"),
        ("1 " * 5000, False, "", "has 5000 values"),
    ],
)
def test_what_is_no_box_is_told(text: str, relative: bool, rotation: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        box_of(text, relative, rotation)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_turned_box_may_begin_outside_and_reach_in() -> None:
    box = box_of("-11 0 10 100", rotation="45")
    assert box is not None and math.isclose(box.x, -11)
