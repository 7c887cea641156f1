"""The head: dense layers from a backbone's features to the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "gelu", "silu", "tanh", "none"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}
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
    ) -> None:
        super().__init__()
        width = num_features
        for number, units in enumerate(layers, 1):
            last = number == len(layers)
            dense = nn.Linear(width, units)
            nn.init.xavier_uniform_(dense.weight)
            nn.init.zeros_(dense.bias)
            self.add_module(f"dense{number}", dense)
            if not last or last_activation:
                self.add_module(f"activation{number}", _ACTIVATIONS[activation]())
            if batchnorm and not last:
                norm = nn.BatchNorm1d(units, eps=BATCHNORM_EPS, momentum=BATCHNORM_MOMENTUM)
                self.add_module(f"batchnorm{number}", norm)
            if dropout > 0 and not last:
                self.add_module(f"dropout{number}", nn.Dropout(dropout))
            width = units
        if normalize:
            self.add_module("normalize", L2Normalize())
        self.embedding_dim = width


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
