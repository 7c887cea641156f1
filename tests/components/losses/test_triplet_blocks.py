"""Triplets of anchors with many positives against a triple loop in float64."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.components.losses import triplet_blocks as module
from siamesekit.components.losses.triplet import Mining, TripletHinge, mined, triplet_loss
from siamesekit.components.losses.triplet_blocks import sum_over_blocks
from siamesekit.components.losses.triplet_terms import TripletTerm
from siamesekit.components.tuples import Candidates


@pytest.fixture(params=[1, 20, 1 << 17])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one row, of a few, and of all."""
    monkeypatch.setattr(module, "BLOCK", request.param)


def some_candidates() -> Candidates:
    """Six anchors among 14 photos: alike, with other negatives, with a positive listed twice, with none of either."""
    negative = torch.zeros(6, 14, dtype=torch.bool)
    negative[:3, 6:] = True
    negative[3, [1, 2, 9]] = True
    negative[4, 6:] = True
    positive = torch.tensor([[1, 2, 3, 4], [0, 2, 3, 4], [0, 0, 5, 3], [10, 11, 12, 13], [1, 1, 1, 1], [2, 3, 4, 5]])
    mask = torch.ones(6, 4, dtype=torch.bool)
    mask[4] = False
    mask[0, 3] = False
    return Candidates(torch.arange(6), positive, mask, negative)


def some_distances(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Of six anchors `[6, 14]` and of all photos `[14, 14]`, on a grid, so that many are equal."""
    rng = np.random.default_rng(5)
    of_anchors, of_all = (torch.from_numpy(rng.integers(0, 9, (count, 14)) * scale / 4).to(dtype) for count in (6, 14))
    return of_anchors.requires_grad_(), of_all.requires_grad_()


def by_loop(
    of_anchors: Tensor, of_all: Tensor, candidates: Candidates, term: TripletTerm, swap: bool
) -> tuple[Tensor, int, int]:
    """Sum of the losses, number of triplets and of losses above 0, one triplet after the other."""
    total, triplets, active = of_anchors.sum() * 0 + of_all.sum() * 0, 0, 0
    for a in range(len(of_anchors)):
        for p in candidates.positive[a][candidates.mask[a]].tolist():
            for n in candidates.negative[a].nonzero()[:, 0].tolist():
                d_ap, d_an = of_anchors[a, p], of_anchors[a, n]
                d_an = torch.minimum(d_an, of_all[p, n]) if swap else d_an
                if mined(d_ap[None], d_an[None], term.margin, term.mining):
                    loss = triplet_loss(d_ap, d_an, term.margin, term.hinge)
                    total, triplets, active = total + loss, triplets + 1, active + int(loss > 0)
    return total, triplets, active


@pytest.mark.medium
@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("swap", [False, True], ids=["plain", "swap"])
@pytest.mark.parametrize("hinge", get_args(TripletHinge))
@pytest.mark.parametrize("mining", get_args(Mining))
def test_equals_the_triple_loop(mining: Mining, hinge: TripletHinge, swap: bool) -> None:
    of_anchors, of_all = some_distances()
    term, candidates = TripletTerm(0.5, mining, hinge), some_candidates()
    expected, triplets, active = by_loop(of_anchors, of_all, candidates, term, swap)
    found = sum_over_blocks(of_anchors, candidates, term, of_all if swap else None)
    assert (found.triplets.item(), found.active.item()) == (triplets, active)
    assert active > 10
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-12)
    inputs = [of_anchors, of_all][: 1 + swap]
    gradients = torch.autograd.grad(3 * found.total, inputs)
    for ours, theirs in zip(gradients, torch.autograd.grad(3 * expected, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("hinge", get_args(TripletHinge))
@pytest.mark.parametrize("remembered", [1, 5, 9, 14])
def test_only_the_derivatives_between_remembered_photos_are_left_out(hinge: TripletHinge, remembered: int) -> None:
    distances = some_distances()
    term, batch = TripletTerm(0.5, "all", hinge), 14 - remembered
    whole = sum_over_blocks(distances[0], some_candidates(), term, distances[1])
    found = sum_over_blocks(distances[0], some_candidates(), term, distances[1], remembered)
    assert found.total.item() == pytest.approx(whole.total.item(), rel=1e-12)
    assert found[1:] == whole[1:]
    of_anchors, expected = torch.autograd.grad(whole.total, distances)
    assert expected[batch:, batch:].any() == (remembered > 1)
    expected[batch:, batch:] = 0
    for ours, theirs in zip(torch.autograd.grad(found.total, distances), (of_anchors, expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("swap", [False, True], ids=["plain", "swap"])
@pytest.mark.parametrize("scale", [1.0, 20.0, 500.0])
def test_the_soft_hinge_of_float32_is_that_of_float64(scale: float, swap: bool) -> None:
    """Also of far distances, whose exponentials overflow, and of triplets far beyond the margin, with tiny losses."""
    term, candidates = TripletTerm(0.2, "all", "soft"), some_candidates()
    distances = some_distances(torch.float32, scale)
    exact = [each.detach().double().requires_grad_() for each in distances]
    expected, triplets, active = by_loop(exact[0], exact[1], candidates, term, swap)
    found = sum_over_blocks(distances[0], candidates, term, distances[1] if swap else None)
    assert found.triplets.item() == triplets
    if scale < 500:
        assert found.active.item() == active
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = torch.autograd.grad(found.total, distances[: 1 + swap])
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, exact[: 1 + swap]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_its_gradient_is_right_numerically() -> None:
    rng = np.random.default_rng(1)
    distances = [torch.from_numpy(rng.uniform(0, 2, (count, 14))).requires_grad_() for count in (6, 14)]
    for hinge in get_args(TripletHinge):
        term = TripletTerm(0.3, "all", hinge)
        assert torch.autograd.gradcheck(
            lambda a, b, term=term: sum_over_blocks(a, some_candidates(), term, b).total, distances, fast_mode=True
        )
