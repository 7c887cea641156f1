"""Problems of values, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge
from pydantic import TypeAdapter, ValidationError, create_model

from siamesekit.registry.problems import explain, problems_of


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


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (float | tuple[float, float], "x", 'must be a number, or [a number, a number], not "x"'),
        (float | tuple[float, float], [1.0, "x"], 'must be a number, or [a number, a number], not [1.0, "x"]'),
        (Annotated[int, Ge(1)] | Literal["all"], 0, "must be a whole number ≥ 1, or 'all', not 0"),
        (str | Path, 5, "must be a string, not 5"),
        (bool | None, 5, "must be a boolean, not 5"),
        (list[int] | bool | None, "x", 'must be a list, each a whole number, or true or false, not "x"'),
        (list[int | str], [1, 2.5], "must be a list, each a whole number or a string, not [1, 2.5]"),
    ],
)
def test_a_value_that_may_be_of_several_types_is_one_problem(kind: Any, value: Any, expected: str) -> None:
    model = create_model("model", key=(kind, ...), other=(int, ...))
    with pytest.raises(ValidationError) as error:
        model.model_validate({"key": value, "other": "x"}, strict=True)
    assert problems_of(error.value.errors(), {"key": kind, "other": int}, {"key": value}) == [
        ("key", expected),
        ("other", 'must be a whole number, not "x"'),
    ]


def test_a_missing_value_is_required() -> None:
    assert explain({"type": "missing", "loc": ("key",), "msg": "Field required", "input": {}}) == "is required"


def test_a_long_value_is_shortened() -> None:
    said = explain({"type": "x", "loc": ("k",), "msg": "Input should be a valid number", "input": "a" * 500})
    assert said == 'must be a number, not "' + "a" * 56 + "..."
