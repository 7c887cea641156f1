"""Scored pairs of made photos, for the tests of all that is computed from pairs."""

import numpy as np
import torch

from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.evaluation.calibration import Calibration, calibrate
from siamesekit.evaluation.pairs import ScoredPairs, pairs_of


def case(seed: int, individuals: int = 6, photos: int = 4, noise: float = 1.0) -> ScoredPairs:
    """Pairs of photos of individuals whose embeddings lie around their own centres."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(individuals) * 10, photos)
    points = 1.5 * rng.normal(size=(individuals, 2)).repeat(photos, 0) + noise * rng.normal(size=(len(labels), 2))
    return pairs_of(torch.from_numpy(points), labels, Euclidean(), rng)


def fitted(pairs: ScoredPairs, rate: float = 0.0) -> Calibration:
    found = calibrate(pairs, rate)
    assert found is not None
    return found
