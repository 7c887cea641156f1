"""Options that are components: their tables checked and built, against a registry of this file's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import pytest

from siamesekit.errors import ComponentError
from siamesekit.options import Nested
from siamesekit.registry.nested import build_nested, check_nested
from siamesekit.registry.signatures import REQUIRED, Parameter

ONE, MANY = Annotated[Any, Nested("thing")], Annotated[list[Any], Nested("thing")]


class Things:
    """A registry of one component, `box`, with the option `size`, 1 by default and never 0."""

    kind = "thing"

    def names(self) -> list[str]:
        return ["box", "bag"]

    def check(
        self, name: str, options: Mapping[str, Any], also: Iterable[str] = (), in_python: bool = False
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        assert list(also) == ["name"]
        if name != "box":
            raise ComponentError(f"unknown thing {name!r}")
        size = options.get("size", 1)
        return {"size": size}, [("size", "must not be 0")] if size == 0 else []

    def build_for_run(self, name: str, options: Mapping[str, Any], **offered: Any) -> Any:
        return name, dict(options), offered


def option(kind: Any, default: Any = REQUIRED) -> Parameter:
    return Parameter("inner", kind, "", default)


@pytest.mark.parametrize(
    ("kind", "default", "value", "expected"),
    [
        (ONE, REQUIRED, {"name": "box"}, {"name": "box", "size": 1}),
        (ONE, REQUIRED, {"size": 3, "name": "box"}, {"name": "box", "size": 3}),
        (ONE | None, None, REQUIRED, None),
        (ONE | None, None, None, None),
        (MANY, REQUIRED, [], []),
        (MANY, (), REQUIRED, []),
        (
            MANY,
            REQUIRED,
            [{"name": "box"}, {"name": "box", "size": 2}],
            [{"name": "box", "size": 1}, {"name": "box", "size": 2}],
        ),
    ],
)
def test_tables_get_their_defaults(kind: Any, default: Any, value: Any, expected: Any) -> None:
    assert check_nested(option(kind, default), value, Things()) == (expected, [])


@pytest.mark.parametrize(
    ("kind", "value", "problems"),
    [
        (ONE, REQUIRED, [("inner", "is required")]),
        (ONE, [{"name": "box"}], [("inner", 'must be a table with name = "…", not [{"name": "box"}]')]),
        (MANY, {"name": "box"},
         [("inner", 'must be a list of tables, [[…inner]] with name = "…", not {"name": "box"}')]),
        (ONE, "box", [("inner", "must be a table with a name; choices: box, bag")]),
        (ONE, {}, [("inner", "must be a table with a name; choices: box, bag")]),
        (ONE, {"name": 3}, [("inner", "must be a table with a name; choices: box, bag")]),
        (ONE, {"name": "bux"}, [("inner.name", "unknown thing 'bux'")]),
        (ONE, {"name": "box", "size": 0}, [("inner.size", "must not be 0")]),
        (MANY, [{"name": "box"}, 3, {"name": "bux"}, {"name": "box", "size": 0}],
         [("inner.1", "must be a table with a name; choices: box, bag"), ("inner.2.name", "unknown thing 'bux'"),
          ("inner.3.size", "must not be 0")]),
    ],
)  # fmt: skip
def test_every_problem_has_its_place(kind: Any, value: Any, problems: list[tuple[str, str]]) -> None:
    assert check_nested(option(kind), value, Things()) == (None, problems)


def test_tables_are_built_in_order_with_the_runtime_values() -> None:
    runtime = {"seed": 5}
    assert build_nested(option(ONE), {"name": "box", "size": 2}, Things(), runtime) == ("box", {"size": 2}, runtime)
    tables = [{"name": "box", "size": 2}, {"name": "bag"}]
    built = build_nested(option(MANY), tables, Things(), runtime)
    assert built == [("box", {"size": 2}, runtime), ("bag", {}, runtime)]
    assert build_nested(option(MANY), [], Things(), runtime) == []
