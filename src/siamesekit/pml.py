"""The seam to pytorch-metric-learning: modules built from checked options, distances and tuples in our terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.utils import common_functions
from torch import Tensor, nn

from siamesekit.adapted.pml import PACKAGE, facts
from siamesekit.allocator import refuse_too_many_numbers
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


class HistogramLoss(losses.HistogramLoss):  # type: ignore[misc]
    """Theirs, with a similarity of 1, as of two copies of a photo, counted in the last bin: theirs looks beyond it."""

    def compute_density(self, distances: Tensor) -> Tensor:
        """Share of the similarities `[P]` at each of the ends of the B bins between −1 and 1: `[B + 1]`."""
        bins = round(2 / self.delta)
        place = ((distances.float() + 1) / self.delta).floor().long()
        if len(place) == 0 or (int(place.min()) >= 0 and int(place.max()) < bins):
            density: Tensor = super().compute_density(distances)
            return density
        if not bool((distances.abs() < 1 + SLACK).all()):
            least, most = distances.min().item(), distances.max().item()
            raise ComponentError(
                f"histogram of pytorch-metric-learning takes similarities from -1 to 1, not {least:.4g} to {most:.4g}: "
                "let its distance be pml/cosine-similarity"
            )
        place = place.clamp(0, bins - 1)
        share = (distances + 1 - place * self.delta) / self.delta
        ends = distances.new_zeros(bins + 1).scatter_add(0, place + 1, share).scatter_add(0, place, 1 - share)
        return ends / len(distances)


class TupletMarginLoss(losses.TupletMarginLoss):  # type: ignore[misc]
    """Theirs, with a finite gradient where two embeddings have one direction: there an angle has none."""

    def _compute_loss(self, pos_pairs: Tensor, neg_pairs: Tensor, indices_tuple: tuple[Tensor, ...]) -> Any:
        if len(pos_pairs):
            most = 1 - torch.finfo(pos_pairs.dtype).eps
            pos_pairs = pos_pairs.clamp(-most, most)
        return super()._compute_loss(pos_pairs, neg_pairs, indices_tuple)


class DynamicSoftMarginLoss(losses.DynamicSoftMarginLoss):  # type: ignore[misc]
    """Theirs, with the histogram of earlier batches kept as numbers: theirs keeps their graphs, too, which are gone.

    A difference of distances beyond the last bin is counted in that: theirs looks beyond it.
    """

    hist_: Tensor

    def compute_loss(self, *arguments: Any) -> Any:
        """Their losses, which depend on the histogram; what is kept of it for the next batch does not."""
        found = super().compute_loss(*arguments)
        self.hist_: Tensor = self.hist_.detach()
        return found

    def update_histogram(self, data: Tensor) -> None:
        """Count differences `[T]` of this batch."""
        place = (data - self.min_val) / self.delta
        low = place.floor().long()
        momentum = self.momentum if self.hist_.sum() != 0 else 1.0
        share = place.frac()
        last = self.num_bins - 1
        self.hist_ = (1.0 - momentum) * self.hist_
        for bins, part in ((low, 1 - share), (low + 1, share)):
            self.hist_ = self.hist_.scatter_add(0, bins.clamp(0, last), momentum * part)
        self.hist_ = self.hist_ / self.hist_.sum()

    def weigh_loss(self, data: Tensor) -> Tensor:
        """Differences `[T]`, each times the share of those that are no larger."""
        place = ((data - self.min_val) / self.delta).floor().long()
        weighed: Tensor = self.hist_.cumsum(0)[place.clamp(0, self.num_bins - 1)] * data
        return weighed


SLACK = 1e-3
"""A similarity of two embeddings may be so much beyond 1 by rounding."""
MENDED = {each.__name__: each for each in (HistogramLoss, TupletMarginLoss, DynamicSoftMarginLoss)}
"""Classes that fail on valid batches, by name, without what fails. They keep their names, which others ask for."""


def construct(kind: str, model: str, options: Mapping[str, Any], **runtime: Any) -> Any:
    """Build one of its modules.

    Args:
        kind: "losses", "miners", "distances", "reducers", "regularizers" or "samplers".
        model: its name in a config, without `pml/`.
        options: checked, nested components built.
        runtime: values that the run supplies, by our names.

    Raises:
        ComponentError: its constructor refuses the options, in its words, or it would hold too many numbers.
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
    _refuse_too_many(kind, model, options, runtime)
    try:
        made = MENDED.get(known.name) or getattr(import_module(f"{PACKAGE}.{kind}"), known.name)
        return made(**supplied, **given)
    except Exception as error:  # their constructors assert, raise ValueError, or plain Exception
        what = str(error) or f"{type(error).__name__} in {known.name}"
        raise ComponentError(f"pml/{model} refuses these options: {what}") from error


def _refuse_too_many(kind: str, model: str, options: Mapping[str, Any], runtime: Mapping[str, Any]) -> None:
    """Before their constructors allocate: centres of individuals, a memory, a mask of all centres with all others."""
    names = [name for name in ("sub_centers", "centers_per_class", "memory_size") if options.get(name) is not None]
    if names:
        (name, *_), individuals, size = names, runtime.get("num_classes", 1), runtime.get("embedding_dim", 1)
        rows = options[name] * (1 if name == "memory_size" else individuals)
        numbers = rows * (rows if kind == "regularizers" else size)
        refuse_too_many_numbers(numbers, f"{kind} pml/{model}", f"{name}, or the embedding's dimension")


def _theirs(kind: str, name: str, value: Any) -> Any:
    """An option's value as their constructors take it."""
    if name == "distance":
        return getattr(value, "module", None) or OwnDistance(value)
    if name == "weight_init_func":
        return common_functions.TorchInitWrapper(getattr(nn.init, f"{value.replace('-', '_')}_"))
    if (kind, name) == ("reducers", "weights"):
        return torch.tensor(value)
    if name in ("loss", "losses", "miner", "miners"):
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
