"""Networks of timm with their pretrained weights, which are downloaded here and not by timm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
from torch import nn

from siamesekit.encoders.backbone import FILE_INSTEAD
from siamesekit.encoders.downloads import HubModel, from_url
from siamesekit.errors import MissingWeightsError

PICKLED = "pytorch_model.bin"
SAFE = {PICKLED: "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
"""What a file of weights is called on the hub, and the same as safetensors."""


def with_pretrained_weights(model: str) -> nn.Module:
    """A network of timm without its classifier, with the weights of its tag, or timm's default ones.

    Raises:
        DownloadError: they cannot be downloaded.
        MissingWeightsError: there are none.
    """
    known = timm.get_pretrained_cfg(model)
    tells: dict[str, Any] = {} if known is None else known.to_dict()
    overlay = None
    if tells.get("hf_hub_id"):
        named = tells.get("hf_hub_filename")
        file = HubModel(tells["hf_hub_id"]).file(*_names(named))
        overlay = {"file": str(file), "custom_load": bool(named) and tells.get("custom_load") == "hf"}
    elif tells.get("url"):
        from_url(tells["url"])  # where timm finds it
    elif not tells.get("file"):
        raise MissingWeightsError(f"timm has no pretrained weights of {model}; {FILE_INSTEAD}")
    network: nn.Module = timm.create_model(model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    if overlay is not None:
        cfg: Any = network.pretrained_cfg
        cfg.pop("file", None)  # a place on this machine, which a pickle of the network would tell
    return network


def hub_network(name: str, pretrained: bool) -> nn.Module:
    """A network that the Hugging Face hub describes, `ORG/NAME` or `ORG/NAME@REVISION`, without its classifier.

    Raises:
        DownloadError: its `config.json`, or its weights where they are asked for, cannot be downloaded.
    """
    model = HubModel(name)
    config = model.file("config.json")
    if pretrained:
        described = json.loads(config.read_text(encoding="utf-8"))
        named = described.get("pretrained_cfg", described).get("hf_hub_filename")
        model.file(*_names(named))
    return _from_folder(config.parent, pretrained)


def _from_folder(folder: Path, pretrained: bool) -> nn.Module:
    network: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=pretrained, num_classes=0)
    return network


def _names(named: str | None) -> list[str]:
    """Under which names weights are looked for, in this order, as timm does."""
    name = named or PICKLED
    if not name.endswith(".bin"):
        return [name]
    return [SAFE.get(name, f"{name.removesuffix('.bin')}.safetensors"), name]
