"""What a plugin's optimizer is, checked: one of PyTorch's kind that moves the parameters it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from siamesekit.component_faults import called, given
from siamesekit.components import Component
from siamesekit.errors import PluginError


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> torch.optim.Optimizer:
    """What a plugin's component gave, unchanged.

    Args:
        made: an optimizer.
        component: which gave it.
        runtime: `params`, a list of parameters or of groups of them.

    Raises:
        PluginError: it is none, a group of its has no learning rate, or it lacks parameters that it was given.
    """
    if not isinstance(made, torch.optim.Optimizer):
        raise PluginError(f"{called(component)} gives {given(made)}; expected a torch.optim.Optimizer")
    if any(not isinstance(group.get("lr"), float | int | torch.Tensor) for group in made.param_groups):
        raise PluginError(f"{called(component)} gives a group of parameters without a learning rate; expected 'lr' in "
                          "each, which schedules change")  # fmt: skip
    held = {id(parameter) for group in made.param_groups for parameter in group["params"]}
    params = runtime.get("params")
    if isinstance(params, list):
        wanted = [each for entry in params for each in (entry["params"] if isinstance(entry, Mapping) else [entry])]
        lost = sum(id(parameter) not in held for parameter in wanted)
        if lost:
            raise PluginError(f"{called(component)} moves {len(wanted) - lost} of the {len(wanted)} parameters that it "
                              "was given; expected all of them")  # fmt: skip
    return made
