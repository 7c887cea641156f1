"""The training loop against a plain one, written out here."""

import math
from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor

from siamesekit.artifact import Architecture, build
from siamesekit.data.samplers.batch import Batch, Sampler
from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.engine.frozen_prefix import store
from siamesekit.engine.precision import choose_precision
from siamesekit.engine.steps import Stepper
from siamesekit.engine.training import EpochResult, embed_stored, ranking, train
from siamesekit.errors import RunError
from siamesekit.losses.loss import LossValue
from siamesekit.losses.triplet import Triplet
from siamesekit.miners.miner import Miner
from siamesekit.model import Encoder
from siamesekit.triplets import Triplets

FP32 = choose_precision("cpu", "fp32")
PHOTOS = torch.tensor([7, 2, 5, 0, 3])
"""The training photos, as indices into eight stored ones."""
LABELS = torch.tensor([0, 0, 1, 1, 1])
BATCHES = [
    ([0, 1, 2, 4], Triplets(torch.tensor([0, 2, 3]), torch.tensor([1, 3, 2]), torch.tensor([2, 0, 1]))),
    ([0, 2, 3], Triplets(torch.tensor([1]), torch.tensor([2]), torch.tensor([0]))),
]
"""Of three triplets and of one: a mean over triplets is not the mean over batches."""


class TwoBatches:
    def __len__(self) -> int:
        return len(BATCHES)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for images, triplets in BATCHES:
            yield Batch(torch.tensor(images), triplets)


def images() -> Tensor:
    return torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def made(batchnorm: str = "inference", train_from: str = "layer3") -> Encoder:
    torch.manual_seed(0)
    encoder = build(Architecture("timm/test_resnet", {}, {"layers": [24, 16]}, batchnorm))
    encoder.backbone.freeze_before(train_from)
    return encoder


class OneBatch:
    """Some of the photos, and no triplets."""

    def __init__(self, *images: int) -> None:
        self.images = torch.tensor(images)

    def __len__(self) -> int:
        return 1

    def epoch(self, epoch: int) -> Iterator[Batch]:
        yield Batch(self.images, None)


class OneAfterAnother:
    """The batches of several samplers."""

    def __init__(self, *samplers: Sampler) -> None:
        self.samplers = samplers

    def __len__(self) -> int:
        return sum(map(len, self.samplers))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for sampler in self.samplers:
            yield from sampler.epoch(epoch)


def trained(
    encoder: Encoder, epochs: int = 2, loss: object = None, lr: float = 0.05, seed: int = 0,
    sampler: Sampler | None = None, miner: Miner | None = None,
) -> list[EpochResult]:  # fmt: skip
    optimizer = torch.optim.SGD(encoder.trainable(), lr=lr)
    stored = store(encoder, images(), FP32)
    distance = SquaredEuclidean()
    loss = loss or Triplet(margin=0.7, distance=distance)
    steps = train(
        Stepper(encoder, stored, FP32), PHOTOS, LABELS, sampler or TwoBatches(), distance, loss, optimizer,
        range(1, epochs + 1), seed, miner=miner,
    )  # fmt: skip
    return list(steps)


def plain_loop(encoder: Encoder, epochs: int) -> list[list[float]]:
    """Loss, accuracy, mean distances and active share of each epoch, image by image and number by number."""
    optimizer = torch.optim.SGD(encoder.trainable(), lr=0.05)
    photos, found = images()[PHOTOS], []
    for _ in range(epochs):
        encoder.train()
        rows = []
        for batch, triplets in BATCHES:
            embedded = {image: encoder(photos[image : image + 1])[0] for image in batch}
            ap, an = [], []
            for a, p, n in zip(*(index.tolist() for index in triplets), strict=True):
                anchor, positive, negative = (embedded[batch[i]] for i in (a, p, n))
                ap.append(((anchor - positive) ** 2).sum())
                an.append(((anchor - negative) ** 2).sum())
            losses = [torch.relu(x - y + 0.7) for x, y in zip(ap, an, strict=True)]
            count = len(losses)
            rows.append([
                sum(x.item() for x in losses) / count,
                sum(x.item() < y.item() for x, y in zip(ap, an, strict=True)) / count,
                sum(x.item() for x in ap) / count,
                sum(x.item() for x in an) / count,
                sum(x.item() > 0 for x in losses) / count,
            ])  # fmt: skip
            optimizer.zero_grad()
            (sum(losses) / count).backward()
            optimizer.step()
        found.append([sum(column) / len(rows) for column in zip(*rows, strict=True)])
    return found


def test_figures_and_weights_are_those_of_a_plain_loop() -> None:
    ours, plain = made(), made()
    results, expected = trained(ours, epochs=3), plain_loop(plain, epochs=3)
    for epoch, (result, row) in enumerate(zip(results, expected, strict=True), 1):
        figures = [result.loss, result.accuracy, result.d_ap_mean, result.d_an_mean, result.active_triplets]
        assert result.epoch == epoch
        assert figures == pytest.approx(row, rel=1e-4, abs=1e-6)
    assert expected[0][0] != pytest.approx(expected[-1][0], rel=1e-2), "the loop must learn, or it would show nothing"
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_images_per_second_counts_three_to_a_triplet() -> None:
    (result,) = trained(made(), epochs=1)
    assert result.images_per_second * result.seconds == pytest.approx(3 * 4)


def test_only_what_trains_moves() -> None:
    encoder = made()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    trained(encoder)
    moved = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert any(name.startswith("backbone.network.layer4") for name in moved)
    assert not any(name.startswith("backbone.network.layer2") for name in moved)


def test_batchnorm_train_moves_the_statistics_of_what_trains_only() -> None:
    encoder = made("train")
    before = {name: value.clone() for name, value in encoder.state_dict().items() if "running" in name}
    trained(encoder)
    moved = {name for name, value in before.items() if not torch.equal(value, encoder.state_dict()[name])}
    assert moved == {
        name for name in before if name.startswith(("backbone.network.layer3", "backbone.network.layer4", "head"))
    }


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoilt() -> None:
    encoder = made()
    before = [parameter.clone() for parameter in encoder.parameters()]

    def broken(embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        return LossValue(embeddings.sum() * math.nan, torch.zeros(()), torch.zeros(()))

    with pytest.raises(RunError, match=r"the loss is nan in epoch 1.*lower optimizer\.lr"):
        trained(encoder, loss=broken)
    assert all(torch.equal(now, then) for now, then in zip(encoder.parameters(), before, strict=True))


def test_the_loss_is_given_each_photo_s_individual() -> None:
    seen: list[list[int]] = []

    def watching(embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        seen.append(labels.tolist())
        return LossValue(embeddings.sum(), torch.zeros(()), torch.zeros(()))

    trained(made(), epochs=1, loss=watching)
    assert seen == [[0, 0, 1, 1], [0, 1, 1]]


def test_chance_in_the_network_comes_from_seed_and_epoch() -> None:
    drawn: list[float] = []

    def drawing(embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        drawn.append(torch.rand(()).item())
        return LossValue(embeddings.sum(), torch.zeros(()), torch.zeros(()))

    for seed in (1, 1, 2):
        torch.rand(3)
        trained(made(), loss=drawing, seed=seed)
    first, again, other = drawn[:4], drawn[4:8], drawn[8:]
    assert first == again != other
    assert len(set(first)) == 4


def test_embed_stored_is_the_encoder_in_inference_mode() -> None:
    encoder = made("train").train()
    stored = store(encoder, images(), FP32)
    encoder.train()
    found = embed_stored(encoder, stored, torch.tensor([6, 1, 1]), FP32)
    assert not found.requires_grad
    torch.testing.assert_close(found, encoder.eval()(images()[[6, 1, 1]]).detach(), rtol=1e-5, atol=1e-6)


def every_triplet(labels: list[int]) -> Triplets:
    every = range(len(labels))
    rows = [(a, p, n) for a, p, n in product(every, every, every) if a != p and labels[a] == labels[p] != labels[n]]
    return Triplets(*torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T)


def test_without_triplets_a_step_is_over_all_of_them() -> None:
    """The same weights and loss as with a miner that enumerates them; the mean distances are of pairs there."""
    ours, plain = made(), made()
    sampler = OneBatch(4, 1, 0, 3, 2)
    results = trained(ours, sampler=sampler)
    expected = trained(plain, sampler=sampler, miner=lambda embeddings, labels: every_triplet(labels.tolist()))
    for result, other in zip(results, expected, strict=True):
        assert [result.loss, result.accuracy, result.active_triplets] == pytest.approx(
            [other.loss, other.accuracy, other.active_triplets], rel=1e-4
        )
    assert results[0].loss != pytest.approx(results[1].loss, rel=1e-3), "nothing was learnt"
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_ranking_without_triplets_is_over_all_of_them_and_over_pairs() -> None:
    labels = [0, 0, 0, 1, 1, 2]
    embeddings = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    d = ((embeddings[:, None] - embeddings) ** 2).sum(-1).tolist()
    a, p, n = (index.tolist() for index in every_triplet(labels))
    right = [d[i][j] < d[i][k] for i, j, k in zip(a, p, n, strict=True)]
    pairs = [(i, j) for i, j in product(range(6), range(6)) if i != j]
    positive = [d[i][j] for i, j in pairs if labels[i] == labels[j]]
    negative = [d[i][j] for i, j in pairs if labels[i] != labels[j]]
    expected = [sum(values) / len(values) for values in (right, positive, negative)]
    assert 0 < expected[0] < 1
    assert ranking(embeddings, torch.tensor(labels), None, SquaredEuclidean()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]], ids=["no positive pair", "no negative"])
def test_ranking_without_any_triplet_is_unknown(labels: list[int]) -> None:
    none = every_triplet(labels)
    for triplets in (None, none):
        assert math.isnan(ranking(torch.randn(3, 2), torch.tensor(labels), triplets, SquaredEuclidean())[0])


def test_the_miner_is_given_embeddings_without_gradient_and_its_triplets_are_the_loss_s() -> None:
    given: list[Triplets] = []
    chosen = Triplets(torch.tensor([1]), torch.tensor([0]), torch.tensor([2]))

    def miner(embeddings: Tensor, labels: Tensor) -> Triplets:
        assert not embeddings.requires_grad
        assert not torch.is_grad_enabled()
        assert (len(embeddings), labels.tolist()) in [(4, [0, 0, 1, 1]), (3, [0, 1, 1])]
        return chosen

    def loss(embeddings: Tensor, labels: Tensor, triplets: Triplets | None) -> LossValue:
        assert embeddings.requires_grad
        given.append(triplets)
        return LossValue(embeddings.sum(), torch.zeros(()), torch.zeros(()))

    (result,) = trained(made(), epochs=1, loss=loss, miner=miner)
    assert given == [chosen, chosen]
    assert result.images_per_second * result.seconds == pytest.approx(4 + 3), "the photos of both batches"


def test_batches_without_a_triplet_count_for_no_figure() -> None:
    alone = OneBatch(0, 1)
    both = trained(made(), 1, lr=0.0, sampler=OneAfterAnother(OneBatch(0, 1, 2, 3), alone))
    one = trained(made(), 1, lr=0.0, sampler=OneBatch(0, 1, 2, 3))
    assert (both[0].loss, both[0].accuracy, both[0].d_an_mean) == (one[0].loss, one[0].accuracy, one[0].d_an_mean)
    with pytest.raises(RunError, match="no batch of epoch 1 holds a triplet"):
        trained(made(), 1, sampler=alone)
