"""Encoders `timm/*`: all image models of timm, and the models of the Hugging Face hub that timm can build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.data.config import resolve_model_data_config

from siamesekit.components.encoders.backbone import Backbone, fetch
from siamesekit.components.encoders.resizing import Resizing
from siamesekit.components.encoders.timm_weights import hub_network, with_pretrained_weights
from siamesekit.errors import ComponentError, UserError
from siamesekit.registry import ENCODERS
from siamesekit.wording import near

HUB = "hf-hub:"
CACHED_ONCE = (
    "check the model's name on huggingface.co and connect to the network once; the model then stays in "
    "the hub's cache (HF_HOME)"
)


@ENCODERS.register("timm/*", names="siamesekit.components.adapted.model_names:timm_models")
def timm_backbone(*, model: str, pretrained: bool = False) -> Backbone:
    """Any image model of timm without its classifier, with timm's pooling and input scaling.

    The name is `timm/resnet18`, or `timm/resnet18.a1_in1k` with a weights tag. Weights `imagenet` are those of the tag,
    or timm's default. Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled by the mean and standard deviation of the
    model → features `[N, F]`, F given by the model. Most transformers take only the image size of their weights, which
    is usually in their name; other networks take any size that is large enough for their strides. Blocks: the parts of
    the model by their names in timm.

    `timm/hf-hub:ORG/NAME` (`timm/hf-hub:BVRA/MegaDescriptor-T-224`) is a model of the Hugging Face hub in timm's
    format. Weights `imagenet` are the weights on the hub, whatever they were trained on. The architecture is in
    `config.json` on the hub, so random weights also need the hub or its local cache.

    Raises:
        ComponentError: the model has no such weights tag.
        MissingWeightsError: the pretrained weights, or the `config.json` of a hub model, cannot be downloaded.
    """
    commit = ""
    if not model.startswith(HUB):
        _check_tag(model)

    if model.startswith(HUB):
        network, commit = fetch(lambda: hub_network(model.removeprefix(HUB), pretrained), f"timm/{model}", CACHED_ONCE)
    elif pretrained:
        network = fetch(lambda: with_pretrained_weights(model), f"timm/{model}")
    else:
        network = timm.create_model(model, num_classes=0)
    num_features = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if not isinstance(num_features, int):
        raise UserError(f"encoder.name: timm/{model} cannot be used: it does not declare its number of features")
    data = resolve_model_data_config(network)
    cfg = getattr(network, "pretrained_cfg", None) or {}
    # some models are marked as fixed in size only because of the classifier of their pretrained weights
    size = data["input_size"][-1] if cfg.get("fixed_input_size") else None
    mean, std = ([255 * value for value in data[key]] for key in ("mean", "std"))
    backbone = Backbone(
        network, num_features, mean, std, size, may_take_others=True, default_size=data["input_size"][-1]
    )
    backbone.resizing = resizing_of(data)
    if pretrained and commit:
        backbone.origin = {"hub": model.removeprefix(HUB).partition("@")[0], "revision": commit}
    return backbone


def resizing_of(data: Mapping[str, Any]) -> Resizing:
    """How photos were resized on which a model's weights were judged.

    Args:
        data: timm's configuration of the model's input.
    """
    height, width = data["input_size"][1:]
    return Resizing((width, height), data["crop_mode"], data["crop_pct"], data["interpolation"])


def _check_tag(model: str) -> None:
    """Refuse a weights tag that timm does not know. The registry refuses most unknown tags earlier."""
    name, _, tag = model.partition(".")
    tags = [known.partition(".")[2] for known in timm.list_models(f"{name}.*", include_tags=True)]
    if tag and tag not in tags:
        raise ComponentError(
            f"unknown encoder 'timm/{model}': {name} has no weights {tag!r}{near(tag, tags)}; "
            f"choices: {', '.join(tags) or 'none'}"
        )
