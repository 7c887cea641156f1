"""Registries: registration, look-up, options checked against the signature, building."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch

from siamesekit import TripletLoss
from siamesekit.errors import ComponentError
from siamesekit.options import ADistance, Count, Losses, Positive
from siamesekit.registry import DISTANCES, REGISTRIES, Member, Registry, registry_of
from siamesekit.registry.signatures import Parameter


class Made(NamedTuple):
    """What the component `sample` makes."""

    margin: float
    mode: str
    layers: tuple[int, ...]
    root: Path
    distance: object


def sample(
    root: Path,
    margin: Positive = 1.0,
    mode: Literal["sum", "mean"] = "sum",
    layers: tuple[Count, ...] = (8,),
    *,
    distance: object,
) -> Made:
    """A component."""
    return Made(margin, mode, layers, root, distance)


def apart(a: Any, b: Any) -> Any:
    """A distance."""
    return a - b


def member(*, model: str, distance: object = None) -> str:
    """A family's member."""
    return model


def member_names() -> list[str]:
    return ["resnet18", "resnet34"]


def composed(parts: Losses, measure: ADistance | None = None, weight: Positive = 1.0, *, distance: object) -> Any:
    """A component made of others."""
    return parts, measure, weight, distance


def plain(weight: Positive = 1.0) -> float:
    """A component that takes no runtime value."""
    return weight


def holding(thing: Any = None, several: list[Any] | None = None) -> Any:
    """A component that takes anything."""
    return thing, several


def adapted(*, model: str, options: dict[str, Any], distance: object = None) -> Any:
    """A member of a family whose members have options of their own."""
    return model, options, distance


def adapted_members() -> dict[str, Member]:
    first = (Parameter("p", Positive, "float > 0", 2.0), Parameter("measure", ADistance | None, "", None))
    return {"one": Member(first, "The first.", "package.One"), "two": Member((), "The second.", "package.Two")}


@pytest.fixture
def losses() -> Registry:
    """A registry of its own: the shipped losses, `sample`, `composed`, and the families `many/*` and `own/*`."""
    package, adapters = "siamesekit.components.losses", "siamesekit.components.adapted.pml"
    registry = Registry(
        "loss", "losses", "what", package, "LOSSES", frozenset({"distance", "class_counts"}), adapters=adapters
    )
    registry.register("sample")(sample)
    registry.register("composed")(composed)
    registry.register("many/*", names=f"{__name__}:member_names")(member)
    registry.register("own/*", members=f"{__name__}:adapted_members")(adapted)
    return registry


def check_one(losses: Registry, option: str, value: Any) -> str:
    """The one problem of one option."""
    _, problems = losses.check("sample", {"root": "x", option: value})
    [(place, what)] = problems
    assert place == option
    return what


def test_registered_and_shipped_components_are_listed_sorted(losses: Registry) -> None:
    names = losses.names()
    assert names == sorted(names)
    assert {"composed", "many/*", "own/*", "sample", "triplet"} <= set(names)
    assert len(names) == len(registry_of("loss").names()) + 4
    assert [component.name for component in losses.components()] == losses.names()


def test_a_component_knows_its_signature_and_origin(losses: Registry) -> None:
    component = losses.get("sample")
    assert [option.name for option in component.options] == ["root", "margin", "mode", "layers"]
    assert [parameter.name for parameter in component.runtime] == ["distance"]
    assert component.signature().startswith("root: Path, margin: Positive = 1.0, mode: Literal[")
    assert (component.summary, component.origin) == ("A component.", __file__)


@pytest.mark.parametrize("name", ["Triplet", "my_loss", "", "-a", "a-", "a--b", "a b", "a/b/c", "/a", "a/", "ä"])
def test_names_that_are_not_kebab_case_are_refused(losses: Registry, name: str) -> None:
    with pytest.raises(ComponentError, match="is not kebab-case"):
        losses.register(name)(sample)
    assert name not in losses.names()


def test_a_taken_name_is_refused_and_its_owner_named(losses: Registry) -> None:
    with pytest.raises(ComponentError) as shipped:
        losses.register("triplet")(sample)
    assert str(shipped.value) == (
        f"loss 'triplet' of {__file__} is already registered by siamesekit.components.losses.triplet: "
        "choose another name"
    )
    with pytest.raises(ComponentError, match=f"already registered by {__file__}"):
        losses.register("sample")(member)
    assert losses.build("sample", {"root": "x"}, distance=apart) == Made(1.0, "sum", (8,), Path("x"), apart)


def test_the_same_callable_may_be_registered_again(losses: Registry) -> None:
    """As happens when its module is loaded anew; the new one counts."""

    def again(y: int = 5) -> int:
        return y

    again.__qualname__ = sample.__qualname__
    losses.register("sample")(again)
    assert losses.build("sample") == 5


def test_variadic_options_are_refused(losses: Registry) -> None:
    def stars(**options: int) -> None: ...

    def star(*options: int) -> None: ...

    for factory in (star, stars):
        with pytest.raises(ComponentError, match="variadic parameter 'options': name every option"):
            losses.register("open")(factory)
    assert "open" not in losses.names()


def test_an_option_of_unknown_type_is_refused(losses: Registry) -> None:
    def typo(x: Flaot = 1.0, *, distance: Tensor) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def loose(x: Any, y=None, *, distance: Tensor) -> None: ...  # type: ignore # noqa: F821

    with pytest.raises(ComponentError, match="the type Flaot of option 'x' is not known"):
        losses.register("typo")(typo)
    losses.register("loose")(loose)
    assert losses.check("loose", {"x": "anything"}) == ({"x": "anything", "y": None}, [])


def test_an_option_called_name_is_refused(losses: Registry) -> None:
    """It would stand in for the component's own in a nested table."""

    def named(name: str = "x", *, distance: object = None) -> None: ...

    with pytest.raises(
        ComponentError, match="has an option 'name', a key that configs use for the component: rename it"
    ):
        losses.register("named")(named)
    assert "named" not in losses.names()


def test_what_a_session_defines_anew_takes_the_place_of_what_was_there() -> None:
    """In a notebook or at a prompt, where code has no file."""
    cells = [
        "from siamesekit.registry import LOSSES",
        "@LOSSES.register('mine')\nclass Mine:\n    def __init__(self, a: int = 1) -> None: self.a = a",
        "@LOSSES.register('mine')\nclass Mine:\n    def __init__(self, a: int = 2) -> None: self.a = a",
        "print(LOSSES.build('mine').a, LOSSES.get('mine').origin)",
    ]
    session = "namespace = {'__name__': '__main__'}\n" + "".join(
        f"exec(compile({cell!r}, '/tmp/cell-{number}.py', 'exec'), namespace)\n" for number, cell in enumerate(cells)
    )
    done = subprocess.run([sys.executable, "-c", session], capture_output=True, text=True, check=True)
    assert done.stdout == "2 __main__\n"


def test_a_family_without_names_is_refused(losses: Registry) -> None:
    with pytest.raises(ComponentError, match=r"family 'few/\*' of .* needs names="):
        losses.register("few/*")(member)


def test_an_unknown_name_gets_suggestions_and_choices(losses: Registry) -> None:
    with pytest.raises(ComponentError) as error:
        losses.get("triplett")
    assert str(error.value).startswith("unknown loss 'triplett' (did you mean 'triplet'")
    assert str(error.value).endswith(f"?); choices: {', '.join(losses.names())}")


def test_a_family_stands_for_its_members(losses: Registry) -> None:
    assert losses.get("many/resnet18").name == "many/*"
    assert losses.get("many/resnet18.some_tag").name == "many/*"
    assert losses.build("many/resnet34") == "resnet34"
    assert losses.family("many").members() == ["resnet18", "resnet34"]
    assert losses.get("sample").members() == []


def test_a_family_s_members_may_have_options_of_their_own(losses: Registry) -> None:
    one = losses.get("own/one")
    assert (one.name, one.family, one.origin, one.doc, one.source) == (
        "own/one",
        "own/*",
        __file__,
        "The first.",
        "package.One",
    )
    assert [option.name for option in one.options] == ["p", "measure"]
    assert not one.is_family
    assert losses.get("own/two").options == ()
    assert losses.family("own").members() == ["one", "two"]
    assert losses.check("own/one", {"p": 3}) == ({"p": 3.0, "measure": None}, [])
    [(place, what)] = losses.check("own/one", {"pp": 3})[1]
    assert (place, what) == ("pp", "unknown option of loss 'own/one' (did you mean 'p'?); choices: p, measure")


def test_a_member_is_built_by_its_family_from_name_and_options(losses: Registry) -> None:
    assert losses.build("own/two", {}, distance=apart) == ("two", {}, apart)
    model, options, distance = losses.build("own/one", {"p": 5, "measure": {"name": "euclidean"}})
    assert (model, options["p"], distance) == ("one", 5.0, None)
    assert type(options["measure"]).__name__ == "Euclidean"
    with pytest.raises(ComponentError, match=r"loss 'own/one' cannot be built:\n  p: must be greater than 0, not 0"):
        losses.build("own/one", {"p": 0})


def test_a_member_that_is_not_understood_takes_no_other_down(losses: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Member((), "", "package.Bad", problem="package.Bad cannot be used: the type of 'x' is not known")
    members = adapted_members() | {"bad": bad}
    monkeypatch.setattr(f"{__name__}.adapted_members", lambda: members)
    assert losses.family("own").members() == ["one", "two"]
    assert losses.build("own/two", {}, distance=apart) == ("two", {}, apart)
    with pytest.raises(ComponentError, match=r"unknown loss 'own/bad': package.Bad cannot be used: the type of 'x'"):
        losses.get("own/bad")
    with pytest.raises(ComponentError, match=r"own has no 'tow' \(did you mean 'two'"):
        losses.get("own/tow")


@pytest.mark.parametrize("name", ["own/three", "own/*", "own/", "own/one.tag"])
def test_a_family_of_members_refuses_what_it_has_not(losses: Registry, name: str) -> None:
    with pytest.raises(ComponentError, match=r"own has no .*; 2 choices: siamesekit list losses own$"):
        losses.get(name)


def test_a_member_s_bare_name_is_told_with_its_family(losses: Registry) -> None:
    with pytest.raises(ComponentError, match=r"unknown loss 'resnet34' \(did you mean 'many/resnet34'\?\)"):
        losses.get("resnet34")


@pytest.mark.parametrize("name", ["many/resnet19", "many/*", "many/"])
def test_a_family_refuses_a_model_that_it_has_not(losses: Registry, name: str) -> None:
    with pytest.raises(ComponentError, match=r"2 choices: siamesekit list losses many$"):
        losses.get(name)


def test_an_unknown_family_gets_choices(losses: Registry) -> None:
    with pytest.raises(ComponentError, match=r"losses have no family 'timm'; families: (\w+, )*many\b"):
        losses.family("timm")


def test_check_fills_in_defaults_and_converts_what_toml_cannot_say(losses: Registry) -> None:
    options, problems = losses.check("sample", {"root": "a/b", "layers": [3, 4], "margin": 2})
    assert problems == []
    assert options == {"root": Path("a/b"), "margin": 2.0, "mode": "sum", "layers": (3, 4)}


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("root", 3, "must be a string, not 3"),
        ("margin", "1", 'must be a number, not "1"'),
        ("margin", True, "must be a number, not true"),
        ("margin", 0, "must be greater than 0, not 0"),
        ("margin", float("nan"), "must be a finite number, not NaN"),
        ("margin", float("inf"), "must be a finite number, not Infinity"),
        ("mode", "max", "must be 'sum' or 'mean', not \"max\""),
        ("layers", 3, "must be a list, not 3"),
        ("layers", [3, 1.5], "item 1 must be a whole number, not 1.5"),
        ("layers", [0], "item 0 must be greater than or equal to 1, not 0"),
        ("distance", "x", "'distance' is supplied by the library and cannot be set"),
    ],
)
def test_a_wrong_value_is_explained(losses: Registry, option: str, value: Any, expected: str) -> None:
    assert check_one(losses, option, value) == expected


def test_an_unknown_option_gets_suggestions_and_choices(losses: Registry) -> None:
    _, problems = losses.check("sample", {"root": "x", "margn": 1}, also=["name"])
    assert problems == [
        ("margn", "unknown option of loss 'sample' (did you mean 'margin'?); choices: name, root, margin, mode, layers")
    ]


def test_check_gives_all_problems_together(losses: Registry) -> None:
    _, problems = losses.check("sample", {"x": 1, "margin": -1, "mode": 2})
    assert sorted(place for place, _ in problems) == ["margin", "mode", "root", "x"]
    assert ("root", "is required") in problems


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\udcff", "must be valid UTF-8 text, not '\\udcff'"),
        (json.loads("[" * 300 + "]" * 300), "Invalid JSON"),
    ],
    ids=["surrogate", "deep"],
)
def test_what_json_cannot_hold_is_a_problem_and_no_crash(losses: Registry, value: Any, expected: str) -> None:
    _, [(_, problem)] = losses.check("sample", {"root": value})
    assert expected in problem


def test_options_may_be_keywords_and_are_checked_as_in_a_table(losses: Registry) -> None:
    made = losses.build("sample", {"root": "a"}, mode="mean", layers=[3], distance=apart)
    assert made == Made(1.0, "mean", (3,), Path("a"), apart)
    assert losses.build("own/one", p=5, measure="euclidean")[1]["p"] == 5.0
    with pytest.raises(ComponentError) as error:
        losses.build("sample", {"margin": 2}, margin=-1, layer=[3], mode="max", distnace=apart)
    choices = "choices: root, margin, mode, layers, distance, class_counts"
    assert str(error.value).splitlines() == [
        "loss 'sample' cannot be built:",
        "  margin: is given twice, in the table and as a keyword",
        f"  layer: unknown option of loss 'sample' (did you mean 'layers'?); {choices}",
        f"  distnace: unknown option of loss 'sample' (did you mean 'distance'?); {choices}",
        "  root: is required",
        "  margin: must be greater than 0, not -1",
        "  mode: must be 'sum' or 'mean', not \"max\"",
    ]


def test_a_runtime_value_is_a_keyword_and_no_option(losses: Registry) -> None:
    with pytest.raises(ComponentError, match="'distance' is supplied by the library and cannot be set: give it as a k"):
        losses.build("sample", {"root": "x", "distance": "cosine"})


def test_a_runtime_value_of_the_kind_that_a_component_does_not_take_is_left(losses: Registry) -> None:
    losses.register("plain")(plain)
    assert losses.build("plain", weight=3, distance=apart) == 3
    with pytest.raises(ComponentError, match=r"distanc: unknown option of loss 'plain' \(did you mean 'distance'"):
        losses.build("plain", distanc=apart)


def test_a_run_offers_more_than_a_component_takes(losses: Registry) -> None:
    made = losses.build_for_run("sample", {"root": "a"}, distance=apart, seed=3, epochs=2)
    assert made == Made(1.0, "sum", (8,), Path("a"), apart)
    assert losses.build_for_run("own/one", {"p": 5}, distance=apart, seed=3)[2] is apart


def test_what_a_run_offers_does_not_take_the_place_of_an_option_of_the_same_name(losses: Registry) -> None:
    """As with `pml/…`, whose distance is an option: the run's is not handed to them."""
    pml = registry_of("loss")
    assert "distance=None" in repr(pml.build_for_run("pml/triplet-margin", {}, distance=apart))
    assert "distance=Euclidean()" in repr(pml.build("pml/triplet-margin", distance="euclidean"))


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (3, "measure: must be a distance, its name, or a table with a name, not 3"),
        (["cosine"], "measure: must be a distance, its name, or a table with a name, not ['cosine']"),
        ("cosin", "measure.name: unknown distance 'cosin' (did you mean 'cosine'?)"),
        ({"name": "cosine", "x": 1}, "measure.x: unknown option of distance 'cosine'; choices: name"),
        ({"nam": "cosine"}, "measure: must be a table with a name; choices: cosine, "),
        (Path, "measure: must be an object, not the class Path: write Path(…)"),
    ],
)
def test_a_nested_component_in_python_is_a_name_a_table_or_an_object(
    losses: Registry, measure: Any, expected: str
) -> None:
    euclidean = registry_of("distance").build("euclidean")
    triplet = registry_of("loss").build("triplet")
    for right in ("euclidean", {"name": "euclidean"}, euclidean):
        built = losses.build(
            "composed", parts=["triplet", {"name": "triplet", "margin": 2}, triplet], measure=right, distance=apart
        )
        assert [part.margin for part in built[0]] == [1.0, 2.0, 1.0]
        assert [part.distance for part in built[0][:2]] == [apart, apart]
        assert built[0][2] is triplet
        assert type(built[1]) is type(euclidean)
    with pytest.raises(ComponentError) as error:
        losses.build("composed", parts=[], measure=measure, distance=apart)
    assert expected in str(error.value)
    with pytest.raises(ComponentError, match=r"parts\.0: must be a loss, not the distance Euclidean"):
        losses.build("composed", parts=[euclidean], distance=apart)


@pytest.mark.parametrize(("value", "expected"), [
    (np.float32(0.5), 0.5), (np.int64(2), 2.0), (torch.tensor(0.25), 0.25), (np.array(3.0), 3.0),
])  # fmt: skip
def test_numbers_of_numpy_and_torch_are_numbers(losses: Registry, value: Any, expected: float) -> None:
    assert losses.build("sample", root=Path("x"), margin=value, distance=apart).margin == expected
    layers = losses.build("sample", root="x", layers=np.array([1, 2]), distance=apart).layers
    assert layers == (1, 2)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("margin", object(), "must be a number > 0, not <object object at"),
        ("layers", {1, 2}, "must be a list, each a whole number ≥ 1, not {1, 2}"),
        ("root", b"x", "must be a string, not b'x'"),
    ],
)
def test_what_no_config_can_hold_is_refused(losses: Registry, option: str, value: Any, expected: str) -> None:
    assert check_one(losses, option, value).startswith(expected)


def test_an_option_of_any_type_takes_any_object(losses: Registry) -> None:
    losses.register("open")(holding)
    thing = object()
    assert losses.build("open", thing=thing, several=[thing]) == (thing, [thing])


def test_a_distance_that_a_loss_would_drop_and_that_ranks_otherwise_is_refused() -> None:
    """`measures_by`: of embeddings of length 1 the euclidean distance ranks as the cosine does, manhattan does not."""
    registry, given = registry_of("loss"), {"embedding_dim": 4, "num_classes": 3}
    for name in ("arcface", "proxy-anchor"):
        for distance in ("cosine", "euclidean", "squared-euclidean", "dot"):
            registry.build(name, distance=distance, **given)
        with pytest.raises(ComponentError, match=rf"'{name}' measures by the cosine, but distance Manhattan\(\) ranks"):
            registry.build(name, distance="manhattan", **given)


def test_build_passes_options_and_runtime_values(losses: Registry) -> None:
    made = losses.build("sample", {"root": "a", "mode": "mean"}, distance=apart)
    assert made == Made(1.0, "mean", (8,), Path("a"), apart)


def test_nested_components_are_checked_and_keep_their_names(losses: Registry) -> None:
    given = {"parts": [{"name": "triplet", "margin": 2}, {"name": "triplet"}], "measure": {"name": "cosine"}}
    resolved, problems = losses.check("composed", given)
    assert problems == []
    assert list(resolved) == ["parts", "measure", "weight"]
    first, second = resolved["parts"]
    assert (first["name"], first["margin"], second["margin"]) == ("triplet", 2.0, 1.0)
    triplet = registry_of("loss").get("triplet")
    assert list(first) == ["name", *(option.name for option in triplet.options)]
    assert resolved["measure"] == {"name": "cosine"}
    assert losses.check("composed", resolved) == (resolved, [])
    assert losses.check("composed", {"parts": []}) == ({"parts": [], "measure": None, "weight": 1.0}, [])


@pytest.mark.parametrize(
    ("options", "place", "expected"),
    [
        ({}, "parts", "is required"),
        ({"parts": {"name": "triplet"}}, "parts", 'must be a list of tables, [[…parts]] with name = "…", not {"name"'),
        ({"parts": "triplet"}, "parts", 'must be a list of tables, [[…parts]] with name = "…", not "triplet"'),
        ({"parts": ["triplet"]}, "parts.0", "must be a table with a name; choices: "),
        ({"parts": [{"margin": 1}]}, "parts.0", "must be a table with a name; choices: "),
        ({"parts": [{"name": 3}]}, "parts.0", "must be a table with a name; choices: "),
        ({"parts": [{"name": "triplet"}, {"name": "triplt"}]}, "parts.1.name",
         "unknown loss 'triplt' (did you mean 'triplet'"),
        ({"parts": [{"name": "triplet", "margn": 1}]}, "parts.0.margn",
         "unknown option of loss 'triplet' (did you mean 'margin'?); choices: name, margin, "),
        ({"parts": [{"name": "triplet", "margin": -1}]}, "parts.0.margin",
         "must be greater than or equal to 0, not -1"),
        ({"parts": [{"name": "triplet", "distance": {"name": "cosine"}}]}, "parts.0.distance",
         "'distance' is supplied by the library and cannot be set"),
        ({"parts": [], "measure": [{"name": "cosine"}]}, "measure", 'must be a table with name = "…", not [{"name'),
        ({"parts": [], "measure": "cosine"}, "measure", "must be a table with a name; choices: cosine, "),
        ({"parts": [], "measure": {}}, "measure", "must be a table with a name; choices: "),
        ({"parts": [], "measure": {"name": "cosinus"}}, "measure.name",
         "unknown distance 'cosinus' (did you mean 'cosine'"),
        ({"parts": [], "measure": {"name": "cosine", "x": 1}}, "measure.x", "unknown option of distance 'cosine'"),
    ],
)  # fmt: skip
def test_a_wrong_nested_component_is_named_with_its_place(
    losses: Registry, options: dict[str, Any], place: str, expected: str
) -> None:
    _, problems = losses.check("composed", options)
    [(found, what)] = problems
    assert found == place
    assert what.startswith(expected)


def test_a_nested_component_s_missing_name_gets_the_choices(losses: Registry) -> None:
    _, [(_, what)] = losses.check("composed", {"parts": [], "measure": {}})
    assert what == f"must be a table with a name; choices: {', '.join(registry_of('distance').names())}"


def test_nested_problems_are_reported_with_all_others(losses: Registry) -> None:
    _, problems = losses.check(
        "composed", {"parts": [{"name": "x"}, {"name": "triplet", "margin": -1}], "weight": 0, "measure": 3, "more": 1}
    )
    assert sorted(place for place, _ in problems) == ["measure", "more", "parts.0.name", "parts.1.margin", "weight"]


def test_nested_components_are_built_with_the_same_runtime_values(losses: Registry) -> None:
    given = {"parts": [{"name": "triplet", "margin": 2}, {"name": "triplet"}], "measure": {"name": "euclidean"}}
    parts, measure, weight, distance = losses.build("composed", given, distance=apart)
    assert [(type(part).__name__, part.margin, part.distance) for part in parts] == [
        ("TripletLoss", 2.0, apart),
        ("TripletLoss", 1.0, apart),
    ]
    assert (type(measure).__name__, weight, distance) == ("Euclidean", 1.0, apart)
    assert losses.build("composed", {"parts": []}, distance=apart) == ([], None, 1.0, apart)
    with pytest.raises(ComponentError, match="loss 'sample' needs distance, which is not given"):
        losses.build("sample", {"root": "x"})


def test_build_refuses_with_all_problems(losses: Registry) -> None:
    with pytest.raises(ComponentError) as error:
        losses.build("sample", {"margin": -1})
    assert str(error.value).splitlines() == [
        "loss 'sample' cannot be built:",
        "  root: is required",
        "  margin: must be greater than 0, not -1",
    ]


def test_build_needs_the_runtime_values(losses: Registry) -> None:
    with pytest.raises(ComponentError, match="loss 'sample' needs distance, which is not given"):
        losses.build("sample", {"root": "x"})


def test_a_shipped_component_is_imported_when_it_is_built() -> None:
    built = registry_of("loss").build("triplet", {"margin": 3}, distance=apart)
    assert (type(built), built.margin, built.distance) == (TripletLoss, 3.0, apart)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.plural)
def test_a_registry_is_found_by_singular_and_plural(registry: Registry) -> None:
    assert registry_of(registry.kind) is registry
    assert registry_of(registry.plural) is registry


def test_an_unknown_kind_gets_suggestions_and_choices() -> None:
    with pytest.raises(ComponentError) as error:
        registry_of("los")
    plurals = [registry.plural for registry in REGISTRIES]
    assert str(error.value) == f"unknown kind 'los' (did you mean 'losses'?); choices: {', '.join(plurals)}"


def test_runtime_names_are_what_the_components_use() -> None:
    """No registry reserves a name that its shipped components never take, but for the losses' documented ones."""
    for registry in REGISTRIES:
        taken = {p.name for component in registry.components() for p in component.runtime} - {"model", "options"}
        assert taken <= registry.runtime
        assert not {option.name for component in registry.components() for option in component.options} & taken
    assert isinstance(registry_of("loss").get("triplet").runtime[0], Parameter)


@pytest.mark.usefixtures("no_traces")
def test_a_module_without_a_constructor_has_no_options() -> None:
    """torch.nn.Module's own takes `*args, **kwargs`, which are no options of the component."""

    class Plain(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return (a - b).abs().sum(-1)

    DISTANCES.register("plain-module")(Plain)
    assert DISTANCES.get("plain-module").options == ()
    assert isinstance(DISTANCES.build("plain-module"), Plain)
    with pytest.raises(ComponentError, match="unknown option of distance 'plain-module'"):
        DISTANCES.build("plain-module", {"p": 2})


def _unannotated(image):  # type: ignore[no-untyped-def]
    return image


def _of_tensors(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize(("function", "first"), [(_unannotated, "image"), (_of_tensors, "a")])
def test_a_function_that_does_the_work_itself_is_refused_when_it_is_registered(function: Any, first: str) -> None:
    """Its parameters would be taken for options, and a config be told that one is required."""
    with pytest.raises(
        ComponentError, match=rf"has a parameter '{first}' that no config can set\. A registered callable"
    ):
        DISTANCES.register("works-itself")(function)


@pytest.mark.parametrize(
    ("kind", "name", "given", "expected"),
    [
        ("loss", "proxy-anchor", {"embedding_dim": "8", "num_classes": 4},
         'embedding_dim: must be a whole number, not "8"'),
        ("loss", "arcface", {"embedding_dim": 8, "num_classes": 0},
         "num_classes: must be greater than or equal to 1, not 0"),
        ("loss", "pml/arcface", {"embedding_dim": 8.5, "num_classes": 4}, "embedding_dim: must be a whole number"),
        ("sampler", "p-by-k", {"labels": [0, 0, 1, 1], "seed": -1}, "seed: must be greater than or equal to 0, not -1"),
        ("sampler", "all-pairs", {"labels": [0, 0, 1, 1], "seed": 0, "batch_size": 0}, "batch_size: must be greater"),
        ("encoder", "timm/test_resnet", {"pretrained": "yes"}, 'pretrained: must be a boolean, not "yes"'),
        ("schedule", "step", {"steps_per_epoch": None}, "steps_per_epoch: must be a whole number"),
        ("schedule", "torch/step", {"step_size": 2, "steps": 4, "steps_per_epoch": 2, "lr": "x"}, "lr: must be a num"),
    ],
)  # fmt: skip
def test_a_runtime_value_that_is_a_number_is_checked(kind: str, name: str, given: Any, expected: str) -> None:
    registry = registry_of(kind)
    builds = [lambda: registry.build(name, **given)]
    builds += [] if "/" in name else [lambda: registry.factory(name)(**given)]
    for build in builds:
        with pytest.raises(ComponentError) as error:
            build()
        assert f"{kind} {name!r} cannot be built:\n  {expected}" in str(error.value)


def test_runtime_numbers_of_numpy_are_numbers() -> None:
    loss = registry_of("loss").build("proxy-anchor", embedding_dim=np.int32(3), num_classes=np.int64(2))
    assert loss.proxies.shape == (2, 3)


def test_an_object_of_an_adapted_package_is_refused_with_the_name_to_give() -> None:
    """Its distances may be similarities, its losses take their arguments otherwise; its reducers are what they are."""
    losses, package = registry_of("loss"), pytest.importorskip("pytorch_metric_learning")
    assert package
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import ContrastiveLoss
    from pytorch_metric_learning.reducers import MeanReducer

    for name in ("triplet", "pml/triplet-margin"):
        with pytest.raises(
            ComponentError, match='not CosineSimilarity of pytorch_metric_learning: give its name, "pml/'
        ):
            losses.build(name, distance=CosineSimilarity())
    with pytest.raises(ComponentError, match="must be a loss, not ContrastiveLoss of pytorch_metric_learning"):
        losses.build("cross-batch-memory", loss=ContrastiveLoss(), embedding_dim=2)
    assert isinstance(losses.build("pml/triplet-margin", reducer=MeanReducer()).module.reducer, MeanReducer)


def test_a_name_is_a_string_and_a_table_a_mapping() -> None:
    with pytest.raises(ComponentError, match="loss must be named by a string, not 3"):
        registry_of("loss").build(3)
    with pytest.raises(ComponentError, match=r"options of loss 'triplet' must be a table or keywords, not 0\.2"):
        registry_of("loss").build("triplet", 0.2)
