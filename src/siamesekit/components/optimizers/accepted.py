"""Validation of a plugin's optimizer: a PyTorch optimizer of all parameters that it received."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Validate the result of a plugin's component, and return it unchanged.

    Args:
        made: the result, which must be an optimizer.
        component: the component that built it.
        runtime: runtime values; `params` is a list of parameters or of parameter groups.

    Raises:
        PluginError: the result is not an optimizer, a group has no learning rate, or parameters are missing.
    """
    if not isinstance(made, torch.optim.Optimizer):
        raise PluginError(f"{called(component)} gives {given(made)}; expected a torch.optim.Optimizer")
    if any(not isinstance(group.get("lr"), float | int | torch.Tensor) for group in made.param_groups):
        raise PluginError(
            f"{called(component)} gives a group of parameters without a learning rate; expected 'lr' in "
            "each group, which schedules change"
        )
    held = {id(parameter) for group in made.param_groups for parameter in group["params"]}
    params = runtime.get("params")
    if isinstance(params, list):
        wanted = [each for entry in params for each in (entry["params"] if isinstance(entry, Mapping) else [entry])]
        lost = sum(id(parameter) not in held for parameter in wanted)
        if lost:
            raise PluginError(
                f"{called(component)} optimizes {len(wanted) - lost} of the {len(wanted)} parameters that it "
                "received; expected all of them"
            )
    return made
