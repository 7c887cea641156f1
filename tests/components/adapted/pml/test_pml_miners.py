"""Miners `pml/*`: the tuples that pytorch-metric-learning finds when it is called directly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances, miners
from pytorch_metric_learning.utils import common_functions
from torch import Tensor

from siamesekit.components.tuples import Pairs, Triplets
from siamesekit.errors import ComponentError
from siamesekit.registry import MINERS

NAMES = MINERS.family("pml").members()


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(4), 4))
    middles = rng.normal(size=(4, 6))
    return torch.from_numpy(middles[labels] + rng.normal(size=(16, 6))), torch.from_numpy(labels)


def directly(name: str, embeddings: Tensor, labels: Tensor, **arguments: Any) -> tuple[Tensor, ...]:
    """Their miner, called as their documentation does, its generator seeded from torch's as ours is."""
    made = getattr(miners, MINERS.get(f"pml/{name}").source.rpartition(".")[2])(**arguments)
    torch.manual_seed(4)
    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = np.random.RandomState(int(torch.randint(2**31, ())))
    try:
        found: tuple[Tensor, ...] = made(embeddings, labels)
    finally:
        common_functions.NUMPY_RANDOM = before
    return found


def assert_equal(found: Any, expected: tuple[Tensor, ...]) -> None:
    assert isinstance(found, Triplets if len(expected) == 3 else Pairs)
    assert len(expected[0]) > 0
    assert all(torch.equal(mine, their) for mine, their in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_tuples_are_theirs(name: str, seed: int) -> None:
    embeddings, labels = batch(seed)
    miner = MINERS.build(f"pml/{name}")
    torch.manual_seed(4)
    assert_equal(miner(embeddings, labels), directly(name, embeddings, labels))


@pytest.mark.parametrize("name", NAMES)
def test_tuples_are_valid(name: str) -> None:
    embeddings, labels = batch()
    found = MINERS.build(f"pml/{name}")(embeddings, labels)
    positive, negative = (found[:2], found[2:]) if isinstance(found, Pairs) else (found[:2], (found[0], found[2]))
    assert (labels[positive[0]] == labels[positive[1]]).all()
    assert (positive[0] != positive[1]).all()
    assert (labels[negative[0]] != labels[negative[1]]).all()


def test_draws_come_from_torch_s_generator_and_numpy_s_stays_theirs() -> None:
    embeddings, labels = batch()
    miner = MINERS.build("pml/distance-weighted")
    before = common_functions.NUMPY_RANDOM
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append([index.tolist() for index in miner(embeddings, labels)])
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert common_functions.NUMPY_RANDOM is before
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


class SquaredEuclidean(distances.BaseDistance):  # type: ignore[misc]
    """Written out as one of theirs."""

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        return (query_emb[:, None] - ref_emb[None]).square().sum(-1)


@pytest.mark.parametrize("name", ["batch-hard", "triplet-margin", "pair-margin", "multi-similarity"])
def test_with_a_distance_of_ours(name: str) -> None:
    embeddings, labels = batch()
    miner = MINERS.build(f"pml/{name}", {"distance": {"name": "squared-euclidean"}})
    torch.manual_seed(4)
    own = SquaredEuclidean(normalize_embeddings=False)
    expected = directly(name, embeddings, labels, distance=own)
    assert_equal(miner(embeddings, labels), expected)


@pytest.mark.parametrize(
    ("name", "options", "arguments"),
    [
        ("triplet-margin", {"margin": 0.5, "type_of_triplets": "semihard"}, None),
        ("batch-easy-hard", {"pos_strategy": "hard", "neg_strategy": "easy"}, None),
        (
            "batch-easy-hard",
            {"pos_strategy": "easy", "allowed_pos_range": [0.5, 0.9]},
            {"pos_strategy": "easy", "allowed_pos_range": (0.5, 0.9)},
        ),
        ("hdc", {"filter_percentage": 0.2}, None),
        ("angular", {"angle": 35}, None),
    ],
)
def test_options_reach_their_constructor(name: str, options: dict[str, Any], arguments: dict[str, Any] | None) -> None:
    embeddings, labels = batch()
    miner = MINERS.build(f"pml/{name}", options)
    torch.manual_seed(4)
    expected = directly(name, embeddings, labels, **(options if arguments is None else arguments))
    found = miner(embeddings, labels)
    assert_equal(found, expected)
    default = MINERS.build(f"pml/{name}")(embeddings, labels)
    assert [index.tolist() for index in found] != [index.tolist() for index in default], "the option shows"


def test_refused_options_are_named() -> None:
    with pytest.raises(ComponentError, match=r"^pml/batch-easy-hard refuses these options: .+"):
        MINERS.build("pml/batch-easy-hard", {"pos_strategy": "semihard", "neg_strategy": "semihard"})


@pytest.mark.parametrize("name", NAMES)
def test_where_there_is_no_pair_there_are_no_tuples(name: str) -> None:
    embeddings, _ = batch()
    found = MINERS.build(f"pml/{name}")(embeddings, torch.arange(16))
    assert len(found[0]) == len(found[1]) == 0


@pytest.mark.parametrize("kind", ["all", "hard", "semihard", "easy"])
def test_triplet_margin_has_all_of_their_types(kind: str) -> None:
    embeddings = torch.randn(24, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(24) % 4
    theirs = miners.TripletMarginMiner(margin=0.1, type_of_triplets=kind)(embeddings, labels)
    ours = MINERS.build("pml/triplet-margin", {"margin": 0.1, "type_of_triplets": kind})(embeddings, labels)
    assert len(ours.anchor)
    assert all(torch.equal(mine, their) for mine, their in zip(ours, theirs, strict=True))
