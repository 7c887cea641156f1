"""The defaults that are read from pytorch-metric-learning's sources are those that its live objects have."""

from __future__ import annotations

from typing import Any

import pytest

from siamesekit.config.schema import concrete
from siamesekit.registry import REGISTRIES, Component, registry_of
from siamesekit.registry.adapted.pml import members
from siamesekit.registry.adapted.pml_defaults import default_of
from siamesekit.registry.signatures import Parameter

NESTED = [
    pytest.param(component, option, id=f"{component.kind}-{component.name}-{option.name}")
    for registry in REGISTRIES
    for component in concrete(registry)
    for option in component.options
    if component.source.startswith("pytorch_metric_learning.") and option.nested is not None
    if not option.required
]


def look(part: Any) -> dict[str, Any]:
    """A module's class and its plain settings."""
    settings = {key: value for key, value in vars(part).items() if isinstance(value, bool | int | float | str)}
    return {"class": type(part).__name__, **settings}


def built(component: Component, options: dict[str, Any]) -> Any:
    """The component's object of pytorch-metric-learning."""
    table = {"name": "pml/contrastive"}
    needed = {
        option.name: ([table] if option.many else table) if option.nested is not None else 2
        for option in component.options
        if option.required
    }
    given = {**needed, **options}
    made = registry_of(component.kind).build(
        component.name, given, **{p.name: 4 for p in component.runtime if p.name in ("embedding_dim", "num_classes")}
    )
    return getattr(made, "module", made)


@pytest.mark.medium
@pytest.mark.parametrize(("component", "option"), NESTED)
def test_a_default_that_is_said_is_the_one_that_is_taken(component: Component, option: Parameter) -> None:
    said = default_of(component.source, option.name)
    live = getattr(built(component, {}), option.name, None)
    if said is None:
        assert option.name not in ("distance", "reducer") or component.kind == "reducer", "it could be known"
        assert live is None or component.kind == "reducer"
        return
    written = built(component, {option.name: {"name": said.name, **said.options}})
    assert look(live) == look(getattr(written, option.name))


def test_known_defaults() -> None:
    """By hand from the sources: an own method, one with an option, and the base's."""
    losses = {name: member.source for name, member in members("losses").items()}
    distance = {name: default_of(losses[name], "distance") for name in ("multi-similarity", "nca", "triplet-margin")}
    assert distance["multi-similarity"] is not None and distance["nca"] is not None
    assert (distance["multi-similarity"].name, distance["multi-similarity"].options) == ("pml/cosine-similarity", {})
    assert (distance["nca"].name, distance["nca"].options) == ("pml/lp", {"power": 2})
    assert distance["triplet-margin"] is not None and distance["triplet-margin"].name == "pml/lp"
    reducer = default_of(losses["triplet-margin"], "reducer")
    assert reducer is not None and reducer.name == "pml/avg-non-zero"


@pytest.mark.parametrize(
    ("source", "option"),
    [
        ("torch.optim.Adam", "distance"),
        ("pytorch_metric_learning.losses.TripletMarginLoss", "embedding_regularizer"),
        ("pytorch_metric_learning.reducers.PerAnchorReducer", "reducer"),
    ],
)
def test_what_is_not_known_is_none(source: str, option: str) -> None:
    assert default_of(source, option) is None
