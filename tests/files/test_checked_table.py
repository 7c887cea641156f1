"""Tables of untrusted JSON: what their classes state holds, as pydantic's strict models would have it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from siamesekit.files.checked_table import CheckedTable, Length, TableError, above, at_least, at_most


def even(value: int) -> int:
    """Refuse odd numbers."""
    if value % 2:
        raise ValueError("must be even")
    return value


def upper(text: str) -> str:
    """Text in capitals."""
    return text.upper()


class Inner(CheckedTable):
    """A table within another."""

    share: Annotated[float, at_least(0), at_most(1)]
    names: Annotated[list[Annotated[str, Length(1, 3)]], Length(0, 2)] = []  # noqa: RUF012 - a table copies it


class Outer(CheckedTable):
    """A table with all kinds of keys."""

    count: Annotated[int, even]
    slope: Annotated[float, above(0)] | None
    choice: Literal["a", "b"] = "a"
    flag: bool = False
    word: Annotated[str, Length(0, 3), upper] = "is"
    inner: Inner | None = None
    several: list[Inner] = []  # noqa: RUF012
    by_name: Annotated[dict[Annotated[str, Length(1, 3)], float], Length(0, 2)] = {}  # noqa: RUF012
    anything: Any = None


class Strict(BaseModel):
    """What both models share."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class PydanticInner(Strict):
    """`Inner`, as pydantic has it."""

    share: Annotated[float, Ge(0), Le(1)]
    names: Annotated[list[Annotated[str, Len(1, 3)]], Len(0, 2)] = []


class PydanticOuter(Strict):
    """`Outer`, as pydantic has it."""

    count: Annotated[int, AfterValidator(even)]
    slope: Annotated[float, Gt(0)] | None
    choice: Literal["a", "b"] = "a"
    flag: bool = False
    word: Annotated[str, Len(0, 3), AfterValidator(upper)] = "is"
    inner: PydanticInner | None = None
    several: list[PydanticInner] = []
    by_name: Annotated[dict[Annotated[str, Len(1, 3)], float], Len(0, 2)] = {}
    anything: Any = None


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 4),
    st.sampled_from((0.5, 1.0, -0.0, math.inf, math.nan, 2**63, 10**30, 10**309)),
    st.sampled_from(("", "a", "b", "abc", "abcd", "ä")),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("share", "names", "", "x")), inner),
    max_leaves=6,
)
INNER = st.fixed_dictionaries(
    {"share": st.sampled_from((0, 0.5, 1)) | VALUES}, optional={"names": st.just(["a"]) | VALUES, "note": VALUES}
)
OUTER = st.fixed_dictionaries(
    {"count": st.just(2) | VALUES, "slope": st.just(0.5) | VALUES},
    optional={
        "choice": VALUES, "flag": VALUES, "word": VALUES, "inner": INNER | VALUES, "several": st.lists(INNER) | VALUES,
        "by_name": st.dictionaries(st.sampled_from(("a", "b", "")), VALUES) | VALUES, "anything": VALUES, "of": VALUES,
        "_notes": VALUES,
    },
)  # fmt: skip


@pytest.mark.medium
@given(OUTER)
def test_the_same_tables_are_accepted_with_the_same_values_as_by_pydantic(content: dict[str, Any]) -> None:
    try:
        wanted: dict[str, Any] | None = PydanticOuter.model_validate(content).model_dump()
    except ValidationError:
        wanted = None
    try:
        found: dict[str, Any] | None = Outer.of(content).as_json()
    except TableError as error:
        assert error.problems
        found = None
    assert repr(found) == repr(wanted)  # also types, the order of keys, and NaN


@pytest.mark.parametrize("content", [None, [], "x", 3, [["count", 2]]])
def test_what_is_no_table_is_refused(content: Any) -> None:
    with pytest.raises(TableError, match="must be a table, not"):
        Outer.of(content)


def test_every_problem_is_told_with_its_place() -> None:
    with pytest.raises(TableError) as caught:
        Outer.of(
            {
                "count": 3, "choice": "c", "flag": 1, "word": 5, "inner": {"share": 2, "names": ["a", ""]},
                "several": [{"share": 0}, {}], "by_name": {"long": 1}, "slope": True,
            }
        )  # fmt: skip
    assert caught.value.problems == [
        (("count",), "must be even"),
        (("slope",), "must be a number, not true"),
        (("choice",), """must be 'a' or 'b', not "c\""""),
        (("flag",), "must be true or false, not 1"),
        (("word",), "must be a string, not 5"),
        (("inner", "share"), "must be less than or equal to 1, not 2.0"),
        (("inner", "names", 1), 'must have at least 1 character, not ""'),
        (("several", 1, "share"), "is required"),
        (("by_name", "long"), 'must have at most 3 characters, not "long"'),
    ]
    assert "inner.names.1: must have" in str(caught.value)


def test_a_list_that_is_too_long_is_one_problem() -> None:
    with pytest.raises(TableError) as caught:
        Inner.of({"share": 0, "names": [1] * 1000})
    [(place, problem)] = caught.value.problems
    assert place == ("names",) and problem.startswith("must have at most 2 items, not [1, 1,")


@pytest.mark.parametrize("value", [10**309, -(10**309)])
def test_a_whole_number_beyond_floats_is_refused_as_by_pydantic(value: int) -> None:
    with pytest.raises(ValidationError):
        PydanticInner.model_validate({"share": value})
    with pytest.raises(TableError, match=r"share: must be a number below 1\.8e308"):
        Inner.of({"share": value})


def test_defaults_are_not_shared_and_notes_shadow_nothing() -> None:
    first, second = (Outer.of({"count": 0, "slope": 1, "as_json": 3}) for _ in range(2))
    first.several.append(Inner.of({"share": 1}))
    assert second.several == [] and Outer.several == []
    assert second.as_json()["as_json"] == 3
    assert repr(first.several) == "[Inner(share=1.0, names=[])]"
