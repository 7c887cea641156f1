"""The components of pytorch-metric-learning by name, with full signatures.

Signatures are read from the sources. Because parameters are seldom annotated there, the tables below give their types.
A parameter that is in no table has the type of its default; the default 1 admits any number.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from siamesekit.errors import ComponentError
from siamesekit.options import (
    ADistance,
    ALoss,
    AMiner,
    AReducer,
    ARegularizer,
    Count,
    Fraction,
    Limited,
    Losses,
    Miners,
    NonNegative,
    OpenFraction,
    Positive,
)
from siamesekit.registry.adapted.class_chain import (
    COMPUTED,
    ClassParameter,
    classes_of,
    descendants,
    doc_of,
    kebab,
    lineage,
    member_of,
    option,
    package_folder,
    parameters_of,
    without,
)
from siamesekit.registry.adapted.summaries import PML, introduction
from siamesekit.registry.component import Member
from siamesekit.registry.signatures import REQUIRED, Parameter

PACKAGE = "pytorch_metric_learning"
CLASS_SUFFIXES = {
    "losses": "Loss",
    "miners": "Miner",
    "distances": "Distance",
    "reducers": "Reducer",
    "regularizers": "Regularizer",
    "samplers": "Sampler",
}
"""Suffixes of class names that names in configs omit."""
BASES = {
    "losses": ("BaseMetricLossFunction", "BaseLossWrapper", "MultipleLosses"),
    "miners": ("BaseMiner",),
    "distances": ("BaseDistance", "BatchedDistance"),
    "reducers": ("BaseReducer",),
    "regularizers": ("BaseRegularizer",),
    "samplers": ("FixedSetOfTriplets", "HierarchicalSampler", "MPerClassSampler", "TuplesToWeightsSampler"),
}
LEAVES = ("MultipleLosses", "BatchedDistance", *BASES["samplers"])
"""Bases that are components themselves."""
SPELT = {
    "ArcFaceLoss": "arcface",
    "CosFaceLoss": "cosface",
    "SphereFaceLoss": "sphereface",
    "SubCenterArcFaceLoss": "sub-center-arcface",
    "P2SGradLoss": "p2s-grad",
    "VICRegLoss": "vicreg",
    "SupConLoss": "supcon",
    "MultipleLosses": "multiple",
}
"""Names in configs that do not follow from the class's name."""
UNFIT = {
    "GenericPairLoss": "it is a base of other losses",
    "LargeMarginSoftmaxLoss": "",
    "InstanceLoss": "it takes the individual's label for a position in the batch",
    "EmbeddingsAlreadyPackagedAsTriplets": "batches are not packed as triplets: sampler all-pairs supplies its own",
    "BatchedDistance": "it passes its values to a function, not to a loss",
    "DoNothingReducer": "it reduces nothing",
    "MultipleReducers": "a loss with several terms builds its own",
    "TuplesToWeightsSampler": "it needs a PyTorch data set; sampler `mined` serves the same purpose",
}
"""Classes that are not components, and why; classes with an empty reason are components."""

DROPPED = {"collect_stats", "is_inverted", "aggregation_func"}
"""Parameters that a config cannot use: statistics are not collected, and TOML cannot express a function."""
RUNTIME = {"embedding_size", "descriptors_dim", "l", "num_classes", "labels", "batch_size"}
"""Parameters that the library supplies."""
WeightInit = Literal["normal", "uniform", "xavier-normal", "xavier-uniform", "kaiming-normal", "kaiming-uniform"]
TYPES: dict[str, Any] = {
    "distance": ADistance | None,
    "reducer": AReducer | None,
    "embedding_regularizer": ARegularizer | None,
    "weight_regularizer": ARegularizer | None,
    "miner": AMiner | None,
    "loss": ALoss,
    "losses": Losses,
    "miners": Miners | None,
    "weight_init_func": WeightInit | None,
    "weights": list[float] | None,
    "n_bins": Limited | None,
    "delta": Annotated[float, Ge(2e-6)] | None,  # a histogram has 2 / delta bins
    "low": float | None,
    "high": float | None,
    "allowed_pos_range": tuple[float, float] | None,
    "allowed_neg_range": tuple[float, float] | None,
    "triplets_per_anchor": Count | Literal["all"],
    "samples_per_class": Count | Literal["all"],
    "type_of_triplets": Literal["all", "hard", "semihard", "easy"],
    "pos_strategy": Literal["hard", "semihard", "easy", "all"],
    "neg_strategy": Literal["hard", "semihard", "easy", "all"],
    "variant": Literal["Ds", "Dq", "Iu", "Ib", "O"],
    "temperature": Positive,
    "filter_percentage": Fraction,
    "imbalance": Fraction,
    "momentum": Fraction,
    "lambdaC": NonNegative,
    "Tn": float,
    "Tp": float,
    "p": Positive,
    **dict.fromkeys(
        ("num_bins", "memory_size", "centers_per_class", "sub_centers", "pos_per_bin", "neg_per_bin", "m",
         "num_triplets", "batches_per_super_tuple", "super_classes_per_batch", "length_before_new_iter"),
        Limited,
    ),
}  # fmt: skip
TYPES_OF = {
    ("SphereFaceLoss", "margin"): Count,
    ("LargeMarginSoftmaxLoss", "margin"): Count,
    ("CircleLoss", "m"): float,
    ("RankedListLoss", "margin"): float,
    ("RankedListLoss", "alpha"): float | None,
    ("ManifoldLoss", "alpha"): OpenFraction,
    ("ClassWeightedReducer", "weights"): list[float],
    ("SparseCentersRegularizer", "centers_per_class"): Annotated[int, Ge(2), Le(1_000_000)],
    ("FixedSetOfTriplets", "num_triplets"): Annotated[int, Ge(1), Le(100_000)],  # a Python loop draws each triplet
}
DEFAULTS = {"pos_strategy": "easy", "neg_strategy": "semihard"}
"""Defaults that are not literals in the sources."""
LEFT_OUT = {
    "VICRegLoss": ("distance", "embedding_regularizer", "embedding_reg_weight"),
    "HierarchicalSampler": ("inner_label", "outer_label"),
    "ManifoldLoss": ("K",),
    "MPerClassSampler": ("length_before_new_iter",),
}
"""Parameters that the class refuses or the adapter sets."""
ADDED = {
    "MarginLoss": (ClassParameter("beta_per_class", False, "bool"),),
    "SubCenterArcFaceLoss": (
        ClassParameter("num_classes", REQUIRED, ""),
        ClassParameter("embedding_size", REQUIRED, ""),
    ),
}
"""Parameters that the adapter adds, and those that the class takes from its `**kwargs`."""


@dataclass(frozen=True)
class Facts:
    """Properties of a class that its adapter needs.

    Attributes:
        name: name of the class.
        runtime: parameters that the library supplies.
        by_class: whether the class has parameters for each training individual.
        takes_tuples: whether the class takes triplets or pairs.
        takes_labels: whether the class takes labels.
        two_views: whether the class takes two embeddings of each photo in place of labels.
    """

    name: str
    runtime: tuple[str, ...]
    by_class: bool
    takes_tuples: bool
    takes_labels: bool
    two_views: bool


def name_of(kind: str, class_name: str) -> str:
    """A class's name in a config: `MultiSimilarityLoss` → `multi-similarity`."""
    if class_name in SPELT:
        return SPELT[class_name]
    stem = class_name.removesuffix(CLASS_SUFFIXES[kind])
    return kebab(stem)


@cache
def members(kind: str) -> Mapping[str, Member]:
    """The components of a kind ("losses", …) by name; empty if the package is not installed."""
    try:
        classes = _classes(kind)
    except ComponentError:
        return {}
    return {name_of(kind, name): _member(kind, name, classes) for name in _components(kind)}


def losses() -> Mapping[str, Member]:
    """The losses by name."""
    return members("losses")


def miners() -> Mapping[str, Member]:
    """The miners by name."""
    return members("miners")


def distances() -> Mapping[str, Member]:
    """The distances by name."""
    return members("distances")


def reducers() -> Mapping[str, Member]:
    """The reducers by name."""
    return members("reducers")


def regularizers() -> Mapping[str, Member]:
    """The regularizers by name."""
    return members("regularizers")


def samplers() -> Mapping[str, Member]:
    """The samplers by name."""
    return members("samplers")


@cache
def facts(kind: str, model: str) -> Facts:
    """Properties of the class behind a name."""
    classes = _classes(kind)
    name = next(each for each in _components(kind) if name_of(kind, each) == model)
    # the source of the class and its bases, without the common base classes
    text = "\n".join(
        ast.unparse(classes[each])
        for each in lineage(name, classes)
        if each not in (*BASES[kind], "WeightRegularizerMixin")
    )
    all_parameters = [p.name for p in [*parameters_of(name, classes), *ADDED.get(name, ())]]
    runtime = tuple(p for p in all_parameters if p in RUNTIME)
    by_class = name != "MarginLoss" and ("num_classes" in runtime or name == "ManifoldLoss")
    return Facts(
        name=name,
        runtime=runtime,
        by_class=by_class,
        takes_tuples=not by_class and "indices_tuple_not_supported" not in text and name != "SelfSupervisedLoss",
        takes_labels="labels_not_supported" not in text and name != "SelfSupervisedLoss",
        two_views=name in ("VICRegLoss", "SelfSupervisedLoss"),
    )


def _classes(kind: str) -> Mapping[str, ast.ClassDef]:
    package_folder(PACKAGE)
    order = [kind, "utils", *(other for other in ("losses", "distances") if other != kind)]
    return classes_of(*(f"{PACKAGE}.{folder}" for folder in order))


@cache
def _components(kind: str) -> tuple[str, ...]:
    """The names of the classes that are components."""
    classes, own = _classes(kind), classes_of(f"{PACKAGE}.{kind}")
    found = {name for base in BASES[kind] if base in own for name in descendants(base, classes) if name in own}
    found |= {base for base in BASES[kind] if base in LEAVES and base in own}
    return tuple(sorted(name for name in found if not UNFIT.get(name)))


def _member(kind: str, name: str, classes: Mapping[str, ast.ClassDef]) -> Member:
    dropped = DROPPED | RUNTIME | set(LEFT_OUT.get(name, ()))
    parameters = without([*parameters_of(name, classes), *ADDED.get(name, ())], dropped)
    own = doc_of(name, classes)
    doc = f"{introduction(name, 'pytorch-metric-learning', PML)}\n\n{own}".strip()
    return member_of(parameters, partial(_option, name), doc, f"{PACKAGE}.{kind}.{name}")


def _option(class_name: str, parameter: ClassParameter) -> Parameter:
    default = DEFAULTS.get(parameter.name) if parameter.default is COMPUTED else parameter.default
    kind = TYPES_OF.get((class_name, parameter.name), TYPES.get(parameter.name))
    if kind is None:
        kind = _type_of(class_name, parameter, default)
    return option(parameter.name, kind, default)


def _type_of(class_name: str, parameter: ClassParameter, default: Any) -> Any:
    if parameter.annotation in ("int", "float", "bool"):
        return {"int": Count, "float": float, "bool": bool}[parameter.annotation]
    if isinstance(default, bool | str):
        return type(default)
    if isinstance(default, int | float):
        return float
    raise ComponentError(
        f"the type of {class_name}'s parameter {parameter.name!r} is not known: add it to {__name__}.TYPES"
    )
