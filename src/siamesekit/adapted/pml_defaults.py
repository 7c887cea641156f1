"""What a class of pytorch-metric-learning takes where a component in it is not set: its distance, its reducer.

Read from its method `get_default_distance` or `get_default_reducer`, or its bases'; nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siamesekit.adapted.class_chain import classes_of, lineage
from siamesekit.adapted.pml import PACKAGE, name_of

KINDS = {"distance": "distances", "reducer": "reducers"}
"""The options whose defaults have a method, and the packages that those come from."""


@dataclass(frozen=True)
class Default:
    """A component of the family `pml/*` by which another one is complete.

    Attributes:
        name: as a config names it, with `pml/`.
        options: those that are not at their own defaults.
    """

    name: str
    options: Mapping[str, Any]


def default_of(source: str, option: str) -> Default | None:
    """The component that a class makes for itself where an option is not set; None where it makes or tells none.

    Args:
        source: the class, `pytorch_metric_learning.losses.TripletMarginLoss`.
        option: its option, "distance" say.
    """
    package, _, name = source.rpartition(".")
    if option not in KINDS or not package.startswith(f"{PACKAGE}."):
        return None
    classes = classes_of(package, f"{PACKAGE}.utils", f"{PACKAGE}.losses")
    for ancestor in lineage(name, classes):
        for node in classes[ancestor].body:
            if isinstance(node, ast.FunctionDef) and node.name == f"get_default_{option}":
                return _made(node, KINDS[option])
    return None


def _made(method: ast.FunctionDef, kind: str) -> Default | None:
    """What a method of the one line `return Class(option=literal)` makes; of any other form it is not known."""
    match method.body:
        case [ast.Return(value=ast.Call(func=ast.Name(id=name), args=[], keywords=words))]:
            try:
                options = {str(word.arg): ast.literal_eval(word.value) for word in words}
            except ValueError:
                return None
            return Default(f"pml/{name_of(kind, name)}", options)
    return None
