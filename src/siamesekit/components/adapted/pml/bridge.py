"""Conversion between siamesekit and pytorch-metric-learning (PML): options, distances, tuples and random numbers."""

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

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.components.tuples import Pairs, Triplets, Tuples
from siamesekit.errors import ComponentError
from siamesekit.hardware.allocator import refuse_too_many_numbers
from siamesekit.registry.adapted.pml import PACKAGE, facts


class OwnDistance(BaseDistance):  # type: ignore[misc]
    """A siamesekit distance as a PML distance: embeddings are not normalized, smaller is nearer."""

    def __init__(self, distance: Distance) -> None:
        super().__init__(normalize_embeddings=False)
        self.distance = distance

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`."""
        return pairwise(self.distance, query_emb, query_emb if ref_emb is None else ref_emb)

    def pairwise_distance(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Distances of corresponding rows, `[N, D]`, `[N, D]` → `[N]`."""
        return self.distance(query_emb, ref_emb)


class HistogramLoss(losses.HistogramLoss):  # type: ignore[misc]
    """PML's histogram loss, fixed for similarities of 1, as of two copies of a photo, which belong to the last bin."""

    def compute_density(self, distances: Tensor) -> Tensor:
        """The share of the similarities `[P]` at each edge of the B bins between −1 and 1: `[B + 1]`."""
        bins = round(2 / self.delta)
        place = ((distances.float() + 1) / self.delta).floor().long()
        if len(place) == 0 or (int(place.min()) >= 0 and int(place.max()) < bins):
            density: Tensor = super().compute_density(distances)
            return density
        if not bool((distances.abs() < 1 + SLACK).all()):
            least, most = distances.min().item(), distances.max().item()
            raise ComponentError(
                f"histogram of pytorch-metric-learning takes similarities from -1 to 1, not {least:.4g} to {most:.4g}: "
                "set its distance to pml/cosine-similarity"
            )
        place = place.clamp(0, bins - 1)
        share = (distances + 1 - place * self.delta) / self.delta
        ends = distances.new_zeros(bins + 1).scatter_add(0, place + 1, share).scatter_add(0, place, 1 - share)
        return ends / len(distances)


class TupletMarginLoss(losses.TupletMarginLoss):  # type: ignore[misc]
    """PML's tuplet margin loss, with a finite gradient for parallel embeddings, where the angle has none."""

    def _compute_loss(self, pos_pairs: Tensor, neg_pairs: Tensor, indices_tuple: tuple[Tensor, ...]) -> Any:
        if len(pos_pairs):
            most = 1 - torch.finfo(pos_pairs.dtype).eps
            pos_pairs = pos_pairs.clamp(-most, most)
        return super()._compute_loss(pos_pairs, neg_pairs, indices_tuple)


class DynamicSoftMarginLoss(losses.DynamicSoftMarginLoss):  # type: ignore[misc]
    """PML's dynamic soft margin loss, with the histogram detached from the freed graphs of earlier batches.

    Differences of distances beyond the last bin are counted in the last bin.
    """

    hist_: Tensor

    def compute_loss(self, *arguments: Any) -> Any:
        """PML's losses, with gradients through the histogram, which is then detached for the next batch."""
        found = super().compute_loss(*arguments)
        self.hist_: Tensor = self.hist_.detach()
        return found

    def update_histogram(self, data: Tensor) -> None:
        """Add the differences `[T]` of this batch to the histogram."""
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
        """Differences `[T]`, each weighted by the share of differences that are not larger."""
        place = ((data - self.min_val) / self.delta).floor().long()
        weighed: Tensor = self.hist_.cumsum(0)[place.clamp(0, self.num_bins - 1)] * data
        return weighed


SLACK = 1e-3
"""Excess of a similarity over 1 that is attributed to rounding."""
MENDED = {each.__name__: each for each in (HistogramLoss, TupletMarginLoss, DynamicSoftMarginLoss)}
"""Fixed versions of classes that fail on valid batches, by their original names."""


def construct(kind: str, model: str, options: Mapping[str, Any], **runtime: Any) -> Any:
    """Build a PML module.

    Args:
        kind: "losses", "miners", "distances", "reducers", "regularizers" or "samplers".
        model: name in a config, without `pml/`.
        options: validated options, with nested components built.
        runtime: values supplied by the run, by their names in siamesekit.

    Raises:
        ComponentError: the constructor refuses the options, or the module would be too large.
    """
    known = facts(kind, model)
    ours = {
        "embedding_size": "embedding_dim",
        "descriptors_dim": "embedding_dim",
        "l": "embedding_dim",
    }
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
    except Exception as error:  # PML constructors raise AssertionError, ValueError or plain Exception
        what = str(error) or f"{type(error).__name__} in {known.name}"
        raise ComponentError(f"pml/{model} refuses these options: {what}") from error


def _refuse_too_many(kind: str, model: str, options: Mapping[str, Any], runtime: Mapping[str, Any]) -> None:
    """Refuse too many centres, memory entries or pairs of centres before the constructor allocates them."""
    names = [name for name in ("sub_centers", "centers_per_class", "memory_size") if options.get(name) is not None]
    if names:
        (name, *_), individuals, size = names, runtime.get("num_classes", 1), runtime.get("embedding_dim", 1)
        rows = options[name] * (1 if name == "memory_size" else individuals)
        numbers = rows * (rows if kind == "regularizers" else size)
        refuse_too_many_numbers(numbers, f"{kind} pml/{model}", f"{name}, or the embedding's dimension")


def _theirs(kind: str, name: str, value: Any) -> Any:
    """The value of an option in the form that PML constructors take."""
    if name == "distance":
        return getattr(value, "module", None) or OwnDistance(value)
    if name == "weight_init_func":
        return common_functions.TorchInitWrapper(getattr(nn.init, f"{value.replace('-', '_')}_"))
    if (kind, name) == ("reducers", "weights"):
        return torch.tensor(value)
    if name in ("loss", "losses", "miner", "miners"):
        several = value if isinstance(value, list) else [value]
        if not all(hasattr(each, "module") for each in several):
            raise ComponentError(f"{name}: a pml/ component can only hold other pml/ components")
        theirs = [each.module for each in several]
        return theirs if isinstance(value, list) else theirs[0]
    return value


def as_theirs(tuples: Tuples | None) -> tuple[Tensor, ...] | None:
    """Triplets or pairs in the form that PML losses take."""
    return None if tuples is None else tuple(tuples)


def as_ours(tuples: tuple[Tensor, ...]) -> Tuples:
    """The result of a PML miner, three index tensors `[T]`, or two `[P]` and two `[Q]`, as triplets or pairs."""
    return Triplets(*tuples) if len(tuples) == 3 else Pairs(*tuples)


@contextmanager
def seeded_by(random: np.random.RandomState) -> Iterator[None]:
    """Replace PML's global NumPy generator within a `with` block."""
    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = random
    try:
        yield
    finally:
        common_functions.NUMPY_RANDOM = before


def seeded() -> AbstractContextManager[None]:
    """Seed PML's generator, within a `with` block, from torch's generator, which the run seeds and saves."""
    return seeded_by(np.random.RandomState(int(torch.randint(2**31, ()))))
