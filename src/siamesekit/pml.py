"""The seam to pytorch-metric-learning: modules built from checked options, distances and tuples in our terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.utils import common_functions
from torch import Tensor, nn

from siamesekit.adapted.pml import PACKAGE, facts
from siamesekit.distances.distance import Distance, pairwise
from siamesekit.errors import ComponentError
from siamesekit.triplets import Pairs, Triplets, Tuples


class OwnDistance(BaseDistance):  # type: ignore[misc]
    """A distance of ours as one of theirs: embeddings as they are, smaller is nearer."""

    def __init__(self, distance: Distance) -> None:
        super().__init__(normalize_embeddings=False)
        self.distance = distance

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """`[N, D]`, `[M, D]` → `[N, M]`."""
        return pairwise(self.distance, query_emb, query_emb if ref_emb is None else ref_emb)

    def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Corresponding rows, `[N, D]`, `[N, D]` → `[N]`."""
        return self.distance(query_emb, ref_emb)


def construct(kind: str, model: str, options: Mapping[str, Any], **runtime: Any) -> Any:
    """Build one of its modules.

    Args:
        kind: "losses", "miners", "distances", "reducers", "regularizers" or "samplers".
        model: its name in a config, without `pml/`.
        options: checked, nested components built.
        runtime: values that the run supplies, by our names.

    Raises:
        ComponentError: its constructor refuses the options, in its words.
    """
    known = facts(kind, model)
    ours = {
        "embedding_size": "embedding_dim", "descriptors_dim": "embedding_dim", "l": "embedding_dim",
    }  # fmt: skip
    supplied = {name: runtime[ours.get(name, name)] for name in known.runtime if ours.get(name, name) in runtime}
    given = {name: _theirs(kind, name, value) for name, value in options.items() if value is not None}
    if known.name == "MarginLoss" and not given.pop("beta_per_class"):
        del supplied["num_classes"]
    if known.name == "ManifoldLoss":
        given["K"] = runtime["num_classes"]
    try:
        return getattr(import_module(f"{PACKAGE}.{kind}"), known.name)(**supplied, **given)
    except Exception as error:  # their constructors assert, raise ValueError, or plain Exception
        what = str(error) or f"{type(error).__name__} in {known.name}"
        raise ComponentError(f"pml/{model} refuses these options: {what}") from error


def _theirs(kind: str, name: str, value: Any) -> Any:
    """An option's value as their constructors take it."""
    if name == "distance":
        return getattr(value, "module", None) or OwnDistance(value)
    if name == "weight_init_func":
        return common_functions.TorchInitWrapper(getattr(nn.init, f"{value.replace('-', '_')}_"))
    if (kind, name) == ("reducers", "weights"):
        return torch.tensor(value)
    if name in ("loss", "losses", "miner"):
        several = value if isinstance(value, list) else [value]
        if not all(hasattr(each, "module") for each in several):
            raise ComponentError(f"{name}: inside a pml/ component only others of pml/ can stand")
        theirs = [each.module for each in several]
        return theirs if isinstance(value, list) else theirs[0]
    return value


def as_theirs(tuples: Tuples | None) -> tuple[Tensor, ...] | None:
    """Triplets or pairs as their losses take them."""
    return None if tuples is None else tuple(tuples)


def as_ours(tuples: tuple[Tensor, ...]) -> Tuples:
    """Triplets or pairs of their miners: three index tensors `[T]`, or four, two `[P]` and two `[Q]`."""
    return Triplets(*tuples) if len(tuples) == 3 else Pairs(*tuples)


@contextmanager
def drawing_from(random: np.random.RandomState) -> Iterator[None]:
    """Another generator in the place of their global NumPy one."""
    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = random
    try:
        yield
    finally:
        common_functions.NUMPY_RANDOM = before


def seeded() -> AbstractContextManager[None]:
    """Their generator seeded from torch's, which the run seeds and saves."""
    return drawing_from(np.random.RandomState(int(torch.randint(2**31, ()))))
