"""Registered classes and functions as Python uses them: checked arguments, and everything else as it was."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from siamesekit import LOSSES, SAMPLERS, ContrastiveLoss, Cosine, Registry, TripletLoss, adam
from siamesekit.errors import ComponentError
from siamesekit.options import ADistance, Count, Positive
from siamesekit.registry.construction import MADE_OF

OWN_LOSSES = Registry(
    "loss",
    "losses",
    "what",
    "siamesekit.components.losses",
    "LOSSES",
    frozenset({"distance", "num_classes", "class_counts"}),
)
OWN_DISTANCES = Registry("distance", "distances", "what", "siamesekit.components.distances", "DISTANCES", frozenset())


@OWN_LOSSES.register("stretched")
class Stretched:
    """A plugin's loss that keeps its option under another name."""

    def __init__(self, factor: Positive = 2.0, *, distance: Any) -> None:
        """Make it."""
        self.stretch = factor
        self.distance = distance


class Twice(Stretched):
    """A subclass with a constructor of its own, not registered."""

    def __init__(self, half: float) -> None:
        super().__init__(2 * half, distance="cosine")
        self.half = half


@OWN_LOSSES.register("inherited")
class Inherited(Stretched):
    """A subclass that is registered and takes what its base takes."""


@OWN_DISTANCES.register("bare")
class Bare:
    """A distance without a constructor."""

    def __call__(self, a: Any, b: Any) -> Any:
        return a - b


class Base:
    """Another base, which takes an argument."""

    def __init__(self, weight: int) -> None:
        self.weight = weight


class Both(Bare, Base):
    """What its first base does not take goes on to the second."""

    def __init__(self, weight: int) -> None:
        super().__init__(weight)


@OWN_DISTANCES.register("dataclass")
@dataclass(frozen=True)
class Power:
    """A frozen dataclass, whose `repr` is its own."""

    p: Count = 3

    def __call__(self, a: Any, b: Any) -> Any:
        return abs(a - b) ** self.p


@OWN_DISTANCES.register("slots")
class Slotted:
    """A class without a `__dict__`."""

    __slots__ = ("p",)

    def __init__(self, p: Count = 3) -> None:
        self.p = p

    def __call__(self, a: Any, b: Any) -> Any:
        return abs(a - b) ** self.p


@OWN_DISTANCES.register("named-tuple")
class Pair(NamedTuple):
    """A class that takes its arguments in `__new__`."""

    p: int = 3

    def __call__(self, a: Any, b: Any) -> Any:
        return abs(a - b) ** self.p


@OWN_DISTANCES.register("own-repr")
class Named:
    """A class with a `repr` of its own."""

    def __init__(self, p: Count = 3) -> None:
        self.p = p

    def __call__(self, a: Any, b: Any) -> Any:
        return abs(a - b) ** self.p

    def __repr__(self) -> str:
        return f"Named to the power of {self.p}"


@OWN_LOSSES.register("module")
class Module(nn.Module):
    """A module with a nested component that is a module, and a bulky option."""

    def __init__(self, inner: ADistance = None, weights: list[float] | None = None, *, num_classes: int = 2) -> None:
        super().__init__()
        self.inner = inner
        self.weights = nn.Parameter(torch.tensor(weights or [1.0]))
        self.num_classes = num_classes


@OWN_DISTANCES.register("learnt")
class Learnt(nn.Module):
    """A distance that is a module."""

    def __init__(self, scale: Positive = 1.0) -> None:
        super().__init__()
        self.scale = scale


@OWN_LOSSES.register("function")
def made(factor: Positive = 2.0, *, distance: Any = "cosine") -> tuple[float, Any]:
    """A function that gives what it takes."""
    return factor, distance


def test_a_class_is_the_same_class_with_its_signature_types_and_docstrings() -> None:
    assert list(inspect.signature(Stretched).parameters) == ["factor", "distance"]
    assert inspect.signature(Stretched).parameters["factor"].default == 2.0
    assert typing.get_type_hints(Stretched.__init__)["factor"] is float
    assert (inspect.getdoc(Stretched.__init__), Stretched.__init__.__qualname__) == ("Make it.", "Stretched.__init__")
    assert inspect.getsourcefile(Stretched) == __file__
    assert OWN_LOSSES.factory("stretched") is Stretched
    assert list(inspect.signature(Bare).parameters) == []
    assert list(inspect.signature(Pair).parameters) == ["p"]


def test_a_function_keeps_name_signature_and_docstring_and_is_pickled_by_its_name() -> None:
    assert (made.__name__, inspect.getdoc(made)) == ("made", "A function that gives what it takes.")
    assert list(inspect.signature(made).parameters) == ["factor", "distance"]
    assert pickle.loads(pickle.dumps(made)) is made
    assert made(3, distance="cosine")[0] == 3.0
    assert isinstance(made(distance="cosine")[1], Cosine)
    with pytest.raises(ComponentError, match="factor: must be greater than 0, not -1"):
        made(-1)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: Stretched(-1, distance="cosine"), "factor: must be greater than 0, not -1"),
        (lambda: Stretched("2", distance="cosine"), 'factor: must be a number, not "2"'),
        (
            lambda: Stretched(facto=1, distance="cosine"),
            r"facto: unknown option of .* \(did you mean 'factor'\?\); ",
        ),
        (lambda: Stretched(1, 2, distance="cosine"), "too many positional arguments; its arguments: factor, distance"),
        (lambda: Stretched(1, factor=1), "multiple values for argument 'factor'"),
        (lambda: Stretched(), "loss 'stretched' needs distance, which is not given"),
        (lambda: Stretched(distance=None), "distance must be a distance, its name, or a table with a name, not None"),
        (lambda: Stretched(distance="cosin"), "unknown distance 'cosin'"),
        (lambda: Inherited(factor=0, distance="cosine"), "loss 'inherited' cannot be built"),
        (lambda: Bare(3), "distance 'bare' cannot be built: too many positional arguments"),
        (lambda: Bare(p=3), "p: unknown option of distance 'bare'; choices: none"),
        (lambda: Power(0), "p: must be greater than or equal to 1, not 0"),
        (lambda: Slotted(0), "p: must be greater than or equal to 1, not 0"),
        (lambda: Twice(-1), "factor: must be greater than 0, not -2"),
        (lambda: adam(lr=-1, params=[]), "lr: must be greater than 0, not -1"),
        (lambda: adam(lr=1), "optimizer 'adam' needs params, which is not given"),
        (lambda: TripletLoss(mining="hrad"), "mining: must be 'all', 'hard' or 'semi-hard', not \"hrad\""),
        (lambda: OWN_DISTANCES.build("named-tuple", p="x"), "p: must be a whole number, not"),
    ],
)
def test_wrong_arguments_are_refused_when_the_object_is_made(call: Any, expected: str) -> None:
    with pytest.raises(ComponentError, match=expected):
        call()


def test_subclasses_hand_on_their_arguments() -> None:
    assert (Twice(1.5).stretch, Twice(1.5).half) == (3.0, 1.5)
    assert Both(7).weight == 7
    assert Inherited(5, distance="cosine").stretch == 5.0


def test_copies_and_pickles_are_equal() -> None:
    for thing in (Stretched(3, distance="cosine"), Twice(1), Power(2), Slotted(4), TripletLoss(0.3), Pair(5)):
        for again in (copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
            assert type(again) is type(thing)
            if not isinstance(thing, Slotted):
                assert repr(again) == repr(thing)
    assert pickle.loads(pickle.dumps(Slotted(4))).p == 4


def test_what_an_object_shows_is_what_it_was_made_of_as_it_is_now() -> None:
    assert repr(Stretched(3, distance="cosine")) == "Stretched(factor=3.0, distance=Cosine())"
    assert repr(Stretched(distance=TripletLoss.__call__)).startswith("Stretched(factor=2.0, distance=<function Trip")
    assert repr(Twice(1)) == "Twice(factor=2.0, distance=Cosine())"
    assert repr(Power(2)) == "Power(p=2)"
    assert repr(Named(2)) == "Named to the power of 2"
    assert repr(Slotted(4)) == "Slotted()"
    assert repr(Bare()) == "Bare()"
    loss = TripletLoss(0.2, distance="cosine")
    loss.margin = 0.7
    assert repr(loss).startswith(
        "TripletLoss(margin=0.7, reduction='mean', mining='all', hinge='linear', swap=False, d"
    )


def test_a_module_shows_its_options_and_pytorch_its_parts() -> None:
    module = Module(inner=Learnt(2.0), weights=[0.5] * 100)
    assert repr(module).splitlines() == [
        "Module(",
        "  weights=<float32 [100]>, num_classes=2",
        "  (inner): Learnt(scale=2.0)",
        ")",
    ]
    assert repr(Module("cosine")) == "Module(inner=Cosine(), weights=<float32 [1]>, num_classes=2)"
    assert list(module.state_dict()) == ["weights"]


def test_bulky_values_are_told_by_type_and_shape() -> None:
    labels = np.arange(1000) // 10
    sampler = SAMPLERS.build("p-by-k", individuals=4, labels=labels, seed=0)
    assert repr(sampler) == "PByKSampler(individuals=4, photos=4, labels=<int64 [1000]>, seed=0)"
    assert not any(value is labels for value in vars(sampler)[MADE_OF].arguments.values())


def test_an_adapter_shows_its_name_and_options() -> None:
    loss = LOSSES.build("pml/triplet-margin", margin=0.3, distance="cosine")
    assert repr(loss).startswith("pml/triplet-margin(margin=0.3, swap=False, smooth_loss=False, ")
    assert repr(loss).endswith("distance=Cosine())")
    assert repr(copy.deepcopy(loss)) == repr(loss)


def test_a_name_and_a_table_stand_for_a_component_inside_another() -> None:
    memory = LOSSES.build(
        "cross-batch-memory", loss="contrastive", miner="batch-hard", distance="cosine", embedding_dim=2
    )
    assert isinstance(memory.loss, ContrastiveLoss)
    assert (type(memory.loss.distance), type(memory.miner.distance)) == (Cosine, Cosine)
