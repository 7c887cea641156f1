"""Fits the projection of an encoder in closed form to the features of the training photos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from siamesekit.components.encoders.head import L2Normalize
from siamesekit.components.projections.projection import LinearMap, Projection
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.training import embed_stored
from siamesekit.errors import PluginError
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder


def features_of(encoder: Encoder, stored: Stored, images: Tensor, compute: Compute) -> Tensor:
    """Features `[n, F]` of stored images, int64 `[n]`, by the backbone in inference mode, on the CPU."""
    with _headed_by(encoder, nn.Identity()):
        return embed_stored(encoder, stored, images, compute)


@contextmanager
def unfitted(encoder: Encoder) -> Iterator[None]:
    """Let an encoder embed, for a while, as before anything was fitted.

    If its head consists of a projection, the embeddings are then the features themselves, as if there were no head; a
    random projection would make them look worse than they are.
    """
    parts = dict(encoder.head.named_children())
    if "projection" not in parts or "dense1" in parts:
        yield
    else:
        with _headed_by(encoder, L2Normalize() if "normalize" in parts else nn.Identity()):
            yield


def fit_projection(
    encoder: Encoder, stored: Stored, compute: Compute, projection: Projection, images: Tensor, labels: Tensor
) -> None:
    """Fit the projection of an encoder's head, in place.

    Args:
        encoder: encoder whose head has a module `projection`.
        stored: the stored images.
        compute: device and number format.
        projection: what is fitted.
        images: the training photos, as indices into the stored images, int64 `[n]`.
        labels: their individuals, int64 `[n]`.

    Raises:
        DataError: the projection cannot be fitted to these photos.
        PluginError: a plugin's projection does not give a linear map of the right shape.
    """
    features = features_of(encoder, stored, images, compute).double()
    if "normalize_features" in dict(encoder.head.named_children()):
        features = L2Normalize()(features)
    dense = cast(nn.Linear, encoder.head.projection)
    set_linear(dense, projection(features, labels))


@torch.no_grad()
def set_linear(dense: nn.Linear, fitted: LinearMap) -> None:
    """Give a linear layer F → d the values of a map: weight = matrixᵀ, bias = −mean · matrix.

    Raises:
        PluginError: the map has another shape than the layer, or is not finite.
    """
    matrix, mean = fitted.matrix.double(), fitted.mean.double()
    wanted = [dense.in_features, dense.out_features]
    if list(matrix.shape) != wanted or list(mean.shape) != wanted[:1]:
        raise PluginError(
            f"the projection gives a mean {list(mean.shape)} and a matrix {list(matrix.shape)}; expected {wanted[:1]} "
            f"and {wanted}, as its method `width` says"
        )
    if not bool(matrix.isfinite().all() and mean.isfinite().all()):
        raise PluginError("the projection gives values that are NaN or infinite")
    dense.weight.copy_(matrix.T)
    dense.bias.copy_(-mean @ matrix)


@contextmanager
def _headed_by(encoder: Encoder, head: nn.Module) -> Iterator[None]:
    """Put another head on an encoder for a while."""
    own, encoder.head = encoder.head, head
    try:
        yield
    finally:
        encoder.head = own
