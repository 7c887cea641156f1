"""The network: `Encoder` (images to embeddings), `DistanceLayer`, and the `SiameseNetwork` of both.

`build` makes an encoder from an `Architecture`, the names and options of registered components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from siamesekit.components.distances.distance import DistanceLike, as_distance
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import BatchNormNeck, Head
from siamesekit.components.encoders.pooling import Pooling, set_pooling
from siamesekit.registry import ENCODERS


class Encoder(nn.Module):
    """Backbone and head: images `[N, 3, H, W]` with values 0 … 255, of any dtype → embeddings `[N, D]`.

    Frozen modules always run in inference mode, dropout and BatchNorm included. A module with parameters is frozen if
    none of them has `requires_grad` on. In a module that trains in part, a module without parameters is frozen if it
    comes before the first parameter that trains. In a module whose parameters all train, nothing is frozen.

    Args:
        backbone: images to features.
        head: features to embeddings; it runs in its own precision, outside autocast.
        batchnorm: `inference` keeps BatchNorm on its stored statistics while training, so that every embedding
            depends on its own image alone; `train` lets the layers that train use the batch's statistics. The neck of
            the head, if any, always uses the batch's statistics while training.
    """

    __module__ = "siamesekit"
    checkpoint_activations = False
    """Whether training computes the activations of the backbone's blocks again in the backward pass, for less memory
    (`siamesekit.engine.activation_checkpointing`)."""
    sharded = False
    """Whether the processes that train the backbone together divide its weights among them
    (`siamesekit.engine.ranks.sharded_network`)."""

    def __init__(
        self, backbone: Backbone, head: nn.Module, batchnorm: Literal["inference", "train"] = "inference"
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.batchnorm = batchnorm

    def forward(self, images: Tensor) -> Tensor:
        """Embed images `[N, 3, H, W]` → `[N, D]`."""
        return self.embed_features(self.backbone(images))

    def embed_features(self, features: Tensor) -> Tensor:
        """The head alone: features `[N, F]` → embeddings `[N, D]`."""
        return self.after_neck(self.before_neck(features))

    def before_neck(self, features: Tensor) -> Tensor:
        """The head up to its neck: features `[N, F]` → `[N, D]`. Without a neck, the result is the embeddings.

        Each row depends on its own features alone, unless BatchNorm before the neck trains.
        """
        with torch.autocast(features.device.type, enabled=False):
            wanted = next((p.dtype for p in self.head.parameters()), torch.float32)
            lower = features.dtype in (torch.bfloat16, torch.float16)
            part = self.head.before_neck if isinstance(self.head, Head) else self.head
            outputs: Tensor = part(features.to(wanted) if lower else features)
            return outputs

    def after_neck(self, outputs: Tensor) -> Tensor:
        """The head from its neck on: outputs of `before_neck` `[N, D]` → embeddings `[N, D]`.

        In training mode the neck uses the statistics of all N rows, so they must be those of a whole batch.
        """
        with torch.autocast(outputs.device.type, enabled=False):
            return self.head.after_neck(outputs) if isinstance(self.head, Head) else outputs

    def train(self, mode: bool = True) -> Self:
        """Set training mode; frozen modules stay in inference mode, as the class describes."""
        super().train(mode)
        trains = [parameter.requires_grad for parameter in self.parameters()]
        if trains and not any(trains):
            super().train(False)
        elif not all(trains):
            _rest(self, some_train=False)
        if self.batchnorm == "inference":
            for module in self.modules():
                if isinstance(module, _BatchNorm) and not isinstance(module, BatchNormNeck):
                    module.eval()
        return self

    def trainable(self) -> list[nn.Parameter]:
        """The parameters that train."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def _rest(module: nn.Module, some_train: bool) -> None:
    """Put the frozen parts of a partly trained module into inference mode.

    Args:
        module: a module in which some parameters train and others do not.
        some_train: whether any parameter before the module trains.
    """
    some_train = some_train or any(parameter.requires_grad for parameter in module.parameters(recurse=False))
    for part in module.children():
        trains = [parameter.requires_grad for parameter in part.parameters()]
        if not any(trains):
            if trains or not some_train:
                part.eval()
        else:
            if not all(trains):
                _rest(part, some_train)
            some_train = True


@dataclass(frozen=True)
class Architecture:
    """The parts of an encoder, without its weights."""

    encoder: str
    options: Mapping[str, Any]
    head: Mapping[str, Any]
    batchnorm: str
    pooling: Pooling = "default"


def build(architecture: Architecture, pretrained: bool = False) -> Encoder:
    """Build an encoder from registered components, with random or pretrained weights.

    Raises:
        UserError: the encoder does not take the pooling.
    """
    backbone: Backbone = ENCODERS.build(architecture.encoder, architecture.options, pretrained=pretrained)
    set_pooling(backbone, architecture.pooling, architecture.encoder)
    head = Head(backbone.num_features, **architecture.head)
    return Encoder(backbone, head, batchnorm="train" if architecture.batchnorm == "train" else "inference")


class TripletDistances(NamedTuple):
    """Distances of T triplets.

    Attributes:
        d_ap: `[T]`, anchor to positive.
        d_an: `[T]`, anchor to negative.
    """

    d_ap: Tensor
    d_an: Tensor


class DistanceLayer(nn.Module):
    """Embeddings of anchors, positives and negatives, each `[T, D]` → their distances, each `[T]`.

    Args:
        distance: a distance, its name, or a table with its name and options.
    """

    __module__ = "siamesekit"

    def __init__(self, distance: DistanceLike) -> None:
        super().__init__()
        self.distance = as_distance(distance)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> TripletDistances:
        """Measure embeddings, each `[T, D]`."""
        return TripletDistances(self.distance(anchor, positive), self.distance(anchor, negative))


class SiameseNetwork(nn.Module):
    """Three batches of images, each `[T, 3, H, W]` with values 0 … 255 → the distances (d_ap, d_an), each `[T]`.

    All three go through the same encoder.

    Args:
        encoder: images to embeddings.
        distance: a distance, its name, or a table with its name and options.
    """

    __module__ = "siamesekit"

    def __init__(self, encoder: Encoder, distance: DistanceLike) -> None:
        super().__init__()
        self.encoder = encoder
        self.distance_layer = DistanceLayer(distance)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> TripletDistances:
        """Embed and measure images, each `[T, 3, H, W]`."""
        distances: TripletDistances = self.distance_layer(
            self.encoder(anchor), self.encoder(positive), self.encoder(negative)
        )
        return distances
