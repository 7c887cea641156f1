"""Weights of a backbone: from a file, or calibrated on photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from siamesekit.encoders.backbone import Backbone
from siamesekit.errors import MissingWeightsError, WeightsError

CLASSIFIERS = ("fc.", "classifier.", "head.fc.", "last_linear.", "head.weight", "head.bias")
"""Where networks keep their classifier, which a backbone does not have."""


def load_weights(backbone: Backbone, file: Path) -> None:
    """Load a network's state from `.safetensors`, or `.pth`, `.pt`, `.bin` read with `weights_only`.

    The file's names are the network's own (timm's, for one), or a saved model's of this library. A classifier in
    the file is left out; anything else must match exactly.

    Raises:
        MissingWeightsError: there is no such file.
        WeightsError: it cannot be read, or is of another network.
    """
    if not file.is_file():
        raise MissingWeightsError(f"there is no weights file {file}")
    state = _read(file)
    prefix = "backbone.network."
    if any(name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    own = backbone.network.state_dict()
    state = {k: v for k, v in state.items() if k in own or not k.startswith(CLASSIFIERS)}
    problems = [f"{name} is not in the file" for name in own if name not in state and "num_batches" not in name]
    problems += [f"the network has no {name}" for name in state if name not in own]
    problems += [
        f"{name} is {list(value.shape)} in the file and {list(own[name].shape)} in the network"
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    ]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:5])
        raise WeightsError(f"{file} holds another network's weights, {len(problems)} differences:\n{shown}")
    backbone.network.load_state_dict(state, strict=False)


def _read(file: Path) -> Mapping[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(file)
            return tensors
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(f"{file} is not a safetensors file: {error}") from error
    except Exception as error:  # torch.load raises many kinds; all mean that the file is not plain weights
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{file} cannot be read as plain weights ({reason}); "
            "files that need code to be run are not loaded: save the state_dict alone"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{file} does not hold a state_dict: names and tensors")
    return loaded


@torch.no_grad()
def calibrate_batchnorm(network: nn.Module, scaled: Iterator[Tensor]) -> None:
    """Set BatchNorm statistics to those of images, by one pass; with random weights this makes features usable.

    Args:
        network: images to features; its parameters do not change.
        scaled: batches `[n, 3, H, W]` as the network takes them; statistics are the mean over batches.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    modes = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean in place of a moving one
        norm.train()
    for batch in scaled:
        network(batch)
    for norm, (training, momentum) in zip(norms, modes, strict=True):
        norm.train(training)
        norm.momentum = momentum
