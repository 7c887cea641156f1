"""Effect of training: the figures of the trained network, compared with the untrained network and plain pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FIGURES = ("triplet_accuracy", "precision_at_1", "map_at_r")
"""Figures that are compared, if there are triplets; larger is better, 1 is perfect."""
BASELINES = {"raw_pixels": "comparing plain pixels", "untrained": "the same network before training"}
ADVICE = (
    "Try: pretrained encoder.weights, more individuals, a smaller optimizer.lr or [augmentation]; and look for wrong "
    "labels in the report."
)


@dataclass(frozen=True)
class Worth:
    """Comparison of the trained network with the baselines.

    Attributes:
        helped: number of comparisons in which the trained network is better than a baseline.
        comparisons: number of comparisons: three figures (two without triplets), two baselines.
        no_better_than: baselines that the trained network beats in fewer than half of the figures below 1.
    """

    helped: int
    comparisons: int
    no_better_than: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Entry of evaluation.json."""
        return {**asdict(self), "no_better_than": list(self.no_better_than), "sentence": self.sentence}

    @property
    def sentence(self) -> str | None:
        """Warning that the model is no better than a baseline, with advice; None if it is better than both."""
        if not self.no_better_than:
            return None
        others = " or than ".join(BASELINES[name] for name in self.no_better_than)
        use = "do not use it for answers" if "raw_pixels" in self.no_better_than else "training did not improve it"
        return f"This model is no better than {others}: {use}. {ADVICE}"


def worth_of_training(networks: Mapping[str, Any]) -> Worth:
    """Count the comparisons in which the trained network is better; equal figures and NaN do not count.

    A baseline's figure of 1 cannot be beaten, so `no_better_than` ignores it.

    Args:
        networks: figures by network, as in evaluation.json; missing baselines are not compared.

    >>> def figures(value): return {name: {"value": value} for name in FIGURES}
    >>> worth_of_training({"trained": figures(0.5), "untrained": figures(0.4), "raw_pixels": figures(0.6)})
    Worth(helped=3, comparisons=6, no_better_than=('raw_pixels',))
    """
    helped, comparisons, no_better = 0, 0, []
    for name in BASELINES:
        if name not in networks:
            continue
        values = [
            (networks["trained"][figure]["value"], networks[name][figure]["value"])
            for figure in FIGURES
            if figure in networks["trained"]
        ]
        ahead = sum(ours > theirs for ours, theirs in values)
        room = sum(not theirs >= 1 for _, theirs in values)
        helped, comparisons = helped + ahead, comparisons + len(values)
        if 2 * ahead < room:
            no_better.append(name)
    return Worth(helped, comparisons, tuple(no_better))
