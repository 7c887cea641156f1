"""Bootstrap over individuals for figures of pairs: how many pairs fall into each bin in each resample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siamesekit.evaluation.intervals import Floats

AT_ONCE = 1 << 22
"""Number of values held at a time."""
DENSE = 40
"""How many products of a matrix product take as long as one pair that is looked up."""


def resampled_pairs(
    first: NDArray[np.int64], second: NDArray[np.int64], bins: NDArray[np.int64], number: int, drawn: Floats
) -> Floats:
    """Number of pairs in each bin in each resample, `[resamples, number]`.

    The two copies of an individual that is drawn twice form no "different" pair. So a same pair counts as often as its
    individual is drawn, and a different pair by the product of the counts of both individuals.

    Args:
        first: individual of the first photo of each pair, `[P]`, 0 … I − 1.
        second: individual of the second photo, `[P]`.
        bins: bin of each pair, `[P]`, 0 … `number` − 1.
        number: number of bins.
        drawn: how often each individual is drawn in each resample, `[resamples, I]` (`drawn_counts`).

    >>> first, second, bins = np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([0, 1, 1])
    >>> resampled_pairs(first, second, bins, 3, np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]]))
    array([[1., 2., 0.],
           [2., 2., 0.]])
    """
    same = first == second
    alike = np.zeros((drawn.shape[1], number))
    np.add.at(alike, (first[same], bins[same]), 1)
    first, second, bins = first[~same], second[~same], bins[~same]
    by_table = number * drawn.shape[1] ** 2 < DENSE * len(bins)
    count: Floats = drawn @ alike + (_by_table if by_table else _by_pair)(first, second, bins, number, drawn)
    return count


def _by_table(
    first: NDArray[np.int64], second: NDArray[np.int64], bins: NDArray[np.int64], number: int, drawn: Floats
) -> Floats:
    """Different pairs, from a table of their numbers by both individuals and bin."""
    individuals = drawn.shape[1]
    table = np.zeros((individuals, individuals * number))
    np.add.at(table, (first, second * number + bins), 1)
    found = np.empty((len(drawn), number))
    for rows in np.array_split(np.arange(len(drawn)), 1 + drawn.size * number // AT_ONCE):
        some = drawn[rows]
        found[rows] = np.einsum("rjb,rj->rb", (some @ table).reshape(len(rows), individuals, number), some)
    return found


def _by_pair(
    first: NDArray[np.int64], second: NDArray[np.int64], bins: NDArray[np.int64], number: int, drawn: Floats
) -> Floats:
    """Different pairs one by one, for many individuals."""
    found = np.zeros((len(drawn), number))
    if len(bins) == 0:
        return found
    order = np.argsort(bins, kind="stable")
    first, second = first[order], second[order]
    filled, starts = np.unique(bins[order], return_index=True)
    for rows in np.array_split(np.arange(len(drawn)), 1 + len(drawn) * len(bins) // AT_ONCE):
        some = drawn[rows]
        found[np.ix_(rows, filled)] = np.add.reduceat(some[:, first] * some[:, second], starts, axis=1)
    return found
