"""Encoders `timm/*`: every image model of timm, and those of the Hugging Face hub that timm can build."""

from __future__ import annotations

import timm
from timm.data.config import resolve_model_data_config

from siamesekit.encoders.backbone import Backbone, fetch
from siamesekit.encoders.timm_weights import hub_network, with_pretrained_weights
from siamesekit.errors import ComponentError, UserError, near
from siamesekit.registry import ENCODERS

HUB = "hf-hub:"
CACHED_ONCE = ("check the model's name on huggingface.co and connect to the network once: from then on the model is in "
               "the hub's cache (HF_HOME)")  # fmt: skip


@ENCODERS.register("timm/*", names="siamesekit.encoders.model_names:timm_models")
def timm_backbone(*, model: str, pretrained: bool = False) -> Backbone:
    """Any image model of timm, without its classifier, with timm's own pooling and input scaling.

    `timm/resnet18`, or with a weights tag `timm/resnet18.a1_in1k`. Weights `imagenet` are timm's default (or the
    tag's). Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled by the model's own mean and standard deviation
    → features `[N, F]`, F the model's. Most transformers take one size only, that of their weights, which mostly stands
    in their name; the other networks any that they do not shrink to nothing. Blocks: the model's parts by their names
    in timm.

    `timm/hf-hub:ORG/NAME` (`timm/hf-hub:BVRA/MegaDescriptor-T-224`) is a model of the Hugging Face hub in timm's
    format; weights `imagenet` are those stored there, whatever they were trained on. What it is made of stands in its
    `config.json` on the hub, so the hub, or its cache on this machine, is needed for random weights too.

    Raises:
        ComponentError: the model has no such weights tag.
        MissingWeightsError: pretrained weights are asked for and cannot be had, or a hub model's `config.json` cannot.
    """
    if not model.startswith(HUB):
        _check_tag(model)

    if model.startswith(HUB):
        network = fetch(lambda: hub_network(model.removeprefix(HUB), pretrained), f"timm/{model}", CACHED_ONCE)
    elif pretrained:
        network = fetch(lambda: with_pretrained_weights(model), f"timm/{model}")
    else:
        network = timm.create_model(model, num_classes=0)
    num_features = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if not isinstance(num_features, int):
        raise UserError(f"encoder.name: timm/{model} does not tell its number of features and cannot be used")
    data = resolve_model_data_config(network)
    cfg = getattr(network, "pretrained_cfg", None) or {}
    # of some that timm marks as of a fixed size that holds for their pretrained weights' classifier only
    size = data["input_size"][-1] if cfg.get("fixed_input_size") else None
    mean, std = ([255 * value for value in data[key]] for key in ("mean", "std"))
    return Backbone(network, num_features, mean, std, size, may_take_others=True)


def _check_tag(model: str) -> None:
    """Refuse weights that timm does not know; most unknown tags a registry has refused before, by timm's sources."""
    name, _, tag = model.partition(".")
    tags = [known.partition(".")[2] for known in timm.list_models(f"{name}.*", include_tags=True)]
    if tag and tag not in tags:
        raise ComponentError(f"unknown encoder 'timm/{model}': {name} has no weights {tag!r}{near(tag, tags)}; "
                             f"choices: {', '.join(tags) or 'none'}")  # fmt: skip
