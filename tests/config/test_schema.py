"""A config's JSON Schema: it lets pass what `load_config` lets pass, and refuses what that refuses key by key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt
from jsonschema import Draft7Validator
from pydantic import ConfigDict, TypeAdapter

from siamesekit.config import load_config
from siamesekit.config.schema import argument_docs, concrete, config_schema, schema_text, type_schema
from siamesekit.config.tables import TABLES
from siamesekit.errors import ConfigError
from siamesekit.options import Count, Fraction, NonNegative, OpenFraction, Positive
from siamesekit.registry import LOSSES, REGISTRIES, Component
from siamesekit.registry.signatures import Parameter

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIGS = sorted(path for path in EXAMPLES.glob("*/*.toml") if path.parent.name != "plugin")
BASE = '[data]\nreader = "folder"\nroot = "photos"\n[encoder]\nname = "timm/resnet18"\n'
PLACES = {
    model.registry.kind: (name, model.component_key) for name, model in TABLES.items() if model.registry is not None
}
"""The table and its key of each kind that has one."""
CHOOSABLE = [
    pytest.param(component, id=f"{component.kind}-{component.name}")
    for registry in REGISTRIES
    if registry.kind in PLACES
    for component in concrete(registry)
    if component.origin.startswith("siamesekit.")
]


@pytest.fixture(scope="module")
def shipped() -> Draft7Validator:
    """The schema of what ships."""
    return Draft7Validator(config_schema())


def problems(validator: Draft7Validator, config: dict[str, Any]) -> set[str]:
    """The dotted places of what is wrong."""
    return {".".join(map(str, error.absolute_path)) for error in validator.iter_errors(config)}


def example_of(kind: str) -> dict[str, Any]:
    """The table of some component of a kind that needs no options."""
    registry = next(registry for registry in REGISTRIES if registry.kind == kind)
    ready = [c for c in concrete(registry) if not c.is_family and not any(o.required for o in c.options)]
    return {"name": ready[0].name}


def value_of(option: Parameter) -> Any:
    """A value that an option takes, as TOML gives it: its default, or of what is required one by hand."""
    if option.nested is not None:
        table = example_of(option.nested.kind)
        return [table] if option.many else table
    if not option.required:
        return json.loads(json.dumps(option.default, default=str))
    by_hand = {
        "root": "photos", "samples_per_class": 2, "total_iters": 5, "milestones": [1, 2], "step_size": 3, "every": 2,
        "gamma": 0.5, "base_lr": 0.1, "max_lr": 0.2, "T_0": 4, "weights": [1.0, 2.0], "m": 2,
        "sharpness_factor": 2.0, "bits": 4, "threshold": 100.0, "degrees": 10.0, "kernel_size": 3, "low": 0.1,
        "high": 0.2, "steps": 2, "num_triplets": 4, "power": 2.0, "epochs": 5, "warmup": 2,
        "file": "photos.csv", "detections": "boxes.json", "margin": 0.2, "quality": 50, "Tn": 10, "Tp": 1,
    }  # fmt: skip
    return by_hand[option.name]


def config_with(component: Component, options: dict[str, Any]) -> dict[str, Any]:
    """A config that names a component, with options."""
    place, key = PLACES[component.kind]
    name = f"{component.name[:-1]}resnet18" if component.is_family else component.name
    config: dict[str, Any] = tomllib.loads(BASE)
    if component.kind == "encoder":
        config[place] = {}
    if component.kind == "reader":
        config[place] = {}
    config.setdefault(place, {}).update({key: name, **options})
    return config


def defaults_of(component: Component) -> dict[str, Any]:
    """All options of a component that have a spelling."""
    values = {option.name: value_of(option) for option in component.options}
    return {name: value for name, value in values.items() if value is not None}


def wrong_values(schema: dict[str, Any]) -> list[Any]:
    """Values of other types than a schema's, of no choice, and beyond its range."""
    if "anyOf" in schema:
        return [{"x": 1}]
    wrong: list[Any] = [{"x": 1}]
    if schema.get("type") != "string":
        wrong.append("no such choice")
    if "enum" not in schema and schema.get("type") not in ("integer", "number"):
        wrong.append(3)
    for key, step in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0)):
        if key in schema:
            wrong.append(schema[key] + step)
    if schema.get("type") == "integer":
        wrong.append(0.5)
    return wrong


def test_it_is_a_schema_and_json() -> None:
    schema = json.loads(schema_text())
    Draft7Validator.check_schema(schema)
    assert schema == config_schema()
    assert set(schema["properties"]) == {"name", "seed", "plugins", *TABLES}


def test_every_reference_leads_somewhere() -> None:
    schema = config_schema()

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if "$ref" in node:
                assert set(node) == {"$ref"}  # draft-07 reads nothing beside it
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    found = set(references(schema))
    assert found == {f"#/definitions/{name}" for name in schema["definitions"]}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_the_examples_and_what_a_run_writes_of_them_are_valid(path: Path) -> None:
    config = load_config(path)  # and its plugins
    validator = Draft7Validator(config_schema())
    assert problems(validator, tomllib.loads(path.read_text(encoding="utf-8"))) == set()
    resolved = tomllib.loads(config.to_toml())
    assert problems(validator, resolved) == set()
    assert problems(validator, resolved | {"los": {}}) == {""}


@pytest.mark.slow
def test_the_example_of_a_package_is_valid_where_the_package_is() -> None:
    path = EXAMPLES / "plugin" / "config.toml"
    code = f"""
import json, tomllib
import siamesekit_gulls
from siamesekit.config import load_config
from siamesekit.config.schema import config_schema
print(json.dumps([config_schema(), tomllib.loads(load_config({str(path)!r}).to_toml())]))
"""
    environment = os.environ | {"PYTHONPATH": str(path.parent / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    schema, resolved = json.loads(done.stdout)
    for config in (tomllib.loads(path.read_text(encoding="utf-8")), resolved):
        assert problems(Draft7Validator(schema), config) == set()
        wrong = config | {"encoder": {**config["encoder"], "width": "wide"}}
        assert problems(Draft7Validator(schema), wrong) == {"encoder.width"}
        assert "encoder.name" in problems(Draft7Validator(config_schema()), config)


@pytest.mark.medium
@pytest.mark.parametrize("component", CHOOSABLE)
def test_a_component_s_defaults_are_valid_and_its_options_checked(
    component: Component, shipped: Draft7Validator
) -> None:
    place, _ = PLACES[component.kind]
    options = defaults_of(component)
    assert problems(shipped, config_with(component, options)) == set()
    assert problems(shipped, config_with(component, {**options, "margn": 1})) == {place}
    for option in component.options:
        if option.required:
            without = {name: value for name, value in options.items() if name != option.name}
            assert problems(shipped, config_with(component, without)) == {place}
        wrong = [3, [{"nam": "x"}]] if option.nested is not None else wrong_values(type_schema(option.annotation))
        assert wrong
        for value in wrong:
            found = problems(shipped, config_with(component, {**options, option.name: value}))
            assert any(where.startswith(f"{place}.{option.name}") for where in found), (option.name, value)


@pytest.mark.parametrize(
    "text",
    [
        "", "[los]", "nam = 3", "seed = -1", "seed = 7", 'name = "a b"', 'name = "a-b.c"', 'plugins = "x"',
        "plugins = []", "[loss]\nmargn = 1", "[loss]\nmargin = -1", "[loss]\nmargin = 0.5", "[loss]\nmargin = 1",
        '[loss]\nmargin = "1"', '[loss]\nname = "triplett"', '[loss]\nname = "triplet"\nswap = 1',
        '[loss]\nname = "multi-similarity"\nmargin = 1',
        '[loss]\nname = "pml/margin"\n[loss.distance]\nname = "cosine"',
        '[loss]\nname = "pml/margin"\n[loss.distance]\nname = "cosine"\nx = 1',
        '[loss]\nname = "pml/margin"\n[loss.distance]\nname = "cosin"',
        '[loss]\nname = "pml/margin"\n[loss.distance]',
        '[loss]\nname = "pml/multiple"\n[[loss.losses]]\nname = "pml/circle"\n[[loss.losses]]\nname = "pml/nca"',
        '[loss]\nname = "pml/multiple"\n[[loss.losses]]\nname = "pml/circle"\n[[loss.losses]]\nname = "nca"',
        '[loss]\nname = "pml/multiple"\n[loss.losses]\nname = "pml/circle"',
        '[loss]\nname = "pml/multiple"',
        '[[loss.terms]]\nname = "triplet"\n[[loss.terms]]\nname = "arcface"\nweight = 0.5\nmargin = 0.3',
        '[loss]\nname = "sum"\n[[loss.terms]]\nname = "triplet"', '[loss]\nname = "sum"',
        '[loss]\nname = "triplet"\n[[loss.terms]]\nname = "triplet"', '[[loss.terms]]\nname = "triplet"\nweight = 0',
        '[[loss.terms]]\nname = "triplet"\nwieght = 1', '[[loss.terms]]\nweight = 1', "[[loss.terms]]",
        '[loss.optimizer]\nlr = 0.1', '[loss.optimizer]\nlr = 0', '[loss.optimizer]\nname = "sgd"\nmomentum = 0.5',
        '[augmentation]\nname = "torchvision/color-jitter"\nhue = [-0.1, 0.1]',
        '[augmentation]\nname = "torchvision/color-jitter"\nhue = [0.1]',
        '[augmentation]\nname = "torchvision/color-jitter"\nhue = [0.1, 0.1, 0.1]',
        '[augmentation]\nname = "sequence"\nsteps = [{ name = "crop" }, { name = "flip", p = 2 }]',
        '[augmentation]\nname = "sequence"\nsteps = [{ name = "crop" }]\nviews = 2',
        "[augmentation]\nviews = 2", "[train]\nepochs = true", "[train]\nepochs = 3", "[train]\nepochs = -1",
        '[train]\nselect = "best"', "[encoder.head]\nlayers = []", "[encoder.head]\nlayers = [0]",
        '[encoder.stand_in]\nweights = "calibrated"', '[encoder.stand_in]\nweights = "x"', "[encoder.stand_in]",
        '[encoder.stand_in]\nweights = "x.safetensors"', '[data.stand_in]\nreader = "folder"\nroot = "x"',
        '[data.stand_in]\nreader = "folder"', '[data.stand_in]\nroot = "x"', "[split]\ntrain = 1.0",
        "[split]\ntrain = 0.5",
        '[split]\ntest = ["a", "b"]', "[split]\ntest = [1]", '[schedule]\nname = "torch/step"\nstep_size = 2',
        '[schedule]\nname = "torch/step"', '[optimizer]\nname = "torch/sgd"\nlr = 1',
        '[sampler]\nname = "p-by-k"\nindividuals = 1', '[sampler]\nname = "p-by-k"\nbatch_size = 3\nphotos = 2',
        "data = 3", "loss = []", "[evaluation]\nbootstrap = 10",
    ],
)  # fmt: skip
def test_it_refuses_what_loading_refuses(text: str, shipped: Draft7Validator, tmp_path: Path) -> None:
    top = text.startswith(("nam", "seed", "name", "plugins", "data", "loss"))
    written = f"{text}\n{'' if text.startswith('data') else BASE}" if top else f"{BASE}{text}\n"
    (tmp_path / "c.toml").write_text(written)
    try:
        load_config(tmp_path / "c.toml")
        loads = True
    except ConfigError:
        loads = False
    assert (problems(shipped, tomllib.loads(written)) == set()) == loads


VALUES: list[Any] = [0, 1, -1, 2, 0.0, 0.5, -0.5, 1.5, True, False, "a", "b", "", [], [1], [0.5], [1, 2], [1.5, 2],
                     ["a"], [1, 2, 3], {"x": 1}]  # fmt: skip


@pytest.mark.parametrize(
    "annotation",
    [
        bool, int, float, str, Path, Positive, NonNegative, Fraction, OpenFraction, Count, Literal["a", "b"],
        Annotated[int, Ge(0)], Annotated[float, Gt(1)], list[float], list[Count], tuple[int, ...], tuple[float, float],
        float | tuple[float, float], Count | Literal["a"], Literal["a"] | None, Positive | None,
        tuple[Fraction, Fraction] | None, list[str],
    ],
    ids=str,
)  # fmt: skip
def test_a_type_s_schema_takes_the_values_that_pydantic_takes(annotation: Any) -> None:
    adapter = TypeAdapter(annotation, config=ConfigDict(strict=True))
    validator = Draft7Validator(type_schema(annotation))
    for value in VALUES:
        if isinstance(value, float) and value.is_integer():
            continue  # a whole number to JSON Schema, none to TOML
        try:
            adapter.validate_json(json.dumps(value))
            takes = True
        except ValueError:
            takes = False
        assert validator.is_valid(value) == takes, value


def test_a_type_without_a_spelling_in_toml_is_anything() -> None:
    assert type_schema(Any) == {}
    assert type_schema(complex) == {}


DOC = """First line.

Text: not an argument.

Args:
    one: a first
        and more of it: all.
    two (float, optional): a second, (default: 1e-3)
    three (float or tuple of float (min, max)): a third.

    **four: after a gap.

Returns:
    five: no argument.
"""


def test_arguments_are_described_by_the_docstring() -> None:
    assert argument_docs(DOC) == {
        "one": "a first and more of it: all.",
        "two": "a second, (default: 1e-3)",
        "three": "a third.",
        "four": "after a gap.",
    }
    assert argument_docs("No arguments.\n\nReturns:\n    x: y") == {}
    assert argument_docs("") == {}


@pytest.mark.parametrize("component", CHOOSABLE)
def test_every_option_of_the_library_s_own_components_is_described(component: Component) -> None:
    if component.source:
        return
    said = argument_docs(component.doc)
    assert {option.name for option in component.options} <= set(said)


def test_keys_are_described_and_have_their_defaults() -> None:
    tables = config_schema()["properties"]
    fit = tables["data"]["properties"]["fit"]
    assert fit["description"].startswith("How photos are made square:")
    assert (fit["enum"], fit["default"]) == (["squash", "pad", "crop"], "squash")
    assert tables["encoder"]["properties"]["head"]["properties"]["layers"]["default"] == [512, 256]
    assert tables["loss"]["properties"]["name"]["default"] == "triplet"
    assert "default" not in tables["miner"]["properties"]["name"]
    margin = config_schema()["definitions"]["loss.triplet"]["properties"]["margin"]
    assert margin == {"description": "margin in units of the distance.", "type": "number", "minimum": 0, "default": 1.0}


@pytest.mark.medium
def test_a_table_offers_the_options_of_all_its_components_for_completion() -> None:
    """Taplo completes by `properties` alone."""
    for kind, (place, key) in PLACES.items():
        offered = set(config_schema()["properties"][place]["properties"])
        registry = next(registry for registry in REGISTRIES if registry.kind == kind)
        assert offered >= {key, *(option.name for component in concrete(registry) for option in component.options)}


@pytest.mark.usefixtures("no_traces")
def test_what_a_plugin_registers_is_in_it() -> None:
    def mine(a: Count, b: float = 2.0) -> None:
        """A loss of mine.

        Args:
            a: how many.
        """

    LOSSES.register("mine")(mine)
    validator = Draft7Validator(config_schema())
    config = tomllib.loads(BASE)
    assert problems(validator, config | {"loss": {"name": "mine", "a": 2}}) == set()
    assert "loss.a" in problems(validator, config | {"loss": {"name": "mine", "a": 0}})
    assert problems(validator, config | {"loss": {"name": "mine"}}) == {"loss"}
    assert validator.schema["definitions"]["loss.mine"]["properties"]["a"]["description"] == "how many."
