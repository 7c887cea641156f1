"""Validation of a plugin's schedule: each factor is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from siamesekit.components.schedules.schedule import Schedule
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginSchedule:
    """Wrap the result of a plugin's component as a schedule.

    Args:
        made: the result, which must be a callable of a step.
        component: the component that built it.
        runtime: not used.

    Raises:
        PluginError: the result is not callable.
    """
    if isinstance(made, type) or not callable(made):
        raise PluginError(
            f"{called(component)} gives {given(made)}; expected a schedule: a callable of the step that "
            "gives the learning rate's factor"
        )
    return PluginSchedule(made, component)


class PluginSchedule:
    """A plugin's schedule: step → factor, finite and at least 0.

    Args:
        schedule: the schedule of the plugin.
        component: the component that built it.
    """

    def __init__(self, schedule: Schedule, component: Component) -> None:
        self.schedule = schedule
        self.component = component

    def __repr__(self) -> str:
        return repr(self.schedule)

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0.

        Raises:
            PluginError: the plugin fails, or its factor is invalid.
        """
        with naming(self.component, "__call__"):
            factor = self.schedule(step)
        try:
            number = math.nan if isinstance(factor, bool | str) else float(factor)  # also of NumPy or torch
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or number < 0:
            raise PluginError(
                f"{called(self.component)} gives {given(factor)} at step {step}; expected a finite "
                "number, at least 0: the factor of the learning rate"
            )
        return number
