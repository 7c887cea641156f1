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
from siamesekit.components.distances.nearest import Neighbours as Found
from siamesekit.components.distances.nearest import nearest
from siamesekit.data.records import Record

CANDIDATES = 20
"""Nearest photos that are asked for each photo."""
CLOSEST = 3
"""Nearest photos of an individual whose mean distance tells how far a photo is from it; all of one with fewer."""
NEIGHBOURS = 5
"""Nearest photos of which none shows the individual of a photo whose label is suspected, and which are asked whether
two names are mixed."""
UNUSUAL = 2.0
"""Robust standard deviations above the median by which another individual must be nearer than a photo's own."""
MUTUAL, MIXED = 0.5, 0.5
"""Two names are suspected to mean one individual if this share of their photos, in the mean of both, has the other name
as its nearest other individual; and if, in both directions, the neighbours are mixed at least half as much as those of
one individual would be."""
VOTES = 4
"""Fewest neighbours of the other name, in both directions together."""


class Neighbours(NamedTuple):
    """The nearest photos of N photos.

    Attributes:
        near: places of the nearest photos, nearest first, int64 `[N, k]`.
        distance: their distances `[N, k]`.
        own: mean distance of the `CLOSEST` nearest photos of the photo's own individual `[N]`; NaN without another.
        labels: individual of each photo, as a number, int64 `[N]`.
    """

    near: NDArray[np.int64]
    distance: NDArray[np.float64]
    own: NDArray[np.float64]
    labels: NDArray[np.int64]


class Others(NamedTuple):
    """The nearest individual of each of N photos that is not its own.

    Attributes:
        individual: its number, int64 `[N]`; −1 if no other individual is near.
        margin: distance of the photo's own individual less that of the other one `[N]`; NaN if there is no other one
            near, or no other photo of its own individual.
    """

    individual: NDArray[np.int64]
    margin: NDArray[np.float64]


def neighbours(embeddings: Tensor, labels: NDArray[np.int64], distance: Distance) -> Neighbours:
    """The `CANDIDATES` nearest photos of each photo, and how far its own individual is.

    Args:
        embeddings: embeddings `[N, D]`.
        labels: individuals of the photos, int64 `[N]`.
        distance: distance by which they are compared.
    """
    found = _nearest(embeddings, CANDIDATES, distance)
    own = np.full(len(labels), np.nan)
    order = np.argsort(labels, kind="stable")
    for photos in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(photos) > 1:
            own[photos] = _nearest(embeddings[photos], CLOSEST, distance).distance.double().mean(1).cpu().numpy()
    return Neighbours(found.index.cpu().numpy(), found.distance.double().cpu().numpy(), own, labels)


def suspect_findings(records: Sequence[Record], found: Neighbours) -> list[Finding]:
    """Suspected wrong labels, and suspected pairs of names of one individual.

    Args:
        records: records of the N photos.
        found: their nearest photos.
    """
    others = nearest_others(found)
    doubled = pairs_of_names(found, others)
    members: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(found.labels.tolist()):
        members[label].append(place)
    findings = []
    for photo, other in mislabelled(found, others).items():
        own = int(found.labels[photo])
        if (min(own, other), max(own, other)) in doubled:
            continue
        near = [place for place in found.near[photo].tolist() if found.labels[place] == other][:CLOSEST]
        what = (
            f"nearer to {records[near[0]].individual} than to its own individual: the distance to the nearest photos "
            f"is {found.own[photo] - others.margin[photo]:.3g} instead of {found.own[photo]:.3g} in the mean"
        )
        shown = tuple(records[place].name for place in near)
        findings.append(Finding("mislabelled", records[photo].name, records[photo].individual, what, shown))
    for (first, second), votes in doubled.items():
        one, two = records[members[first][0]], records[members[second][0]]
        what = (
            f"the nearest photos of {one.individual} ({len(members[first])}) and of {two.individual} "
            f"({len(members[second])}) are mixed: {votes} of them show the other"
        )
        individuals = f"{one.individual} | {two.individual}"
        findings.append(Finding("one_individual_two_names", "", individuals, what, (one.name, two.name)))
    return findings


def nearest_others(found: Neighbours) -> Others:
    """The nearest individual of each photo that is not its own, of those with at least two photos.

    The mean distance of its `CLOSEST` nearest photos tells how far an individual is. All of them must be among the
    candidates.
    """
    labels, row = found.labels[found.near], np.arange(len(found.near))
    asked = np.minimum(np.bincount(found.labels), CLOSEST)[labels]
    up_to_it = (labels[:, :, None] == labels[:, None, :]) & np.tri(labels.shape[1], dtype=bool)
    closest = (up_to_it.sum(2) == asked) & (asked > 1) & (labels != found.labels[:, None])
    far = np.where(closest, np.einsum("nij,nj->ni", up_to_it, found.distance) / asked, np.inf)
    place = far.argmin(1)
    known = closest[row, place]
    return Others(np.where(known, labels[row, place], -1), np.where(known, found.own - far[row, place], np.nan))


def mislabelled(found: Neighbours, others: Others) -> dict[int, int]:
    """Photos of which another individual is nearer than their own by an unusual margin, with that individual's number.

    None of their `NEIGHBOURS` nearest photos shows their own individual. If most of all nearest photos show the same
    individual, few photos have another one near, and every margin is unusual.
    """
    same = found.labels[found.near] == found.labels[:, None]
    margins = others.margin[np.isfinite(others.margin)]
    least = 0.0
    if len(margins) and same.mean() <= 0.5:
        middle = np.median(margins)
        least = max(0.0, middle + UNUSUAL * 1.4826 * np.median(np.abs(margins - middle)))
    photos = np.flatnonzero(~same[:, :NEIGHBOURS].any(1) & (others.margin > least))
    return dict(zip(photos.tolist(), others.individual[photos].tolist(), strict=True))


def pairs_of_names(found: Neighbours, others: Others) -> Mapping[tuple[int, int], int]:
    """Pairs of names that are each other's nearest individuals, and whose photos are mixed as if they were one, with
    the number of photos of the other name among the nearest.
    """
    photos, near = Counter(found.labels.tolist()), found.near[:, :NEIGHBOURS]
    votes = _counted(np.repeat(found.labels, near.shape[1]), found.labels[near].ravel())
    mutual = _counted(found.labels, others.individual)
    pairs = {}
    for first, second in sorted((a, b) for a, b in mutual if a < b and mutual[b, a]):
        ways = ((first, second), (second, first))
        count = sum(votes[way] for way in ways)
        share = sum(mutual[way] / photos[way[0]] for way in ways) / 2
        if share >= MUTUAL and count >= VOTES and all(_is_mixed(votes, photos, way) for way in ways):
            pairs[first, second] = count
    return pairs


def _nearest(embeddings: Tensor, few: int, distance: Distance) -> Found:
    """The few nearest photos of each of N photos with embeddings `[N, D]`, without itself."""
    own = torch.arange(len(embeddings), device=embeddings.device)
    return nearest(embeddings, embeddings, max(1, min(few, len(embeddings) - 1)), distance, own=own)


def _counted(first: NDArray[np.int64], second: NDArray[np.int64]) -> Counter[tuple[int, int]]:
    return Counter(zip(first.tolist(), second.tolist(), strict=True))


def _is_mixed(votes: Mapping[tuple[int, int], int], photos: Mapping[int, int], way: tuple[int, int]) -> bool:
    own, other = way
    within, across = votes.get((own, own), 0), votes.get(way, 0)
    expected = photos[other] / (photos[own] - 1 + photos[other])
    return across > 0 and across / (within + across) >= MIXED * expected


def near_by_embedding(records: Sequence[Record], found: Neighbours) -> list[tuple[str, str]]:
    """Names of each photo and of its nearest photo: pairs that may be near-copies."""
    return [(record.name, records[near].name) for record, near in zip(records, found.near[:, 0].tolist(), strict=True)]
