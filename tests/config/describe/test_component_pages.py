"""The catalogue: families, their members, snippets that load as they stand, docstrings in a narrow terminal."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from siamesekit.cli.app import app
from siamesekit.config import load_config
from siamesekit.config.describe.components import (
    default_table,
    reflowed,
    snippet,
    summary_of_member,
    supplied,
    table_keys,
    table_of,
    unused_keys,
)
from siamesekit.config.schema import concrete
from siamesekit.registry import (
    AUGMENTATIONS,
    ENCODERS,
    LOSSES,
    OPTIMIZERS,
    REGISTRIES,
    SAMPLERS,
    Component,
    Registry,
    registry_of,
)

FAMILIES = [
    pytest.param(registry, component, id=f"{registry.kind}-{component.name}")
    for registry in REGISTRIES
    for component in registry.components()
    if component.is_family
]
CONCRETE = [
    pytest.param(component, id=f"{component.kind}-{component.name}")
    for registry in REGISTRIES
    for component in concrete(registry)
    if component.origin.startswith("siamesekit.")
]


def call(*arguments: str, columns: int = 160) -> Result:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns)})
    assert result.exit_code == 0, result.output
    return result


def printed(*arguments: str, columns: int = 160) -> str:
    return call(*arguments, columns=columns).stdout


def document(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


@pytest.mark.medium
@pytest.mark.parametrize(("registry", "family"), FAMILIES)
def test_a_family_is_a_row_with_its_number_and_how_to_list_it(registry: Registry, family: Component) -> None:
    prefix = family.name.removesuffix("/*")
    listed = printed("list", registry.plural)
    assert re.search(rf"^ {re.escape(family.name)} ", listed, re.M)
    assert f" {len(family.members())} members: siamesekit list {registry.plural} {prefix} " in listed
    if family.members_from is not None:
        assert not any(f"{prefix}/{member} " in listed for member in family.members())
    [entry] = [c for c in document("list", registry.plural)[registry.plural] if c["name"] == family.name]
    assert entry["members"] == len(family.members())


@pytest.mark.slow
@pytest.mark.parametrize(("registry", "family"), FAMILIES)
@pytest.mark.parametrize("columns", [80, 120])
def test_a_family_s_list_has_a_row_for_each_member_and_fits(
    registry: Registry, family: Component, columns: int
) -> None:
    prefix = family.name.removesuffix("/*")
    lines = printed("list", registry.plural, prefix, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    found = [line.split()[0] for line in lines if line.strip().startswith(f"{prefix}/")]
    assert found == [f"{prefix}/{member}" for member in family.members()]
    described = document("list", registry.plural, prefix)
    assert [each if isinstance(each, str) else each["name"] for each in described] == found


@pytest.mark.parametrize("name", ["pml/*", "pml"])
def test_show_of_a_family_says_that_it_is_one_and_how_to_list_it(name: str) -> None:
    shown = printed("show", "loss", name)
    assert shown.startswith("loss pml/*: what training minimises\n")
    count = len(LOSSES.family("pml").members())
    assert f"\nA family of {count} members; a config names one of them: pml/NAME\n" in shown
    assert "siamesekit list losses pml\n" in shown
    described = document("show", "loss", name)
    assert (described["name"], described["members"]) == ("pml/*", count)
    assert "toml" not in described


def test_a_member_is_shown_with_what_it_adapts_its_options_and_their_tables() -> None:
    shown = printed("show", "loss", "pml/multi-similarity")
    assert "\nadapts pytorch_metric_learning.losses.MultiSimilarityLoss\n" in shown
    assert "alpha: The exponential weight for positive pairs" in shown
    assert re.search(r"^ alpha +float +2\.0 *$", shown, re.M)
    assert re.search(r"^ distance +table of a distance \| None +None *$", shown, re.M)
    assert "\n[loss.distance] is a table: siamesekit list distances\n" in shown
    assert "\nsupplied by the run, not set in a config: embedding_dim, num_classes\n" in shown
    assert shown.endswith(snippet(LOSSES.get("pml/multi-similarity"), "pml/multi-similarity"))
    assert "[[augmentation.steps]] are tables: siamesekit list augmentations\n" in printed(
        "show", "augmentation", "sequence"
    )


def test_json_says_types_ranges_choices_and_descriptions() -> None:
    described = document("show", "loss", "triplet")
    margin, reduction, *_ = described["options"]
    assert margin == {
        "name": "margin",
        "type": "float ≥ 0",
        "default": 1.0,
        "description": "margin in units of the distance.",
        "schema": {"type": "number", "minimum": 0},
    }
    assert reduction["schema"] == {"enum": ["sum", "mean", "mean-nonzero"]}
    assert (described["kind"], described["table"], described["key"]) == ("loss", "loss", "name")
    assert described["supplied"] == ["distance"]
    assert described["table_keys"] == []
    adapted = document("show", "loss", "pml/multi-similarity")
    assert adapted["adapts"] == "pytorch_metric_learning.losses.MultiSimilarityLoss"
    [distance] = [option for option in adapted["options"] if option["name"] == "distance"]
    assert (distance["component"], distance["default"]) == ("distance", None)
    assert distance["default_table"] == {"name": "pml/cosine-similarity"}
    [regularizer] = [option for option in adapted["options"] if option["name"] == "embedding_regularizer"]
    assert "default_table" not in regularizer


def test_a_model_s_name_is_the_one_that_was_asked_for() -> None:
    shown = printed("show", "encoder", "timm/resnet18")
    assert shown.startswith("encoder timm/resnet18: image to feature vector\n")
    snippet, keys = '\n[encoder]\nname = "timm/resnet18"\n', "weights, train_from, pooling, batchnorm, cache_gib"
    assert shown.endswith(f"{snippet}\nkeys of the table [encoder]: {keys}: siamesekit show table encoder\n")
    assert document("show", "encoder", "timm/resnet18")["toml"] == '[encoder]\nname = "timm/resnet18"\n'


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("reader", ("data", "reader")),
        ("loss", ("loss", "name")),
        ("augmentation", ("augmentation", "name")),
        ("reducer", ("loss.reducer", "name")),
        ("regularizer", ("loss.embedding_regularizer", "name")),
        ("plugin-made", ("plugin-made", "name")),
    ],
)
def test_where_a_kind_stands_in_a_config(kind: str, place: tuple[str, str]) -> None:
    assert table_of(kind) == place


@pytest.mark.medium
@pytest.mark.parametrize(
    ("kind", "name", "keys", "given"),
    [
        ("sampler", "all-pairs", ["batch_size", "mirrored", "apart"], ["labels", "seed"]),
        ("sampler", "pml/m-per-class", ["batch_size", "mirrored", "apart"], ["labels", "groups", "seed"]),
        ("sampler", "p-by-k", ["batch_size", "mirrored", "apart"], ["labels", "seed"]),
        ("encoder", "xception", ["weights", "train_from", "pooling", "batchnorm", "cache_gib"], ["pretrained"]),
        ("optimizer", "adam", ["layer_decay", "clip_norm"], ["params"]),
        ("loss", "pml/nca", [], ["embedding_dim", "num_classes"]),
        ("reducer", "pml/mean", [], []),
    ],
)
def test_a_table_s_own_keys_are_not_supplied_by_the_run(
    kind: str, name: str, keys: list[str], given: list[str]
) -> None:
    component = registry_of(kind).get(name)
    assert [key.parameter.name for key in table_keys(component)] == keys
    assert supplied(component) == given
    shown = printed("show", kind, name)
    assert bool(keys) == (f"\nkeys of the table [{kind}]: {keys[0] if keys else ''}" in shown)
    assert bool(given) == (f"\nsupplied by the run, not set in a config: {', '.join(given)}\n" in shown)


@pytest.mark.parametrize("component", CONCRETE)
def test_a_key_of_a_table_is_never_said_to_be_supplied(component: Component) -> None:
    keys = {key.parameter.name for key in table_keys(component)}
    assert keys & set(supplied(component)) == set()
    assert unused_keys(component) <= keys


def test_a_key_that_a_component_does_not_take_is_named() -> None:
    assert unused_keys(SAMPLERS.get("p-by-k")) == {"batch_size"}
    assert unused_keys(SAMPLERS.get("all-pairs")) == unused_keys(ENCODERS.get("xception")) == set()
    said = "\nkeys of the table [sampler]: batch_size (not used by this one), mirrored, apart: "
    assert said in printed("show", "sampler", "p-by-k")


def test_a_nested_table_is_the_default_or_says_that_it_is_not() -> None:
    """What the class of pytorch-metric-learning does is in tests/registry/adapted/test_pml_defaults.py."""
    lines = snippet(LOSSES.get("pml/nca"), "pml/nca").splitlines()
    at = lines.index("# [loss.distance]  # the default")
    assert lines[at + 1 : at + 3] == ['# name = "pml/lp"', "# power = 2.0"]
    assert "# [loss.embedding_regularizer]  # left out by default; one possible choice" in lines
    memory = snippet(LOSSES.get("cross-batch-memory"), "cross-batch-memory")
    assert "\n[loss.loss]  # required\nname = " in memory
    assert "\n# [loss.miner]  # left out by default; one possible choice\n" in memory


@pytest.mark.parametrize("component", CONCRETE)
def test_a_default_table_is_one_that_a_config_may_have(component: Component) -> None:
    for option in component.options:
        table = default_table(component, option)
        if table is not None:
            assert option.nested is not None
            name = table.pop("name")
            resolved, problems = registry_of(option.nested.kind).check(name, table)
            assert problems == []
            assert {key: resolved[key] for key in table} == table


def uncommented(text: str) -> str:
    """A snippet with everything in it switched on that has a spelling."""
    return "\n".join(re.sub(r"^# (?=\[|\w+ = )", "", line) for line in text.splitlines())


@pytest.mark.parametrize("component", CONCRETE)
def test_a_snippet_holds_as_it_stands_and_with_all_switched_on(component: Component) -> None:
    name = f"{component.name[:-1]}resnet18" if component.is_family else component.name
    text = snippet(component, name)
    place, key = table_of(component.kind)
    for written in (text, uncommented(text)):
        table = tomllib.loads(written)
        for part in place.split("."):
            table = table[part]
        assert table.pop(key) == name
        resolved, problems = registry_of(component.kind).check(name, table)
        assert problems == []
        for option in component.options:
            if option.nested is None and not option.required:
                assert resolved[option.name] == option.default
    assert {option.name for option in component.options} <= set(re.findall(r"\w+", text))
    unset = {option.name for option in component.options if not option.required and option.default is None}
    assert set(tomllib.loads(uncommented(text)).popitem()[1]) or unset or not component.options


def test_a_snippet_can_be_pasted_into_a_config(tmp_path: Path) -> None:
    parts = [
        snippet(registry_of(kind).get(name), name)
        for kind, name in [
            ("reader", "folder"), ("encoder", "timm/resnet18"), ("loss", "pml/cross-batch-memory"),
            ("sampler", "pml/m-per-class"), ("optimizer", "torch/adam"), ("schedule", "torch/step"),
            ("augmentation", "sequence"), ("miner", "pml/angular"), ("distance", "pml/lp"),
        ]
    ]  # fmt: skip
    (tmp_path / "c.toml").write_text("\n".join(parts))
    config = load_config(tmp_path / "c.toml")
    assert config.data.options["root"] == (tmp_path / "PATH").resolve()
    assert config.loss.options["loss"]["name"].startswith("pml/")
    assert config.optimizer.options["betas"] == (0.9, 0.999)


def test_a_required_option_is_no_comment_and_says_its_type() -> None:
    assert 'root = "PATH"  # required: Path\n' in snippet(registry_of("reader").get("folder"), "folder")
    hierarchical = snippet(SAMPLERS.get("pml/hierarchical"), "pml/hierarchical")
    assert "\nsamples_per_class = 1  # required: int ≥ 1 | 'all'\n" in hierarchical
    assert '# name = "all"' in snippet(LOSSES.get("cross-batch-memory"), "cross-batch-memory")
    assert "\n[loss.loss]  # required\nname = " in snippet(LOSSES.get("cross-batch-memory"), "cross-batch-memory")


@pytest.mark.parametrize(
    ("registry", "name", "summary"),
    [
        (LOSSES, "pml/contrastive", "ContrastiveLoss: Pulls positive pairs together and pushes negative pairs beyond a "
                                    "margin."),
        (LOSSES, "pml/triplet-margin", "TripletMarginLoss: The triplet loss: the negative must be farther than the "
                                       "positive by a margin."),
        (OPTIMIZERS, "torch/adam", "Adam: Steps by running means of gradients and of their squares."),
        (AUGMENTATIONS, "torchvision/random-rotation", "RandomRotation: Rotate the input by angle."),
        (AUGMENTATIONS, "torchvision/random-photometric-distort",
         "RandomPhotometricDistort: Randomly distorts the image or video as used in SSD: Single Shot MultiBox Detector "
         "(https://arxiv.org/abs/1512.02325)."),
    ],
)  # fmt: skip
def test_a_member_s_summary_is_its_class_and_what_that_does(registry: Registry, name: str, summary: str) -> None:
    assert summary_of_member(registry.get(name)) == summary


@pytest.mark.medium
@pytest.mark.parametrize("columns", [80, 120])
def test_own_components_fit_the_terminal(columns: int) -> None:
    for registry in REGISTRIES:
        assert max(map(len, printed("list", registry.plural, columns=columns).splitlines())) <= columns
    triplet = printed("show", "loss", "triplet", columns=columns).splitlines()
    assert max(map(len, triplet)) <= columns


def test_origins_are_listed_where_there_is_room() -> None:
    assert "siamesekit.components.losses.triplet" not in printed("list", "losses", columns=80)
    assert "siamesekit.components.losses.triplet" in printed("list", "losses", columns=120)


def test_names_of_all_kinds_are_in_line() -> None:
    lines = printed("list", columns=100).splitlines()
    starts = {re.match(r" \S+ +", line).end() for line in lines if re.match(r" [a-z][\w/*-]* {2,}\S", line)}
    assert len(starts) == 1


DOC = """A first line that is too long for a narrow terminal, and goes on.

A paragraph of several
lines, one of which is too long for it.

```toml
steps = [{ name = "crop" }, { name = "flip" }]
```

Args:
    one: a first argument that is too long for it,
        with a second line.
    two: short.
"""


def test_a_docstring_that_fits_stays_and_another_is_broken_anew() -> None:
    assert reflowed(DOC, 80) == DOC
    assert reflowed(DOC, 40).splitlines() == [
        "A first line that is too long for a",
        "narrow terminal, and goes on.",
        "",
        "A paragraph of several lines, one of",
        "which is too long for it.",
        "",
        "```toml",
        'steps = [{ name = "crop" }, { name = "flip" }]',
        "```",
        "",
        "Args:",
        "    one: a first argument that is too",
        "        long for it, with a second line.",
        "    two: short.",
    ]


@pytest.mark.parametrize("component", CONCRETE)
def test_breaking_a_docstring_anew_loses_no_word(component: Component) -> None:
    assert reflowed(component.doc, 60).split() == component.doc.split()


@pytest.mark.parametrize("name", ["torchvision/elastic-transform", "torchvision/aug-mix"])
def test_a_terminal_shows_no_marks_of_restructuredtext(name: str) -> None:
    shown = printed("show", "augmentation", name, columns=100)
    assert not re.search(r":\w+:`|``|`_|\.\. \w+::", shown)
    assert "`torch.Tensor`" in shown or "`torch.uint8`" in shown
    assert not re.search(r":class:|``|`_", call("show", "augmentation", name, "--json").stdout)


def test_a_family_of_models_stays_a_list_of_names() -> None:
    models = [f"timm/{name}" for name in ENCODERS.family("timm").members()]
    assert printed("list", "encoders", "timm").splitlines() == models
    assert document("list", "encoders", "timm") == models
