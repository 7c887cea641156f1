"""The attributes of losses, built-in, adapted and foreign."""

import math

import pytest

from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.proxy_anchor import ProxyAnchorLoss
from siamesekit.components.losses.traits import LossTraits, traits
from siamesekit.components.losses.triplet import TripletLoss


def test_a_loss_without_attributes_has_the_defaults() -> None:
    assert traits(object()) == LossTraits(False, True, None, None, False, True, None, None)


def test_what_compares_with_classes_takes_no_tuples_unless_it_says_so() -> None:
    class ByClass:
        by_class = True
        margin = 0.5

    assert traits(ByClass()) == LossTraits(True, False, None, None, False, False, None, None)
    loss = ByClass()
    loss.takes_tuples = True  # type: ignore[attr-defined]
    assert traits(loss).takes_tuples


def test_own_losses_say_what_they_are() -> None:
    proxies = traits(ProxyAnchorLoss(embedding_dim=2, num_classes=2))
    assert (proxies.by_class, proxies.takes_tuples, proxies.measures_by) == (True, False, "cosine")
    plain = traits(TripletLoss(3.0, distance=SquaredEuclidean()))
    assert plain.out_of_reach is not None
    assert "3" in str(plain.out_of_reach(0.0, 2.0))
    assert plain.out_of_reach(0.0, 4.0) is None


def test_the_margin_is_the_loss_where_both_distances_are_equal() -> None:
    distance = SquaredEuclidean()
    assert traits(TripletLoss(0.3, distance=distance)).margin == 0.3
    assert traits(TripletLoss(0.3, hinge="squared", distance=distance)).margin == pytest.approx(0.09)
    assert traits(TripletLoss(0.3, hinge="soft", distance=distance)).margin == pytest.approx(
        math.log(1 + math.exp(0.3))
    )
    assert traits(TripletLoss(710.0, distance=distance)).margin == 710
    assert traits(TripletLoss(1e6, hinge="soft", distance=distance)).margin == 1e6
    assert traits(TripletLoss(1e200, hinge="squared", distance=distance)).margin == math.inf
    assert traits(ProxyAnchorLoss(embedding_dim=2, num_classes=2)).margin is None
    assert traits(object()).margin is None


def test_a_loss_says_whether_it_takes_embeddings_before_the_neck() -> None:
    class Both:
        takes_before_neck = True

    assert traits(Both()).takes_before_neck
    assert not traits(TripletLoss(distance=SquaredEuclidean())).takes_before_neck
