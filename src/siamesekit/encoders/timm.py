"""Encoders `timm/*`: every image model of timm."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import timm
from huggingface_hub import constants
from timm.data.config import resolve_model_data_config
from torch import nn

from siamesekit.encoders import backbone
from siamesekit.encoders.backbone import Backbone, fetch
from siamesekit.errors import UserError
from siamesekit.registry import ENCODERS


@ENCODERS.register("timm/*", names="siamesekit.encoders.model_names:timm_models")
def timm_backbone(*, model: str, pretrained: bool = False) -> Backbone:
    """Any image model of timm, without its classifier, with timm's own pooling and input scaling.

    `timm/resnet18`, or with a weights tag `timm/resnet18.a1_in1k`. Weights `imagenet` are timm's default (or the
    tag's). Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled by the model's own mean and standard deviation
    → features `[N, F]`, F the model's. Blocks: the model's parts by their names in timm.

    Raises:
        MissingWeightsError: pretrained weights are asked for and cannot be had.
    """

    def create() -> nn.Module:
        network: nn.Module = timm.create_model(model, pretrained=pretrained, num_classes=0)
        return network

    def create_pretrained() -> nn.Module:
        with _offline_unless_hub_answers():
            return create()

    network = fetch(create_pretrained, f"timm/{model}") if pretrained else create()
    num_features = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if not isinstance(num_features, int):
        raise UserError(f"encoder.name: timm/{model} does not tell its number of features and cannot be used")
    data = resolve_model_data_config(network)
    return Backbone(network, num_features, mean=[255 * m for m in data["mean"]], std=[255 * s for s in data["std"]])


@contextmanager
def _offline_unless_hub_answers() -> Iterator[None]:
    """Ask the Hugging Face hub once; where it is silent, only its cache is used, without minutes of retries."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=backbone.STALL_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True  # even a refusal is an answer
    except OSError:
        return False
