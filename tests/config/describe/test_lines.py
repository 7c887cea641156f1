"""Options as lines of TOML: each is read back as the value that it stands for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Lt
from pydantic import TypeAdapter

from siamesekit.config.describe.lines import assigned, option_line
from siamesekit.options import Count, Fraction, Limited, OpenFraction, Positive, Several
from siamesekit.registry.signatures import Parameter


def test_a_default_is_a_comment_and_what_is_not_set_has_its_type() -> None:
    assert option_line(Parameter("margin", Positive, "Positive", 0.5)) == "# margin = 0.5"
    assert option_line(Parameter("n", Count | None, "", None)) == "# n: none; or int ≥ 1"
    assert option_line(Parameter("root", Path, "Path")) == 'root = "PATH"  # required: Path'


@pytest.mark.parametrize(
    "kind",
    [
        Positive, Count, Several, Fraction, OpenFraction, Limited, bool, int, float, str, Path, Literal["a", "b"],
        Annotated[float, Gt(-1), Lt(0)], Annotated[int, Ge(8)], Count | None, tuple[float, float], list[Count],
        Annotated[int, Gt(4)],
    ],
)  # fmt: skip
def test_the_example_of_a_required_option_is_a_value_of_its_type(kind: Any) -> None:
    line = option_line(Parameter("x", kind, ""))
    TypeAdapter(kind).validate_python(tomllib.loads(line)["x"])


@pytest.mark.parametrize("value", [1, 1.5, True, 'a "b"', [1, 2], {"name": "crop"}])
def test_an_assignment_is_read_back(value: Any) -> None:
    assert tomllib.loads(assigned("x", value)) == {"x": value}
