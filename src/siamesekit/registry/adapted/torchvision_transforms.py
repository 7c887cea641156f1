"""Image transforms of `torchvision.transforms.v2` by name, read from its sources without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from siamesekit.errors import ComponentError
from siamesekit.options import Count, Fraction, Index, Limited, NonNegative
from siamesekit.registry.adapted.class_chain import (
    COMPUTED,
    ClassParameter,
    classes_of,
    doc_of,
    kebab,
    member_of,
    option,
    parameters_of,
    without,
)
from siamesekit.registry.component import Member
from siamesekit.registry.signatures import Parameter

PACKAGE = "torchvision.transforms.v2"
NAMES = (
    "AugMix", "AutoAugment", "ColorJitter", "ElasticTransform", "GaussianBlur", "Grayscale", "JPEG", "RandAugment",
    "RandomAdjustSharpness", "RandomAffine", "RandomAutocontrast", "RandomChannelPermutation", "RandomCrop",
    "RandomEqualize", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomInvert", "RandomPerspective",
    "RandomPhotometricDistort", "RandomPosterize", "RandomResizedCrop", "RandomRotation", "RandomSolarize",
    "RandomVerticalFlip", "TrivialAugmentWide",
)  # fmt: skip
"""Transforms that keep an image's size and dtype uint8. The others are for boxes or videos, change the size, or mix
images of several individuals."""
DROPPED = {"inplace", "expand", "num_output_channels", "antialias"}
SUPPLIED = {"RandomCrop": ("size",), "RandomResizedCrop": ("size",)}
"""Parameters that are the image's size."""
Range = tuple[float, float]
TYPES: dict[str, Any] = {
    "p": Fraction,
    "fill": Annotated[int, Ge(0), Le(255)] | None,
    "interpolation": Literal["nearest", "bilinear"],
    "degrees": float | Range,
    "translate": tuple[Fraction, Fraction] | None,
    "scale": Range | None,
    "shear": float | Range | None,
    "center": tuple[float, float] | None,
    "brightness": NonNegative | Range | None,
    "contrast": NonNegative | Range | None,
    "saturation": NonNegative | Range | None,
    "hue": float | Range | None,
    "ratio": Range,
    "alpha": NonNegative,
    "sigma": NonNegative | Range,
    "kernel_size": Annotated[int, Ge(1), Le(1001)],
    "quality": Annotated[int, Ge(1), Le(100)] | tuple[int, int],
    "padding": Annotated[int, Ge(0), Le(4096)] | None,
    "padding_mode": Literal["constant", "edge", "reflect", "symmetric"],
    "policy": Literal["imagenet", "cifar10", "svhn"],
    "bits": Annotated[int, Ge(0), Le(8)],
    "chain_depth": Annotated[int, Ge(-1), Le(100)],
    "mixture_width": Annotated[int, Ge(1), Le(100)],
    "num_ops": Annotated[int, Ge(1), Le(100)],
    "num_magnitude_bins": Limited,
    "value": float,
    "severity": Annotated[int, Ge(1), Le(10)],
    "magnitude": Index,
    "threshold": float,
    "sharpness_factor": NonNegative,
    "distortion_scale": Fraction,
}
TYPES_OF: dict[tuple[str, str], Any] = {
    ("RandomErasing", "scale"): tuple[Fraction, Fraction],
    ("RandomResizedCrop", "scale"): tuple[Fraction, Fraction],
}
DEFAULTS = {"policy": "imagenet", "ratio": (3.0 / 4.0, 4.0 / 3.0)}
"""Defaults that are not literals in the sources."""


@cache
def augmentations() -> Mapping[str, Member]:
    """The transforms by name: `RandomHorizontalFlip` is `random-horizontal-flip`."""
    try:
        classes = classes_of(PACKAGE)
    except ComponentError:
        return {}
    found = {}
    for name in NAMES:
        if name not in classes:  # an older torchvision
            continue
        parameters = without(parameters_of(name, classes), DROPPED | set(SUPPLIED.get(name, ())))
        doc = f"`{name}` of torchvision.\n\n{doc_of(name, classes)}".strip()
        found[augmentation_name(name)] = member_of(parameters, partial(_option, name), doc, f"{PACKAGE}.{name}")
    return found


def class_of(model: str) -> str:
    """The class behind a name."""
    return next(name for name in NAMES if augmentation_name(name) == model)


def augmentation_name(class_name: str) -> str:
    """`RandomHorizontalFlip` → `random-horizontal-flip`."""
    return kebab(class_name)


def _option(name: str, parameter: ClassParameter) -> Parameter:
    default = DEFAULTS.get(parameter.name) if parameter.default is COMPUTED else parameter.default
    kind = TYPES_OF.get((name, parameter.name), TYPES.get(parameter.name))
    if kind is None:
        kind = {"int": Count, "float": float, "bool": bool}.get(parameter.annotation, bool if default is True else None)
    if kind is None:
        raise ComponentError(f"the type of {name}'s parameter {parameter.name!r} is not known: add it to {__name__}")
    return option(parameter.name, kind, default)
