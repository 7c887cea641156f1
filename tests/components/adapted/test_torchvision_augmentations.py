"""Augmentations `torchvision/*`: torchvision's transforms, photo by photo, each by its own stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from siamesekit.errors import ComponentError
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

SIDE = 24
IMAGES = torch.randint(40, 200, (6, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NAMES = AUGMENTATIONS.family("torchvision").members()
REQUIRED: dict[str, dict[str, Any]] = {
    "gaussian-blur": {"kernel_size": 3},
    "jpeg": {"quality": 30},
    "random-adjust-sharpness": {"sharpness_factor": 3},
    "random-affine": {"degrees": 40},
    "random-posterize": {"bits": 2},
    "random-rotation": {"degrees": [-30, 60]},
    "random-solarize": {"threshold": 100},
    "color-jitter": {"brightness": 0.5, "hue": 0.1},
    "random-grayscale": {"p": 0.5},
    "random-crop": {"padding": 4},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "random-rotation": {"degrees": (-30.0, 60.0)},
    "grayscale": {"num_output_channels": 3},
    "random-crop": {"size": SIDE, "padding": 4},
    "random-resized-crop": {"size": SIDE},
}
"""What their constructors are given, where it is not the same."""
NO_DRAW = {"grayscale", "jpeg"}


def build(name: str, **options: Any) -> Callable[[Tensor, Streams], Tensor]:
    made: Callable[[Tensor, Streams], Tensor] = AUGMENTATIONS.build(
        f"torchvision/{name}", REQUIRED.get(name, {}) | options
    )
    return made


def streams(photos: list[int]) -> Streams:
    return Streams.of(7, np.array(photos))


def directly(transform: Any, images: Tensor, photos: list[int]) -> Tensor:
    """Their transform, called on one photo after the other, torch seeded from the photo's stream."""
    views = []
    for image, photo in zip(images, photos, strict=True):
        [seed] = streams([photo]).bits().tolist()
        torch.manual_seed(seed >> 1)
        views.append(transform(image))
    return torch.stack(views)


@pytest.mark.parametrize("name", NAMES)
def test_views_are_torchvision_s_under_the_same_seed(name: str) -> None:
    class_name = AUGMENTATIONS.get(f"torchvision/{name}").source.rpartition(".")[2]
    transform = getattr(v2, class_name)(**ARGUMENTS.get(name, REQUIRED.get(name, {})))
    photos = list(range(6))
    found = build(name)(IMAGES, streams(photos))
    assert (found.dtype, found.shape) == (torch.uint8, IMAGES.shape)
    assert torch.equal(found, directly(transform, IMAGES, photos))
    assert not torch.equal(found, IMAGES), "it does something"


@pytest.mark.parametrize("name", NAMES)
def test_a_photo_s_view_does_not_depend_on_the_others(name: str) -> None:
    augmentation = build(name)
    everything = augmentation(IMAGES, streams(list(range(6))))
    for chosen in ([3], [5, 1], [5, 4, 3, 2, 1, 0]):
        assert torch.equal(augmentation(IMAGES[chosen], streams(chosen)), everything[chosen])


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_and_the_photos_are_left_alone(name: str) -> None:
    augmentation = build(name)
    before, state = IMAGES.clone(), torch.get_rng_state()
    augmentation(IMAGES, streams(list(range(6))))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("name", sorted(set(NAMES) - NO_DRAW))
def test_views_of_one_photo_differ_between_streams(name: str) -> None:
    same = IMAGES[:1].expand(16, 3, SIDE, SIDE)
    views = build(name)(same, streams(list(range(16))))
    assert len({view.numpy().tobytes() for view in views}) >= 2


def test_a_crop_is_of_the_photo_s_size() -> None:
    images = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8)
    for name in ("random-crop", "random-resized-crop"):
        assert build(name)(images, streams([0, 1])).shape == images.shape


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussian-blur", {"kernel_size": 4}),
        ("color-jitter", {"hue": 0.9}),
        ("random-affine", {"degrees": -1.0}),
        ("rand-augment", {"magnitude": 99, "num_magnitude_bins": 3}),
    ],
)
def test_what_torchvision_refuses_is_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ComponentError, match=r"refuses these options: .+"):
        build(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "transform"),
    [
        (
            "random-affine",
            {"degrees": 20, "interpolation": "bilinear", "fill": 128, "scale": [0.5, 0.9]},
            lambda: v2.RandomAffine(20, interpolation=v2.InterpolationMode.BILINEAR, fill=128, scale=(0.5, 0.9)),
        ),
        ("auto-augment", {"policy": "svhn"}, lambda: v2.AutoAugment(v2.AutoAugmentPolicy.SVHN)),
        ("gaussian-blur", {"kernel_size": 5, "sigma": [2.0, 3.0]}, lambda: v2.GaussianBlur(5, sigma=(2.0, 3.0))),
        ("random-erasing", {"p": 1.0, "value": 200.0}, lambda: v2.RandomErasing(p=1.0, value=200.0)),
        ("jpeg", {"quality": [5, 60]}, lambda: v2.JPEG((5, 60))),
    ],
    ids=["affine", "policy", "blur", "erasing", "jpeg"],
)
def test_options_reach_torchvision(name: str, options: dict[str, Any], transform: Callable[[], Any]) -> None:
    photos = list(range(6))
    found = build(name, **options)(IMAGES, streams(photos))
    assert torch.equal(found, directly(transform(), IMAGES, photos))
    assert not torch.equal(found, build(name)(IMAGES, streams(photos)))
