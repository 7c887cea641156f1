"""Exact nearest neighbours by brute force, in bounded memory, without a matrix of all distances.

All queries are *scanned* against the whole gallery by matrix products of low precision. Photos that the rounding error
of the scan cannot exclude are compared again, row by row, by the distance itself. The error bound is proven, not
estimated, so the result depends neither on the precision of the scan nor on its chunks. Many photos that are searched
among themselves, on a CPU without native bfloat16, are scanned by half of the products (`among_themselves`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from html import escape

import torch
import torch.nn.functional as F
from torch import Tensor

from siamesekit.components.distances import among_themselves
from siamesekit.components.distances.copies import Copies, copies_in
from siamesekit.components.distances.distance import Distance, DistanceLike, RanksAs, as_distance
from siamesekit.components.distances.scan import Scan, ScanGallery, prepare, scan_of
from siamesekit.hardware.cpu import multiplies_bf16, one_thread
from siamesekit.hardware.float32 import at_least_float32, full_precision

MEMORY = 1 << 27
"""Bytes of scores kept at a time, with about as many for candidates. At least the N scores of one query are kept."""
COLUMNS = 4096
"""Gallery rows per product: few enough to stay in the cache with the queries."""
BLOCK = 32
"""Columns per block. The scan keeps the minimum of each block, and searches only blocks with a small minimum."""
AT_ONCE = 512
"""Queries per product if the gallery is searched in several passes."""
VALUES = 1 << 16
"""Number of coordinates that each of at most two threads compares again at a time: few enough to stay in the cache.

With more, a single thread spends most of its time on memory that is returned to the system and cleared again.
"""
HELD = 4
"""Times the memory of scores that a search of photos among themselves may hold."""

SHOWN_QUERIES, SHOWN_NEIGHBOURS = 10, 10
"""Most rows and columns of neighbours that a notebook shows."""


@dataclass(frozen=True, repr=False)
class Neighbours:
    """The nearest neighbours of each query in the gallery, sorted by distance, then by index.

    Attributes:
        index: int64 `[Q, k]`, 0 ≤ index < N.
        distance: `[Q, k]`, ascending, float32 or float64 as the embeddings.
    """

    __module__ = "siamesekit"

    index: Tensor
    distance: Tensor

    def _repr_html_(self) -> str:
        """The neighbours of the first queries as a notebook shows them: indices in the gallery, with distances."""
        first = slice(SHOWN_QUERIES), slice(SHOWN_NEIGHBOURS)
        index, distance = self.index[first].tolist(), self.distance[first].tolist()
        head = "".join(f"<th>{place}</th>" for place in range(1, min(self.index.shape[1], SHOWN_NEIGHBOURS) + 1))
        rows = ""
        for query, found in enumerate(zip(index, distance, strict=True)):
            cells = "".join(f"<td>{near} ({far:.4g})</td>" for near, far in zip(*found, strict=True))
            rows += f"<tr><th>{query}</th>{cells}</tr>"
        table = f"<table><thead><tr><th>query</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<div style='overflow-x:auto'><p>{escape(repr(self))}</p>{table}</div>"

    def __repr__(self) -> str:
        queries, k = self.index.shape
        kind = str(self.distance.dtype).removeprefix("torch.")
        return f"Neighbours(the {k} nearest of {queries} queries: index int64 [{queries}, {k}], distance {kind})"


@torch.no_grad()
def nearest(
    queries: Tensor,
    gallery: Tensor,
    k: int,
    distance: DistanceLike,
    own: Tensor | None = None,
    *,
    bf16: bool | None = None,
    memory: int | None = None,
) -> Neighbours:
    """The k nearest neighbours of each query `[Q, D]` in a gallery `[N, D]`, exactly, on the device of the embeddings.

    Distances are computed by `distance` in float32 or float64 as the embeddings (narrower floats become float32).
    Equal distances are ordered by index, also across the k-th place. The result does not depend on `bf16` or `memory`.

    Embeddings and distances may be infinite or NaN. Distances are ordered as numbers: −∞ (an overflow of `dot`) first,
    then finite distances, then +∞, then NaN (such as ∞ − ∞); equal distances and all NaN are ordered by index.

    A distance with `ranks_as` is scanned by matrix products. Any other distance is evaluated one query at a time; its
    `pairwise` is not used, since the rounding error of that is unknown.

    Args:
        queries: embeddings.
        gallery: embeddings, of the same type and device.
        k: number of neighbours; at most N are returned, or N − 1 with `own`.
        distance: a distance, its name, or a table with its name and options.
        own: int64 `[Q]`, index of each query in the gallery, to exclude self-matches.
        bf16: whether to scan in bfloat16, then in full precision for queries that the error bound leaves undecided.
            None: only on CPUs that multiply bfloat16 natively (AVX512-BF16, AMX), where it is faster.
        memory: bytes of scores kept at a time; None for `MEMORY`. A search of photos among themselves may hold four
            times as many; if it needs more, it searches the whole gallery for each photo.

    Raises:
        ValueError: the shapes do not fit, k is negative, or an index in `own` is not in the gallery.

    >>> from siamesekit.components.distances.euclidean import euclidean
    >>> gallery = torch.tensor([[0.0], [10.0], [4.0]])
    >>> found = nearest(torch.tensor([[3.0], [9.0]]), gallery, 2, euclidean)
    >>> found.index
    tensor([[2, 0],
            [1, 2]])
    >>> found.distance
    tensor([[1., 3.],
            [1., 5.]])
    """
    queries = at_least_float32(queries)
    return PreparedGallery(gallery, distance, bf16=bf16, memory=memory).nearest(queries, k, own)


class PreparedGallery:
    """A gallery `[N, D]` that is prepared once and searched many times, as `nearest` does.

    What the first search prepares is kept: for scans in bfloat16, half the bytes of the gallery; for scans in the type
    of the gallery nothing, unless its embeddings must be changed (not of length 1 for `cosine`; of different lengths,
    or far from zero, for `euclidean`).

    Args:
        gallery: embeddings; they must not change.
        distance: as for `nearest`.
        bf16: as for `nearest`.
        memory: as for `nearest`.
    """

    def __init__(
        self, gallery: Tensor, distance: DistanceLike, *, bf16: bool | None = None, memory: int | None = None
    ) -> None:
        self.gallery = at_least_float32(gallery)
        self.distance = as_distance(distance)
        self.memory = memory or MEMORY
        ranks_as: RanksAs | None = getattr(self.distance, "ranks_as", None)
        self._ranks_as = ranks_as
        self._bf16 = _multiplies_bf16(gallery.device) if bf16 is None else bf16
        self._copies: Copies | None = None
        self._kept: tuple[int, Tensor | None, Tensor] | None = None
        self._prepared: dict[torch.dtype, ScanGallery] = {}

    def __len__(self) -> int:
        return len(self.gallery)

    @torch.no_grad()
    def nearest(self, queries: Tensor, k: int, own: Tensor | None = None) -> Neighbours:
        """The k nearest neighbours of each query `[Q, D]`, as `nearest` gives them.

        Raises:
            ValueError: the shapes do not fit, k is negative, or an index in `own` is not in the gallery.
        """
        whole = self.gallery
        if queries.ndim != 2 or whole.ndim != 2 or queries.shape[1] != whole.shape[1]:
            raise ValueError(f"queries {list(queries.shape)} and gallery {list(whole.shape)} are not [Q, D] and [N, D]")
        if own is not None and (own.shape != queries.shape[:1] or (own.numel() and not _within(own, len(whole)))):
            raise ValueError(f"own must be the index of each query in the gallery, [Q], 0 … {len(whole) - 1}")
        if k < 0:
            raise ValueError(f"k must be at least 0, not {k}")
        queries = at_least_float32(queries)
        k = min(k, len(whole) - (own is not None))
        index = torch.empty(len(queries), max(k, 0), dtype=torch.int64, device=whole.device)
        found = Neighbours(index, whole.new_empty(index.shape))
        if not index.numel():
            return found
        kept, gallery = self._without_copies(k + (own is not None))
        if kept is not None and own is not None:
            place = torch.searchsorted(kept, own).clamp_max(len(kept) - 1)
            own = torch.where(kept[place] == own, place, -1)
        search = _Search(queries, gallery, k, self.distance, own, self.memory)
        with full_precision(gallery.device):  # the error bounds assume the nominal precision
            left = torch.arange(len(queries), device=gallery.device)
            if self._ranks_as is not None and self._bf16:
                left = search.into(found, left, self._scan(queries, gallery, torch.bfloat16), 4 * k + 64)
            elif self._ranks_as is not None and (photos := search.in_gallery()) is not None:
                left = self._among_themselves(found, search, photos, self._ranks_as)
            if len(left):
                search.into(found, left, self._scan(queries, gallery, gallery.dtype))
        return found if kept is None else Neighbours(kept[found.index], found.distance)

    def _scan(self, queries: Tensor, gallery: Tensor, dtype: torch.dtype) -> Scan | None:
        """A scan of the gallery without copies, prepared in an earlier search if there was one."""
        if self._ranks_as is None:
            return None
        return scan_of(queries, self._prepared_as(gallery, self._ranks_as, dtype))

    def _among_themselves(self, found: Neighbours, search: _Search, photos: Tensor, ranks_as: RanksAs) -> Tensor:
        """Fill in the neighbours of queries that are photos of the gallery; return the undecided ones."""
        gallery, left = search.gallery, []
        prepared = self._prepared_as(gallery, ranks_as, gallery.dtype)
        with (
            one_thread() as threads,  # beside those that find the candidates
            closing(among_themselves.candidates(gallery, prepared, photos, search.k, threads)) as parts,
        ):
            for some in parts:
                search.keep(found, some.queries, some.row, some.photo)
                left.append(some.queries[some.undecided])
        return torch.cat(left)

    def _prepared_as(self, gallery: Tensor, ranks_as: RanksAs, dtype: torch.dtype) -> ScanGallery:
        """The gallery without copies, prepared for a scan in this type."""
        if dtype not in self._prepared:
            self._prepared[dtype] = prepare(gallery, ranks_as, dtype)
        return self._prepared[dtype]

    def _without_copies(self, copies: int) -> tuple[Tensor | None, Tensor]:
        """The gallery without rows that follow `copies` equal rows, which cannot be neighbours, and their indices.

        Otherwise every collapsed embedding would be a candidate of every query. None: all rows are kept.
        """
        if self._copies is None:
            self._copies = copies_in(self.gallery)
        copies = min(copies, self._copies.most)
        if self._kept is None or self._kept[0] != copies:
            self._prepared.clear()
            kept = self._copies.first(copies)
            self._kept = copies, kept, self.gallery if kept is None else self.gallery[kept]
        return self._kept[1:]


class _Search:
    """A search. `into` runs one scan and fills in the neighbours of the queries that the scan decides.

    The scan keeps the least score of each block of columns. The k-th smallest block minimum is at least the k-th
    smallest score, so only blocks whose minimum is within the margin of it can hold a neighbour. The columns of a block
    are spread over the gallery, since photos of one individual are often adjacent.
    """

    def __init__(
        self, queries: Tensor, gallery: Tensor, k: int, distance: Distance, own: Tensor | None, memory: int
    ) -> None:
        self.queries, self.gallery, self.k, self.distance, self.own, self.memory = (
            queries,
            gallery,
            k,
            distance,
            own,
            memory,
        )
        self.width = max(1, min(BLOCK, len(gallery) // (16 * k)))
        self.blocks = max(1, min(COLUMNS, len(gallery)) // self.width)
        """Blocks in one chunk of columns."""
        if len(gallery) <= COLUMNS:
            self.blocks = -(-len(gallery) // self.width)
        self.columns = self.blocks * self.width
        self.chunks = -(-len(gallery) // self.columns)

    def in_gallery(self) -> Tensor | None:
        """The queries as photos of the gallery, if they are, each once, and their search among themselves is faster."""
        own = self.own
        if own is None or not among_themselves.pays(len(own), self.gallery, self.k, HELD * self.memory):
            return None
        once = len(own.unique()) == len(own) and bool(own.min() >= 0)
        same = once and all(
            torch.equal(queries, self.gallery[photos])
            for queries, photos in zip(self.queries.split(AT_ONCE), own.split(AT_ONCE), strict=True)
        )
        return own if same else None

    def into(self, found: Neighbours, rows: Tensor, scan: Scan | None, most: int | None = None) -> Tensor:
        """Fill in the neighbours of some queries; return the undecided ones, with more than `most` blocks to search.

        If most of the first queries are undecided, the others are not tried.
        """
        dtype = self.gallery.dtype if scan is None else scan.gallery.dtype
        chunk = self.columns * dtype.itemsize
        at_once, pass_ = max(1, min(self.memory // (self.chunks * chunk), len(rows))), self.chunks
        if at_once < min(len(rows), AT_ONCE) and self.k <= self.blocks:  # many queries at a time are faster
            at_once = max(1, min(AT_ONCE, len(rows), self.memory // chunk))
            pass_ = min(self.chunks, max(1, self.memory // (at_once * chunk)))
        buffer = torch.empty(at_once * pass_ * self.columns, dtype=dtype, device=self.gallery.device)
        left = []
        for start in range(0, len(rows), at_once):
            chosen = rows[start : start + at_once]
            undecided = self._passes(found, chosen, buffer, pass_, scan, most)
            left.append(undecided)
            if start == 0 and len(undecided) > len(chosen) / 2:
                left.append(rows[len(chosen) :])
                break
        return torch.cat(left)

    def _passes(
        self, found: Neighbours, rows: Tensor, buffer: Tensor, pass_: int, scan: Scan | None, most: int | None
    ) -> Tensor:
        """Search the gallery for some queries, `pass_` chunks at a time; return the undecided queries.

        The k-th smallest of some block minima of the passes so far is at least the k-th smallest score of these passes.
        """
        undecided = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        best = buffer.new_empty(len(rows), 0)
        largest = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
        for first in range(0, self.chunks, pass_):
            chunks = min(pass_, self.chunks - first)
            scores = buffer[: chunks * len(rows) * self.columns].view(chunks, len(rows), self.columns)
            minima = self._scores(rows, scores, scan, first)
            few = minima
            if self.k <= self.blocks // 4 and pass_ < self.chunks:  # nearly the same bound, from fewer numbers
                few = minima.view(len(rows), chunks, self.blocks).amin(dim=1)
            pool = torch.cat([best, few], dim=1)
            pool = pool.float() if pool.dtype == torch.bfloat16 else pool
            best = pool.topk(min(self.k, pool.shape[1]), dim=1, largest=False).values.to(buffer.dtype)
            kth = best.amax(dim=1).double()
            if scan is None:
                largest = largest.maximum(self._largest(rows, scores))
                limit = self._limit(kth, largest, torch.finfo(scores.dtype))
            else:
                limit = kth + scan.margin[rows]
                if scores.dtype == torch.bfloat16:  # rounding is monotone: a rounded score stays within the limit
                    limit = limit + kth.abs() * (1.001 / 256)
            hit = minima <= limit.to(scores.dtype)[:, None]
            if most is not None:
                undecided |= hit.sum(dim=1) > most
            self._search(found, rows, scores, hit & ~undecided[:, None], limit.to(scores.dtype), first)
        return rows[undecided]

    def _largest(self, rows: Tensor, scores: Tensor) -> Tensor:
        """The size of the terms of distances `[chunks, rows, columns]`, with which their error scales: `[rows]`."""
        largest = torch.where(scores.isinf(), 0, scores).abs().amax(dim=(0, 2)).double()
        if bool((scores < 0).any()):  # terms of either sign: the error scales with the terms, not with the sum
            norms = (side.double().norm(dim=1).nan_to_num(0, 0, 0) for side in (self.queries[rows], self.gallery))
            largest = largest.maximum(next(norms) * next(norms).max())
        return largest

    def _limit(self, kth: Tensor, largest: Tensor, form: torch.finfo) -> Tensor:
        """The limit of distances, whose last bits may depend on the shape: `[rows]`."""
        limit = kth + 2 * (self.gallery.shape[1] + 32) * form.eps * largest
        # near the largest float, overflow may depend on the order of summation: exclude nothing
        return torch.where(largest < form.max / 4, limit, torch.inf)

    def _search(self, found: Neighbours, rows: Tensor, scores: Tensor, hit: Tensor, limit: Tensor, first: int) -> None:
        """Compare the candidates in the blocks that are hit `[rows, blocks]`, some queries at a time."""
        hits = hit.sum(dim=1)
        order = hits.argsort(stable=True)
        counts = hits[order].tolist()
        start, room = sum(count == 0 for count in counts) if first else 0, max(1, self.memory // (32 * self.width))
        while start < len(counts):
            end = start + 1
            while end < len(counts) and (end + 1 - start) * counts[end] <= room:
                end += 1
            some = order[start:end]
            self._compare(found, rows, some, scores, hit[some], limit, first)
            start = end

    def _scores(self, rows: Tensor, scores: Tensor, scan: Scan | None, first: int) -> Tensor:
        """Fill in scores `[chunks, rows, columns]` from chunk `first` on, ∞ for self-matches and padding.

        Returns:
            The block minima, `[rows, blocks]`.
        """
        queries = self.queries[rows] if scan is None else scan.queries[rows]
        gallery = self.gallery if scan is None else scan.gallery
        minima = scores.new_empty(len(rows), len(scores) * self.blocks)
        chunk_of = None if self.own is None else self.own[rows] // self.columns
        for number, part in enumerate(scores, first):
            candidates = gallery[number * self.columns : (number + 1) * self.columns]
            if scan is None:
                for query, row in zip(queries, part, strict=True):
                    values = self.distance(query[None], candidates)
                    row[: len(candidates)] = torch.where(values.isnan(), torch.inf, values)
            elif len(candidates) == self.columns:
                torch.mm(queries, candidates.T, out=part)
            else:
                part[:, : len(candidates)] = queries @ candidates.T
            part[:, len(candidates) :] = torch.inf
            if self.own is not None and chunk_of is not None:
                here = (chunk_of == number).nonzero()[:, 0]
                part[here, self.own[rows[here]] % self.columns] = torch.inf
            blocks = part.view(len(rows), self.width, self.blocks)
            place = number - first
            minima[:, place * self.blocks : (place + 1) * self.blocks] = blocks.amin(dim=1)
        return minima

    def _compare(
        self,
        found: Neighbours,
        rows: Tensor,
        some: Tensor,
        scores: Tensor,
        hit: Tensor,
        limit: Tensor,
        first: int,
    ) -> None:
        """Search the blocks in `hit` `[some, blocks]`: compare the candidates again and keep the k nearest.

        Candidates of the chunks before `first` are in `found`, with the index −1 where there were fewer than k.
        """
        row, block = hit.nonzero(as_tuple=True)
        chunk, start = block // self.blocks, block % self.blocks
        within = torch.arange(self.width, device=row.device) * self.blocks
        place = (chunk * scores.shape[1] + some[row]) * self.columns + start
        near = scores.view(-1)[place[:, None] + within] <= limit[some[row], None]
        hit_at, offset = near.nonzero(as_tuple=True)
        row, column = row[hit_at], ((chunk + first) * self.columns + start)[hit_at] + within[offset]
        real = column < len(self.gallery)
        if self.own is not None:
            real &= column != self.own[rows[some[row]]]
        self.keep(found, rows[some], row[real], column[real], among_found=first > 0)

    def keep(self, found: Neighbours, mine: Tensor, row: Tensor, column: Tensor, *, among_found: bool = False) -> None:
        """Keep the k nearest of the candidates of some queries, compared by the distance itself.

        Args:
            found: what is filled in.
            mine: int64 `[q]`, the queries.
            row: int64 `[P]`, positions in `mine`.
            column: int64 `[P]`, a gallery photo for each.
            among_found: whether the photos in `found` are candidates, too; the index −1 stands for none.
        """
        key = (row * len(self.gallery) + column).sort().values
        row, column = key // len(self.gallery), key % len(self.gallery)
        counts = row.bincount(minlength=len(mine))
        place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        distances = found.distance.new_full((len(mine), int(counts.max())), torch.nan)
        columns = torch.full_like(distances, -1, dtype=torch.int64)
        distances[row, place] = self._distances(mine[row], column)
        columns[row, place] = column
        if among_found:
            distances = torch.cat([found.distance[mine], distances], dim=1)
            columns = torch.cat([found.index[mine], columns], dim=1)
        nothing, order = (columns < 0).sort(dim=1, stable=True)  # NaN sorts last, and what is empty after it
        distances, sorted_ = distances.gather(1, order).masked_fill(nothing, torch.nan).sort(dim=1, stable=True)
        columns = columns.gather(1, order).gather(1, sorted_)
        short = max(0, self.k - columns.shape[1])
        found.distance[mine] = F.pad(distances[:, : self.k], (0, short), value=torch.nan)
        found.index[mine] = F.pad(columns[:, : self.k], (0, short), value=-1)

    def _distances(self, row: Tensor, column: Tensor) -> Tensor:
        """Distances of pairs, `[P]`, `[P]` → `[P]`; on a GPU in a fixed shape, on which the order of sums depends."""
        result = self.gallery.new_empty(len(row))
        threads = 1 if torch.get_num_threads() == 1 and not self.gallery.is_cuda else 2
        pairs = max(1, threads * VALUES // max(1, self.gallery.shape[1]))
        for start in range(0, len(row), pairs):
            a, b = row[start : start + pairs], column[start : start + pairs]
            if self.gallery.is_cuda:
                a, b = (F.pad(indices, (0, pairs - len(indices))) for indices in (a, b))
            if pairs == 1:  # rows so long that copies of them would be a quarter of the time
                sides = self.queries[int(a) : int(a) + 1], self.gallery[int(b) : int(b) + 1]
            else:
                sides = self.queries.index_select(0, a), self.gallery.index_select(0, b)
            values = self.distance(*sides)
            result[start : start + pairs] = values[: len(row) - start]
        return result


def _within(index: Tensor, size: int) -> bool:
    return int(index.min()) >= 0 and int(index.max()) < size


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether a scan in bfloat16 is known to be faster."""
    return device.type == "cpu" and multiplies_bf16()
