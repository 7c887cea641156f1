"""The seam to pytorch-metric-learning: distances and tuples in their terms, constructors' refusals in ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances, losses, miners
from pytorch_metric_learning.utils import common_functions
from torch import Tensor

from siamesekit.components.adapted.pml.bridge import OwnDistance, as_ours, as_theirs, construct, seeded
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.tuples import Pairs, Triplets
from siamesekit.errors import ComponentError
from siamesekit.registry import LOSSES


def manhattan(a: Tensor, b: Tensor) -> Tensor:
    """A distance without a matrix of its own."""
    return (a - b).abs().sum(-1)


@pytest.mark.parametrize("distance", [Euclidean(), Cosine(), manhattan], ids=["euclidean", "cosine", "function"])
def test_a_distance_of_ours_as_theirs_gives_the_same_numbers(distance: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = torch.from_numpy(rng.normal(size=(5, 4)) * 3), torch.from_numpy(rng.normal(size=(7, 4)))
    theirs = OwnDistance(distance)
    expected = [[distance(x, y).item() for y in b] for x in a]
    np.testing.assert_allclose(theirs(a, b), expected, rtol=1e-12)
    np.testing.assert_allclose(theirs(a), [[distance(x, y).item() for y in a] for x in a], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(
        theirs.pairwise_distance(a, b[:5]), [distance(x, y).item() for x, y in zip(a, b[:5], strict=True)], rtol=1e-12
    )
    assert not theirs.is_inverted
    assert theirs.margin(torch.tensor(2.0), torch.tensor(0.5)) == 1.5


def test_tuples_go_there_and_back() -> None:
    triplets = Triplets(*torch.arange(6).view(3, 2))
    pairs = Pairs(*torch.arange(8).view(4, 2))
    for tuples in (triplets, pairs):
        theirs = as_theirs(tuples)
        assert theirs is not None
        assert type(theirs) is tuple
        assert all(mine is their for mine, their in zip(tuples, theirs, strict=True))
        back = as_ours(theirs)
        assert type(back) is type(tuples)
        assert all(torch.equal(mine, their) for mine, their in zip(tuples, back, strict=True))
    assert as_theirs(None) is None


def test_seeded_gives_them_numbers_from_torch_s_generator_and_puts_theirs_back() -> None:
    before = common_functions.NUMPY_RANDOM
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with seeded():
            drawn.append(common_functions.NUMPY_RANDOM.randint(10**6))
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(ZeroDivisionError), seeded():
        raise ZeroDivisionError
    assert common_functions.NUMPY_RANDOM is before


def test_runtime_values_have_our_names() -> None:
    loss = construct("losses", "arcface", {}, embedding_dim=6, num_classes=3, unasked=1)
    assert isinstance(loss, losses.ArcFaceLoss)
    assert tuple(loss.W.shape) == (6, 3)
    p2s = construct("losses", "p2s-grad", {}, embedding_dim=6, num_classes=3)
    assert tuple(p2s.weight.shape) == (6, 3)
    manifold = construct("losses", "manifold", {}, embedding_dim=6, num_classes=3)
    assert tuple(manifold.proxies.shape) == (3, 6)
    memory = construct("losses", "cross-batch-memory", {"loss": LOSSES.build("pml/contrastive")}, embedding_dim=6)
    assert tuple(memory.embedding_memory.shape) == (1024, 6)


def test_options_that_are_none_leave_their_default() -> None:
    loss = construct("losses", "triplet-margin", {"margin": 0.3, "distance": None, "reducer": None})
    assert isinstance(loss.distance, distances.LpDistance)
    assert loss.margin == 0.3


def test_a_component_of_theirs_takes_only_theirs_inside() -> None:
    with pytest.raises(ComponentError, match=r"loss: a pml/ component can only hold other pml/ components"):
        LOSSES.build("pml/cross-batch-memory", {"loss": {"name": "contrastive"}}, distance=Euclidean(), embedding_dim=4)
    mined = {"loss": {"name": "pml/contrastive"}, "miner": {"name": "batch-hard"}}
    with pytest.raises(ComponentError, match=r"miner: a pml/ component can only hold other pml/ components"):
        LOSSES.build("pml/cross-batch-memory", mined, distance=Euclidean(), embedding_dim=4)
    mined["miner"] = {"name": "pml/multi-similarity", "epsilon": 0.2}
    built = LOSSES.build("pml/cross-batch-memory", mined, embedding_dim=4)
    assert isinstance(built.module.miner, miners.MultiSimilarityMiner)
    assert built.module.miner.epsilon == 0.2


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("cross-batch-memory", {"loss": {"name": "pml/proxy-anchor"}}, "not supported for ProxyAnchorLoss"),
        ("multiple", {"losses": [{"name": "pml/nca"}], "weights": [1.0, 2.0]}, "AssertionError in MultipleLosses"),
        ("histogram", {"n_bins": 10, "delta": 0.5}, "delta and n_bins"),
    ],
)
def test_what_their_constructor_refuses_is_told_in_its_words(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ComponentError, match=rf"^pml/{name} refuses these options: .*{said}") as error:
        LOSSES.build(f"pml/{name}", options, embedding_dim=4, num_classes=3)
    assert error.value.__cause__ is not None
