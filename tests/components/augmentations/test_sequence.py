"""Augmentation `sequence`: its steps, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamesekit.errors import ComponentError
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

IMAGES = torch.randint(0, 256, (9, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
STEPS: list[dict[str, Any]] = [
    {"name": "crop", "smallest": 0.6},
    {"name": "flip", "vertical": 0.5},
    {"name": "photo-id", "erase": 0.5},
    {"name": "torchvision/color-jitter", "brightness": 0.5},
    {"name": "sequence", "steps": [{"name": "flip"}, {"name": "torchvision/random-invert"}]},
]


def streams() -> Streams:
    return Streams.of(3, np.arange(9))


@given(st.lists(st.sampled_from(STEPS), max_size=4))
@settings(deadline=None, max_examples=25)
def test_equals_the_steps_one_after_the_other_from_the_same_streams(steps: list[dict[str, Any]]) -> None:
    found = AUGMENTATIONS.build("sequence", {"steps": steps})(IMAGES, streams())
    expected, drawn = IMAGES, streams()
    for step in steps:
        options = {key: value for key, value in step.items() if key != "name"}
        expected = AUGMENTATIONS.build(step["name"], options)(expected, drawn)
    assert torch.equal(found, expected)


def test_the_order_matters() -> None:
    one, two = STEPS[0], STEPS[1]
    first, second = (
        AUGMENTATIONS.build("sequence", {"steps": steps})(IMAGES, streams()) for steps in ([one, two], [two, one])
    )
    assert not torch.equal(first, second)


def test_twice_the_same_step_draws_anew() -> None:
    flips = AUGMENTATIONS.build("sequence", {"steps": [{"name": "flip"}] * 2})(IMAGES, streams())
    once = AUGMENTATIONS.build("flip")(IMAGES, streams())
    back = torch.stack([torch.equal(view, photo) * torch.ones(()) for view, photo in zip(flips, IMAGES, strict=True)])
    assert 0 < back.sum() < 9, "some are flipped back or never, some once"
    assert not torch.equal(flips, once)


def test_steps_are_required_and_checked() -> None:
    with pytest.raises(ComponentError, match="steps: is required"):
        AUGMENTATIONS.build("sequence")
    with pytest.raises(ComponentError, match=r"steps\.0\.smalest: unknown option of augmentation 'crop'"):
        AUGMENTATIONS.build("sequence", {"steps": [{"name": "crop", "smalest": 1}]})
