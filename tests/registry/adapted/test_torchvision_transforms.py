"""What is known of torchvision's transforms without loading them: every one is a component or left out for a reason."""

from __future__ import annotations

import inspect

import pytest
from pydantic import TypeAdapter
from torchvision.transforms import v2

from siamesekit.errors import ComponentError
from siamesekit.registry import registry_of
from siamesekit.registry.adapted import torchvision_transforms
from siamesekit.registry.adapted.torchvision_transforms import NAMES, augmentation_name, augmentations, class_of
from siamesekit.registry.signatures import Parameter

LEFT_OUT = {
    "boxes": {"ClampBoundingBoxes", "ClampKeyPoints", "ConvertBoundingBoxFormat", "RandomIoUCrop",
              "SanitizeBoundingBoxes", "SanitizeKeyPoints", "SetClampingMode"},
    "videos": {"UniformTemporalSubsample"},
    "another size": {"CenterCrop", "FiveCrop", "Pad", "RandomResize", "RandomShortestSize", "RandomZoomOut", "Resize",
                     "ScaleJitter", "TenCrop"},
    "pictures mixed": {"CutMix", "MixUp"},
    "no bytes": {"ConvertImageDtype", "GaussianNoise", "LinearTransformation", "Normalize", "ToDtype", "ToImage",
                 "ToPILImage", "ToPureTensor", "ToTensor", "PILToTensor", "RGB"},
    "of others": {"Compose", "Identity", "Lambda", "RandomApply", "RandomChoice", "RandomOrder", "Transform"},
}  # fmt: skip
"""Transforms that are no augmentation of a picture here, and why."""
OPTIONS = [
    pytest.param(option, id=f"{name}-{option.name}")
    for name, member in augmentations().items()
    for option in member.options
]


def test_every_transform_is_a_component_or_left_out_for_a_reason() -> None:
    """So that a new version's transform is noticed."""
    live = {name for name, value in vars(v2).items() if inspect.isclass(value) and issubclass(value, v2.Transform)}
    assert live - set(NAMES) - {name for names in LEFT_OUT.values() for name in names} == set()
    assert set(NAMES) & {name for names in LEFT_OUT.values() for name in names} == set()
    assert set(NAMES) <= live


def test_names() -> None:
    assert {"random-horizontal-flip", "color-jitter", "jpeg", "trivial-augment-wide", "aug-mix"} <= set(augmentations())
    assert registry_of("augmentation").family("torchvision").members() == list(augmentations())
    for name, member in augmentations().items():
        assert augmentation_name(class_of(name)) == name
        assert member.source == f"torchvision.transforms.v2.{class_of(name)}"


@pytest.mark.parametrize("option", OPTIONS)
def test_a_default_is_of_its_option_s_type(option: Parameter) -> None:
    if not option.required:
        checked = TypeAdapter(option.annotation).validate_python(option.default, strict=True)
        assert (checked, type(checked)) == (option.default, type(option.default))


def test_a_crop_s_size_is_no_option() -> None:
    for name in ("random-crop", "random-resized-crop"):
        assert "size" not in [option.name for option in augmentations()[name].options]


def test_a_parameter_of_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(ComponentError, match="the type of ColorJitter's parameter 'novelty' is not known"):
        torchvision_transforms._option("ColorJitter", torchvision_transforms.ClassParameter("novelty", None, ""))
