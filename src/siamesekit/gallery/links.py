"""Links between photos that a person has decided: two photos show one individual, or two.

Must-links are transitive: linked photos form components. A cannot-link between two photos holds for all photos of
their components.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


@dataclass(frozen=True)
class Links:
    """Links among N photos, by their indices.

    Attributes:
        photos: number of photos.
        must: pairs that show one individual.
        cannot: pairs that show two individuals.
    """

    photos: int
    must: tuple[Pair, ...] = ()
    cannot: tuple[Pair, ...] = ()

    @cached_property
    def components(self) -> NDArray[np.int64]:
        """Component of each photo, int64 `[N]`: the smallest index of a photo that must-links reach."""
        return joined(self.photos, self.must)

    @cached_property
    def apart(self) -> frozenset[Pair]:
        """Pairs of components that a cannot-link separates, the smaller index first."""
        found = self.components
        return frozenset(ordered(int(found[a]), int(found[b])) for a, b in self.cannot)

    @cached_property
    def _apart_from(self) -> dict[int, list[int]]:
        """Of each component, those of larger index that are apart from it."""
        found: dict[int, list[int]] = {}
        for a, b in self.apart:
            found.setdefault(a, []).append(b)
        return found

    def same(self, a: int, b: int) -> bool | None:
        """Whether two photos show one individual; None if the links do not tell."""
        first, second = int(self.components[a]), int(self.components[b])
        if first == second:
            return True
        return False if ordered(first, second) in self.apart else None

    def contradictions(self) -> list[Pair]:
        """Cannot-links between photos that must-links join."""
        return [(a, b) for a, b in self.cannot if self.components[a] == self.components[b]]

    def among(self, photos: NDArray[np.int64]) -> Links:
        """The links among some photos, int64 `[n]`, with what follows from links to others; indices count in them."""
        own = self.components[photos].tolist()
        first = {component: place for place, component in reversed(list(enumerate(own)))}
        must = tuple((first[component], place) for place, component in enumerate(own) if first[component] != place)
        cannot = [(first[a], first[b]) for a in first for b in self._apart_from.get(a, ()) if b in first]
        return Links(len(photos), must, tuple(sorted(cannot)))

    def members(self) -> list[NDArray[np.int64]]:
        """Photos of each component with more than one, ascending."""
        return [each for each in groups_of(self.components) if len(each) > 1]

    def cannot_blocks(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Photos of each two components that are apart."""
        by_component = {int(each[0]): each for each in groups_of(self.components)} if self.apart else {}
        return [(by_component[a], by_component[b]) for a, b in sorted(self.apart)]


def joined(count: int, pairs: Iterable[Pair]) -> NDArray[np.int64]:
    """Component of each of `count` items when pairs are joined, int64 `[count]`: the smallest index of its items."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return np.array([root(item) for item in range(count)], np.int64)


def groups_of(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Indices of each label's items, ascending; labels `[N]` in ascending order."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[:1]] - 1))
    return np.split(order, starts[1:]) if len(labels) else []


def ordered(a: int, b: int) -> Pair:
    """A pair with the smaller index first."""
    return (a, b) if a <= b else (b, a)


def path(pairs: Sequence[Pair], start: int, end: int) -> list[int]:
    """Indices of the pairs on a shortest chain from one item to another; empty if no chain joins them."""
    neighbours: dict[int, list[tuple[int, int]]] = {}
    for number, (a, b) in enumerate(pairs):
        neighbours.setdefault(a, []).append((b, number))
        neighbours.setdefault(b, []).append((a, number))
    came: dict[int, tuple[int, int]] = {start: (start, -1)}
    frontier = [start]
    while frontier and end not in came:
        reached = []
        for item in frontier:
            for other, number in neighbours.get(item, ()):
                if other not in came:
                    came[other] = item, number
                    reached.append(other)
        frontier = reached
    chain: list[int] = []
    while end in came and end != start:
        end, number = came[end]
        chain.append(number)
    return chain[::-1]
