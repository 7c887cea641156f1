"""What a model's verdicts are worth, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def worth_of_verdict(description: Mapping[str, Any]) -> str | None:
    """A sentence on how reliable a model's verdicts are, or why it gives none; None if unknown.

    Args:
        description: description of the model.
    """
    if description.get("no_threshold"):
        return str(description["no_threshold"])
    point = description.get("operating_point")
    if point is None:
        return None
    worth = point["cross_fit"]
    if worth is None:
        return (
            f"the error rates of such verdicts are unknown: {point['individuals']} test individuals set the threshold, "
            "too few to measure its errors as well"
        )
    return (
        f"at this threshold, of {worth['different_pairs']:,} different pairs "
        f"{worth['false_accept_rate']['value']:.1%} are called same, and of {worth['same_pairs']:,} same pairs "
        f"{worth['false_reject_rate']['value']:.1%} different (cross-fitted on {point['individuals']} "
        "individuals that did not train)"
    )
