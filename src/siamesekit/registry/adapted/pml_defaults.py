"""Default distances and reducers of the classes of pytorch-metric-learning.

They are read from the methods `get_default_distance` and `get_default_reducer` of a class or its bases, without import.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siamesekit.registry.adapted.class_chain import classes_of, lineage
from siamesekit.registry.adapted.pml import PACKAGE, name_of

KINDS = {"distance": "distances", "reducer": "reducers"}
"""Options whose defaults have a method, and the package of these defaults."""


@dataclass(frozen=True)
class Default:
    """A component of the family `pml/*` that is the default of another component's option.

    Attributes:
        name: name in configs, with `pml/`.
        options: options that differ from their defaults.
    """

    name: str
    options: Mapping[str, Any]


def default_of(source: str, option: str) -> Default | None:
    """The component that a class builds if an option is not set; None if there is none or it is unknown.

    Args:
        source: the class, `pytorch_metric_learning.losses.TripletMarginLoss`.
        option: the option, such as "distance".
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
    """The component that a method `return Class(option=literal)` builds; None for methods of another form."""
    match method.body:
        case [ast.Return(value=ast.Call(func=ast.Name(id=name), args=[], keywords=words))]:
            try:
                options = {str(word.arg): ast.literal_eval(word.value) for word in words}
            except ValueError:
                return None
            return Default(f"pml/{name_of(kind, name)}", options)
    return None
