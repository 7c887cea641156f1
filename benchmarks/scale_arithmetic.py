"""The arithmetic of `python -m benchmarks.scale`: from what a photo costs to hours, nodes, disks and ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

HOUR, DAY = 3600.0, 86400.0
BIT = 8
NUMBER = 4
"""Bytes of a float32."""
SPACE = "\N{NO-BREAK SPACE}"


def hours(photos: float, seconds: float, cores: float = 1) -> float:
    """Hours for all photos, of which each takes `seconds` of one core.

    >>> hours(1_000_000, 0.072, cores=2)
    10.0
    """
    return photos * seconds / cores / HOUR


def nodes(photos: float, seconds: float, cores: float = 1, within: float = DAY) -> int:
    """Fewest nodes of some cores that are done within some seconds.

    >>> nodes(100_000_000, 0.1, cores=16)
    8
    """
    return max(1, math.ceil(photos * seconds / cores / within))


def scanned(photos: float, measured: float, at: float) -> float:
    """Seconds of an exact search, which is linear in the numbers that are compared.

    Args:
        photos: numbers that are compared: photos times dimensions.
        measured: seconds of the search that was measured.
        at: numbers that it compared.
    """
    return measured * photos / at


class Step(NamedTuple):
    """A step of training by several ranks, of which the first leads.

    Attributes:
        parameters: parameters that train.
        features: features of a photo.
        photos: photos of the batch.
        seconds: seconds in which a rank passes a photo forward and backward.
    """

    parameters: int
    features: int
    photos: int
    seconds: float

    def computing(self, ranks: int) -> float:
        """Seconds in which the largest share is encoded.

        >>> Step(10, 1, 128, 0.5).computing(3)
        21.5
        """
        return math.ceil(self.photos / ranks) * self.seconds

    def sent(self, ranks: int) -> int:
        """Bytes that pass between the leader and the others: weights, gradients, and features there and back.

        >>> Step(1_000, 10, 8, 0.5).sent(2)
        8320
        """
        theirs = self.photos - math.ceil(self.photos / ranks)
        return 2 * NUMBER * (self.parameters * (ranks - 1) + self.features * theirs)

    def in_turn(self, ranks: int, gigabits: float) -> float:
        """Seconds of passing all bytes by the leader's line, one after the other: the most it can take."""
        return self.sent(ranks) * BIT / (gigabits * 1e9)

    def pipelined(self, ranks: int, gigabits: float) -> float:
        """Seconds if weights and gradients pass from rank to rank while they come in: the least it can take."""
        if ranks == 1:
            return 0.0
        theirs = self.photos - math.ceil(self.photos / ranks)
        return 2 * NUMBER * (self.parameters + self.features * theirs) * BIT / (gigabits * 1e9)

    def equal(self, gigabits: float, pipelined: bool) -> int | None:
        """Fewest ranks from 2 on at which passing bytes takes as long as computing; None if it never does.

        More ranks than photos have nothing to encode, so there are at most as many.
        """
        passing = self.pipelined if pipelined else self.in_turn
        for ranks in range(2, self.photos + 1):
            if passing(ranks, gigabits) >= self.computing(ranks):
                return ranks
        return None


def efficiency(photos: int, ranks: int, spread: float, steps: int = 2_000, seed: int = 0) -> float:
    """Share of the ranks' time that is work, if a step waits for the slowest rank.

    Each rank's time is its share of the photos, times a lognormal number of mean 1.

    Args:
        photos: photos of a batch, dealt to the ranks in turn.
        ranks: number of ranks.
        spread: standard deviation of a rank's time as a share of its mean.
        steps: number of steps that are drawn.
        seed: seed of the draws.
    """
    import numpy as np

    share = np.array([len(range(rank, photos, ranks)) for rank in range(ranks)])
    variance = math.log1p(spread**2)
    drawn = np.random.default_rng(seed).lognormal(-variance / 2, math.sqrt(variance), (steps, ranks))
    slowest = float((share * drawn).max(axis=1).mean())
    return photos / ranks / slowest


def slowest(seconds: dict[str, float]) -> str:
    """The part that takes longest."""
    return max(seconds, key=lambda name: seconds[name])


def duration(value: float) -> str:
    r"""Hours in words.

    >>> duration(0.2), duration(12), duration(2_400), duration(87_660)
    ('12\xa0min', '12\xa0h', '100\xa0days', '10\xa0years')
    """
    for limit, unit, name in ((1 / 60, 1 / 3600, "s"), (1, 1 / 60, "min"), (72, 1, "h"), (3 * 8766, 24, "days")):
        if value < limit:
            return f"{short(value / unit)}{SPACE}{name}"
    return f"{short(value / 8766)}{SPACE}years"


def size(value: float) -> str:
    r"""Bytes in words, by powers of 1,000.

    >>> size(512), size(150_528e6), size(4e15)
    ('512\xa0B', '151\xa0GB', '4.0\xa0PB')
    """
    units: Sequence[str] = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    place = min(len(units) - 1, int(math.log10(max(1.0, value)) // 3))
    return f"{short(value / 1000**place)}{SPACE}{units[place]}"


def short(value: float) -> str:
    """A number with two digits, or all digits of its whole part.

    >>> short(0.123), short(1.26), short(12.4), short(1234.5)
    ('0.12', '1.3', '12', '1,234')
    """
    if value >= 9.95 or value == 0:
        return f"{value:,.0f}"
    places = max(1, 1 - math.floor(math.log10(value)))
    return f"{value:.{places}f}"
