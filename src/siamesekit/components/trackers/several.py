"""Tracker `several`."""

from __future__ import annotations

from siamesekit.components.trackers.tracker import Tracker
from siamesekit.errors import ComponentError
from siamesekit.options import Trackers
from siamesekit.registry import TRACKERS


@TRACKERS.register("several")
class SeveralTrackers:
    """Several trackers of one run. If one of them fails, the others go on.

    In a config, `[[track.trackers]]` alone names them:

    ```toml
    [[track.trackers]]
    name = "tensorboard"

    [[track.trackers]]
    name = "mlflow"
    uri = "http://localhost:5000"
    ```

    Args:
        trackers: the trackers, one table each.

    Raises:
        ComponentError: there is no tracker.
    """

    __module__ = "siamesekit"

    def __init__(self, trackers: Trackers) -> None:
        if not trackers:
            raise ComponentError("tracker 'several' needs at least one tracker: [[track.trackers]] with a name")
        self.trackers: list[Tracker] = trackers
