"""The running average of the weights, of which other processes hold some centres of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from siamesekit.engine.ranks.leading_centers import LeadingCenters
from siamesekit.engine.weight_average import WeightAverage


class DealtAverage:
    """An average of weights, of which each process averages those that it holds; its state is that of one process.

    Args:
        own: average of the encoder, and at last of the leader's own centres.
        centers: the connection to the centres of the other processes.
    """

    def __init__(self, own: WeightAverage, centers: LeadingCenters) -> None:
        self.own = own
        self._centers = centers

    def update(self) -> None:
        """Add the current weights to the average."""
        self._centers.order("average", how="update")
        self.own.update()
        self._centers.ranks.reports()

    def apply(self) -> None:
        """Replace the weights by the average, for good."""
        self._centers.ordered("average", how="apply")
        self.own.apply()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the weights by the average for the block, then restore them; an error in the block ends the run."""
        with self.own.applied():
            self._centers.ordered("average", how="begin")
            yield
            self._centers.ordered("average", how="end")

    def state_dict(self) -> dict[str, Any]:
        """The average in one process, and the number of updates."""
        state = self.own.state_dict()
        *others, own = state["average"]
        return {**state, "average": [*others, self._centers.gathered({"average": own})["average"]]}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state in one process."""
        *others, whole = state["average"]
        own = self._centers.dealt({"average": whole}, updates=int(state["updates"]))["average"]
        self.own.load_state_dict({**state, "average": [*others, own]})
