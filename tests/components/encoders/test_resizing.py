"""How pretrained weights were judged: the pixels are those of timm and torchvision, or why they cannot be is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.models import get_pretrained_cfg
from torchvision.models import get_model_weights
from torchvision.transforms import functional as tv

from siamesekit.components.adapted.timm import resizing_of
from siamesekit.components.encoders.resizing import Resizing
from siamesekit.data.photo_inputs import prepared
from siamesekit.registry import ENCODERS

PHOTOS = [(400, 301), (301, 400), (90, 61)]
"""Width and height of a landscape, a portrait and a small photo."""


def photo(width: int, height: int) -> Image.Image:
    """Blocks of colours: edges at which filters differ."""
    rng = np.random.default_rng(width)
    few = Image.fromarray(rng.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), dtype=np.uint8))
    return few.resize((width, height), Image.Resampling.BICUBIC)


def pixels_of(resizing: Resizing, image: Image.Image, side: int | None = None) -> np.ndarray:
    assert resizing.obstacle() == ""
    return prepared(image, side or resizing.sides[0], resizing.fit(), resizing.reading())


def of_timm(image: Image.Image, data: dict[str, Any]) -> np.ndarray:
    """What timm's preprocessing for evaluation gives, before the mean is subtracted, `[H, W, 3]`."""
    values = create_transform(**{**data, "mean": (0, 0, 0), "std": (1, 1, 1)})(image)
    return np.rint(255 * np.asarray(values).transpose(1, 2, 0)).astype(int)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18.a1_in1k", "bicubic center 0.95"),
        ("resnet50.tv_in1k", "bilinear center 0.875"),
        ("vit_small_patch16_224.augreg_in1k", "bicubic center 0.9"),
        ("convnext_tiny.fb_in1k", "bicubic center 0.875"),
        ("eva02_tiny_patch14_336.mim_in22k_ft_in1k", "bicubic center 1.0"),
        ("convnext_small.in12k_ft_in1k_384", "bicubic squash 1.0"),
        ("test_resnet.r160_in1k", "bilinear center 0.95"),
    ],
)
def test_the_pixels_are_those_of_timm_for_weights_of_each_kind(name: str, expected: str) -> None:
    data = resolve_data_config(pretrained_cfg=get_pretrained_cfg(name).to_dict())
    assert f"{data['interpolation']} {data['crop_mode']} {data['crop_pct']}" == expected, "the test's point"
    for sides in PHOTOS:
        image = photo(*sides)
        assert np.array_equal(pixels_of(resizing_of(data), image), of_timm(image, data)), sides
        smaller = {**data, "input_size": (3, 96, 96)}
        assert np.array_equal(pixels_of(resizing_of(data), image, 96), of_timm(image, smaller)), sides


@pytest.mark.parametrize(
    ("name", "resized"),
    [
        ("resnet18", 256),
        ("mobilenet_v3_small", 256),
        ("regnet_y_400mf.IMAGENET1K_V2", 232),
        ("efficientnet_b0", 256),
        ("shufflenet_v2_x1_5", 232),
    ],
)
def test_the_pixels_are_those_of_torchvision(name: str, resized: int) -> None:
    resizing = ENCODERS.build(f"torchvision/{name}", pretrained=False).resizing
    model, _, tag = name.partition(".")
    choices = get_model_weights(model)
    preset = (choices[tag] if tag else choices.DEFAULT).transforms()
    assert preset.resize_size == [resized], "the test's point"
    for sides in PHOTOS:
        image = photo(*sides)
        expected = tv.center_crop(tv.resize(image, preset.resize_size, preset.interpolation), preset.crop_size)
        assert np.array_equal(pixels_of(resizing, image), np.asarray(expected)), sides


@pytest.mark.parametrize(
    ("resizing", "obstacle"),
    [
        (Resizing((224, 224), "border", 1, "bicubic"), "their photos were padded with the mean colour"),
        (Resizing((224, 224), "squash", 0.9), "their photos were squashed to more pixels than the middle"),
        (Resizing((224, 224), "center", 1.14), "their share of the shorter side is 1.14, and must be 0.1 to 1 here"),
        (Resizing((224, 224), "center", 0.05), "their share of the shorter side is 0.05"),
        (Resizing((224, 224), "center", 1, "lanczos"), "the filter lanczos; here: bilinear, bicubic"),
        (Resizing((256, 128), "squash"), "their images are 256 × 128 pixels, and images are square here"),
        (Resizing((224, 224), "center", 0.9, "bicubic"), ""),
        (Resizing((224, 224), "squash"), ""),
    ],
)
def test_what_cannot_be_repeated_is_told(resizing: Resizing, obstacle: str) -> None:
    found = resizing.obstacle()
    assert obstacle in found and bool(obstacle) == bool(found)


def test_the_obstacles_are_those_where_the_pixels_of_timm_differ() -> None:
    image = photo(*PHOTOS[0])
    for mode, share in (("border", 1.0), ("squash", 0.9)):
        data = {"input_size": (3, 64, 64), "interpolation": "bicubic", "crop_mode": mode, "crop_pct": share}
        resizing = resizing_of(data)
        assert resizing.obstacle()
        ours = prepared(image, 64, resizing.fit(), resizing.reading())
        assert not np.array_equal(ours, of_timm(image, resolve_data_config(data)))


@pytest.mark.parametrize(
    ("resizing", "told"),
    [
        (Resizing((224, 224), "squash"), ""),
        (Resizing((64, 64), "squash", 1, "bicubic"), "squashed to 64 × 64 pixels (bicubic)"),
        (
            Resizing((90, 90), "squash", 0.9),
            "squashed to 100 × 100 pixels (bilinear), of which the middle 90 × 90 was taken",
        ),
        (Resizing((64, 64), "border", 1, "bicubic"), "padded to a square and resized to 64 × 64 pixels (bicubic)"),
        (
            Resizing((64, 64), "center", 0.8, "bicubic"),
            "resized to a shorter side of 80 pixels (bicubic), of which the middle 64 × 64 was taken",
        ),
    ],
)
def test_it_is_told_in_words(resizing: Resizing, told: str) -> None:
    assert resizing.told() == told


@pytest.mark.medium
def test_miewid_squashes_and_an_encoder_may_not_know() -> None:
    assert ENCODERS.build("miewid", pretrained=False).resizing == Resizing((440, 440), "squash")
    assert ENCODERS.build("efficientnet-lite0", pretrained=False).resizing is None
