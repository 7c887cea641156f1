"""Any loss over all triplets against a triple loop in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers import assert_same_gradients
from oracles import triplets_of
from siamesekit.components.losses import each_triplet as module
from siamesekit.components.losses.batch_all import batch_all
from siamesekit.components.losses.each_triplet import sum_over_triplets
from siamesekit.components.tuples import all_candidates


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 20)


def odd_loss(d_ap: Tensor, d_an: Tensor, d_pn: Tensor) -> tuple[Tensor, Tensor]:
    """It uses each distance differently, is partly below 0, and counts some triplets only."""
    return d_ap.square() * d_an - 0.7 * d_pn.sin(), d_an + d_pn > d_ap


@pytest.mark.medium
@given(st.lists(st.integers(-2, 3), max_size=9), st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_equals_the_triple_loop(labels: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = torch.from_numpy(rng.uniform(0, 2, (len(labels), len(labels)))).requires_grad_()  # not symmetric
    expected, triplets, active = distances.sum() * 0, 0, 0
    for a, p, n in triplets_of(labels):
        loss, counts = odd_loss(distances[a, p], distances[a, n], distances[p, n])
        expected = expected + loss * counts
        triplets += int(counts)
        active += int(counts and loss > 0)
    candidates = all_candidates(torch.tensor(labels, dtype=torch.int64))
    found = sum_over_triplets(distances, candidates, odd_loss, distances)
    assert (found.triplets.item(), found.active.item()) == (triplets, active)
    np.testing.assert_allclose(found.total.item(), expected.item(), rtol=1e-12, atol=1e-12)
    assert_same_gradients(3 * found.total, 3 * expected, distances, rtol=1e-10, atol=1e-10)


def test_of_a_hinge_it_is_what_batch_all_finds_without_enumerating() -> None:
    rng = np.random.default_rng(0)
    distances = torch.from_numpy(rng.uniform(0, 2, (40, 40))).requires_grad_()
    labels = torch.from_numpy(rng.integers(0, 6, 40))

    def hinge(d_ap: Tensor, d_an: Tensor, d_pn: Tensor) -> tuple[Tensor, Tensor]:
        return (d_ap - d_an + 0.3).clamp_min(0), torch.ones_like(d_an, dtype=torch.bool)

    found, expected = sum_over_triplets(distances, all_candidates(labels), hinge), batch_all(distances, labels, 0.3)
    assert (found.triplets, found.active) == (expected.triplets, expected.active)
    assert expected.active > 1000
    assert found.total.item() == pytest.approx(expected.total.item(), rel=1e-12)
    assert_same_gradients(found.total, expected.total, distances, rtol=1e-12)
