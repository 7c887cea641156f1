"""Conversion of labels, which are integers or names in a list, an array or a tensor, to int64."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.errors import ComponentError
from siamesekit.registry.nested import brief

Labels = Tensor | NDArray[Any] | Sequence[int] | Sequence[str]
"""Individuals `[N]`: integers of any size and sign, or names."""

ACCEPTED = "a list, an array or a tensor of integers, or a list or an array of names"


def label_tensor(labels: Labels, device: torch.device | None = None, lasting: str = "") -> Tensor:
    """Labels `[N]` as an int64 tensor `[N]`: integers are unchanged, names are numbered in sorted order.

    Args:
        labels: individuals of N photos.
        device: device of the result; by default a tensor keeps its device.
        lasting: the reason why a label must mean the same individual in every batch, so that names are refused; empty
            if names are accepted.

    Raises:
        ComponentError: the labels are neither integers nor names, or not `[N]`.

    >>> label_tensor(["bea", "ada", "bea"])
    tensor([1, 0, 1])
    """
    if isinstance(labels, Tensor):
        if labels.is_floating_point() or labels.is_complex():
            raise ComponentError(f"labels must be {ACCEPTED}, not {type_of(labels)}")
        if labels.ndim != 1:
            raise ComponentError(f"labels must be [N], one for each photo, not {list(labels.shape)}")
        return labels.to(device or labels.device, torch.int64)
    return torch.from_numpy(label_array(labels, lasting)).to(device or "cpu")


def labels_of(embeddings: Tensor, labels: Labels, lasting: str = "") -> Tensor:
    """The labels of embeddings `[N, D]` as int64 `[N]`, as by `label_tensor`, on the embeddings' device.

    Raises:
        ComponentError: the labels or the embeddings are invalid, or their lengths differ.
    """
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise ComponentError(f"embeddings must be a floating-point tensor [N, D], not {type_of(embeddings)}")
    labels = label_tensor(labels, embeddings.device, lasting)
    if len(labels) != len(embeddings):
        raise ComponentError(f"labels do not fit the embeddings: {len(embeddings)} embeddings and {len(labels)} labels")
    return labels


def label_array(labels: Labels, lasting: str = "") -> NDArray[np.int64]:
    """Labels as by `label_tensor`, as a NumPy array."""
    if isinstance(labels, Tensor):
        return label_tensor(labels).cpu().numpy()
    found = _array(labels)
    if found.ndim != 1:
        raise ComponentError(f"labels must be [N], one for each photo, not {list(found.shape)}")
    if found.dtype.kind in "iub":
        return found.astype(np.int64)
    if found.dtype.kind not in "US":
        found = _of_objects(found)
    if found.dtype.kind == "i":
        return found
    if lasting:
        raise ComponentError(
            f"labels must be numbers, not names such as {str(found[0])!r}: {lasting}; number the "
            "individuals once for all batches"
        )
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def type_of(value: Any) -> str:
    """The type and shape of a tensor; the type name and a short form of any other value."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"{type(value).__name__} {brief(value)}"


def _array(labels: Any) -> NDArray[Any]:
    if labels is None or isinstance(labels, str | bytes):
        raise ComponentError(f"labels must be {ACCEPTED}, not {brief(labels)}")
    if isinstance(labels, np.ndarray):
        return labels
    if isinstance(labels, Sequence):  # item by item: NumPy would convert numbers beside names to names
        labels = [item.item() if isinstance(item, Tensor | np.ndarray) and item.ndim == 0 else item for item in labels]
        if any(isinstance(item, Sequence) and not isinstance(item, str | bytes) for item in labels):
            raise ComponentError(f"labels must be [N], one for each photo, not a list that holds {brief(labels[0])}")
        return np.fromiter(labels, dtype=object, count=len(labels))
    array = np.asarray(labels)
    if array.ndim == 0:
        raise ComponentError(f"labels must be {ACCEPTED}, not {brief(labels)}")
    return array


def _of_objects(found: NDArray[Any]) -> NDArray[Any]:
    """Objects as int64 or as names. Integers beyond int64 become names, which distinguish individuals as well."""
    items = found.tolist() if found.dtype.kind == "O" else []
    names, numbers = (sum(isinstance(item, kind) for item in items) for kind in (str | bytes, Integral))
    if found.dtype.kind != "O" or len(items) not in (names, numbers):
        odd = [brief(item) for item in items if not isinstance(item, str | bytes | Integral)]
        what = brief(found) if found.dtype.kind != "O" else odd[0] if odd else "numbers and names together"
        raise ComponentError(f"labels must be {ACCEPTED}, not {what}")
    if not items or len(items) == numbers:
        try:
            return np.array([int(item) for item in items], dtype=np.int64)
        except OverflowError:
            items = [str(int(item)) for item in items]
    return np.array([item if isinstance(item, str) else item.decode(errors="surrogateescape") for item in items])
