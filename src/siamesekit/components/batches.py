"""Validation of the arguments of losses and miners: embeddings, labels and tuples must fit each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from siamesekit.components.labels import Labels, labels_of, type_of
from siamesekit.components.tuples import Pairs, Triplets, Tuples
from siamesekit.errors import ComponentError
from siamesekit.registry.nested import brief


class CheckedBatch(NamedTuple):
    """A validated batch, whose parts fit each other.

    Attributes:
        embeddings: float `[N, D]`.
        labels: int64 `[N]`, on the embeddings' device.
        tuples: int64 indices 0 … N − 1, on the embeddings' device; None for all triplets or pairs of the batch.
    """

    embeddings: Tensor
    labels: Tensor
    tuples: Tuples | None


def checked_batch(
    embeddings: Tensor,
    labels: Labels,
    tuples: Tuples | None = None,
    *,
    dimensions: int | None = None,
    classes: int | None = None,
    lasting: str = "",
) -> CheckedBatch:
    """Validate and convert the embeddings, labels and tuples of a loss or a miner.

    It is not checked whether a positive shows the anchor's individual.

    Args:
        embeddings: `[N, D]`.
        labels: individuals `[N]`; names are numbered in sorted order.
        tuples: triplets or pairs of indices into the batch, or a plain tuple of three or four tensors.
        dimensions: D, if the component requires one.
        classes: C, if labels must be 0 … C − 1.
        lasting: the reason why a label must mean the same individual in every batch, so that names are refused; empty
            if names are accepted.

    Raises:
        ComponentError: the arguments do not fit.
    """
    if classes is not None:
        lasting = lasting or f"the loss has parameters for each of {classes} individuals"
    labels = labels_of(embeddings, labels, lasting)
    if dimensions is not None and embeddings.shape[1] != dimensions:
        raise ComponentError(f"embeddings must have {dimensions} dimensions (embedding_dim), not {embeddings.shape[1]}")
    if classes is not None and len(labels):
        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or high >= classes:
            raise ComponentError(
                f"labels must be 0 … {classes - 1}, the numbers of the {classes} training individuals "
                f"(num_classes), not {low if low < 0 else high}"
            )
    return CheckedBatch(embeddings, labels, _checked(tuples, embeddings))


def _checked(tuples: Any, embeddings: Tensor) -> Tuples | None:
    if tuples is None:
        return None
    if not isinstance(tuples, Triplets | Pairs):
        if not isinstance(tuples, tuple | list) or len(tuples) not in (3, 4):
            raise ComponentError(f"tuples must be Triplets or Pairs, not {brief(tuples)}")
        tuples = Triplets(*tuples) if len(tuples) == 3 else Pairs(*tuples)
    for name, index in tuples._asdict().items():
        if not isinstance(index, Tensor) or index.ndim != 1 or index.dtype != torch.int64:
            raise ComponentError(f"tuples: {name} must be an int64 tensor [T], not {type_of(index)}")
        if index.device != embeddings.device:
            raise ComponentError(f"tuples: {name} is on {index.device}, but the embeddings are on {embeddings.device}")
    lengths = {name: len(index) for name, index in tuples._asdict().items()}
    alike = [tuple(lengths)] if isinstance(tuples, Triplets) else [("anchor", "positive"), ("other_anchor", "negative")]
    for names in alike:
        if len({lengths[name] for name in names}) > 1:
            counts = ", ".join(f"{lengths[name]} of {name}" for name in names)
            raise ComponentError(f"tuples must have equally many indices of each kind, not {counts}")
    found: Tuples = tuples
    _refuse_outside(found, len(embeddings))
    return found


def _refuse_outside(tuples: Tuples, photos: int) -> None:
    limits = [limit for index in tuples if len(index) for limit in index.aminmax()]
    if not limits:
        return
    found = torch.stack(limits).tolist()
    low, high = min(found), max(found)
    if low < 0 or high >= photos:
        wrong = low if low < 0 else high
        name = next(name for name, index in tuples._asdict().items() if bool((index == wrong).any()))
        raise ComponentError(f"tuples: {name} {wrong} is not among the {photos} photos of the batch (0 … {photos - 1})")
