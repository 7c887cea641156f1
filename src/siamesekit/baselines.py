"""What training was worth: the trained network's figures beside the untrained network's and those of plain pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FIGURES = ("triplet_accuracy", "precision_at_1", "map_at_r")
"""What is compared; more is better, 1 is perfect."""
BASELINES = {"raw_pixels": "comparing plain pixels", "untrained": "the same network before training"}
ADVICE = (
    "Try: pretrained encoder.weights, more individuals, a smaller optimizer.lr, [augmentation], and a look at the "
    "report for wrong labels."
)


@dataclass(frozen=True)
class Worth:
    """How the trained network compares.

    Attributes:
        helped: in how many comparisons of a figure with a baseline's the trained network is ahead.
        comparisons: how many there are: three figures, two baselines.
        no_better_than: the baselines that it is not ahead of in at least half of the figures that leave room.
    """

    helped: int
    comparisons: int
    no_better_than: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As it stands in evaluation.json."""
        return {**asdict(self), "no_better_than": list(self.no_better_than), "sentence": self.sentence}

    @property
    def sentence(self) -> str | None:
        """That the model is no better than a baseline, and what to try; None of a model that is better than both."""
        if not self.no_better_than:
            return None
        others = " or than ".join(BASELINES[name] for name in self.no_better_than)
        use = (
            "do not use it for answers" if "raw_pixels" in self.no_better_than else "training taught it nothing of use"
        )
        return f"This model is no better than {others}: {use}. {ADVICE}"


def worth_of_training(networks: Mapping[str, Any]) -> Worth:
    """Count where the trained network is ahead; a figure that is equal, or no number, is no help.

    Where a baseline's figure is 1 nothing could be better, so that it does not tell whether the model is.

    Args:
        networks: figures by network, as in evaluation.json; baselines that are lacking are not compared.

    >>> def figures(value): return {name: {"value": value} for name in FIGURES}
    >>> worth_of_training({"trained": figures(0.5), "untrained": figures(0.4), "raw_pixels": figures(0.6)})
    Worth(helped=3, comparisons=6, no_better_than=('raw_pixels',))
    """
    helped, comparisons, no_better = 0, 0, []
    for name in BASELINES:
        if name not in networks:
            continue
        values = [(networks["trained"][figure]["value"], networks[name][figure]["value"]) for figure in FIGURES]
        ahead = sum(ours > theirs for ours, theirs in values)
        room = sum(not theirs >= 1 for _, theirs in values)
        helped, comparisons = helped + ahead, comparisons + len(values)
        if 2 * ahead < room:
            no_better.append(name)
    return Worth(helped, comparisons, tuple(no_better))
