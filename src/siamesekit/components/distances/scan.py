"""The scan of a search for neighbours: matrix products of low precision, with a proven bound of their error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.components.distances.distance import RanksAs, unit

PREPARED = 2048
"""Rows prepared for the scan at a time."""
MULTIPLE, MULTIPLE_OF_BF16 = 8, 32
"""What the length of a row with offsets is a multiple of, for fast products."""


class Scan(NamedTuple):
    """Rows whose products are scores, which order the gallery as the distance does up to an error.

    Attributes:
        queries: `[Q, K]`.
        gallery: `[N, K]`.
        margin: float64 `[Q]`. If two scores, before rounding to their type, differ by more than this, the photo with
            the lower score is strictly nearer.
    """

    queries: Tensor
    gallery: Tensor
    margin: Tensor


class MutualScan(NamedTuple):
    """Rows whose products are scores of the photos of a gallery among themselves, the same from either side.

    Attributes:
        rows: `[N, K]`, the queries first.
        margin: float64 `[Q]`, as in `Scan`.
        size: dimension of the embeddings; in the columns after it, if there are any, stand the offset, 1 and
            zeros.
    """

    rows: Tensor
    margin: Tensor
    size: int

    def turned(self, start: int, end: int) -> Tensor:
        """The rows from `start` to `end` as the other side of a product, `[end − start, K]`."""
        rows = self.rows[start:end].neg()
        if rows.shape[1] > self.size:
            rows[:, self.size] = 1
            rows[:, self.size + 1] = self.rows[start:end, self.size]
        return rows


class _Points(NamedTuple):
    """Embeddings as points for the scan, with bounds of their rounding error.

    Attributes:
        rows: `[N, D]` in the type of the scan.
        norms: float64 `[N]`, norms of the points before rounding to that type.
        residuals: float64 `[N]`, upper bounds of the distance of `rows` from the exact points.
        offsets: float64 `[N]`, half the squared norms for `euclidean`; 0 for `cosine` and `dot`.
    """

    rows: Tensor
    norms: Tensor
    residuals: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class ScanGallery:
    """A gallery that is prepared for scans.

    Attributes:
        rows: `[N, K]`: the points, and columns of their offsets. If the embeddings themselves are the points, they are
            not copied.
        columns: number of columns of offsets.
        size: dimension of the embeddings.
        ranks_as: what the distance ranks as.
        centre: the common centre, `[D]`, or None.
        longest: upper bound of the norms.
        residual: upper bound of the points' rounding error.
        offset: largest offset.
        spread: half the difference of the largest and the smallest offset.
        working: float type of the embeddings.
    """

    rows: Tensor
    columns: int
    size: int
    ranks_as: RanksAs
    centre: Tensor | None
    longest: float
    residual: float
    offset: float
    spread: float
    working: torch.dtype


def prepare(gallery: Tensor, ranks_as: RanksAs, dtype: torch.dtype) -> ScanGallery:
    """Prepare a gallery `[N, D]` for scans in a float type.

    Half the squared norms of `euclidean` are columns of the rows, unless they are equal up to rounding.
    """
    centre = _centre(gallery) if ranks_as == "euclidean" else None
    offsets = _offsets(gallery, centre) if ranks_as == "euclidean" else torch.zeros(1, dtype=torch.float64)
    offset, spread = float(offsets.max()), float(offsets.max() - offsets.min()) / 2
    length = (2 * offset) ** 0.5
    bits, multiple = (3, MULTIPLE_OF_BF16) if dtype == torch.bfloat16 else (1, MULTIPLE)
    rounding = torch.finfo(dtype).eps * length**2 if dtype != gallery.dtype else 0.0
    likely = rounding + 2 * gallery.shape[1] * torch.finfo(gallery.dtype).eps * length**2
    columns = bits if spread > 0.05 * likely or not spread < torch.inf else 0
    points = None
    if columns == 0 and centre is None and dtype == gallery.dtype:
        points = _as_they_are(gallery, ranks_as)
    if points is None:
        width = gallery.shape[1] + columns
        rows = gallery.new_zeros(len(gallery), width + (-width % multiple if columns else 0), dtype=dtype)
        points = _points(gallery, centre, ranks_as, rows)
        for place, part in enumerate(_split(points.offsets, dtype, columns), gallery.shape[1]):
            rows[:, place] = part
        points = points._replace(rows=rows)
    longest, residual = float((points.norms + points.residuals).max()), float(points.residuals.max())
    return ScanGallery(
        points.rows, columns, gallery.shape[1], ranks_as, centre, longest, residual, offset, spread, gallery.dtype
    )


def scan_of(queries: Tensor, gallery: ScanGallery) -> Scan | None:
    """A scan of a prepared gallery for queries `[Q, D]`; None if its error has no finite bound.

    Let q, g be the points: embeddings, minus a common centre for `euclidean`, divided by their lengths for `cosine`.
    The exact score is |g|²/2 − q·g for `euclidean`, and −q·g for `cosine` and `dot`. Up to a constant per query it
    equals |q − g|²/2, 1 − cos or −q·g. With g̃ = g + r rounded to the type, the error bound is the sum of three terms:
    the rounding of the points, at most |r_q||g̃| + |q||r_g| (Cauchy and Schwarz); the rounding of a sum of K products in
    any order; and the rounding of the distance computed row by row. The margin is twice the bound.
    """
    dtype, size = gallery.rows.dtype, gallery.size
    rows = queries.new_zeros(len(queries), gallery.rows.shape[1], dtype=dtype)
    margin = _margin(_points(queries, gallery.centre, gallery.ranks_as, rows), gallery)
    if margin is None:
        return None
    rows.neg_()
    rows[:, size : size + gallery.columns] = 1
    return Scan(rows, gallery.rows, margin)


def mutual_scan(embeddings: Tensor, order: Tensor, queries: int, gallery: ScanGallery) -> MutualScan | None:
    """A scan of a prepared gallery among itself, in another order; None if its error has no finite bound.

    The score of two photos is the same from either side: |q|²/2 + |g|²/2 − q·g for `euclidean`, so there are two more
    terms than dimensions; otherwise as for `scan_of`.

    Args:
        embeddings: the gallery `[N, D]`, as it was prepared.
        order: int64 `[N]`, its photos, the queries first.
        queries: number of queries.
        gallery: what was prepared, in the type of the embeddings.
    """
    size, with_offsets = gallery.size, gallery.columns > 0
    width = size + 2 * with_offsets
    rows = embeddings.new_zeros(len(order), width + (-width % MULTIPLE if with_offsets else 0))
    margin = torch.empty(queries, dtype=torch.float64, device=rows.device)
    for some, into, start in zip(
        order.split(PREPARED), rows.split(PREPARED), range(0, len(order), PREPARED), strict=True
    ):
        points = _points(embeddings[some], gallery.centre, gallery.ranks_as, into)
        if with_offsets:
            into[:, size], into[:, size + 1] = points.offsets, 1
        if start < queries:
            those = min(len(some), queries - start)
            found = _margin(_Points(*(each[:those] for each in points)), gallery, mutual=True)
            if found is None:
                return None
            margin[start : start + those] = found
    return MutualScan(rows, margin, size)


def _margin(q: _Points, gallery: ScanGallery, *, mutual: bool = False) -> Tensor | None:
    """The margin of the scores of points, float64 `[Q]`; None if it is not finite."""
    dtype, working, size = gallery.rows.dtype, torch.finfo(gallery.working), gallery.size
    longest = gallery.longest
    offset = gallery.offset + q.offsets if mutual else gallery.offset
    products = torch.finfo(torch.float32).eps if dtype == torch.bfloat16 else torch.finfo(dtype).eps
    error = q.residuals * longest + q.norms * gallery.residual
    error += (size + 8) * products * ((q.norms + q.residuals) * longest + offset)
    values = q.norms * longest if gallery.ranks_as == "dot" else (q.norms + longest) ** 2 / 2
    error += (size + 16) * working.eps * (values.clamp_min(gallery.ranks_as == "cosine") + offset)
    error += 4 * size * torch.finfo(dtype).tiny  # underflow; `_points` rounds subnormal numbers to 0
    if not gallery.columns:
        error += gallery.spread
    # Scores, offsets and the sums of the distance must not overflow, neither in the type of the scan, whose range may
    # be narrower (bfloat16 has that of float32), nor in that of the embeddings.
    largest = float((q.norms + longest).square().max())
    in_range = largest < min(torch.finfo(dtype).max, working.max) / 4  # False for NaN
    if not in_range or not bool(torch.isfinite(error).all()):
        return None
    return 2 * 1.01 * error


def _points(embeddings: Tensor, centre: Tensor | None, ranks_as: RanksAs, into: Tensor) -> _Points:
    """Points of embeddings `[N, D]`, written into the first columns of `[N, K]`."""
    dtype, bounds = into.dtype, _no_bounds(embeddings)
    points = into[:, : embeddings.shape[1]]
    for chunk, target, bound in zip(*(each.split(PREPARED) for each in (embeddings, points, bounds)), strict=True):
        exact, relative = _exact(chunk, centre, ranks_as)
        rows = exact.to(dtype)
        target[:] = torch.where(rows.abs() < torch.finfo(dtype).tiny, 0, rows)  # as bfloat16 instructions do
        _bound(bound, exact, target, relative, ranks_as)
    return _Points(points, *bounds.unbind(1))


def _as_they_are(embeddings: Tensor, ranks_as: RanksAs) -> _Points | None:
    """Embeddings `[N, D]` as points that need no copy; None if they differ from the points by more than rounding."""
    eps, tiny = torch.finfo(embeddings.dtype).eps, torch.finfo(embeddings.dtype).tiny
    most = 2 * (embeddings.shape[1] + 8) * eps if ranks_as == "cosine" else torch.inf
    bounds = _no_bounds(embeddings)
    for chunk, bound in zip(embeddings.split(PREPARED), bounds.split(PREPARED), strict=True):
        exact, relative = _exact(chunk, None, ranks_as)
        _bound(bound, exact, chunk, relative, ranks_as)
        subnormal = (chunk.abs() < tiny) & (chunk != 0)
        if bool(subnormal.any()) or not float(bound[:, 1].max()) <= most:
            return None
    return _Points(embeddings, *bounds.unbind(1))


def _exact(chunk: Tensor, centre: Tensor | None, ranks_as: RanksAs) -> tuple[Tensor, float]:
    """The points of embeddings before rounding to the type of the scan, and the relative error of computing them."""
    eps = torch.finfo(chunk.dtype).eps
    if ranks_as == "cosine":
        return unit(chunk), (chunk.shape[1] + 8) * eps  # normalized as by `cosine_similarity`
    return (chunk, 0.0) if centre is None else (chunk - centre, eps)


def _no_bounds(embeddings: Tensor) -> Tensor:
    """Room for norms, residuals and offsets, float64 `[N, 3]`: at once, so that memory is not left in pieces."""
    return torch.zeros(len(embeddings), 3, dtype=torch.float64, device=embeddings.device)


def _bound(into: Tensor, exact: Tensor, rows: Tensor, relative: float, ranks_as: RanksAs) -> None:
    """Fill in norms, residuals and offsets `[N, 3]` of points `[N, D]` that were rounded to `rows`; see `_Points`."""
    slack = 1 + (exact.shape[1] + 8) * torch.finfo(exact.dtype).eps
    into[:, 0] = exact.norm(dim=1).double() * slack
    into[:, 1] = (exact - rows).norm(dim=1).double() * slack + relative * into[:, 0]
    if ranks_as == "euclidean":
        into[:, 2] = exact.double().square().sum(dim=1) / 2


def _offsets(gallery: Tensor, centre: Tensor | None) -> Tensor:
    """Half the squared norms of the points of `euclidean`, float64 `[N]`."""
    offsets = torch.empty(len(gallery), dtype=torch.float64, device=gallery.device)
    for chunk, into in zip(gallery.split(PREPARED), offsets.split(PREPARED), strict=True):
        into[:] = _exact(chunk, centre, "euclidean")[0].double().square().sum(dim=1) / 2
    return offsets


def _centre(gallery: Tensor) -> Tensor | None:
    """The mean of the gallery if subtracting it makes the points much shorter, and so reduces the error; else None."""
    mean = gallery.double().mean(dim=0) if gallery.shape[0] <= PREPARED else gallery.mean(dim=0).double()
    squares = float(torch.stack([chunk.double().square().sum() for chunk in gallery.split(PREPARED)]).sum())
    return mean.to(gallery.dtype) if float(mean.square().sum()) > 0.5 * squares / len(gallery) else None


def _split(values: Tensor, dtype: torch.dtype, parts: int) -> list[Tensor]:
    """Values as a sum of `parts` values of a narrower type, each the remainder of those before it."""
    found: list[Tensor] = []
    for _ in range(parts):
        found.append(values.to(dtype))
        values = values - found[-1].double()
    return found
