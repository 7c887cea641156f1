"""The head: dense layers from a backbone's features to the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from siamesekit.errors import UserError
from siamesekit.options import Index

Activation = Literal["relu", "gelu", "silu", "tanh", "none"]
Neck = Literal["none", "batchnorm"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}
NECK = "neck"
"""Name of the neck among the parts of a head."""
BATCHNORM_EPS = 1e-3
BATCHNORM_MOMENTUM = 0.01  # Keras's momentum 0.99, in PyTorch's sense


class Head(nn.Sequential):
    """Dense layers with BatchNorm between them: features `[N, F]` → embeddings `[N, layers[-1]]`.

    Each layer consists of Dense, activation and, except in the last layer, BatchNorm (eps 1e-3) and dropout, in this
    order. Weights are Glorot-uniform and biases 0, as in Keras. Without layers the features are the embedding.

    Args:
        num_features: dimension F of the input.
        layers: number of units of each layer.
        activation: activation after each layer.
        last_activation: whether the activation also follows the last layer.
        batchnorm: whether BatchNorm follows each layer except the last.
        dropout: share of each layer's outputs, except the last's, that is set to 0 in training, after BatchNorm; the
            others are scaled by 1 / (1 − dropout). At least 0, below 1.
        normalize: whether embeddings are scaled to length 1.
        neck: `batchnorm` puts a `BatchNormNeck` behind the layers, before the embeddings are scaled.
        projection: number of units of a linear layer before all others, without activation; 0: no such layer. A run
            fits it in closed form.
        normalize_features: whether the features are scaled to length 1 before the first layer.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        num_features: int,
        layers: Sequence[int] = (512, 256),
        activation: Activation = "relu",
        last_activation: bool = True,
        batchnorm: bool = True,
        dropout: float = 0.0,
        normalize: bool = True,
        neck: Neck = "none",
        projection: Index = 0,
        normalize_features: bool = False,
    ) -> None:
        super().__init__()
        width = num_features
        if normalize_features:
            self.add_module("normalize_features", L2Normalize())
        if projection:
            self.add_module("projection", _dense(width, projection))
            width = projection
        for number, units in enumerate(layers, 1):
            last = number == len(layers)
            self.add_module(f"dense{number}", _dense(width, units))
            if not last or last_activation:
                self.add_module(f"activation{number}", _ACTIVATIONS[activation]())
            if batchnorm and not last:
                norm = nn.BatchNorm1d(units, eps=BATCHNORM_EPS, momentum=BATCHNORM_MOMENTUM)
                self.add_module(f"batchnorm{number}", norm)
            if dropout > 0 and not last:
                self.add_module(f"dropout{number}", nn.Dropout(dropout))
            width = units
        if neck == "batchnorm":
            self.add_module(NECK, BatchNormNeck(width))
        if normalize:
            self.add_module("normalize", L2Normalize())
        self.embedding_dim = width

    @property
    def has_neck(self) -> bool:
        """Whether the head has a neck."""
        return hasattr(self, NECK)

    def before_neck(self, features: Tensor) -> Tensor:
        """The layers before the neck: features `[N, F]` → `[N, D]`. Without a neck, the whole head."""
        for name, part in self.named_children():
            if name == NECK:
                break
            features = part(features)
        return features

    def after_neck(self, outputs: Tensor) -> Tensor:
        """The neck and what follows it: outputs of `before_neck` `[N, D]` → embeddings `[N, D]`."""
        return self.scaled(self.get_submodule(NECK)(outputs)) if self.has_neck else outputs

    def scaled(self, outputs: Tensor) -> Tensor:
        """Outputs `[N, D]` scaled to length 1 if embeddings are."""
        scaled: Tensor = self.get_submodule("normalize")(outputs) if hasattr(self, "normalize") else outputs
        return scaled


class BatchNormNeck(nn.BatchNorm1d):
    """BatchNorm without a shift, between the outputs of the head's layers and the embeddings: `[N, D]` → `[N, D]`.

    Losses that compare photos may take the outputs, and losses by class the embeddings: Luo et al. 2019
    (arXiv:1903.07071), "BNNeck". The shift `bias` is frozen at 0. In training mode it uses the statistics of the whole
    batch, even if `encoder.batchnorm = "inference"`; in inference mode it uses the running statistics, with PyTorch's
    eps and momentum.

    Args:
        num_features: dimension D.
    """

    __module__ = "siamesekit"

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.bias.requires_grad_(False)

    def forward(self, outputs: Tensor) -> Tensor:
        """Normalize outputs `[N, D]`.

        Raises:
            UserError: in training mode, there are fewer than two outputs.
        """
        if self.training and len(outputs) < 2:
            raise UserError(
                'encoder.head.neck = "batchnorm" needs at least two photos in a batch: choose a sampler whose batches '
                'all have two or more, or set encoder.head.neck = "none"'
            )
        return super().forward(outputs)


def _dense(width: int, units: int) -> nn.Linear:
    """A linear layer with the initial weights of Keras."""
    dense = nn.Linear(width, units)
    nn.init.xavier_uniform_(dense.weight)
    nn.init.zeros_(dense.bias)
    return dense


class L2Normalize(nn.Module):
    """Scale each row to length 1: x · rsqrt(max(Σx², 1e-12)), as in Keras; a zero row stays zero.

    The computation is in float32 or better, to hold 1e-12 and the squares; the result has the embeddings' dtype.
    """

    __module__ = "siamesekit"

    def forward(self, embeddings: Tensor) -> Tensor:
        """Embeddings `[N, D]` → `[N, D]` of length 1."""
        rows = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        squares = rows.square().sum(dim=-1, keepdim=True)
        return (rows * torch.rsqrt(squares.clamp_min(1e-12))).to(embeddings.dtype)
