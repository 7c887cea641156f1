"""Number of individuals among photos, with a confidence interval, from a person's answers on few pairs.

Nested importance sampling after Perez, Sheldon, Van Horn and Maji (2023), arXiv 2312.05287. If photo i shows an
individual with nᵢ photos, the number of individuals is K = Σ 1/nᵢ. Photos i are drawn with probability qᵢ, and for
each of them Mᵢ partners j with probability rᵢⱼ. A person tells whether i and j show one individual, yᵢⱼ = 1 or 0. Then

    nᵢ ≈ 1 + meanⱼ(yᵢⱼ / rᵢⱼ),    K ≈ meanᵢ(1 / (nᵢ qᵢ)).

q and r follow from the probabilities pᵢⱼ of "same": qᵢ ∝ 1 / (1 + Σⱼ pᵢⱼ) and rᵢⱼ ∝ pᵢⱼ, mixed with `ANY` of the
uniform distribution, so that each pair can be drawn. Three things are added to the paper. A photo gets the more
partners the more are likely: exp(entropy of rᵢ), within `PARTNERS`. The mean of 1/nᵢ is too large for few partners, so
the jackknife over the partners corrects it. And draws with a surprise are rare, so few draws show too little variance:
the interval is widened as if two further draws had given half and double the number, in the manner of Agresti and
Coull (1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from siamesekit.evaluation.intervals import Floats
from siamesekit.gallery.clustering import Matrix
from siamesekit.randomness import generator

PARTNERS = (10, 30)
"""Fewest and most partners of a drawn photo."""
ANY = 0.05
"""Share of partners that are drawn uniformly."""
FEWEST = 5
"""Fewest draws for an interval."""
MOST_DRAWS = 1000


@dataclass(frozen=True)
class Draw:
    """A photo with its partners.

    Attributes:
        photo: index of the photo.
        chance: probability q with which it was drawn.
        partners: indices of its M partners, int64 `[M]`; one may occur several times.
        chances: probability r with which each was drawn, `[M]`.
    """

    photo: int
    chance: float
    partners: NDArray[np.int64]
    chances: Floats


@dataclass(frozen=True)
class CountEstimate:
    """The estimated number of individuals.

    Attributes:
        value: the estimate.
        low: lower end of the interval.
        high: upper end of the interval.
        confidence: confidence of the interval.
        draws: number of photos that were drawn.
        pairs: number of different pairs whose answers it uses.
    """

    value: float
    low: float
    high: float
    confidence: float
    draws: int
    pairs: int


def draws(probabilities: Matrix, odds: float = 1.0, seed: int = 0) -> Iterator[Draw]:
    """Photos with partners, one draw after the other; the first draws do not depend on how many are taken.

    Args:
        probabilities: probabilities of "same", `[N, N]`, 0 on the diagonal.
        odds: factor by which their odds are corrected first.
        seed: seed of the draws.
    """
    count = len(probabilities)
    rng = generator(seed, "count of individuals")
    chance = 1 / (1 + np.array([_with_odds(row, odds).sum() for row in probabilities]))
    chance /= chance.sum()
    for _ in range(MOST_DRAWS):
        photo = int(rng.choice(count, p=chance))
        others = _with_odds(probabilities[photo], odds)
        others[photo] = 0
        total = others.sum()
        partner = others / total if total > 0 else np.zeros(count)
        partner = (1 - ANY) * partner + (ANY if total > 0 else 1.0) / (count - 1)
        partner[photo] = 0
        partner /= partner.sum()
        likely = partner[partner > 0]
        several = int(np.clip(np.exp(-(likely * np.log(likely)).sum()), *PARTNERS))
        chosen = rng.choice(count, several, p=partner)
        yield Draw(photo, float(chance[photo]), chosen, partner[chosen])


def _with_odds(probabilities: Matrix, factor: float) -> Floats:
    """Probabilities `[N]` whose odds are multiplied by a factor."""
    same = probabilities.astype(np.float64) * factor
    corrected: Floats = same / (same + (1 - probabilities))
    return corrected


def estimate(
    found: list[Draw], same: Callable[[int, int], bool], most: int, confidence: float = 0.95
) -> CountEstimate | None:
    """Estimate the number of individuals; None with fewer than `FEWEST` draws.

    Args:
        found: draws, all of whose pairs are answered.
        same: the answer: whether two photos show one individual.
        most: largest possible number, such as the number of photos, less those that must-links join.
        confidence: confidence of the interval.
    """
    if len(found) < FEWEST:
        return None
    terms = np.array([_term(draw, same) for draw in found])
    value, size = float(terms.mean()), len(terms)
    variance = (((terms - value) ** 2).sum() + value**2 + (value / 2) ** 2) / (size + 1)
    reach = _student(confidence, size - 1) * float(np.sqrt(variance / size))
    pairs = {(min(draw.photo, int(j)), max(draw.photo, int(j))) for draw in found for j in draw.partners}
    value, low, high = (float(np.clip(each, 1, most)) for each in (value, value - reach, value + reach))
    return CountEstimate(value, low, high, confidence, size, len(pairs))


def _term(draw: Draw, same: Callable[[int, int], bool]) -> float:
    """1 / (n q) of a draw, corrected by the jackknife."""
    weights = np.array([same(draw.photo, int(j)) for j in draw.partners]) / draw.chances
    several, total = len(weights), weights.sum()
    whole = 1 / (1 + total / several)
    without = 1 / (1 + (total - weights) / (several - 1))
    return float((several * whole - (several - 1) * without.mean()) / draw.chance)


def _student(confidence: float, freedom: int) -> float:
    """Two-sided quantile of Student's t distribution, by the expansion of Hill (1970) to 1/freedom³."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
