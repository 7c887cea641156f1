"""Query expansion, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers import points
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.errors import UserError
from siamesekit.evaluation.query_expansion import QueryExpansion, expand_queries


@pytest.mark.parametrize("unit_length", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("photos", [1, 4, 50])
def test_an_expanded_query_is_the_weighted_mean(photos: int, alpha: float, unit_length: bool) -> None:
    embeddings = points(1, 24, 4)
    if unit_length:
        embeddings = embeddings / embeddings.norm(dim=1, keepdim=True)
    queries, gallery = embeddings[:4], embeddings[4:]
    found = expand_queries(queries, gallery, "euclidean", QueryExpansion(photos, alpha))
    for query, expanded in zip(queries.numpy(), found.numpy(), strict=True):
        order = np.argsort([np.linalg.norm(query - photo) for photo in gallery.numpy()], kind="stable")[:photos]
        total, weights = query.copy(), 1.0
        for photo in gallery.numpy()[order]:
            cosine = photo @ query / np.linalg.norm(photo) / np.linalg.norm(query)
            weight = max(cosine, 0.0) ** alpha
            total, weights = total + weight * photo, weights + weight
        expected = total / np.linalg.norm(total) if unit_length else total / weights
        np.testing.assert_allclose(expanded, expected, rtol=1e-9, atol=1e-12)


def test_a_query_moves_toward_its_own_individual() -> None:
    rng = np.random.default_rng(2)
    group = torch.from_numpy(rng.normal(0, 1, (5, 6)) + 4)
    gallery = torch.cat([group, torch.from_numpy(rng.normal(0, 1, (20, 6)) - 4)])
    query = group.mean(0, keepdim=True) + 1.0
    expanded = expand_queries(query, gallery, Euclidean(), QueryExpansion(5))
    assert (expanded - group.mean(0)).norm() < 0.3 * (query - group.mean(0)).norm()


@pytest.mark.parametrize("wrong", [{"photos": 0}, {"alpha": -1.0}, {"alpha": float("nan")}, {"alpha": float("inf")}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="query expansion"):
        QueryExpansion(**wrong)  # type: ignore[arg-type]
