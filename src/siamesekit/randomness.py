"""Random streams: one for each purpose, from the run's seed, so that no stage disturbs another."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """NumPy's generator for one purpose (`"split"`, `"triplets"`, …) of a run."""
    return np.random.default_rng([seed, crc32(purpose.encode())])


def torch_seed(seed: int, purpose: str) -> int:
    """A seed for torch for one purpose of a run, 0 ≤ seed < 2⁶³."""
    return int(generator(seed, purpose).integers(2**63))
