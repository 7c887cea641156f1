"""Distance `dot` against a loop, and what has to cope with distances below 0."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import DotProductSimilarity

from helpers import points
from oracles import nearest_by_sort
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.dot import Dot, dot
from siamesekit.components.distances.nearest import nearest
from siamesekit.evaluation.calibration import calibrate
from siamesekit.evaluation.pairs import pairs_of
from siamesekit.evaluation.retrieval import retrieval_metrics


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 9))
def test_equals_the_loop(seed: int, count: int, dim: int) -> None:
    a, b = points(seed, count, dim), points(seed + 1, 3, dim)
    expected = [[-sum(float(x) * float(y) for x, y in zip(u, v, strict=True)) for v in b] for u in a]
    np.testing.assert_allclose(Dot()(a[:, None], b[None]), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(Dot().pairwise(a, b), expected, rtol=1e-12, atol=1e-12)


def test_is_the_negated_similarity_of_pytorch_metric_learning() -> None:
    a, b = points(0), points(1, 4)
    theirs = DotProductSimilarity(normalize_embeddings=False)(a, b)
    np.testing.assert_allclose(Dot().pairwise(a, b), -theirs, rtol=1e-12)


def test_is_the_cosine_distance_less_one_for_unit_embeddings() -> None:
    a, b = F.normalize(points(0)), F.normalize(points(1))
    np.testing.assert_allclose(Dot()(a, b), Cosine()(a, b) - 1, atol=1e-12)


def test_gradients_are_right() -> None:
    assert torch.autograd.gradcheck(dot, (points(0).requires_grad_(), points(1).requires_grad_()))
    assert torch.autograd.gradcheck(Dot().pairwise, (points(0).requires_grad_(), points(1, 4).requires_grad_()))


@pytest.mark.parametrize("length", [1e-3, 1.0, 1000.0])
def test_pairwise_in_float32_is_as_exact_as_documented(length: float) -> None:
    a = (F.normalize(points(2, 200, 256)) * length).float()
    exact = -(a.double() @ a.double().T)
    assert (Dot().pairwise(a, a) - exact).abs().max() < 1e-6 * length**2


def test_ranks_as_neither_the_euclidean_nor_the_cosine_distance() -> None:
    """From (1, 0) the longer (3, 3) is nearer than (1, 0) itself: in no order of the two others."""
    query = torch.tensor([[1.0, 0.0]])
    gallery = torch.tensor([[1.0, 0.0], [3.0, 3.0]])
    assert nearest(query, gallery, 2, Dot()).index.tolist() == [[1, 0]]
    assert nearest(query, gallery, 2, Cosine()).index.tolist() == [[0, 1]]


@pytest.mark.medium
@given(st.integers(0, 1000), st.integers(1, 12))
def test_the_nearest_are_those_of_a_full_sort(seed: int, k: int) -> None:
    """Whole numbers, so that there are ties, and values of either sign."""
    embeddings = torch.from_numpy(np.random.default_rng(seed).integers(-2, 3, size=(40, 3))).double()
    found = nearest(embeddings, embeddings, k, Dot(), own=torch.arange(40))
    index, distance = nearest_by_sort(embeddings, embeddings, k, lambda a, b: -(a * b).sum(-1), own=torch.arange(40))
    assert torch.equal(found.index, index)
    assert torch.equal(found.distance, distance)


def test_retrieval_metrics_are_those_of_the_cosine_for_unit_embeddings() -> None:
    embeddings, labels = F.normalize(points(4, 60, 4)), torch.arange(60) % 12
    found, expected = (retrieval_metrics(embeddings, labels, distance) for distance in (Dot(), Cosine()))
    assert 0 < np.mean(expected.map_at_r) < 1
    np.testing.assert_allclose(found.map_at_r, expected.map_at_r, rtol=1e-12)
    np.testing.assert_allclose(found.precision_at_1, expected.precision_at_1, rtol=1e-12)


def test_a_calibration_is_shifted_with_the_distance() -> None:
    """For unit embeddings `dot` is `cosine` less 1, and so is its threshold; here it is below 0."""
    labels = np.repeat(np.arange(8), 5)
    embeddings = F.normalize(points(5, 8, 6)[labels] + 0.4 * points(6, 40, 6))
    found, expected = (
        calibrate(pairs_of(embeddings, labels, distance, np.random.default_rng(0))) for distance in (Dot(), Cosine())
    )
    assert found is not None
    assert expected is not None
    assert found.threshold < 0
    assert found.threshold == pytest.approx(expected.threshold - 1, rel=1e-6)
    assert found.similarity(-0.9) == pytest.approx(expected.similarity(0.1), rel=1e-6)
    assert (found.same(-0.95), found.same(0.5)) == (True, False)
