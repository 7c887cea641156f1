"""Loss `cross-batch-memory` against a plain list of what came before, and against pytorch-metric-learning."""

import io
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as theirs
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from torch import Tensor, nn

from helpers import assert_same_gradients
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.arcface import ArcFaceLoss
from siamesekit.components.losses.contrastive import ContrastiveLoss
from siamesekit.components.losses.cross_batch_memory import CrossBatchMemory, pairs_with_memory, with_anchors_below
from siamesekit.components.losses.info_nce import InfoNCELoss
from siamesekit.components.losses.loss import Loss, LossValue, mean_of
from siamesekit.components.losses.multi_similarity import MultiSimilarityLoss
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.components.tuples import Pairs, Triplets, Tuples
from siamesekit.errors import ComponentError

DIMENSIONS = 4


def batches(count: int, photos: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of embeddings with gradient and of labels of any values."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        embeddings = torch.from_numpy(rng.normal(size=(photos, DIMENSIONS))).requires_grad_()
        yield embeddings, torch.from_numpy(rng.choice([5, -3, 900, 17], size=photos))


@pytest.mark.parametrize("size", [1, 4, 7, 12, 100])
def test_equals_a_loop_over_the_batch_and_a_list_of_what_came_before(size: int) -> None:
    """The last `size` photos, whether a batch is smaller or larger than the memory or does not divide it."""
    memory: deque[tuple[Tensor, int]] = deque(maxlen=size)
    loss = CrossBatchMemory(
        ContrastiveLoss(0.1, 3.0, reduction="sum", distance=SquaredEuclidean()), size, embedding_dim=DIMENSIONS
    )
    for embeddings, labels in batches(9, photos=5):
        expected, pairs = embeddings.sum() * 0, 0
        others = [*zip(embeddings, labels.tolist(), strict=True), *memory]
        for i, (anchor, label) in enumerate(zip(embeddings, labels.tolist(), strict=True)):
            for j, (other, its) in enumerate(others):
                if i != j:
                    d = (anchor - other).square().sum()
                    expected = expected + (d - 0.1 if its == label else 3.0 - d).clamp_min(0)
                    pairs += 1
        found = loss(embeddings, labels, None)
        assert pairs == 5 * 4 + 5 * len(memory)
        assert found.objective.item() == pytest.approx(expected.item(), rel=1e-12)
        assert_same_gradients(found.objective, expected, embeddings, rtol=1e-10, atol=1e-10)
        memory.extend(zip(embeddings.detach(), labels.tolist(), strict=True))
        assert loss.filled.item() == len(memory)
        order = (loss.pointer.item() + torch.arange(size)) % size  # the oldest first
        kept = order[-len(memory) :]
        assert torch.equal(loss.embeddings[kept], torch.stack([each for each, _ in memory]))
        assert loss.labels[kept].tolist() == [its for _, its in memory]


SAME = [
    (
        lambda: ContrastiveLoss(0.1, 1.5, distance=Euclidean()),
        lambda: theirs.ContrastiveLoss(0.1, 1.5, distance=LpDistance(normalize_embeddings=False)),
    ),
    (
        lambda: TripletLoss(0.4, "mean-nonzero", distance=Euclidean()),
        lambda: theirs.TripletMarginLoss(0.4, distance=LpDistance(normalize_embeddings=False)),
    ),
    (lambda: InfoNCELoss(0.2, distance=Cosine()), lambda: theirs.NTXentLoss(0.2, distance=CosineSimilarity())),
    (lambda: MultiSimilarityLoss(distance=Cosine()), lambda: theirs.MultiSimilarityLoss()),
]


@pytest.mark.parametrize(("ours", "other"), SAME, ids=["contrastive", "triplet", "info-nce", "multi-similarity"])
def test_the_values_equal_pytorch_metric_learnings(
    ours: Callable[[], Loss], other: Callable[[], theirs.BaseMetricLossFunction]
) -> None:
    """Theirs remembers the batch first, in the place of the oldest: so its memory is larger by a batch.

    Its gradient is another: of a pair within the batch it moves the anchor only.
    """
    photos, size = 6, 20
    mine = CrossBatchMemory(ours(), size, embedding_dim=DIMENSIONS)
    reference = theirs.CrossBatchMemory(other(), DIMENSIONS, memory_size=size + photos)
    for embeddings, labels in batches(10, photos):
        expected = reference(embeddings, labels).item()
        found = mine(embeddings, labels, None)
        assert expected > 0
        assert found.objective.item() == pytest.approx(expected, rel=1e-6)
        assert 0 < found.active.item() <= 1


@pytest.mark.parametrize("swap", [False, True], ids=["plain", "swap"])
@pytest.mark.parametrize("many", [1, 1000], ids=["blocks", "each"])
def test_a_triplet_loss_that_knows_what_is_remembered_is_the_same(
    many: int, swap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With photos that are remembered as they are in the batch, which are equally near."""
    monkeypatch.setattr("siamesekit.components.losses.triplet.ENUMERATED", 0)
    monkeypatch.setattr("siamesekit.components.losses.triplet.MANY", many)
    told, untold = (
        CrossBatchMemory(TripletLoss(0.5, hinge="soft", swap=swap, distance=Euclidean()), 20, embedding_dim=DIMENSIONS)
        for _ in range(2)
    )
    untold.loss.takes_remembered = False
    stream = [*batches(4, photos=8)]
    for embeddings, labels in [*stream, *stream]:
        found, expected = told(embeddings, labels, None), untold(embeddings, labels, None)
        assert found.objective.item() == pytest.approx(expected.objective.item(), rel=1e-12)
        assert_same_gradients(found.objective, expected.objective, embeddings, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_midway_and_loaded_it_goes_on_as_if_never_stopped(dtype: torch.dtype) -> None:
    def new() -> CrossBatchMemory:
        return CrossBatchMemory(InfoNCELoss(distance=Cosine()), 13, embedding_dim=DIMENSIONS)

    stream = [(embeddings.detach().to(dtype), labels) for embeddings, labels in batches(8, photos=5)]
    whole, first, resumed = new(), new(), new()
    expected = [whole(*batch, None).objective for batch in stream]
    for batch in stream[:4]:
        first(*batch, None)
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    assert [resumed(*batch, None).objective.item() for batch in stream[4:]] == [each.item() for each in expected[4:]]
    assert all(torch.equal(resumed.state_dict()[name], kept) for name, kept in whole.state_dict().items())


def test_in_eval_mode_it_is_the_inner_loss_and_nothing_is_remembered() -> None:
    inner = ContrastiveLoss(distance=Euclidean())
    loss = CrossBatchMemory(inner, 10, embedding_dim=DIMENSIONS)
    (one, labels), (two, its) = batches(2, photos=5)
    loss(one, labels, None)
    before = {name: kept.clone() for name, kept in loss.state_dict().items()}
    some = Triplets(*torch.tensor([[0], [1], [2]]))
    for tuples in (None, some):
        assert torch.equal(loss.eval()(two, its, tuples).objective, inner(two, its, tuples).objective)
    assert all(torch.equal(loss.state_dict()[name], kept) for name, kept in before.items())
    assert loss.train()(two, its, None).objective != inner(two, its, None).objective


class Recorder:
    """A loss that keeps what it was given."""

    def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
        self.given = embeddings, labels, tuples
        return mean_of(embeddings.sum(1))


def listed(first: Tensor, second: Tensor) -> set[tuple[int, int]]:
    found = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


def test_given_pairs_take_the_place_of_the_batchs_own() -> None:
    inner = Recorder()
    loss = CrossBatchMemory(inner, 10, embedding_dim=2)
    loss(torch.randn(3, 2), torch.tensor([7, 8, 7]), None)
    assert listed(inner.given[2].anchor, inner.given[2].positive) == {(0, 2), (2, 0)}
    batch = torch.randn(4, 2)
    loss(batch, torch.tensor([7, 7, 8, 8]), Triplets(*torch.tensor([[0, 0], [1, 1], [2, 3]])))
    embeddings, labels, pairs = inner.given
    assert torch.equal(embeddings[:4], batch)
    assert labels.tolist() == [7, 7, 8, 8, 7, 8, 7]
    memory = {(a, o) for a in range(4) for o in range(4, 7)}
    alike = {(a, o) for a, o in memory if labels[a] == labels[o]}
    assert listed(pairs.anchor, pairs.positive) == {(0, 1)} | alike
    assert listed(pairs.other_anchor, pairs.negative) == {(0, 2), (0, 3)} | (memory - alike)


def test_a_loss_that_asks_is_told_how_many_embeddings_are_remembered() -> None:
    told = []

    class Asking(Recorder):
        takes_remembered = True

        def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None, remembered: int = 0) -> LossValue:
            told.append((len(embeddings), remembered))
            return super().__call__(embeddings, labels, tuples)

    loss = CrossBatchMemory(Asking(), 5, embedding_dim=2)
    for photos in (3, 4, 2):
        loss(torch.randn(photos, 2), torch.arange(photos), None)
    loss.eval()(torch.randn(3, 2), torch.arange(3), None)
    assert told == [(3, 0), (7, 3), (7, 5), (3, 0)]


@pytest.mark.parametrize("kind", ["triplets", "pairs"])
def test_a_miner_sees_batch_and_memory_and_its_anchors_are_of_the_batch(kind: str) -> None:
    seen = []

    def miner(embeddings: Tensor, labels: Tensor) -> Tuples:
        assert not embeddings.requires_grad
        assert not torch.is_grad_enabled()
        seen.append((len(embeddings), labels.tolist()))
        everything = torch.arange(len(labels))
        if kind == "triplets":
            return Triplets(everything, everything.roll(1), everything.roll(2))
        return Pairs(everything, everything.roll(1), everything.flip(0), everything)

    inner = Recorder()
    loss = CrossBatchMemory(inner, 10, miner, embedding_dim=2)
    loss(torch.randn(3, 2), torch.tensor([7, 8, 7]), None)
    loss(torch.randn(2, 2, requires_grad=True), torch.tensor([7, 8]), Triplets(*torch.tensor([[0], [0], [0]])))
    assert seen == [(3, [7, 8, 7]), (5, [7, 8, 7, 8, 7])]
    if kind == "triplets":
        assert [index.tolist() for index in inner.given[2]] == [[0, 1], [4, 0], [3, 4]]
    else:
        assert [index.tolist() for index in inner.given[2]] == [[0, 1], [4, 0], [1, 0], [3, 4]]


def test_pairs_with_memory_are_all_of_them() -> None:
    labels, remembered = torch.tensor([3, -1, 3]), torch.tensor([-1, 3, 9, 3])
    pairs = pairs_with_memory(labels, remembered)
    every = {(a, 3 + m) for a in range(3) for m in range(4)}
    alike = {(a, o) for a, o in every if labels[a] == remembered[o - 3]}
    assert listed(pairs.anchor, pairs.positive) == alike
    assert listed(pairs.other_anchor, pairs.negative) == every - alike


def test_anchors_below_a_count_are_kept_with_their_partners() -> None:
    first, second, third = torch.tensor([5, 0, 2, 1]), torch.tensor([1, 6, 7, 8]), torch.tensor([0, 3, 9, 4])
    assert [index.tolist() for index in with_anchors_below(Triplets(first, second, third), 2)] == [
        [0, 1],
        [6, 8],
        [3, 4],
    ]
    assert [index.tolist() for index in with_anchors_below(Pairs(first, second, third, second), 2)] == [
        [0, 1],
        [6, 8],
        [0],
        [1],
    ]


def test_an_inner_loss_with_weights_trains_them_and_is_saved() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
            return mean_of(embeddings.square().sum(1) * self.scale)

    loss = CrossBatchMemory(Scaled(), 10, embedding_dim=2)
    loss(torch.ones(2, 2), torch.tensor([0, 1]), None).objective.backward()
    assert [name for name, _ in loss.named_parameters()] == ["loss.scale"]
    assert loss.loss.scale.grad == 2
    assert set(loss.state_dict()) == {"loss.scale", "embeddings", "labels", "filled", "pointer"}


def test_a_loss_that_holds_something_of_each_individual_is_refused() -> None:
    with pytest.raises(ComponentError, match="cannot hold ArcFace"):
        CrossBatchMemory(ArcFaceLoss(embedding_dim=2, num_classes=3), embedding_dim=2)
    plain = CrossBatchMemory(ContrastiveLoss(distance=Euclidean()), embedding_dim=2)
    with pytest.raises(ComponentError, match="cannot hold CrossBatchMemory"):
        CrossBatchMemory(plain, embedding_dim=2)


def test_it_measures_by_what_the_inner_loss_measures_by() -> None:
    inner = Recorder()
    assert not hasattr(CrossBatchMemory(inner, embedding_dim=2), "measures_by")
    inner.measures_by = "cosine"
    assert CrossBatchMemory(inner, embedding_dim=2).measures_by == "cosine"


def test_half_precision_is_remembered_in_float32() -> None:
    loss = CrossBatchMemory(ContrastiveLoss(distance=Euclidean()), 10, embedding_dim=DIMENSIONS)
    for embeddings, labels in batches(2, photos=5):
        low = embeddings.detach().bfloat16().requires_grad_()
        value = loss(low, labels, None)
        value.objective.backward()
        assert value.objective.dtype == torch.float32
        assert low.grad.any()
    assert loss.embeddings.dtype == torch.float32
    assert torch.equal(loss.embeddings[5:], low.detach().float())
