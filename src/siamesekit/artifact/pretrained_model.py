"""A model without training: an encoder with its pretrained weights, ready to embed photos and compare them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from siamesekit.artifact.saving import Preprocessing
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.artifact.tables import MAX_SIZE
from siamesekit.components.encoders.accepted import refuse_wrong_features
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import load_weights
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import PLAIN
from siamesekit.engine.random_state import OwnRandomness
from siamesekit.errors import UserError
from siamesekit.files.untrusted import fingerprint
from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice
from siamesekit.hardware.memory import memory_for
from siamesekit.hardware.no_values import without_values
from siamesekit.model import Architecture, build
from siamesekit.registry import DISTANCES, ENCODERS
from siamesekit.registry.component_faults import is_own

IMAGENET, HUB_ENCODER, NOTE = "imagenet", "timm/hf-hub:", "preprocessing_note"
SMALLEST, DEFAULT = 8, 224
"""Smallest side of the images in pixels, and the side for encoders that declare none."""
DISTANCE = "cosine"
ReadyFit = Fit | Literal["own"]
"""How photos are made square for an encoder with its pretrained weights: `own` is as the weights were judged."""
USUAL: Fit = "squash"
"""How they are by default, so that no part of an animal is cut off."""
NO_THRESHOLD = "a pretrained encoder has no threshold: no individuals have set one"


def pretrained(
    encoder: str,
    weights: str | Path = IMAGENET,
    *,
    size: int | None = None,
    fit: ReadyFit = USUAL,
    options: Mapping[str, Any] | None = None,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "fp32",
) -> SimilarityModel:
    """A pretrained encoder as a model, without a run: its features, scaled to length 1, are the embeddings.

    The distance is `cosine`. The model has no threshold, so `compare` gives only a distance.

    >>> model = pretrained("efficientnet-lite0", size=64)
    >>> model.embed(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
    torch.Size([2, 1280])

    Args:
        encoder: name of a registered encoder, such as `efficientnet-lite0` or `timm/resnet50`.
        weights: `imagenet`, the encoder's pretrained weights, or a file of weights, as `encoder.weights` in a config.
        size: side of the square images, in pixels. Default: the size of the encoder's pretrained weights, or 224 if it
            declares none.
        fit: how photos are made square. With `own`, they are also resized as those on which the pretrained weights were
            judged; of a file of weights, those that the encoder's name stands for.
        options: options of the encoder.
        device: device on which the model runs.
        precision: `fp32` gives the same embeddings on all devices up to rounding; `auto` chooses bf16 on devices with
            native bf16 products.

    Raises:
        ComponentError: no encoder has this name, or its options are wrong.
        MissingWeightsError: the weights are missing and cannot be downloaded.
        PluginError: a plugin's encoder fails.
        UserError: the encoder does not take images of this size, or does not fit into memory; or `own` is unknown, or
            cannot be repeated.
        WeightsError: the file of weights does not fit the encoder.
    """
    component = ENCODERS.get(encoder)
    if weights in ("random", "calibrated"):
        raise UserError(f'weights: {weights} weights have learnt nothing; expected "{IMAGENET}" or a file')
    architecture = Architecture(encoder, dict(options or {}), {"layers": []}, "inference")
    with OwnRandomness(), memory_for(f"encoder {encoder!r}", "take a smaller encoder"):
        made = build(architecture, pretrained=weights == IMAGENET).eval()
    preprocessing = _preprocessing(encoder, made.backbone, _side(encoder, made.backbone, size), fit)
    side = preprocessing.size
    source = {"source": str(weights), **made.backbone.origin}
    if weights != IMAGENET:
        load_weights(made.backbone, Path(weights))
        source["sha256"] = fingerprint(Path(weights))
    if not is_own(component):
        refuse_wrong_features(made.backbone, component, torch.zeros(2, 3, side, side, dtype=torch.uint8))
    description: dict[str, Any] = {
        "encoder": {
            "name": portable_name(encoder, made.backbone),
            "options": architecture.options,
            "head": architecture.head,
        },
        "weights": source,
        "input": preprocessing.described(),
        "distance": {"name": DISTANCE, "options": {}},
        "operating_point": None,
        "no_threshold": NO_THRESHOLD,
        "stand_ins": [],
        **_preprocessing_note(made.backbone, preprocessing),
    }
    return SimilarityModel(made, DISTANCES.build(DISTANCE), preprocessing, None, description, device, precision)


def portable_name(encoder: str, backbone: Backbone) -> str:
    """The name by which a saved network is built again: for a model of the hub its architecture in timm, if that is it.

    So a copy of its weights needs no hub. Another network than the architecture's keeps its name.
    """
    config = getattr(backbone.network, "pretrained_cfg", None) or {}
    architecture = config.get("architecture")
    if not encoder.startswith(HUB_ENCODER) or not architecture:
        return encoder
    try:
        with without_values():
            plain: Backbone = ENCODERS.build(f"timm/{architecture}", pretrained=False)
    except Exception:  # networks raise errors of any type
        return encoder
    own, other = (
        {name: value.shape for name, value in each.network.state_dict().items()} for each in (backbone, plain)
    )
    return f"timm/{architecture}" if own == other and str(backbone.network) == str(plain.network) else encoder


def _preprocessing(encoder: str, backbone: Backbone, side: int, fit: ReadyFit) -> Preprocessing:
    """How photos are made square and resized.

    Raises:
        UserError: how the photos were prepared on which the weights were judged is unknown, or cannot be repeated.
    """
    if fit != "own":
        return Preprocessing(side, fit)
    resizing = backbone.resizing
    why = "nothing says how their photos were resized" if resizing is None else resizing.obstacle()
    if resizing is None or why:
        raise UserError(
            f'fit: encoder {encoder!r} cannot take photos as its pretrained weights were judged, "own", because {why}; '
            'choose "squash", "pad" or "crop"'
        )
    return Preprocessing(side, resizing.fit(), resizing.reading())


def _preprocessing_note(backbone: Backbone, of: Preprocessing) -> dict[str, str]:
    """In words, how photos are prepared otherwise than where the pretrained weights were judged; empty if not."""
    there = "" if backbone.resizing is None else backbone.resizing.told()
    if not there or of.reading != PLAIN:
        return {}
    here = {"squash": "squashed", "pad": "padded", "crop": "cropped to the middle and resized"}[of.fit]
    return {
        NOTE: f"the pretrained weights were judged on photos {there}; here they are {here} to {of.size} × {of.size} "
        "pixels (bilinear)"
    }


def _side(encoder: str, backbone: Backbone, size: int | None) -> int:
    """The side of the images: the wanted one if the encoder takes it, else its own.

    Raises:
        UserError: the encoder does not take images of the wanted size.
    """
    own = backbone.default_size or DEFAULT
    if size is None:
        return own
    if not SMALLEST <= size <= MAX_SIZE:
        raise UserError(f"size: must be {SMALLEST} to {MAX_SIZE} pixels, not {size}")
    if size != own and not (backbone.takes(size, size) and (backbone.runs(size, size) or not backbone.runs(own, own))):
        raise UserError(
            f"size: encoder {encoder!r} does not take photos of {size} × {size} pixels; the size of its weights is "
            f"{own}"
        )
    return size
