"""What training was worth: counted by a loop, and said in a sentence where it was worth nothing."""

from __future__ import annotations

from typing import Any

import pytest

from siamesekit.evaluation.worth import FIGURES, worth_of_training

Row = tuple[float, float, float]


def networks(trained: Row, untrained: Row, pixels: Row) -> dict[str, Any]:
    rows = {"trained": trained, "untrained": untrained, "raw_pixels": pixels}
    return {
        name: {figure: {"value": value} for figure, value in zip(FIGURES, row, strict=True)}
        for name, row in rows.items()
    }


@pytest.mark.parametrize(
    ("trained", "untrained", "pixels", "helped", "no_better_than"),
    [
        ((0.467, 0.133, 0.094), (0.480, 0.133, 0.112), (0.587, 0.300, 0.150), 0, ("raw_pixels", "untrained")),
        ((0.9, 0.8, 0.7), (0.6, 0.5, 0.4), (0.5, 0.4, 0.3), 6, ()),
        ((0.7, 0.5, 0.4), (0.6, 0.4, 0.3), (0.8, 0.6, 0.5), 3, ("raw_pixels",)),
        ((0.7, 0.5, 0.4), (0.8, 0.6, 0.5), (0.6, 0.4, 0.3), 3, ("untrained",)),
        ((0.7, 0.5, 0.4), (0.6, 0.4, 0.5), (0.6, 0.6, 0.3), 4, ()),
        ((0.7, 0.5, 0.4), (0.6, 0.5, 0.4), (0.6, 0.4, 0.3), 4, ("untrained",)),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.9, 1.0, 0.9), 2, ()),
        ((float("nan"),) * 3, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 0, ("raw_pixels", "untrained")),
    ],
)
def test_help_is_counted_and_what_the_model_is_no_better_than_is_named(
    trained: Row, untrained: Row, pixels: Row, helped: int, no_better_than: tuple[str, ...]
) -> None:
    found = worth_of_training(networks(trained, untrained, pixels))
    pairs = [*zip(trained, untrained, strict=True), *zip(trained, pixels, strict=True)]
    assert found.helped == sum(ours > theirs for ours, theirs in pairs)
    assert (found.helped, found.comparisons, found.no_better_than) == (helped, 6, no_better_than)
    assert (found.sentence is None) == (no_better_than == ())
    assert found.as_json() == {
        "helped": helped,
        "comparisons": 6,
        "no_better_than": list(no_better_than),
        "sentence": found.sentence,
    }


def test_the_sentence_says_not_to_use_what_plain_pixels_do_as_well_and_what_to_try() -> None:
    worse = worth_of_training(networks((0.4,) * 3, (0.3,) * 3, (0.5,) * 3)).sentence
    assert worse is not None
    assert worse.startswith("This model is no better than comparing plain pixels: do not use it for answers. Try: ")
    idle = worth_of_training(networks((0.4,) * 3, (0.4,) * 3, (0.3,) * 3)).sentence
    assert idle is not None
    assert idle.startswith("This model is no better than the same network before training: ")
    assert "do not use it" not in idle
    both = worth_of_training(networks((0.4,) * 3, (0.4,) * 3, (0.5,) * 3)).sentence
    assert both is not None
    assert "no better than comparing plain pixels or than the same network before training: do not" in both


def test_baselines_that_are_lacking_are_not_compared() -> None:
    found = worth_of_training({"trained": networks((0.5,) * 3, (0.4,) * 3, (0.3,) * 3)["trained"]})
    assert (found.helped, found.comparisons, found.sentence) == (0, 0, None)
