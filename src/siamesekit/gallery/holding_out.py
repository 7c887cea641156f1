"""Hold out photos of a catalogue: some individuals are new, and half of each other one's photos are searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEW_SHARE = 0.2
"""Share of the judged individuals that are left out of the gallery, at least one."""


class HeldOut(NamedTuple):
    """One draw, as indices of photos.

    Attributes:
        enrolled: int64 `[E]`, ascending, the photos that are searched.
        queries: int64 `[Q]`, ascending, the photos whose individual is asked for.
        new: bool `[Q]`, whether no photo of the query's individual is searched.
    """

    enrolled: NDArray[np.int64]
    queries: NDArray[np.int64]
    new: NDArray[np.bool_]


def encounter_numbers(names: Sequence[str]) -> NDArray[np.int64]:
    """A number for each encounter, `[N]`; a photo without a name of its encounter has a number of its own."""
    unique = [(name, -1) if name else ("", place) for place, name in enumerate(names)]
    numbers = {each: number for number, each in enumerate(dict.fromkeys(unique))}
    return np.array([numbers[each] for each in unique], np.int64)


def several_encounters(individuals: NDArray[np.int64], encounters: NDArray[np.int64]) -> NDArray[np.int64]:
    """The individuals that have photos of at least two encounters, ascending; both int64 `[N]`."""
    pairs = np.unique(np.stack([individuals, encounters]), axis=1)
    owners, counts = np.unique(pairs[0], return_counts=True)
    chosen: NDArray[np.int64] = owners[counts > 1]
    return chosen


def new_ones(judged: int) -> int:
    """Number of individuals that are new in a draw, of so many that are judged."""
    return max(1, round(NEW_SHARE * judged))


def hold_out(
    individuals: NDArray[np.int64],
    encounters: NDArray[np.int64],
    judged: NDArray[np.int64],
    rng: np.random.Generator,
) -> HeldOut:
    """Draw photos to search for.

    Of each judged individual, half of the encounters (rounded down) are searched for. A share of these individuals is
    new: their other photos are left out. All photos of all others are enrolled.

    Args:
        individuals: individual of each photo, int64 `[N]`.
        encounters: encounter of each photo, int64 `[N]`; one that several individuals share counts for each.
        judged: individuals with at least two encounters, at least two of them.
        rng: draws.
    """
    new = rng.permutation(judged)[: new_ones(len(judged))]
    asked, left_out = np.zeros(len(individuals), np.bool_), np.isin(individuals, new)
    for individual in judged:
        own = np.flatnonzero(individuals == individual)
        each = rng.permutation(np.unique(encounters[own]))
        asked[own[np.isin(encounters[own], each[: len(each) // 2])]] = True
    queries = np.flatnonzero(asked)
    return HeldOut(np.flatnonzero(~asked & ~left_out), queries, left_out[queries])
