"""Loss `sum`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from siamesekit.components.labels import Labels
from siamesekit.components.losses.loss import Loss, LossValue, loss_value
from siamesekit.components.losses.traits import traits
from siamesekit.components.tuples import Tuples
from siamesekit.errors import ComponentError
from siamesekit.options import WeightedLosses
from siamesekit.registry import LOSSES


def weighted_sum(values: Sequence[LossValue], weights: Sequence[float]) -> LossValue:
    """The sum of losses, each times its weight.

    Objective and mean are weighted sums. The active share is the plain mean of the losses' shares, without those that
    are NaN.
    """
    objective = torch.stack([weight * value.objective for value, weight in zip(values, weights, strict=True)]).sum()
    mean = torch.stack([weight * value.mean for value, weight in zip(values, weights, strict=True)]).sum()
    active = torch.stack([value.active.double() for value in values]).nanmean()
    return LossValue(objective, mean, active)


@LOSSES.register("sum")
class SumOfLosses(nn.Module):
    """The sum of several losses of the same embeddings, each times its weight.

    Embeddings `[N, D]`, labels `[N]` → Σ weight · loss. Each term has the triplets or pairs of the batch if it takes
    any, and the parameters of all terms train. In a config, `[[loss.terms]]` alone makes the sum:

    ```toml
    [[loss.terms]]
    name = "arcface"

    [[loss.terms]]
    name = "triplet"
    weight = 0.5
    ```

    In Python a term is a loss, its name, or a table, with the weight 1; or a pair of these and a weight:
    `SumOfLosses([arcface, (triplet, 0.5)])`.

    Behind a head with a neck (`encoder.head.neck = "batchnorm"`), terms that compare photos take the embeddings before
    the neck, and terms by class those after it, in training: Luo et al. 2019 (arXiv:1903.07071). Outside training all
    take the embeddings after it.

    The sum has the limits of its terms: with a term that compares embeddings with parameters of each individual, there
    is a test loss only if the test individuals trained.

    Args:
        terms: the losses, one table each, with a key `weight` above 0 (1.0 by default).

    Raises:
        ComponentError: there is no term.
    """

    __module__ = "siamesekit"

    fits_into_memory = False

    def __init__(self, terms: WeightedLosses) -> None:
        super().__init__()
        if not terms:
            raise ComponentError("loss 'sum' needs at least one term: [[loss.terms]] with a name")
        self.terms: list[Loss] = [term.component for term in terms]
        self.weights = [term.weight for term in terms]
        for number, term in enumerate(self.terms):
            if isinstance(term, nn.Module):
                self.add_module(f"term{number}", term)
        each = [traits(term) for term in self.terms]
        self.takes_before_neck = not all(term.by_class for term in each)
        self.by_class = any(term.by_class for term in each)
        self.takes_tuples = any(term.takes_tuples for term in each)
        if any(term.measures_by == "cosine" for term in each):
            self.measures_by = "cosine"
        assuming = [f"terms.{n}.{term.assumes_unit_length}" for n, term in enumerate(each) if term.assumes_unit_length]
        if assuming:
            self.assumes_unit_length = assuming[0]

    def out_of_reach(self, least: float, greatest: float) -> str | None:
        """A message about a margin of a term that distances from `least` to `greatest` cannot reach, or None."""
        for number, term in enumerate(self.terms):
            check = traits(term).out_of_reach
            if check is not None and (found := check(least, greatest)) is not None:
                return f"terms.{number}: {found}"
        return None

    def forward(
        self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None, before_neck: Tensor | None = None
    ) -> LossValue:
        """The loss of a batch of embeddings `[N, D]` of individuals `[N]`.

        Args:
            embeddings: embeddings `[N, D]`.
            labels: individuals `[N]`.
            tuples: triplets or pairs of the batch.
            before_neck: embeddings `[N, D]` before the neck, for the terms that compare photos; None without a neck.
        """
        values = [self._of(term, embeddings, labels, tuples, before_neck) for term in self.terms]
        return weighted_sum(values, self.weights)

    @staticmethod
    def _of(
        term: Loss, embeddings: Tensor, labels: Labels, tuples: Tuples | None, before_neck: Tensor | None
    ) -> LossValue:
        """The value of one term."""
        of = traits(term)
        given = tuples if of.takes_tuples else None
        if before_neck is not None and not of.by_class:
            embeddings = before_neck
        return loss_value(term(embeddings, labels, given))  # type: ignore[arg-type]  # our losses take any labels
