"""Validation of a plugin's tracker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamesekit.components.trackers.tracker import Epoch, Tracked, TrackedRun, Tracker
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming, refuse_without
from siamesekit.registry.nested import COMPONENT

METHODS = ("begin", "log_epoch", "log_result", "end")


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginTracker:
    """Wrap the result of a plugin's component as a tracker.

    Args:
        made: an object with the methods of `Tracker`.
        component: the component that built it.
        runtime: not used.

    Raises:
        PluginError: it lacks one of them.
    """
    refuse_without(made, component, METHODS, f"a tracker: an object with the methods {', '.join(METHODS)}")
    return PluginTracker(made, component)


class PluginTracker:
    """A plugin's tracker, with errors that name the plugin.

    Args:
        tracker: the tracker of the plugin.
        component: the component that built it.
    """

    def __init__(self, tracker: Tracker, component: Component) -> None:
        self.tracker = tracker
        self.component = component
        self.package = str(getattr(tracker, "package", ""))
        setattr(self, COMPONENT, component)  # as of a registered class, so that `several` takes it

    def __repr__(self) -> str:
        return repr(self.tracker)

    def begin(self, run: TrackedRun) -> Tracked:
        """Begin or continue a run.

        Raises:
            PluginError: the tracker fails, or gives something other than `Tracked`.
        """
        with naming(self.component):
            tracked = self.tracker.begin(run)
        if not isinstance(tracked, Tracked):
            raise PluginError(f"begin of {called(self.component)} gives {given(tracked)}; expected Tracked")
        return tracked

    def log_epoch(self, epoch: Epoch) -> None:
        """Show the figures of an epoch.

        Raises:
            PluginError: the tracker fails.
        """
        with naming(self.component):
            self.tracker.log_epoch(epoch)

    def log_result(self, figures: Mapping[str, float], report: Path) -> None:
        """Show the figures of the finished run.

        Raises:
            PluginError: the tracker fails.
        """
        with naming(self.component):
            self.tracker.log_result(figures, report)

    def end(self, complete: bool) -> None:
        """End.

        Raises:
            PluginError: the tracker fails.
        """
        with naming(self.component):
            self.tracker.end(complete)
