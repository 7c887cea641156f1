"""The soft hinge of factored exponentials against log(1 + exp(x)) of each triplet in float64."""

import numpy as np
import pytest
import torch

from siamesekit.components.losses.enumerated import Enumerated
from siamesekit.components.losses.triplet_terms import HALVINGS, MULTIPLE, Factored, Factors, TripletTerm

TERM = TripletTerm(0.2, "all", "soft")


def nothing() -> Enumerated:
    """Sums without any triplet."""
    zero = torch.zeros((), dtype=torch.int64)
    return Enumerated(torch.zeros((), dtype=torch.float64), zero, zero.clone(), torch.zeros(0), None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.5, 9.0, 19.0, 39.0, 79.0])
@pytest.mark.parametrize("far", [False, True])
def test_equals_the_loss_of_each_triplet(spread: float, dtype: torch.dtype, far: bool) -> None:
    """However often the logarithms are halved; far negatives have tiny losses, of which none is lost in a product."""
    rng = np.random.default_rng(2)
    low = spread * 0.8 if far else 0.0
    d_ap, d_an, d_pn = (
        torch.from_numpy(rng.uniform(least, most, shape)).to(dtype)
        for least, most, shape in (
            (0, spread / 5 if far else spread, (2, 3)),
            (low, spread, (2, 5)),
            (low, spread, (3, 5)),
        )
    )
    factors = Factors.of(torch.tensor([0.0, spread], dtype=dtype), TERM)
    assert factors is not None
    assert factors.halvings == (HALVINGS if dtype == torch.float64 or spread < 10 else int(np.log2(88 / (spread + 1))))
    block, found = Factored(factors, d_an, torch.full((3, 15 + MULTIPLE), torch.nan, dtype=dtype)), nothing()
    block.start(d_ap, d_pn)
    expected, rounded = 0.0, 1e-12 if dtype == torch.float64 else 2e-5
    for anchor in range(2):
        block.compute(anchor)
        x = d_ap[anchor, :, None].double() - torch.minimum(d_an[anchor], d_pn).double() + TERM.margin
        expected += np.log1p(np.exp(x.numpy())).sum()
        np.testing.assert_allclose(block.slope, x.sigmoid(), rtol=rounded)
    block.add_to(found)
    assert found.total.item() == pytest.approx(expected, rel=rounded)
    assert (found.triplets.item(), found.active.item()) == (30, 30)


def test_far_distances_are_not_factored() -> None:
    assert Factors.of(torch.tensor([0.0, 80.0]), TERM) is None
    assert Factors.of(torch.tensor([0.0, torch.nan]), TERM) is None
    assert Factors.of(torch.tensor([0.0, 1.0]), TERM._replace(mining="hard")) is None
