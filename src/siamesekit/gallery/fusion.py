"""How much shared points move a candidate: a weight fitted beside the distance.

For the query's own individual i among the B candidates that are looked at,

    P(i) = (1 − lapse) · exp(sᵢ) / Σⱼ exp(sⱼ) + lapse / B,    s = −slope · d + gain · m,    m = log(1 + shared points),

a conditional logit model (McFadden 1974) in which a share of queries cannot be told, because no photo shows the same
part of the animal. The three numbers are fitted by maximum likelihood to queries of known individuals; a candidate's
distance then becomes d − gain / slope · (m − chance), where chance is the mean of m over individuals that are not the
query's. So a candidate that was not looked at stays where it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.evaluation.intervals import Floats

RIDGE = 1e-3
"""Weight of the squares of log slope and gain, per standard deviation: the fit stays finite if all queries are right,
or if distances say nothing."""
LAPSE = -2.0
"""Log-odds of the lapse toward which few queries pull it, with the same weight."""
ITERATIONS = 200


@dataclass(frozen=True)
class Fusion:
    """Fitted weights; see the module.

    Attributes:
        weight: distance that one unit of m counts as much as, at least 0.
        chance: mean of m of a query and other individuals.
    """

    weight: float
    chance: float

    def moves(self, points: NDArray[np.int64]) -> Floats:
        """What numbers of shared points `[N, B]` add to a distance, `[N, B]`; 0 where the number is unknown, −1."""
        gain = np.log1p(np.maximum(points, 0)) - self.chance
        return -self.weight * np.where(points >= 0, gain, 0.0)

    def fused(self, distances: Floats, points: NDArray[np.int64]) -> Floats:
        """Distances `[N, B]` moved by numbers of shared points `[N, B]`."""
        return distances + self.moves(points)


def fit_fusion(
    distances: Floats, points: NDArray[np.int64], own: NDArray[np.int64], individual: NDArray[np.int64]
) -> Fusion | None:
    """Fit to queries of known individuals, each individual with the same weight.

    Args:
        distances: distance of each query to the B candidates that were looked at, `[N, B]`, ∞ where there are fewer.
        points: number of points it shares with each, int64 `[N, B]`; −1 if unknown.
        own: place of its individual among the candidates, int64 `[N]`; −1 if it is none of them.
        individual: its individual, int64 `[N]`.

    Returns:
        None if there are no two individuals to fit to, or all distances are equal.
    """
    known = np.isfinite(distances)
    strange = known & (points >= 0) & (np.arange(distances.shape[1]) != own[:, None])
    used = (own >= 0) & ((points >= 0) & known).all(1, where=known)
    if len(np.unique(individual[used])) < 2 or not strange.any():
        return None
    chance = float(np.log1p(points[strange]).mean())
    far, shared = distances[used], np.log1p(np.maximum(points[used], 0))
    there = np.isfinite(far)
    spreads = far[there].std(), shared[there].std()
    if not spreads[0] > 0:
        return None
    if not spreads[1] > 0:
        return Fusion(0.0, chance)
    _, which, counts = np.unique(individual[used], return_inverse=True, return_counts=True)
    slope, gain = _conditional_logit(
        torch.from_numpy(np.where(there, far / spreads[0], np.inf)),
        torch.from_numpy(shared / spreads[1]),
        torch.from_numpy(own[used]),
        torch.from_numpy(1 / counts[which] / len(counts)),
    )
    if not (math.isfinite(slope) and math.isfinite(gain)):
        return None
    return Fusion(max(0.0, gain / spreads[1]) / (slope / spreads[0]), chance)


def _conditional_logit(
    far: torch.Tensor, shared: torch.Tensor, own: torch.Tensor, weight: torch.Tensor
) -> tuple[float, float]:
    """Slope and gain of the largest likelihood: distances and logs `[N, B]`, own places `[N]`, weights `[N]`."""
    theta = torch.tensor([0.0, 0.1, LAPSE], dtype=torch.float64, requires_grad=True)  # log slope, gain, log-odds
    optimizer = torch.optim.LBFGS([theta], max_iter=ITERATIONS, line_search_fn="strong_wolfe", tolerance_grad=1e-10)
    empty = far.isinf()
    among = (~empty).sum(1).log()

    def cost() -> torch.Tensor:
        optimizer.zero_grad()
        score = (-theta[0].exp() * far.nan_to_num(posinf=0.0) + theta[1] * shared).masked_fill(empty, -torch.inf)
        told = score.gather(1, own[:, None])[:, 0] - score.logsumexp(1)
        log = torch.nn.functional.logsigmoid
        likelihood = torch.logaddexp(told + log(-theta[2]), log(theta[2]) - among)
        value = RIDGE * (theta[:2].square().sum() + (theta[2] - LAPSE).square()) - (weight * likelihood).sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(cost)
    log_slope, gain, _ = theta.detach().tolist()
    return math.exp(log_slope), gain
