"""What stores that other packages search have in common: which distances they know, and the order of what they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.distances.distance import Distance, RanksAs
from siamesekit.components.stores.store import Embeddings, Found, Ids
from siamesekit.errors import UserError
from siamesekit.hardware.float32 import full_precision

SPARE = 8
"""Rows that are asked for beyond k, since rounding may exchange neighbours."""
WIDER = 4
"""Factor by which a search widens while rows at the k-th place are equally far."""


class Near(NamedTuple):
    """What another package has found for one query.

    Attributes:
        ids: int64 `[M]`.
        embeddings: the rows, float32 `[M, D]`.
    """

    ids: Ids
    embeddings: Embeddings


Ask = Callable[[Embeddings, int], list[Near]]
"""Finds so many rows near each query `[Q, D]`."""


def ranking_of(distance: Distance, store: str) -> RanksAs:
    """What a distance ranks as, for stores that know only that.

    Raises:
        UserError: none of what they know.
    """
    ranks_as: RanksAs | None = getattr(distance, "ranks_as", None)
    if ranks_as is None:
        raise UserError(
            f"store {store!r} ranks by euclidean, cosine or dot distance, and the model's is {distance!r}; choose "
            "--store memory-mapped"
        )
    return ranks_as


def nearest_of(ask: Ask, queries: Embeddings, k: int, count: int, distance: Distance) -> Found:
    """The k rows nearest to each query by the model's distance, equal ones in the order of their ids.

    Args:
        ask: finds rows by the package's own arithmetic.
        queries: float32 `[Q, D]`.
        k: number of rows.
        count: number of rows that can be found.
        distance: the model's distance.
    """
    result = Found(np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.inf, np.float32))
    left, wide = np.arange(len(queries)), k + SPARE
    while len(left) and count:
        short = []
        for query, near in zip(left.tolist(), ask(queries[left], min(wide, count)), strict=True):
            ids, far = _ordered(near, queries[query], distance)
            if wide < count and len(far) > k and far[-1] <= far[k - 1] * (1 + np.sign(far[k - 1]) * 1e-5) + 1e-7:
                short.append(query)  # rows beyond these may be as near as the k-th
                continue
            most = min(k, len(ids))
            result.ids[query, :most], result.distances[query, :most] = ids[:most], far[:most]
        left, wide = np.array(short, np.int64), wide * WIDER
    return result


def _ordered(near: Near, query: NDArray[np.float32], distance: Distance) -> tuple[Ids, NDArray[np.float32]]:
    """Ids and distances, the nearest first, then by id."""
    if not len(near.ids):
        return near.ids, np.empty(0, np.float32)
    rows = torch.from_numpy(np.ascontiguousarray(near.embeddings))
    with torch.no_grad(), full_precision(rows.device):
        far = distance(torch.from_numpy(query)[None], rows).numpy()
    order = np.lexsort((near.ids, far))
    return near.ids[order], far[order]
