"""Problems of values, in words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from siamesekit.problems import explain, shown


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, "x", 'must be a whole number, not "x"'),
        (float, None, "must be a number, not null"),
        (bool, 3, "must be a boolean, not 3"),
        (list[int], 3, "must be a list, not 3"),
        (list[int], [1, "x"], 'item 1 must be a whole number, not "x"'),
        (tuple[int, int], (1, 2, 3), "must have at most 2 items, not [1, 2, 3]"),
        (tuple[int, int], (1,), "item 1 is required"),
        (list[list[int]], [[1], [2, "x"]], 'item 1.1 must be a whole number, not "x"'),
    ],
)
def test_pydantics_words_become_ours(kind: Any, value: Any, expected: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(dict[str, kind]).validate_python({"key": value}, strict=True)
    [problem] = error.value.errors()
    assert explain(dict(problem)) == expected


def test_a_missing_value_is_required() -> None:
    assert explain({"type": "missing", "loc": ("key",), "msg": "Field required", "input": {}}) == "is required"


def test_a_long_value_is_shortened() -> None:
    said = explain({"type": "x", "loc": ("k",), "msg": "Input should be a valid number", "input": "a" * 500})
    assert said == 'must be a number, not "' + "a" * 56 + "..."


@pytest.mark.parametrize("length", [57, 58, 59, 600])
def test_sixty_characters_are_shown(length: int) -> None:
    whole = f'"{"a" * length}"'
    assert shown("a" * length) == (whole if len(whole) <= 60 else whole[:57] + "...")


def test_what_json_does_not_know_is_shown_as_a_string() -> None:
    assert shown({1, 2}) == '"{1, 2}"'
