"""Mean of a figure with its bootstrap interval over individuals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamesekit.components.labels import Labels, label_array
from siamesekit.errors import ComponentError
from siamesekit.randomness import generator

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A figure and its bootstrap interval; low and high are None with fewer than two individuals."""

    value: float
    low: float | None
    high: float | None


class Bootstrap(NamedTuple):
    """How intervals are computed; figures with the same bootstrap share their resamples, so they are comparable.

    Attributes:
        confidence: confidence of the intervals, such as 0.95.
        resamples: number of bootstrap resamples.
        seed: seed of the run.
    """

    confidence: float
    resamples: int
    seed: int

    def mean(self, values: Floats, individuals: Labels) -> Interval:
        """The mean of values `[N]` of individuals `[N]`, with its interval (`mean_with_interval`)."""
        return mean_with_interval(
            values, individuals, self.confidence, self.resamples, generator(self.seed, "bootstrap")
        )


def mean_with_interval(
    values: Floats,
    individuals: Labels,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Interval:
    """Compute the mean of values and a percentile bootstrap interval over *individuals*.

    Photos of one individual are not independent, so the bootstrap draws whole individuals with replacement, each with
    all its values (Davison and Hinkley 1997, section 3.8).

    Args:
        values: float64 `[N]`; NaN is left out.
        individuals: labels `[N]` of the values.
        confidence: confidence of the interval; 0.95 takes the 2.5 % and 97.5 % quantiles.
        resamples: number of bootstrap resamples.
        rng: random generator of the resamples.
    """
    individuals, mask = label_array(individuals), ~np.isnan(values)
    if len(individuals) != len(values):
        raise ComponentError(f"values and individuals differ in length: {len(values)} and {len(individuals)}")
    if not mask.any():
        raise ValueError("no values to average: they are all NaN, or none are given")
    _, owner = np.unique(individuals[mask], return_inverse=True)
    counts = np.bincount(owner)
    sums = np.bincount(owner, weights=values[mask])
    drawn = rng.integers(len(counts), size=(resamples, len(counts)))
    return interval(
        sums.sum() / counts.sum(), lambda: sums[drawn].sum(1) / counts[drawn].sum(1), len(counts), confidence
    )


def interval(value: float, resample: Callable[[], Floats], individuals: int, confidence: float) -> Interval:
    """Percentile interval of resampled figures `[resamples]` without NaN.

    There are no bounds with fewer than two individuals, or if all resampled figures are NaN.
    """
    resampled = resample() if individuals > 1 else np.array([np.nan])
    if np.isnan(resampled).all():
        return Interval(float(value), None, None)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def drawn_counts(rng: np.random.Generator, individuals: int, resamples: int) -> Floats:
    """How often each individual is drawn in each bootstrap resample, float64 `[resamples, individuals]`."""
    drawn = rng.integers(individuals, size=(resamples, individuals))
    flat = np.bincount((drawn + individuals * np.arange(resamples)[:, None]).ravel(), minlength=resamples * individuals)
    return flat.reshape(resamples, individuals).astype(np.float64)
