"""Random streams: one for each purpose, from the run's seed, so that no stage disturbs another."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, purpose: str) -> np.random.Generator:
    """NumPy's generator for one purpose (`"split"`, `"triplets"`, …) of a run."""
    return np.random.default_rng([seed, crc32(purpose.encode())])


def torch_seed(seed: int, purpose: str) -> int:
    """A seed for torch for one purpose of a run, 0 ≤ seed < 2⁶³."""
    return int(generator(seed, purpose).integers(2**63))


class Streams:
    """N streams of random numbers: each draw gives one number per stream, `[N]`.

    Each stream is SplitMix64 (Steele, Lea and Flood 2014), seeded by its own key. Its numbers depend neither on the
    other streams nor on their order.

    Args:
        keys: keys of the streams, uint64 `[N]`.
    """

    __module__ = "siamesekit"

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        self._states = keys.copy()

    @classmethod
    def of(cls, *labels: int | Sequence[int] | NDArray[np.int64]) -> Streams:
        """Streams keyed by whole numbers between −2⁶³ and 2⁶³: each label is one number for all streams, or `[N]`."""
        streams = cls(np.zeros(1, dtype=np.uint64))
        for label in labels:
            numbers = np.atleast_1d(np.asarray(label, dtype=np.int64)).astype(np.uint64)
            streams = cls(streams.bits() ^ numbers)
        return cls(streams.bits())

    def __len__(self) -> int:
        return len(self._states)

    def bits(self) -> NDArray[np.uint64]:
        """The next 64 random bits of each stream, `[N]`."""
        self._states += np.uint64(0x9E3779B97F4A7C15)  # arrays wrap around
        mixed = (self._states ^ (self._states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Numbers between `low` and `high`, `[N]`."""
        fractions = (self.bits() >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * fractions
