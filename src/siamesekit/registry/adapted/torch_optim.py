"""Optimizers and learning-rate schedules of `torch.optim` by name, read from its sources without importing it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Annotated, Any, Literal

from annotated_types import Ge

from siamesekit.errors import ComponentError
from siamesekit.options import Count, Fraction, Index, NonNegative, OpenFraction, Positive
from siamesekit.registry.adapted.class_chain import (
    COMPUTED,
    ClassParameter,
    classes_of,
    descendants,
    doc_of,
    kebab,
    member_of,
    option,
    parameters_of,
    without,
)
from siamesekit.registry.adapted.summaries import TORCH, introduction
from siamesekit.registry.component import Member
from siamesekit.registry.signatures import Parameter, type_in_words

PACKAGE = "torch.optim"
UNFIT = {
    "LBFGS": "it evaluates the loss several times per step",
    "Muon": "it takes matrices only",
    "SparseAdam": "gradients are dense",
    "LambdaLR": "TOML cannot express a function",
    "MultiplicativeLR": "TOML cannot express a function",
    "ReduceLROnPlateau": "it depends on figures, and a schedule is a function of the step",
    "ChainedScheduler": "it combines schedules",
    "SequentialLR": "it combines schedules",
    "SWALR": "it belongs to another way of averaging weights: train.average",
    "_LRScheduler": "it is an old name of the base class",
}
"""Classes that are not components, and why."""
DROPPED = {
    "params", "foreach", "maximize", "capturable", "differentiable", "fused", "optimizer", "last_epoch", "verbose",
    "scale_fn", "cycle_momentum", "base_momentum", "max_momentum", "epochs", "steps_per_epoch",
}  # fmt: skip
"""Parameters that the library sets or a config cannot use."""
TYPES: dict[str, Any] = {
    "lr": Positive,
    "betas": tuple[Annotated[float, Ge(0)], Annotated[float, Ge(0)]],
    "eps": NonNegative,
    "weight_decay": NonNegative,
    "momentum": NonNegative,
    "T_max": Count | None,
    "T_0": Count,
    "T_mult": Count,
    "total_iters": Count,
    "total_steps": Count | None,
    "step_size": Count,
    "step_size_up": Count,
    "step_size_down": Count | None,
    "milestones": list[Index],
    "base_lr": Positive,
    "max_lr": Positive,
    "pct_start": OpenFraction,
    "gamma": NonNegative,
    "eta_min": NonNegative,
    "div_factor": Positive,
    "final_div_factor": Positive,
    "power": NonNegative,
    "lambd": NonNegative,
    "alpha": Fraction,
    "rho": Fraction,
    "t0": NonNegative,
    "lr_decay": NonNegative,
    "initial_accumulator_value": NonNegative,
    "d": Positive,
    "momentum_decay": NonNegative,
    # PyTorch up to 2.5 does not annotate these
    "centered": bool,
    "nesterov": bool,
    "three_phase": bool,
    "factor": float,
    "start_factor": float,
    "end_factor": float,
}
TYPES_OF = {("Adafactor", "eps"): tuple[NonNegative, NonNegative] | None}
DEFAULTS: dict[tuple[str, str], Any] = {
    ("ConstantLR", "factor"): 1 / 3,
    ("LinearLR", "start_factor"): 1 / 3,
    ("CosineAnnealingLR", "T_max"): None,
    ("Adafactor", "eps"): None,
}
"""Defaults that are not literals, or that the adapter fills in: None means the whole run, or PyTorch's default."""


@cache
def optimizers() -> Mapping[str, Member]:
    """The optimizers by name: `SGD` is `sgd`."""
    return {name.lower(): _member(name) for name in _components("Optimizer")}


@cache
def schedules() -> Mapping[str, Member]:
    """The schedules by name: `CosineAnnealingLR` is `cosine-annealing`. Option `every` is the unit of their counts."""
    unit = Literal["epoch", "step"]
    every = Parameter("every", unit, type_in_words(unit), "epoch")
    found = {}
    for name in _components("LRScheduler"):
        member = _member(name)
        found[schedule_name(name)] = replace(member, options=(*member.options, every))
    return found


def class_of(kind: str, model: str) -> str:
    """The class behind a name; `kind` is "Optimizer" or "LRScheduler"."""
    spelt = str.lower if kind == "Optimizer" else schedule_name
    return next(name for name in _components(kind) if spelt(name) == model)


def schedule_name(class_name: str) -> str:
    """`CosineAnnealingLR` → `cosine-annealing`."""
    return kebab(class_name.removesuffix("LR"))


@cache
def _classes() -> Mapping[str, ast.ClassDef]:
    return classes_of(PACKAGE)


@cache
def _components(base: str) -> tuple[str, ...]:
    return tuple(name for name in descendants(base, _classes()) if name not in UNFIT)


def _member(name: str) -> Member:
    parameters = without(parameters_of(name, _classes()), DROPPED)
    module = "lr_scheduler." if "LRScheduler" in ast.unparse(_classes()[name]).partition(":")[0] else ""
    doc = f"{introduction(name, 'PyTorch', TORCH)}\n\n{doc_of(name, _classes())}".strip()
    return member_of(parameters, partial(_option, name), doc, f"{PACKAGE}.{module}{name}")


def _option(name: str, parameter: ClassParameter) -> Parameter:
    default = DEFAULTS.get((name, parameter.name), parameter.default)
    kind = TYPES_OF.get((name, parameter.name), TYPES.get(parameter.name))
    if kind is None:
        kind = _type_of(parameter)
    if kind is None or default is COMPUTED:
        raise ComponentError(f"the type of {name}'s parameter {parameter.name!r} is not known: add it to {__name__}")
    return option(parameter.name, kind, default)


def _type_of(parameter: ClassParameter) -> Any:
    text = parameter.annotation.replace(" | Tensor", "").replace("Union[float, Tensor]", "float")
    if text.startswith("Literal["):
        choices = ast.literal_eval(f"({text.removeprefix('Literal[').removesuffix(']')},)")
        return Literal[choices]
    return {"float": float, "int": int, "bool": bool, "tuple[float, float]": tuple[float, float],
            "Tuple[float, float]": tuple[float, float], "float | list[float]": float}.get(text)  # fmt: skip
