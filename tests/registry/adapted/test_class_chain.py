"""Signatures read along chains of classes: what Python itself sees in the live classes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from enum import Enum
from importlib import import_module
from typing import Any

import pytest

from siamesekit.errors import ComponentError
from siamesekit.registry import REGISTRIES, Component
from siamesekit.registry.adapted.class_chain import (
    COMPUTED,
    ClassParameter,
    classes_of,
    descendants,
    doc_of,
    lineage,
    package_folder,
    parameters_of,
    without,
)
from siamesekit.registry.adapted.pml import ADDED
from siamesekit.registry.signatures import REQUIRED

SOURCE = '''
LIMIT = 3

class Root:
    """The root."""
    def __init__(self, root, /, deep=1, *, word: "str" = "a", **kwargs): pass

class Left(Root):
    def __init__(self, left=(1, 2), **kwargs):
        super().__init__(word="fixed", **kwargs)

class Right(Root):
    def __init__(self, right=LIMIT, deep=-2.5, **kwargs):
        """The right one's constructor."""
        super().__init__(deep=deep, **kwargs)

class Both(Left, Right):
    """Both.

        Indented.
    """
    def __init__(self, both=None, left=[], **kwargs):
        super().__init__(left=left, **kwargs)

class Silent(Both): pass

class Closed(Silent):
    def __init__(self, closed=True):
        super().__init__(both=closed)

class Below(Closed):
    def __init__(self, *args, below: int = 4, **kwargs):
        super().__init__(*args, **kwargs)
'''
MADE = {node.name: node for node in ast.parse(SOURCE).body if isinstance(node, ast.ClassDef)}
LIVE: dict[str, Any] = {}
exec(SOURCE, LIVE)


def walked(live: type) -> dict[str, Any]:
    """The parameters and defaults that a live class's constructors have, along Python's own resolution order."""
    found: dict[str, Any] = {}
    for ancestor in live.__mro__:
        if "__init__" not in vars(ancestor) or ancestor is object:
            continue
        parameters = list(inspect.signature(vars(ancestor)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(
                    parameter.name, REQUIRED if parameter.default is parameter.empty else parameter.default
                )
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def named(parameters: list[ClassParameter]) -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in parameters}


@pytest.mark.parametrize("name", MADE)
def test_the_lineage_is_python_s_resolution_order(name: str) -> None:
    assert lineage(name, MADE) == [each.__name__ for each in LIVE[name].__mro__ if each is not object]


def test_an_enum_s_member_as_a_default_is_its_name() -> None:
    """Older torchvisions write so what newer ones write as a word."""
    [node] = ast.parse(
        "class A:\n    def __init__(self, a=v2.InterpolationMode.NEAREST, b=Mode.X, c=other.Y): ..."
    ).body
    assert isinstance(node, ast.ClassDef)
    assert named(parameters_of("A", {"A": node})) == {"a": "nearest", "b": "x", "c": COMPUTED}


def test_parameters_of_bases_are_there_but_for_those_that_are_passed() -> None:
    assert named(parameters_of("Root", MADE)) == {"root": REQUIRED, "deep": 1, "word": "a"}
    assert named(parameters_of("Left", MADE)) == {"root": REQUIRED, "left": (1, 2), "deep": 1}
    assert named(parameters_of("Right", MADE)) == {"root": REQUIRED, "right": COMPUTED, "deep": -2.5, "word": "a"}
    both = {"root": REQUIRED, "both": None, "left": [], "right": COMPUTED, "deep": -2.5}
    assert named(parameters_of("Both", MADE)) == both
    assert named(parameters_of("Silent", MADE)) == both
    assert named(parameters_of("Closed", MADE)) == {"closed": True}
    assert named(parameters_of("Below", MADE)) == {"below": 4, "closed": True}


@pytest.mark.parametrize("name", MADE)
def test_what_is_left_out_of_the_live_walk_is_what_a_constructor_passes_itself(name: str) -> None:
    found = named(parameters_of(name, MADE))
    live = walked(LIVE[name])
    assert {key: default for key, default in live.items() if key in found} == {
        key: LIVE["LIMIT"] if default is COMPUTED else default for key, default in found.items()
    }
    for key in set(live) - set(found):
        with pytest.raises(TypeError, match=rf"multiple values for keyword argument '{key}'"):
            LIVE[name](**{key: 0})


def test_annotations_are_as_they_are_written() -> None:
    annotations = {parameter.name: parameter.annotation for parameter in parameters_of("Below", MADE)}
    assert annotations == {"below": "int", "closed": ""}
    assert {p.name: p.annotation for p in parameters_of("Root", MADE)}["word"] == "'str'"


def test_docstrings_are_the_class_s_or_its_constructor_s() -> None:
    assert doc_of("Root", MADE) == "The root."
    assert doc_of("Right", MADE) == "The right one's constructor."
    assert doc_of("Both", MADE) == "Both.\n\nIndented."
    assert doc_of("Silent", MADE) == ""


def test_descendants_are_all_below() -> None:
    assert descendants("Root", MADE) == ["Below", "Both", "Closed", "Left", "Right", "Silent"]
    assert descendants("Right", MADE) == ["Below", "Both", "Closed", "Silent"]
    assert descendants("Below", MADE) == []


def test_without_leaves_out() -> None:
    assert named(without(parameters_of("Root", MADE), ["deep", "gone"])) == {"root": REQUIRED, "word": "a"}


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(ComponentError, match="no_such_package is not installed: pip install no-such-package"):
        package_folder("no_such_package.inner")
    assert package_folder("torch.optim").name == "optim"
    assert {"Adam", "SGD", "Optimizer", "StepLR"} <= set(classes_of("torch.optim"))


ADAPTED = [
    pytest.param(component.member(member), id=f"{component.kind}-{component.name.removesuffix('*')}{member}")
    for registry in REGISTRIES
    for component in registry.components()
    if component.members_from is not None and component.origin.startswith("siamesekit.")
    for member in component.members()
]
PACKAGES = {
    "pytorch_metric_learning": ("losses", "miners", "distances", "reducers", "regularizers", "samplers", "utils"),
    "torch": ("optim",),
    "torchvision": ("transforms.v2",),
}
REQUIRED_VALUES: dict[str, Any] = {
    "labels": [0, 0, 0, 1, 1, 1], "batch_size": 4, "num_classes": 4, "embedding_size": 8, "descriptors_dim": 8, "l": 8,
    "losses": [], "m": 2, "num_triplets": 3, "margin": 1.0, "Tn": 1.0, "weights": [1.0, 1.0], "centers_per_class": 2,
    "kernel_size": 3, "quality": 50, "degrees": 10, "sharpness_factor": 2, "bits": 4, "threshold": 128, "size": 16,
}  # fmt: skip


def classes_near(live: type) -> Mapping[str, ast.ClassDef]:
    """The classes of a live class's package, those of its own folder first."""
    top = live.__module__.partition(".")[0]
    folders = sorted(PACKAGES[top], key=lambda folder: f".{folder}." not in f"{live.__module__}.")
    return classes_of(*(f"{top}.{folder}" for folder in folders))


def live_class(component: Component) -> type:
    module, _, name = component.source.rpartition(".")
    found: type = getattr(import_module(module), name)
    return found


def test_all_adapted_classes_are_found() -> None:
    families = {param.id.partition("/")[0] for param in ADAPTED if param.id is not None}
    assert families >= {
        "loss-pml", "miner-pml", "distance-pml", "reducer-pml", "regularizer-pml", "sampler-pml", "optimizer-torch",
        "schedule-torch", "augmentation-torchvision",
    }  # fmt: skip
    assert len(ADAPTED) > 100


@pytest.mark.parametrize("component", ADAPTED)
def test_of_an_adapted_class_the_lineage_is_python_s(component: Component) -> None:
    live = live_class(component)
    classes = classes_near(live)
    assert lineage(live.__name__, classes) == [each.__name__ for each in live.__mro__ if each.__name__ in classes]


@pytest.mark.parametrize("component", ADAPTED)
def test_of_an_adapted_class_names_and_defaults_are_those_of_the_live_one(component: Component) -> None:
    live = live_class(component)
    found, expected = named(parameters_of(live.__name__, classes_near(live))), walked(live)
    assert set(found) <= set(expected)
    for name, default in found.items():
        if default is COMPUTED:
            with pytest.raises(ValueError, match="malformed node"):  # COMPUTED stands for what is no literal only
                ast.literal_eval(written(live, name))
        else:
            live_default = expected[name].value if isinstance(expected[name], Enum) else expected[name]
            assert (default, type(default)) == (live_default, type(live_default))
    out_of_kwargs = {parameter.name for parameter in ADDED.get(live.__name__, ())}
    for name in set(expected) - set(found) - out_of_kwargs:
        required = {key: REQUIRED_VALUES[key] for key, value in expected.items() if value is REQUIRED and key in found}
        with pytest.raises(TypeError, match=rf"multiple values for keyword argument '{name}'"):
            live(**required, **{name: 0})


def written(live: type, parameter: str) -> str:
    """A default as the source spells it."""
    for ancestor in live.__mro__:
        source = inspect.getsource(ancestor)
        tree = ast.parse(inspect.cleandoc(source) if source[0] == " " else source).body[0]
        assert isinstance(tree, ast.ClassDef)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                arguments = node.args
                names = [argument.arg for argument in arguments.args]
                if parameter in names:
                    return ast.unparse(arguments.defaults[names.index(parameter) - len(names)])
                keyword = [argument.arg for argument in arguments.kwonlyargs]
                if parameter in keyword:
                    default = arguments.kw_defaults[keyword.index(parameter)]
                    assert default is not None
                    return ast.unparse(default)
    raise AssertionError(parameter)
