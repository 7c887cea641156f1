"""Whether a distance ranks as a loss measures."""

from __future__ import annotations

import pytest
import torch

from siamesekit import ArcFaceLoss, Manhattan, TripletLoss
from siamesekit.components.losses.measure import ranks_as_cosine, refuse_another_measure
from siamesekit.errors import ComponentError


def test_ranks_as_cosine_says_whether_a_distance_orders_random_rows_so() -> None:
    """Also of a plugin's distance; the random generator is left alone."""
    state = torch.get_rng_state()
    assert ranks_as_cosine(lambda a, b: -(torch.nn.functional.cosine_similarity(a, b, dim=-1) ** 3), unit_length=False)
    assert not ranks_as_cosine(lambda a, b: torch.nn.functional.cosine_similarity(a, b, dim=-1), unit_length=False)
    assert ranks_as_cosine(lambda a, b: -(a * b).sum(-1), unit_length=True)
    assert not ranks_as_cosine(lambda a, b: (a - b).abs().amax(-1), unit_length=True)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_distance_that_is_left_is_refused_where_the_loss_measures_otherwise() -> None:
    loss = ArcFaceLoss(embedding_dim=2, num_classes=2)
    for left in (
        {},
        {"distance": None},
        {"distance": lambda a, b: -torch.nn.functional.cosine_similarity(a, b, dim=-1)},
    ):
        refuse_another_measure("arcface", loss, left)
    refuse_another_measure("triplet", TripletLoss(), {"distance": Manhattan()})
    with pytest.raises(ComponentError, match="loss 'arcface' measures by the cosine, but distance Manhattan"):
        refuse_another_measure("arcface", loss, {"distance": Manhattan()})
