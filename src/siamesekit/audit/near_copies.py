"""Near-copies: versions of one photo, scaled, cropped, compressed again or brightened.

Difference hashes of 128 bits give the candidates, which their thumbnails confirm: two photos are near-copies if the
thumbnails correlate after an alignment. On photos of nyalas and lions, halved, cropped by 5 %, compressed again at
quality 30 and brightened by 30 %, this hash misses 0.5 % of the versions at a share of 1.6e-4 and 1.2e-4 of all other
pairs as candidates; the hash of the 8 × 8 lowest frequencies ("pHash") has 34 and 13 times as many.

Other photos of nyalas and lions correlate by 0.83 at the most, versions by 0.95 or more. Where all photos look alike,
as drawn flukes do, hundreds of pairs are candidates by chance and some correlate by 0.98; there more is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamesekit.audit.alignment import aligned_correlation
from siamesekit.audit.facts import THUMBNAIL, PhotoFacts
from siamesekit.audit.quality import ONE_COLOUR

DIFFERENT_BITS = 38
"""Most bits of 128 in which the hashes of near-copies differ."""
NEAR = 0.96
"""Correlation of the aligned thumbnails from which two photos are near-copies."""
NEAR_AMONG_ALIKE = 0.985
"""The same in a set of photos that look alike; it misses a tenth of the photos that are cropped by 5 %."""
ALIKE, FEWEST_ALIKE = 0.005, 20
"""Share of all pairs, and their least number, that are candidates and no near-copies in a set that looks alike."""
MOST_CANDIDATES = 10_000
"""Most candidates whose thumbnails are compared: those of the most similar hashes."""
BLOCK = 1024
"""Photos whose hashes, and pairs whose thumbnails, are compared together."""


class NearPair(NamedTuple):
    """Two photos of a sequence, by their places, and the correlation of their thumbnails."""

    first: int
    second: int
    correlation: float


def near_pairs(facts: Sequence[PhotoFacts], more: Sequence[tuple[int, int]] = ()) -> list[NearPair]:
    """Pairs of near-copies among N photos, without photos of nearly one colour, or of fewer pixels than a thumbnail.

    Photos that small, such as scans of digits, are often alike without being copies.

    Args:
        facts: facts of the photos.
        more: pairs of places that are compared whatever their hashes.
    """
    shown = [
        number
        for number, each in enumerate(facts)
        if each.contrast > ONE_COLOUR and min(each.width, each.height) >= THUMBNAIL
    ]
    if len(shown) < 2:
        return []
    pairs = candidates(_bits([facts[number].hash for number in shown]))
    if more:
        place = {number: at for at, number in enumerate(shown)}
        added = [sorted((place[a], place[b])) for a, b in more if a in place and b in place and a != b]
        pairs = torch.cat([pairs, torch.tensor(added, dtype=torch.int64).reshape(-1, 2)]).unique(dim=0)
    parts = []
    for some in pairs.split(BLOCK) if len(pairs) else ():
        first, second = (_thumbnails([facts[shown[place]] for place in column.tolist()]) for column in some.T)
        parts.append(aligned_correlation(first, second, NEAR_AMONG_ALIKE))
    alike = torch.cat(parts) if parts else torch.zeros(0)
    by_chance = int((alike < NEAR).sum())
    look_alike = by_chance >= max(FEWEST_ALIKE, ALIKE * len(shown) * (len(shown) - 1) / 2)
    near = alike >= (NEAR_AMONG_ALIKE if look_alike else NEAR)
    return [
        NearPair(shown[one], shown[other], float(value))
        for (one, other), value in zip(pairs[near].tolist(), alike[near], strict=True)
    ]


def candidates(bits: Tensor, different: int = DIFFERENT_BITS, most: int = MOST_CANDIDATES) -> Tensor:
    """Pairs of photos whose hashes differ in few bits: int64 `[P, 2]`, the first photo before the second.

    Args:
        bits: hashes `[N, B]` of −1 and 1.
        different: most bits that differ.
        most: most pairs; of more, those that differ least.
    """
    length = bits.shape[1]
    least = length - 2 * different
    pairs, scores = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    for start in range(0, len(bits), BLOCK):
        rows = bits[start : start + BLOCK].float()
        for beginning in range(start, len(bits), BLOCK):
            agreement = rows @ bits[beginning : beginning + BLOCK].float().T
            if beginning == start:
                agreement = agreement.triu(1) - torch.ones_like(agreement).tril() * 2 * length
            place = (agreement >= least).nonzero()
            pairs = torch.cat([pairs, place + torch.tensor([start, beginning])])
            scores = torch.cat([scores, agreement[place[:, 0], place[:, 1]]])
            if len(pairs) > most:
                best = scores.topk(most).indices.sort().values
                pairs, scores = pairs[best], scores[best]
    return pairs


def _bits(hashes: Sequence[bytes]) -> Tensor:
    """Hashes of B bits as int8 `[N, B]` of −1 and 1."""
    packed = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    return torch.from_numpy(np.unpackbits(packed, axis=1).view(np.int8)).mul_(2).sub_(1)


def _thumbnails(facts: Sequence[PhotoFacts]) -> Tensor:
    """Thumbnails of N photos, float32 `[N, THUMBNAIL, THUMBNAIL]` of 0 … 1."""
    joined = bytearray().join(each.thumbnail for each in facts)
    return torch.frombuffer(joined, dtype=torch.uint8).reshape(-1, THUMBNAIL, THUMBNAIL).float() / 255
