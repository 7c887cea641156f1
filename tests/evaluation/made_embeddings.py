"""Embeddings of made individuals, with their labels and triplets."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.samplers.triplets import all_pairs_triplets
from siamesekit.components.tuples import Triplets

Labels = NDArray[np.int64]


def case(individuals: int = 6, photos: int = 4, noise: float = 0.6) -> tuple[Tensor, Labels, Triplets]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(individuals), photos)
    embeddings = rng.normal(size=(individuals, 3))[labels] + noise * rng.normal(size=(len(labels), 3))
    return torch.from_numpy(embeddings), labels, all_pairs_triplets(labels, photos, rng)
