"""Open-set identification: the probability of each candidate, and that the individual is new.

For a query, let d₁ ≤ d₂ ≤ … be the distances to the nearest `NEAREST` of n individuals. With weights
rⱼ = exp(−slope·dⱼ),

    P(known)     = σ(offset + scale · log Σ rⱼ − growth · log n)
    P(j | known) = rⱼ / Σ rⱼ

If log-likelihood ratios of same against different are linear in the distance, then Bayes' rule gives this form with
scale = growth = 1: the more individuals are searched, the nearer is the nearest by chance. The four numbers are fitted
by maximum likelihood to queries whose individual is in the gallery and to queries whose individual is left out, in
galleries of several sizes, known and new with equal weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.evaluation.intervals import Floats

NEAREST = 12
"""Individuals that get a probability: as many as an answer has by default."""
FEWEST = 10
"""Fewest individuals for a fit."""
SIZES = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000)
"""Sizes of the galleries of a fit, as far as there are individuals, and all of them."""
ITERATIONS = 200
SMALLEST = 1e-6
"""Slope, per standard deviation of the distances, and scale below which distances say nothing."""
ROUNDING = 1e-9
"""Difference between a promised share and one that is measured that is only due to rounding."""


@dataclass(frozen=True)
class Trials:
    """Queries in galleries, N together.

    Attributes:
        distances: distances to the nearest individuals of the gallery, ascending, `[N, NEAREST]`, ∞ where there are
            fewer.
        own: place of the query's own individual among them, int64 `[N]`; −1 if it is farther, −2 if it is new.
        size: number of individuals in the gallery, int64 `[N]`.
        individual: the query's own individual, int64 `[N]`.
    """

    distances: Floats
    own: NDArray[np.int64]
    size: NDArray[np.int64]
    individual: NDArray[np.int64]

    @property
    def new(self) -> NDArray[np.bool_]:
        """Which queries are of individuals that are not in the gallery."""
        new: NDArray[np.bool_] = self.own == -2
        return new


@dataclass(frozen=True)
class Identification:
    """A fitted model of identification; see the module.

    Attributes:
        slope: decrease of the log weight per unit of distance, above 0.
        scale: factor of the log of the summed weights.
        offset: log-odds of "known" at sum 1 and size 1.
        growth: factor of the log of the gallery's size.
        individuals: number of individuals whose photos were queries of the fit.
        largest: largest gallery of the fit; beyond it, probabilities are extrapolated.
        strangers: P(new) of the queries of the fit in galleries without their individual: by the size of the gallery, a
            tuple for each individual. `limit` uses them.
    """

    slope: float
    scale: float
    offset: float
    growth: float
    individuals: int
    largest: int
    strangers: Mapping[int, tuple[tuple[float, ...], ...]]

    def probabilities(
        self, distances: Floats, size: int | NDArray[np.int64], new_share: float = 0.5
    ) -> tuple[Floats, Floats]:
        """Probability of each candidate `[N, m]`, and of a new individual `[N]`; together they are 1.

        Args:
            distances: distances to the nearest individuals, ascending, `[N, m]`; the first `NEAREST` count.
            size: number of individuals that were searched.
            new_share: share of new individuals among the queries that one expects, above 0 and below 1.
        """
        if not 0 < new_share < 1:
            raise ValueError(f"new_share must be above 0 and below 1, not {new_share}")
        weights = -self.slope * distances
        weights[:, NEAREST:] = -np.inf
        total = np.logaddexp.reduce(weights, axis=1)
        odds = self.offset + self.scale * total - self.growth * np.log(size) - math.log(new_share / (1 - new_share))
        known = 0.5 * (1 + np.tanh(odds / 2))
        each: Floats = np.exp(weights - total[:, None]) * known[:, None]
        return each, 1 - known

    def limit(self, false_known_rate: float, size: int | None = None) -> float | None:
        """The largest P(new) up to which a query may be called known, if at most this share of new ones may be.

        The queries of the fit without their individual decide, each individual with the same weight, in the smallest
        galleries of the fit that are as large as `size`, or the largest ones. The limit is that of hierarchical
        conformal prediction (Lee, Barber and Willett 2023, arXiv:2306.06342): a query of a further individual is called
        known with at most this probability, if P(new) were not fitted to the same queries, which matters little.

        Args:
            false_known_rate: share of queries of new individuals that may be called known, above 0 and below 1.
            size: number of individuals that are searched; by default as many as in the largest galleries.

        Returns:
            None if there are too few individuals to promise this: at least 1/rate − 1 are needed.
        """
        sizes = sorted(self.strangers)
        chosen = next((each for each in sizes if size is not None and each >= size), sizes[-1])
        found = self.strangers[chosen]
        share = 1 / (len(found) + 1)  # the further individual's own, which is unknown: as if it were called known
        if share > false_known_rate + ROUNDING:
            return None
        chances = np.array([chance for each in found for chance in each])
        weights = np.array([share / len(each) for each in found for _ in each])
        order = np.argsort(chances)
        beyond = share + np.cumsum(weights[order]) > false_known_rate + ROUNDING
        return float(np.nextafter(chances[order][beyond.argmax()], -np.inf))


def individuals_needed(false_known_rate: float) -> int:
    """Fewest individuals with which `Identification.limit` promises a rate."""
    return math.ceil(1 / (false_known_rate + ROUNDING) - 1)


class Trial(NamedTuple):
    """One query in one gallery.

    Attributes:
        nearest: distances to the nearest individuals, ascending, at most `NEAREST`.
        own: place of the query's own individual among them; −1 if it is farther, −2 if it is new.
        size: number of individuals in the gallery.
        individual: the query's own individual.
    """

    nearest: Floats
    own: int
    size: int
    individual: int


def trial(others: Floats, own: float | None, individual: int) -> Trial:
    """A query, by its distances to the other individuals of a gallery, ascending `[n]`, and to its own; None: new."""
    if own is None:
        return Trial(others[:NEAREST], -2, len(others), individual)
    place = int(np.searchsorted(others, own))
    row = np.insert(others, place, own)
    return Trial(row[:NEAREST], place if place < NEAREST else -1, len(row), individual)


def trials_of(found: Sequence[Trial]) -> Trials:
    """Trials, one after the other."""
    rows = np.full((len(found), NEAREST), np.inf)
    for row, each in zip(rows, found, strict=True):
        row[: len(each.nearest)] = each.nearest
    return Trials(rows, *(np.array([each[column] for each in found], np.int64) for column in (1, 2, 3)))


def trials(distances: Floats, own: NDArray[np.int64], rng: np.random.Generator, sizes: Sequence[int] = SIZES) -> Trials:
    """Queries in random galleries of several sizes, each once with its own individual and once without.

    Args:
        distances: distance of each query to each of I individuals, `[Q, I]`; to its own without the query's own photo,
            NaN if it has no other.
        own: index of each query's individual, int64 `[Q]`, 0 … I − 1.
        rng: draws the galleries.
        sizes: numbers of individuals in the galleries; those beyond I − 1 become I − 1.
    """
    count = distances.shape[1]
    found = []
    for size in sorted({min(size, count - 1) for size in sizes}):
        for query, mine in enumerate(own):
            others = np.delete(np.arange(count), mine)
            chosen = others if size == count - 1 else rng.choice(others, size, replace=False)
            strange = np.sort(distances[query, chosen])
            found.append(trial(strange, None, int(mine)))
            if not np.isnan(distances[query, mine]):
                found.append(trial(strange[: size - 1] if size > 1 else strange, distances[query, mine], int(mine)))
    return trials_of(found)


def fit(found: Trials) -> Identification | None:
    """Fit to trials; None with fewer than `FEWEST` individuals, or if near ones are not likelier to be the same.

    The weight of each individual is the same within the known and within the new trials. Targets are softened after
    Platt (1999), so that the fit stays finite if the trials can be told apart perfectly.
    """
    individuals = len(np.unique(found.individual))
    if individuals < FEWEST or found.new.all():
        return None
    finite = np.isfinite(found.distances)
    middle, spread = found.distances[finite].mean(), found.distances[finite].std()
    if not spread > 0:
        return None
    near = torch.from_numpy(np.where(finite, (found.distances - middle) / spread, np.inf))
    size = torch.from_numpy(np.log(found.size))
    new = torch.from_numpy(found.new)
    place = torch.from_numpy(found.own)
    weight = torch.zeros(len(new), dtype=torch.float64)
    for kind in (found.new, ~found.new):
        _, which, counts = np.unique(found.individual[kind], return_inverse=True, return_counts=True)
        weight[torch.from_numpy(kind)] = torch.from_numpy(1 / counts[which] / len(counts))
    soft = 1 / (individuals + 2)
    target = torch.where(new, soft, 1 - soft).double()
    listed = place >= 0
    choices = place.clamp_min(0)[:, None]
    theta = torch.tensor([0.0, 0.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)  # log slope, log scale, …
    optimizer = torch.optim.LBFGS([theta], max_iter=ITERATIONS, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def cost() -> torch.Tensor:
        optimizer.zero_grad()
        weights = torch.where(near.isinf(), -torch.inf, -theta[0].exp() * near.nan_to_num(posinf=0.0))
        total = weights.logsumexp(1)
        logit = theta[2] + theta[1].exp() * total - theta[3] * size
        chosen = (total - weights.gather(1, choices)[:, 0]) * (1 - soft)
        value = torch.nn.functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
        value = (weight * (value + torch.where(listed, chosen, 0.0))).sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(cost)
    steepness, scale = theta[:2].detach().exp().tolist()
    offset, growth = theta[2:].detach().tolist()
    if not all(map(math.isfinite, (steepness, scale, offset, growth))) or min(steepness, scale) < SMALLEST:
        return None
    slope = steepness / float(spread)
    offset += scale * slope * float(middle)
    fitted = Identification(slope, scale, offset, growth, individuals, int(found.size.max()), {})
    return replace(fitted, strangers=_strangers(fitted, found))


def _strangers(fitted: Identification, found: Trials) -> dict[int, tuple[tuple[float, ...], ...]]:
    """P(new) of the queries of new individuals, by size of the gallery and individual."""
    _, chance = fitted.probabilities(found.distances[found.new], found.size[found.new])
    sizes, individuals = found.size[found.new], found.individual[found.new]
    by_size: dict[int, tuple[tuple[float, ...], ...]] = {}
    for size in np.unique(sizes).tolist():
        here, owner = chance[sizes == size], individuals[sizes == size]
        by_size[size] = tuple(tuple(map(float, here[owner == each])) for each in np.unique(owner))
    return by_size
