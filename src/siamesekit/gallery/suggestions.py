"""What a person should look at: individuals to merge, individuals to split, and the pair to ask about next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siamesekit.gallery.clustering import CUT, Matrix, divided
from siamesekit.gallery.links import Links, groups_of, ordered
from siamesekit.gallery.pair_probabilities import ROWS

CANDIDATES = 5000
"""Most pairs of groups, the nearest ones, among which merges and questions are chosen."""
DOUBTFUL = 0.1
"""Smallest probability of the nearest photos of two clusters about which a person is asked."""


@dataclass(frozen=True)
class Merge:
    """Two groups of photos that may be one individual.

    Attributes:
        first: label of a group, the smaller one.
        second: label of the other.
        probability: mean probability of "same" over all pairs of their photos.
        nearest: largest probability of a pair.
        photos: indices of that pair, one photo of each group.
        sizes: numbers of photos of both groups.
    """

    first: int
    second: int
    probability: float
    nearest: float
    photos: tuple[int, int]
    sizes: tuple[int, int]


@dataclass(frozen=True)
class Split:
    """A group of photos that may be two individuals.

    Attributes:
        group: label of the group.
        probability: mean probability of "same" between the photos that would stay and those that would leave.
        nearest: largest probability of such a pair.
        photos: indices of that pair: one stays, one leaves.
        leaving: indices of the photos that would leave, int64 `[n]`, at most half.
        size: number of the group's photos.
    """

    group: int
    probability: float
    nearest: float
    photos: tuple[int, int]
    leaving: NDArray[np.int64]
    size: int


@dataclass(frozen=True)
class Question:
    """A pair to ask a person about.

    Attributes:
        photos: indices of the two photos.
        probability: probability of "same".
        change: expected number of pairs of photos whose clusters the answer changes.
    """

    photos: tuple[int, int]
    probability: float
    change: float


def merges(probabilities: Matrix, groups: NDArray[np.int64], links: Links, least: float = CUT) -> list[Merge]:
    """Groups whose nearest photos have at least this probability of "same", the largest mean probability first.

    Groups between which a person has seen a difference are left out.

    Args:
        probabilities: probabilities of "same" with the links applied, `[N, N]`, 0 on the diagonal.
        groups: group of each photo, int64 `[N]`.
        links: links among the photos.
        least: smallest probability of the nearest photos.
    """
    members = {int(groups[each[0]]): each for each in groups_of(groups)}
    separated = {
        ordered(int(a), int(b))
        for first, second in links.cannot_blocks()
        for a in np.unique(groups[first])
        for b in np.unique(groups[second])
    }
    nearest = _nearest_pairs(probabilities, groups, least)
    chosen = sorted(nearest.items(), key=lambda item: (-item[1][0], item[0]))
    found = []
    for (a, b), (chance, photos) in chosen[:CANDIDATES]:
        if (a, b) in separated:
            continue
        mean = float(probabilities[np.ix_(members[a], members[b])].mean(dtype=np.float64))
        found.append(Merge(a, b, mean, chance, photos, (len(members[a]), len(members[b]))))
    return sorted(found, key=lambda each: (-each.probability, -each.nearest, each.first, each.second))


def splits(probabilities: Matrix, groups: NDArray[np.int64], links: Links, most: float = CUT) -> list[Split]:
    """Groups that average linkage divides into two with at most this mean probability of "same", the smallest first.

    Args:
        probabilities: probabilities of "same" with the links applied, `[N, N]`.
        groups: group of each photo, int64 `[N]`.
        links: links among the photos.
        most: largest mean probability between both parts.
    """
    found = []
    for members in groups_of(groups):
        if len(members) < 2:
            continue
        own = probabilities[np.ix_(members, members)]
        parts = divided(1 - own, links.among(members))
        if parts is None or 1 - parts[1] > most:
            continue
        each = sorted(groups_of(parts[0]), key=len)
        for leaving in each[:-1]:
            staying = np.setdiff1d(np.arange(len(members)), leaving)
            between = own[np.ix_(staying, leaving)]
            near = np.unravel_index(int(between.argmax()), between.shape)
            pair = int(members[staying[near[0]]]), int(members[leaving[near[1]]])
            mean = float(between.mean(dtype=np.float64))
            group = int(groups[members[0]])
            found.append(Split(group, mean, float(between[near]), pair, members[leaving], len(members)))
    return sorted(found, key=lambda split: (split.probability, split.group, split.photos))


def questions(probabilities: Matrix, clusters: NDArray[np.int64], links: Links, most: int) -> list[Question]:
    """The pairs whose answers are expected to change the clusters most.

    An answer "same" on two clusters of a and b photos joins them, and changes a·b pairs of photos; an answer
    "different" within a cluster divides it into a and b. The mean probability p of "same" over those a·b pairs tells
    how likely that is, so p·a·b, or (1 − p)·a·b, is the expected change. The pair that is asked about is the nearest,
    which a person can compare best.

    Args:
        probabilities: probabilities of "same" with the links applied, `[N, N]`, 0 on the diagonal.
        clusters: cluster of each photo, int64 `[N]`.
        links: links among the photos.
        most: most questions.
    """
    joining = [
        Question(ordered(*each.photos), each.nearest, each.probability * each.sizes[0] * each.sizes[1])
        for each in merges(probabilities, clusters, links, DOUBTFUL)
    ]
    dividing = [
        Question(
            ordered(*each.photos),
            each.nearest,
            (1 - each.probability) * len(each.leaving) * (each.size - len(each.leaving)),
        )
        for each in splits(probabilities, clusters, links, most=1.0)
    ]
    open_ones = [each for each in joining + dividing if links.same(*each.photos) is None]
    return sorted(open_ones, key=lambda each: (-each.change, each.photos))[:most]


def named(individuals: Sequence[str], clusters: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Group of each photo, int64 `[N]`, and the names of the groups: individuals, and clusters of unlabelled photos.

    Args:
        individuals: individual of each photo, empty where unknown.
        clusters: cluster of each photo, int64 `[N]`.
    """
    keys = [(own, 0 if own else int(cluster)) for own, cluster in zip(individuals, clusters, strict=True)]
    several = sorted(set(keys), key=lambda key: (not key[0], key))
    numbers = {key: number for number, key in enumerate(several)}
    return np.array([numbers[key] for key in keys], np.int64), [own or f"cluster {number}" for own, number in several]


def _nearest_pairs(
    probabilities: Matrix, groups: NDArray[np.int64], least: float
) -> dict[tuple[int, int], tuple[float, tuple[int, int]]]:
    """The largest probability of each two groups that reaches a limit, with its pair of photos in their order."""
    found: dict[tuple[int, int], tuple[float, tuple[int, int]]] = {}
    for first, second, chance in _pairs_above(probabilities, groups, least):
        key = groups[first].astype(np.int64) * (int(groups.max()) + 1) + groups[second]
        order = np.lexsort((-chance, key))
        for place in order[np.unique(key[order], return_index=True)[1]]:
            a, b = int(first[place]), int(second[place])
            pair = int(groups[a]), int(groups[b])
            if pair not in found or chance[place] > found[pair][0]:
                found[pair] = float(chance[place]), (a, b)
    return found


def _pairs_above(
    probabilities: Matrix, groups: NDArray[np.int64], least: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Matrix]]:
    """Pairs of photos of two groups, the smaller label first, with at least this probability, in blocks of rows."""
    for start in range(0, len(probabilities), ROWS):
        part = probabilities[start : start + ROWS]
        rows, columns = np.nonzero(part >= least)
        kept = groups[rows + start] < groups[columns]
        rows, columns = rows[kept], columns[kept]
        yield rows + start, columns, part[rows, columns]
