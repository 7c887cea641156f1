"""A plugin's schedule as the library uses it: each factor is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from siamesekit.component_faults import called, given, naming
from siamesekit.components import Component
from siamesekit.errors import PluginError
from siamesekit.schedules.schedule import Schedule


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginSchedule:
    """What a plugin's component gave, as a schedule.

    Args:
        made: a callable of a step.
        component: which gave it.
        runtime: not used.

    Raises:
        PluginError: it is none.
    """
    if isinstance(made, type) or not callable(made):
        raise PluginError(f"{called(component)} gives {given(made)}; expected a schedule: a callable of the step that "
                          "gives the learning rate's factor")  # fmt: skip
    return PluginSchedule(made, component)


class PluginSchedule:
    """A plugin's schedule: step → factor, finite and at least 0.

    Args:
        schedule: the plugin's own.
        component: which gave it.
    """

    def __init__(self, schedule: Schedule, component: Component) -> None:
        self.schedule = schedule
        self.component = component

    def __repr__(self) -> str:
        return repr(self.schedule)

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0.

        Raises:
            PluginError: the plugin fails, or gives no such number.
        """
        with naming(self.component, "__call__"):
            factor = self.schedule(step)
        try:
            number = math.nan if isinstance(factor, bool | str) else float(factor)  # of NumPy or torch too
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or number < 0:
            raise PluginError(f"{called(self.component)} gives {given(factor)} at step {step}; expected a finite "
                              "number, at least 0: what the learning rate is multiplied by")  # fmt: skip
        return number
