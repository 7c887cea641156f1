"""timm networks with pretrained weights; the library downloads the weights, not timm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
from torch import nn

from siamesekit.components.encoders.backbone import FILE_INSTEAD
from siamesekit.components.encoders.downloads import HubModel, from_url
from siamesekit.errors import MissingWeightsError

PICKLED = "pytorch_model.bin"
SAFE = {PICKLED: "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
"""Names of weights files on the hub, and of their safetensors versions."""


def with_pretrained_weights(model: str) -> nn.Module:
    """A timm network without its classifier, with the weights of its tag or timm's default weights.

    Raises:
        DownloadError: The weights cannot be downloaded.
        MissingWeightsError: timm has no weights for the model.
    """
    known = timm.get_pretrained_cfg(model)
    entry: dict[str, Any] = {} if known is None else known.to_dict()
    overlay = None
    if entry.get("hf_hub_id"):
        named = entry.get("hf_hub_filename")
        file = HubModel(entry["hf_hub_id"]).file(*_names(named))
        overlay = {"file": str(file), "custom_load": bool(named) and entry.get("custom_load") == "hf"}
    elif entry.get("url"):
        from_url(entry["url"])  # timm finds it there
    elif not entry.get("file"):
        raise MissingWeightsError(f"timm has no pretrained weights of {model}; {FILE_INSTEAD}")
    network: nn.Module = timm.create_model(model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    if overlay is not None:
        cfg: Any = network.pretrained_cfg
        cfg.pop("file", None)  # a local path that a pickle of the network would reveal
    return network


def hub_network(name: str, pretrained: bool) -> tuple[nn.Module, str]:
    """A network from the Hugging Face hub, `ORG/NAME` or `ORG/NAME@REVISION`, without its classifier; and its commit.

    Raises:
        DownloadError: The model's `config.json`, or its requested weights, cannot be downloaded.
    """
    model = HubModel(name)
    config = model.file("config.json")
    if pretrained:
        described = json.loads(config.read_text(encoding="utf-8"))
        named = described.get("pretrained_cfg", described).get("hf_hub_filename")
        model.file(*_names(named))
    return _from_folder(config.parent, pretrained), config.parent.name


def _from_folder(folder: Path, pretrained: bool) -> nn.Module:
    network: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=pretrained, num_classes=0)
    return network


def _names(named: str | None) -> list[str]:
    """Candidate names of the weights file, in timm's order."""
    name = named or PICKLED
    if not name.endswith(".bin"):
        return [name]
    return [SAFE.get(name, f"{name.removesuffix('.bin')}.safetensors"), name]
