"""Encoder `miewid`: the network of MiewID, trained on animals of many species, with its weights from the hub."""

from __future__ import annotations

import timm
from torch import Tensor, nn

from siamesekit.components.encoders.backbone import Backbone, fetch
from siamesekit.components.encoders.downloads import HubModel
from siamesekit.components.encoders.pooling import GlobalPooling
from siamesekit.components.encoders.resizing import Resizing
from siamesekit.components.encoders.weights import load_weights
from siamesekit.registry import ENCODERS

BACKBONE, SIZE = "efficientnetv2_rw_m", 440
"""timm's network below the pooling, and the side of the photos on which MiewID was trained."""
REPOSITORY, WEIGHTS = "conservationxlabs/miewid-msv3", "model.safetensors"
RENAMED = {"backbone.global_pool.p": "pooling.p"}
"""Names in MiewID's files that differ from those of the network."""


class MiewIDNetwork(nn.Module):
    """Feature maps by timm, GeM pooling, and BatchNorm: images `[N, 3, H, W]`, scaled → `[N, F]`."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model(BACKBONE, num_classes=0, global_pool="")
        self.pooling = GlobalPooling("gem")
        width: int = self.backbone.num_features  # type: ignore[assignment]
        self.bn = nn.BatchNorm1d(width)

    def forward(self, images: Tensor) -> Tensor:
        """Compute features `[N, F]` of images."""
        features: Tensor = self.bn(self.pooling(self.backbone(images)))
        return features


@ENCODERS.register("miewid")
def miewid(*, pretrained: bool = False) -> Backbone:
    """MiewID of Wild Me and Conservation X Labs: 2152 features, 51 million parameters, for animals of many species.

    An EfficientNetV2-M of timm (`efficientnetv2_rw_m`), GeM pooling and BatchNorm (Otarashvili et al. 2024,
    arXiv:2412.05602). Weights `imagenet` are those of MiewID, `conservationxlabs/miewid-msv3` on the Hugging Face hub,
    of which only `model.safetensors` is read; no code is downloaded. Its classifier is left out. Earlier weights are
    named as a file. See the page of the model for its licence, its species and how well it knows them.

    Shapes: images `[N, 3, H, W]`, values 0 … 255, scaled by the mean and standard deviation of ImageNet → features
    `[N, 2152]`. H and W may have any size; the weights were trained at 440, on photos squashed to a square.
    Blocks: backbone, pooling, bn.

    Raises:
        MissingWeightsError: The weights cannot be downloaded.
    """
    network = MiewIDNetwork()
    mean, std = ((255 * r, 255 * g, 255 * b) for r, g, b in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    backbone = Backbone(network, network.bn.num_features, mean, std, default_size=SIZE)
    backbone.renamed = RENAMED
    backbone.resizing = Resizing((SIZE, SIZE), "squash")
    if pretrained:
        fetch(lambda: _loaded(backbone), "miewid")
    return backbone


def _loaded(backbone: Backbone) -> nn.Module:
    """Load the weights of the hub into a backbone."""
    file = HubModel(REPOSITORY).file(WEIGHTS)
    load_weights(backbone, file)
    backbone.origin = {"hub": REPOSITORY, "revision": file.parent.name}
    return backbone.network
