"""Signatures: read from a source file without running it, they are what the live callable has."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt

from siamesekit.options import (
    ADistance,
    AReducer,
    Augmentations,
    Count,
    Fraction,
    Index,
    Losses,
    Nested,
    NonNegative,
    OpenFraction,
    Positive,
)
from siamesekit.registry import REGISTRIES, Component, Registry
from siamesekit.registry.signatures import (
    REQUIRED,
    Parameter,
    SourceComponent,
    live_parameters,
    options_model,
    read_source,
    type_in_words,
)

SHIPPED = [
    pytest.param(registry, component, id=f"{registry.kind}-{component.name}")
    for registry in REGISTRIES
    for component in registry.components()
    if component.origin.startswith("siamesekit.")
]

SOURCE = '''
from __future__ import annotations
from typing import Annotated, Literal
from annotated_types import Gt
import no_such_package
from no_such_package import Weird

raise RuntimeError("this file must not be run")

LIMIT = 4
Mode = Literal["a", "b"]
NEEDS_IT = no_such_package.value

@LOSSES.register("plain")
def plain(x: Annotated[int, Gt(LIMIT)], mode: Mode = "a", *, distance: Weird = None) -> None:
    """First line.

    Args:
        x: what.
    """

@LOSSES.register("classy", names="a:b", members="c:d")
class Classy:
    def __init__(self, on: bool = True, *rest: int, **more: int) -> None: ...

@LOSSES.register("bare")
class Bare: ...

@OTHER.register("other")
def other(y: int) -> None: ...

def unregistered(z: int) -> None: ...
'''


def read_shipped(component: Component, registry: Registry) -> tuple[SourceComponent, Any]:
    """The component as its source has it, and the live callable."""
    module = importlib.import_module(component.origin)
    assert module.__file__ is not None
    [found] = [c for c in read_source(Path(module.__file__), registry.variable) if c.name == component.name]
    return found, getattr(module, found.qualname)


@pytest.mark.parametrize(("registry", "component"), SHIPPED)
def test_source_and_live_signature_are_equal(registry: Registry, component: Component) -> None:
    found, factory = read_shipped(component, registry)
    runtime = {p.name for p in component.runtime}
    live = live_parameters(factory)
    assert [p for p in found.parameters if p.name not in runtime] == [p for p in live if p.name not in runtime]
    assert [(p.name, p.shown, p.default) for p in found.parameters] == [(p.name, p.shown, p.default) for p in live]
    assert found.doc == inspect.getdoc(factory)


@pytest.mark.parametrize(("registry", "component"), SHIPPED)
def test_source_has_the_names_and_defaults_that_python_sees(registry: Registry, component: Component) -> None:
    found, factory = read_shipped(component, registry)
    seen = inspect.signature(factory).parameters.values()
    expected = {p.name: REQUIRED if p.default is p.empty else p.default for p in seen}
    assert {p.name: p.default for p in found.parameters} == expected


def test_every_registration_in_the_package_is_known() -> None:
    package = Path(inspect.getfile(Registry)).parent
    written = {
        (variable, name)
        for file in package.rglob("*.py")
        for variable, name in re.findall(r'^@([A-Z]+)\.register\("([^"]+)"', file.read_text(encoding="utf-8"), re.M)
    }
    assert written == {(param.values[0].variable, param.values[1].name) for param in SHIPPED}


def test_a_file_is_read_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "source.py"
    file.write_text(SOURCE)
    plain, classy, bare = read_source(file, "LOSSES")
    assert (plain.name, classy.name, bare.name) == ("plain", "classy", "bare")
    assert (plain.qualname, classy.qualname, classy.names) == ("plain", "Classy", "a:b")
    assert (classy.members, plain.names, plain.members) == ("c:d", None, None)
    assert plain.doc == "First line.\n\nArgs:\n    x: what."
    assert plain.parameters == [
        Parameter("x", Annotated[int, Gt(4)], "Annotated[int, Gt(LIMIT)]"),
        Parameter("mode", Literal["a", "b"], "Mode", "a"),
        Parameter("distance", Any, "Weird", None),
    ]
    assert [(p.name, p.variadic) for p in classy.parameters] == [("on", False), ("rest", True), ("more", True)]
    assert bare.parameters == []


def test_live_annotations_may_be_objects_strings_or_missing() -> None:
    def factory(a: int, b: "float" = 1.0, c=None, d: "NotThere" = 0) -> None: ...  # type: ignore # noqa: F821

    a, b, c, d = live_parameters(factory)
    assert (a.annotation, a.shown, a.required) == (int, "int", True)
    assert (b.annotation, b.shown, b.default) == (float, "float", 1.0)
    assert (c.annotation, c.shown, c.default) == (Any, "Any", None)
    assert (d.annotation, d.shown) == (Any, "NotThere")


def test_a_class_without_a_constructor_has_no_parameters() -> None:
    class Plain: ...

    assert live_parameters(Plain) == []


def test_parameters_are_shown_as_they_are_written() -> None:
    assert str(Parameter("margin", float, "Positive", 1.0)) == "margin: Positive = 1.0"
    assert str(Parameter("root", Path, "Path")) == "root: Path"


@pytest.mark.parametrize(
    ("annotation", "kind", "many"),
    [
        (ADistance, "distance", False),
        (ADistance | None, "distance", False),
        (None | AReducer, "reducer", False),
        (Losses, "loss", True),
        (Augmentations | None, "augmentation", True),
        (Positive, None, False),
        (Positive | None, None, False),
        (list[float] | None, None, False),
        (Literal["a"] | Count, None, False),
        (tuple[float, float], None, False),
        (Any, None, False),
    ],
    ids=str,
)
def test_a_parameter_knows_whether_it_is_a_component_or_several(annotation: Any, kind: str | None, many: bool) -> None:
    parameter = Parameter("x", annotation, "")
    assert parameter.nested == (None if kind is None else Nested(kind))
    assert parameter.many == many


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Positive, "float > 0"),
        (NonNegative, "float ≥ 0"),
        (Fraction, "float ≥ 0, ≤ 1"),
        (OpenFraction, "float > 0, < 1"),
        (Count, "int ≥ 1"),
        (Index, "int ≥ 0"),
        (Annotated[str, "a note"], "str"),
        (Literal["a", 2], "'a' | 2"),
        (Literal["all"] | Count, "'all' | int ≥ 1"),
        (Path | None, "Path | None"),
        (tuple[int, ...], "tuple[int, …]"),
        (tuple[Positive, Count], "tuple[float > 0, int ≥ 1]"),
        (list[Index], "list[int ≥ 0]"),
        (ADistance | None, "table of a distance | None"),
        (Augmentations, "tables of augmentations"),
        (Annotated[Any, Nested("augmentation")], "table of an augmentation"),
        (Losses, "tables of losses"),
        (Any, "Any"),
    ],
    ids=str,
)
def test_a_type_is_told_in_words(annotation: Any, words: str) -> None:
    assert type_in_words(annotation) == words


def test_options_that_are_components_are_not_in_the_model() -> None:
    options = (Parameter("distance", ADistance | None, "", None), Parameter("p", int, "int"))
    assert [value for _, value in options_model("x", options).model_validate({"p": 3})] == [3]


@pytest.mark.parametrize("name", ["_private", "copy", "model_config", "schema", "self", "x"])
def test_an_option_may_have_any_name(name: str) -> None:
    model = options_model("odd", (Parameter(name, int, "int", 3),))
    assert [value for _, value in model.model_validate({})] == [3]
    assert [value for _, value in model.model_validate({name: 5})] == [5]
