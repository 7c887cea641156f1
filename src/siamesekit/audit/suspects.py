"""Suspected mistakes of labels, by the nearest photos in a space of embeddings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.audit.finding import Finding
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.nearest import nearest
from siamesekit.data.records import Record

NEIGHBOURS = 5
"""Nearest photos that are asked for each photo."""
AGREEING = 3
"""Of them, photos of another individual from which a label is suspected, or all of an individual with fewer."""
MIXED, TOGETHER = 0.5, 0.6
"""Two names are suspected to mean one individual if, in both directions, the neighbours are mixed at least half as much
as those of one individual would be, and this share of all neighbours shows one of the two."""
VOTES = 4
"""Fewest neighbours of the other name, in both directions together."""


class Neighbours(NamedTuple):
    """The nearest photos of N photos.

    Attributes:
        near: places of the nearest photos, nearest first, int64 `[N, k]`.
        labels: individual of each photo, as a number, int64 `[N]`.
    """

    near: NDArray[np.int64]
    labels: NDArray[np.int64]


def neighbours(embeddings: Tensor, labels: NDArray[np.int64], distance: Distance) -> Neighbours:
    """The `NEIGHBOURS` nearest photos of each photo.

    Args:
        embeddings: embeddings `[N, D]`.
        labels: individuals of the photos, int64 `[N]`.
        distance: distance by which they are compared.
    """
    every = torch.arange(len(embeddings))
    few = max(1, min(NEIGHBOURS, len(embeddings) - 1))
    found = nearest(embeddings, embeddings, few, distance, own=every.to(embeddings.device))
    return Neighbours(found.index.cpu().numpy(), labels)


def suspect_findings(records: Sequence[Record], found: Neighbours) -> list[Finding]:
    """Suspected wrong labels, and suspected pairs of names of one individual.

    Args:
        records: records of the N photos.
        found: their nearest photos.
    """
    doubled = pairs_of_names(found)
    members: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(found.labels.tolist()):
        members[label].append(place)
    findings = []
    for photo, other in mislabelled(found).items():
        own = int(found.labels[photo])
        if (min(own, other), max(own, other)) in doubled:
            continue
        near = [place for place in found.near[photo].tolist() if found.labels[place] == other]
        name = records[near[0]].individual
        what = f"{len(near)} of the {found.near.shape[1]} photos nearest to it show {name}, none its own individual"
        others = tuple(records[place].name for place in near)
        findings.append(Finding("mislabelled", records[photo].name, records[photo].individual, what, others))
    for (first, second), votes in doubled.items():
        one, two = records[members[first][0]], records[members[second][0]]
        what = (
            f"the nearest photos of {one.individual} ({len(members[first])}) and of {two.individual} "
            f"({len(members[second])}) are mixed: {votes} of them show the other"
        )
        individuals = f"{one.individual} | {two.individual}"
        findings.append(Finding("one_individual_two_names", "", individuals, what, (one.name, two.name)))
    return findings


def mislabelled(found: Neighbours) -> dict[int, int]:
    """Photos whose nearest photos agree on another individual, with that individual's number.

    The nearest photo shows it, as do `AGREEING` of the neighbours or all of its photos, at least two. No neighbour
    shows the photo's own individual, which has another photo.
    """
    photos = Counter(found.labels.tolist())
    suspects = {}
    for photo, near in enumerate(found.labels[found.near]):
        own, votes = int(found.labels[photo]), Counter(near.tolist())
        other = int(near[0])
        needed = min(AGREEING, max(2, photos[other]))
        if photos[own] > 1 and own not in votes and votes[other] >= needed:
            suspects[photo] = other
    return suspects


def pairs_of_names(found: Neighbours) -> Mapping[tuple[int, int], int]:
    """Pairs of individuals whose photos are each other's neighbours as if they were one, with the number of such
    neighbours.
    """
    photos = Counter(found.labels.tolist())
    votes = Counter(zip(np.repeat(found.labels, found.near.shape[1]).tolist(),
                        found.labels[found.near].ravel().tolist(), strict=True))  # fmt: skip
    pairs = {}
    for first, second in sorted((a, b) for a, b in votes if a < b and votes[b, a]):
        ways = ((first, second), (second, first))
        count = sum(votes[way] for way in ways)
        if count >= VOTES and all(_is_mixed(votes, photos, way, found.near.shape[1]) for way in ways):
            pairs[first, second] = count
    return pairs


def _is_mixed(votes: Mapping[tuple[int, int], int], photos: Mapping[int, int], way: tuple[int, int], k: int) -> bool:
    own, other = way
    within, across = votes.get((own, own), 0), votes.get(way, 0)
    if not across:
        return False
    expected = photos[other] / (photos[own] - 1 + photos[other])
    possible = photos[own] * min(k, photos[own] - 1 + photos[other])
    return across / (within + across) >= MIXED * expected and within + across >= TOGETHER * possible


def near_by_embedding(records: Sequence[Record], found: Neighbours) -> list[tuple[str, str]]:
    """Names of each photo and of its nearest photo: pairs that may be near-copies."""
    return [(record.name, records[near].name) for record, near in zip(records, found.near[:, 0].tolist(), strict=True)]
