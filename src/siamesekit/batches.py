"""What losses and miners are called with, checked: embeddings, labels and tuples that fit each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from siamesekit.errors import ComponentError
from siamesekit.labels import Labels, labels_of, told
from siamesekit.nested import brief
from siamesekit.triplets import Pairs, Triplets, Tuples


class CheckedBatch(NamedTuple):
    """A batch whose parts fit each other.

    Attributes:
        embeddings: float `[N, D]`.
        labels: int64 `[N]`, on the embeddings' device.
        tuples: int64 indices 0 … N − 1, on the embeddings' device; None for all that the individuals make.
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
    """Embeddings, labels and tuples as a loss or a miner computes with them, refused where they do not fit.

    Whether a positive is of the anchor's individual is not looked at.

    Args:
        embeddings: `[N, D]`.
        labels: individuals `[N]`; names are numbered in their order.
        tuples: triplets or pairs of indices into the N; three or four tensors in a plain tuple will do.
        dimensions: D, where the component was made for one.
        classes: C, where labels must be 0 … C − 1.
        lasting: why a number must stand for the same individual in every batch, so that names will not do; empty where
            it need not.

    Raises:
        ComponentError: they do not fit.
    """
    if classes is not None:
        lasting = lasting or f"the loss holds something for each of {classes} individuals"
    labels = labels_of(embeddings, labels, lasting)
    if dimensions is not None and embeddings.shape[1] != dimensions:
        raise ComponentError(f"embeddings must have {dimensions} dimensions (embedding_dim), not {embeddings.shape[1]}")
    if classes is not None and len(labels):
        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or high >= classes:
            raise ComponentError(f"labels must be 0 … {classes - 1}, the numbers of the {classes} training individuals "
                                 f"(num_classes), not {low if low < 0 else high}")  # fmt: skip
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
            raise ComponentError(f"tuples: {name} must be an int64 tensor [T], not {told(index)}")
        if index.device != embeddings.device:
            raise ComponentError(f"tuples: {name} is on {index.device}, and the embeddings are on {embeddings.device}")
    lengths = {name: len(index) for name, index in tuples._asdict().items()}
    alike = [tuple(lengths)] if isinstance(tuples, Triplets) else [("anchor", "positive"), ("other_anchor", "negative")]
    for names in alike:
        if len({lengths[name] for name in names}) > 1:
            counts = ", ".join(f"{lengths[name]} of {name}" for name in names)
            raise ComponentError(f"tuples must have as many indices of each kind, not {counts}")
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
