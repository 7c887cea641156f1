"""The photos that may be the nearest neighbours of photos of the same gallery: each product is computed once.

The score of two photos is the same from either side, so only scores on and above the diagonal are computed, and each is
searched by rows and by columns. The queries are taken in a random order. So the first m of Q are a sample, of which
k · m / Q at most are expected among the k nearest of a query. A photo beyond the *limit*, a somewhat higher rank in the
sample, is hardly ever one of them, and is not kept. If the k-th nearest of those kept is within all limits of the query
so far, this was right, and those up to it are the candidates; if not, which is rare, the query is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from siamesekit.components.distances.scan import MutualScan, ScanGallery, mutual_scan

BLOCK = 512
"""Rows and columns of a block of scores: few enough to stay in the cache. A strip of so many queries is compared with
all photos after them."""
TILE = 4096
"""Columns whose blocks are searched before what was found is put into the lists; less than 2¹⁶."""
LEAST, PHOTOS, NEIGHBOURS = 4096, 4, 16
"""Least number of queries, most photos for each query, and least queries for each neighbour."""
WORD = 8
"""Truth values that are tested at a time."""

Integers = NDArray[np.int64]
Scores = NDArray[Any]
"""float32 or float64."""


class Candidates(NamedTuple):
    """The photos that may be neighbours of some queries.

    Attributes:
        queries: int64 `[q]`, the queries, as positions among all queries.
        row: int64 `[P]`, a position in `queries`, ascending.
        photo: int64 `[P]`, a gallery photo that may be its neighbour.
        undecided: bool `[q]`, queries without a known end of their candidates, which have none.
    """

    queries: Tensor
    row: Tensor
    photo: Tensor
    undecided: Tensor


def pays(queries: int, gallery: Tensor, k: int, memory: int) -> bool:
    """Whether `candidates` is faster than a search of the whole gallery, within so many bytes of memory.

    Args:
        queries: number of queries.
        gallery: embeddings `[N, D]`.
        k: number of neighbours.
        memory: bytes that may be held beside gallery and result.
    """
    held = gallery.numel() * gallery.itemsize + queries * _room(k) * (gallery.itemsize + 4)
    enough = queries >= max(LEAST, k * NEIGHBOURS) and queries * PHOTOS >= len(gallery)
    return enough and held <= memory and gallery.device.type == "cpu"


def candidates(gallery: Tensor, prepared: ScanGallery, photos: Tensor, k: int, threads: int) -> Generator[Candidates]:
    """The photos that may be among the k nearest of photos of a gallery, without the photos themselves.

    Args:
        gallery: embeddings `[N, D]` on the CPU.
        prepared: the gallery, prepared for a scan in its own type.
        photos: int64 `[Q]`, the photos that are queries, each once.
        k: number of neighbours, at least 1 and less than N.
        threads: number of threads to take, while the caller compares the candidates of the queries before.

    Yields:
        Candidates of some queries at a time. If the errors of the scores have no bound, or most of the first queries
        are undecided, the others are undecided, too.
    """
    queries = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0))
    rest = torch.ones(len(gallery), dtype=torch.bool)
    rest[photos] = False
    order = torch.cat([photos[queries], rest.nonzero()[:, 0]])
    scan = mutual_scan(gallery, order, len(queries), prepared)
    done = 0
    if scan is not None:
        with closing(_near(_Lists(scan, k), threads)) as strips:
            for near, undecided in strips:
                some = queries[done : done + len(undecided)]
                photo = order[torch.from_numpy(near.photo).long()]
                yield Candidates(some, torch.from_numpy(near.row), photo, torch.from_numpy(undecided))
                done += len(some)
                if done == len(some) and undecided.mean() > 0.5:
                    break
    if done < len(queries):
        nothing = torch.empty(0, dtype=torch.int64)
        yield Candidates(queries[done:], nothing, nothing, torch.ones(len(queries) - done, dtype=torch.bool))


def _near(lists: _Lists, threads: int) -> Generator[tuple[_Near, NDArray[np.bool_]]]:
    """The candidates of the queries of each strip, and which of the queries are undecided, bool `[q]`."""
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        each = map if threads == 1 else stack.enter_context(ThreadPoolExecutor(threads)).map
        before: tuple[_Tile, list[_Near]] | None = None
        for start in range(0, len(lists.margin), BLOCK):
            tiles = lists.tiles(start)
            first = tiles[0]
            near = [lists.listed(np.arange(first.start, first.end))]  # what the queries before them found
            if start == 0:  # the first limits come from the diagonal
                near.append(lists.search(tiles.pop(0)))
            found = each(lists.search, tiles)
            if before is not None:
                yield lists.candidates(*before)  # while the threads go on
            before = first, [*near, *found]
        if before is not None:
            yield lists.candidates(*before)


def _room(k: int) -> int:
    """Photos for which each query has room in its list."""
    return 2 * k + 128


class _Near(NamedTuple):
    """Photos within the limits of some queries, `[P]` pairs.

    Attributes:
        row: int64, the query, as a number among these queries.
        photo: int32, the photo.
        score: their score.
    """

    row: Integers
    photo: NDArray[np.int32]
    score: Scores

    def where(self, kept: NDArray[np.bool_]) -> _Near:
        """The pairs that are kept, bool `[P]`."""
        return _Near(self.row[kept], self.photo[kept], self.score[kept])

    def by_rank(self, rank: int, rows: int) -> Scores:
        """The score of a rank from 1 on of each of so many queries, ∞ if it has fewer; the queries must ascend."""
        count = np.bincount(self.row, minlength=rows)
        most = int(count.max(initial=0))
        if rank > most:
            return np.full(rows, np.inf, self.score.dtype)
        padded = np.full((rows, most), np.inf, self.score.dtype)
        padded[self.row, _within(self.row, count)] = self.score
        padded.partition(rank - 1, axis=1)
        return padded[:, rank - 1]


@dataclass(frozen=True)
class _Tile:
    """Scores of the queries from `start` to `end`, whose rows are `turned`, and the photos from `first` to `last`."""

    start: int
    end: int
    turned: Scores
    first: int
    last: int


class _Memory(NamedTuple):
    """Memory for a block, which is used again: scores, and whether they are within the limits of either side."""

    scores: Scores
    near_row: NDArray[np.bool_]
    near_column: NDArray[np.bool_]

    @classmethod
    def of(cls, kind: np.dtype[Any]) -> _Memory:
        return cls(np.empty(BLOCK * BLOCK, kind), *(np.empty(BLOCK * BLOCK, np.bool_) for _ in range(2)))


class _Lists:
    """For each query, the photos within its limit so far.

    Attributes:
        limits: `[N]`, the lowest limit of each so far; −∞ for an undecided query, whose list is empty, and for a photo
            that is no query.
    """

    def __init__(self, scan: MutualScan, k: int) -> None:
        self.scan, self.rows, self.margin, self.k = scan, scan.rows.numpy(), scan.margin.numpy(), k
        queries, kind, room = len(self.margin), self.rows.dtype, _room(k)
        self.limits = np.full(len(self.rows), -np.inf, kind)
        self.limits[:queries] = np.inf
        self.count = np.zeros(queries, np.int64)
        self.scores = np.empty((queries, room), kind)
        self.photos = np.empty((queries, room), np.int32)
        self._memory: list[_Memory] = []

    def tiles(self, start: int) -> list[_Tile]:
        """The tiles of the queries from `start` on, with all photos from there on."""
        end = min(start + BLOCK, len(self.margin))
        turned = self.scan.turned(start, end).numpy()
        ends = [*range(start + TILE, len(self.rows), TILE), len(self.rows)]
        return [_Tile(start, end, turned, *each) for each in zip([start, *ends], ends, strict=False)]

    def listed(self, queries: Integers) -> _Near:
        """The lists of some queries."""
        there = np.arange(self.scores.shape[1]) < self.count[queries, None]
        row = np.repeat(np.arange(len(queries)), self.count[queries])
        return _Near(row, self.photos[queries][there], self.scores[queries][there])

    def search(self, tile: _Tile) -> _Near:
        """Score a tile, put what is near to its columns into their lists, and return what is near to its queries."""
        try:
            memory = self._memory.pop()
        except IndexError:  # the other threads have all of it
            memory = _Memory.of(self.rows.dtype)
        bounds = range(tile.first, tile.last, BLOCK)
        blocks = [self._block(tile, first, min(first + BLOCK, tile.last), memory) for first in bounds]
        self._memory.append(memory)
        found = _joined(blocks)
        limits = self.limits[tile.start : tile.end]
        near_column = found.score <= self.limits[found.photo]
        near_column &= found.photo >= tile.end
        self._into_lists(tile, found.where(near_column))
        found = found.where(found.score <= limits[found.row])
        many = np.bincount(found.row, minlength=len(limits)) > (tile.last - tile.first) // 2
        if many.any():  # their limits were of ranks far below: these scores are equal
            self._give_up(tile.start + np.flatnonzero(many))
            found = found.where(~many[found.row])
        return found

    def _block(self, tile: _Tile, first: int, last: int, memory: _Memory) -> _Near:
        """Score photos from `first` to `last`, and return what is near to either side."""
        height, width = tile.end - tile.start, last - first
        scores, near_row, near_column = (each[: height * width].reshape(height, width) for each in memory)
        np.matmul(tile.turned, self.rows[first:last].T, out=scores)
        rows, columns = self.limits[tile.start : tile.end], self.limits[first:last]
        if first == tile.start:
            np.fill_diagonal(scores, np.inf)
            if tile.start == 0:
                rows[:] = self._sampled(scores, 0)
        elif tile.start == 0 and first < len(self.margin):
            queries = columns[: len(self.margin) - first]
            queries[:] = self._sampled(scores[:, : len(queries)].T, first)
        np.less_equal(scores, rows[:, None], out=near_row)
        if first > tile.start:
            np.less_equal(scores, columns, out=near_column)
            near_row |= near_column
        place = _places(near_row)
        return _Near(place // width, (place % width + first).astype(np.int32), scores.reshape(-1)[place])

    def _sampled(self, scores: Scores, first: int) -> Scores:
        """The first limits of the queries from `first` on, of scores of a sample `[q, n]`."""
        rank = self._rank(scores.shape[1])
        ranked = np.partition(scores, rank - 1, axis=1)[:, rank - 1]
        return self._limited(ranked, slice(first, first + len(scores)))

    def candidates(self, tile: _Tile, near: list[_Near]) -> tuple[_Near, NDArray[np.bool_]]:
        """The candidates of the queries of a tile, of all that was found, and which of the queries are undecided."""
        queries = slice(tile.start, tile.end)
        found = _joined(near)
        order = np.argsort(found.row.astype(np.uint16), kind="stable")
        found = _Near(found.row[order], found.photo[order], found.score[order])
        limits = self._limited(found.by_rank(self.k, tile.end - tile.start), queries)
        undecided = ~(limits <= self.limits[queries])
        return found.where((found.score <= limits[found.row]) & ~undecided[found.row]), undecided

    def _into_lists(self, tile: _Tile, near: _Near) -> None:
        """Put the queries of a tile into the lists of the photos to which they are near."""
        first, last = max(tile.first, tile.end), min(tile.last, len(self.margin))
        if not len(near.row):
            return
        order = np.argsort((near.photo - first).astype(np.uint16), kind="stable")
        column, row, score = (near.photo[order] - first).astype(np.int64), near.row[order], near.score[order]
        columns, room = slice(first, last), self.scores.shape[1]
        new = np.bincount(column, minlength=last - first)
        full = np.flatnonzero(self.count[columns] + new > room)
        if len(full):
            self._tighten(first + full, tile.end)
            self._give_up(first + full[(self.count[columns] + new)[full] > room])
            decided = self.limits[columns] > -np.inf
            kept, new = decided[column], np.where(decided, new, 0)
            row, column, score = row[kept], column[kept], score[kept]
        into = (first + column) * room + self.count[columns][column] + _within(column, new)
        self.scores.reshape(-1)[into], self.photos.reshape(-1)[into] = score, row + tile.start
        self.count[columns] += new
        many = self.count[columns] > 2 * self._rank(tile.end) + 24
        self._tighten(first + np.flatnonzero(many), tile.end)

    def _tighten(self, queries: Integers, seen: int) -> None:
        """Lower the limits of some queries to what is in their lists, and remove what is beyond.

        Args:
            queries: int64 `[q]`.
            seen: number of photos that they were compared with.
        """
        if not len(queries):
            return
        near, room = self.listed(queries), self.scores.shape[1]
        ranked = near.by_rank(self._rank(seen), len(queries))
        limits = np.minimum(self.limits[queries], self._limited(ranked, queries))
        near = near.where(near.score <= limits[near.row])
        count = np.bincount(near.row, minlength=len(queries))
        into = queries[near.row] * room + _within(near.row, count)
        self.scores.reshape(-1)[into], self.photos.reshape(-1)[into] = near.score, near.photo
        self.limits[queries], self.count[queries] = limits, count

    def _rank(self, seen: int) -> int:
        """The rank among the first queries that is hardly ever among the k nearest, even if these are all queries."""
        expected = self.k * seen / len(self.margin)
        return min(self.k, math.ceil(expected + 3 * math.sqrt(expected) + 3))

    def _limited(self, scores: Scores, queries: slice | Integers) -> Scores:
        """Limits from a score of each of some queries: with their margins."""
        limits: Scores = (scores + self.margin[queries]).astype(self.limits.dtype)
        return limits

    def _give_up(self, queries: Integers) -> None:
        """Take some queries as undecided."""
        self.limits[queries], self.count[queries] = -np.inf, 0


def _joined(near: list[_Near]) -> _Near:
    """What was found, one after another."""
    row, photo, score = zip(*near, strict=True)
    return _Near(np.concatenate(row), np.concatenate(photo), np.concatenate(score))


def _within(row: Integers, count: Integers) -> Integers:
    """The number of each pair within its row, from 0; the rows ascend, `count` is the number of pairs of each."""
    within: Integers = np.arange(len(row)) - (np.cumsum(count) - count)[row]
    return within


def _places(hit: NDArray[np.bool_]) -> Integers:
    """Where the few true values are, as indices of the flat array, ascending."""
    flat = hit.reshape(-1)
    if flat.size % WORD:
        return np.flatnonzero(flat)
    words = np.flatnonzero(flat.view(np.uint64) != 0)
    inner = np.flatnonzero(flat.reshape(-1, WORD)[words])
    places: Integers = words[inner // WORD] * WORD + inner % WORD
    return places
