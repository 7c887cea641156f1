"""The training loop against a plain one, written out here."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from conftest import FP32, small_encoder
from helpers import rows_of
from oracles import every_triplet, ranked_right, squared_distances, triplet_losses
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.components.miners.miner import Miner
from siamesekit.components.samplers.batch import Batch, Sampler
from siamesekit.components.tuples import Pairs, Triplets
from siamesekit.engine.epoch import EpochResult
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.optimization import Optimization
from siamesekit.engine.steps import Stepper
from siamesekit.engine.training import Trainer, embed_stored, embedding_variance, train
from siamesekit.engine.weight_average import WeightAverage
from siamesekit.errors import RunError
from siamesekit.model import Encoder

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


def made(batchnorm: str = "inference") -> Encoder:
    return small_encoder(batchnorm, train_from="layer3")


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
    sampler: Sampler | None = None, miner: Miner | None = None, average: WeightAverage | None = None,
) -> list[EpochResult]:  # fmt: skip
    optimization = Optimization(torch.optim.SGD(encoder.trainable(), lr=lr), average=average)
    stored = store(encoder, images(), FP32)
    distance = SquaredEuclidean()
    loss = loss or TripletLoss(margin=0.7, distance=distance)
    trainer = Trainer(
        stepper=Stepper(encoder, stored, FP32),
        optimization=optimization,
        loss=loss,
        miner=miner,
        sampler=sampler or TwoBatches(),
        distance=distance,
        images=PHOTOS,
        labels=LABELS,
        names=[f"photo {number}" for number in PHOTOS.tolist()],
    )
    return list(train(trainer, range(1, epochs + 1), seed))


def plain_loop(encoder: Encoder, epochs: int) -> list[list[float]]:
    """Loss, accuracy, mean distances, active share, variance and gradient norm of each epoch, number by number."""
    optimizer = torch.optim.SGD(encoder.trainable(), lr=0.05)
    photos, found = images()[PHOTOS], []
    for _ in range(epochs):
        encoder.train()
        rows = []
        for batch, triplets in BATCHES:
            embedded = torch.stack([encoder(photos[image : image + 1])[0] for image in batch])
            losses = triplet_losses(embedded, triplets, margin=0.7)
            optimizer.zero_grad()
            (sum(losses) / len(losses)).backward()
            distances, named = squared_distances(embedded.detach()), rows_of(triplets)
            vectors = list(embedded.detach().double())
            middle = sum(vectors) / len(vectors)
            rows.append(
                [
                    sum(x.item() for x in losses) / len(losses),
                    sum(ranked_right(distances, named)) / len(losses),
                    sum(distances[a, p] for a, p, _ in named) / len(losses),
                    sum(distances[a, n] for a, _, n in named) / len(losses),
                    sum(x.item() > 0 for x in losses) / len(losses),
                    sum(((v - middle) ** 2).sum().item() for v in vectors) / sum((v**2).sum().item() for v in vectors),
                    math.sqrt(sum((p.grad.double() ** 2).sum().item() for p in encoder.trainable())),
                ]
            )
            optimizer.step()
        found.append([sum(column) / len(rows) for column in zip(*rows, strict=True)])
    return found


def test_figures_and_weights_are_those_of_a_plain_loop() -> None:
    ours, plain = made(), made()
    results, expected = trained(ours, epochs=3), plain_loop(plain, epochs=3)
    for epoch, (result, row) in enumerate(zip(results, expected, strict=True), 1):
        figures = [result.loss, result.accuracy, result.d_ap_mean, result.d_an_mean, result.active_triplets,
                   result.embedding_variance, result.gradient_norm]  # fmt: skip
        assert (result.epoch, result.lr, result.empty_batches) == (epoch, 0.05, 0.0)
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

    names = r"photo 7, photo 2, photo 5, photo 3"
    with pytest.raises(RunError, match=rf"the loss is nan in epoch 1, batch 1 \(photos {names}\).*lower optimizer\.lr"):
        trained(encoder, loss=broken)
    assert all(torch.equal(now, then) for now, then in zip(encoder.parameters(), before, strict=True))


def test_the_loss_is_given_each_photo_s_individual() -> None:
    seen: list[list[int]] = []

    def watching(embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        seen.append(labels.tolist())
        return LossValue(embeddings.sum(), torch.zeros(()), torch.zeros(()))

    trained(made(), epochs=1, loss=watching)
    assert seen == [[0, 0, 1, 1], [0, 1, 1]]


@pytest.mark.medium
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


@pytest.mark.slow
def test_batches_without_a_triplet_count_for_no_figure() -> None:
    alone = OneBatch(0, 1)
    both = trained(made(), 1, lr=0.0, sampler=OneAfterAnother(OneBatch(0, 1, 2, 3), alone))
    one = trained(made(), 1, lr=0.0, sampler=OneBatch(0, 1, 2, 3))
    assert (both[0].loss, both[0].accuracy, both[0].d_an_mean) == (one[0].loss, one[0].accuracy, one[0].d_an_mean)
    with pytest.raises(RunError, match="no batch of epoch 1 holds a triplet"):
        trained(made(), 1, sampler=alone)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_spoilt() -> None:
    encoder = made()
    before = [parameter.clone() for parameter in encoder.parameters()]

    def steep(embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        return LossValue((embeddings * 0).abs().sqrt().sum(), torch.zeros(()), torch.zeros(()))

    with pytest.raises(RunError, match="the gradient is nan in epoch 1, batch 1"):
        trained(encoder, loss=steep)
    assert all(torch.equal(now, then) for now, then in zip(encoder.parameters(), before, strict=True))


def test_an_error_names_ten_photos_and_counts_the_others() -> None:
    sizes = iter([1.0, math.inf])

    def steep(embeddings: Tensor, labels: Tensor, triplets: Triplets | None) -> LossValue:
        return LossValue(embeddings.square().sum() * next(sizes), torch.zeros(()), torch.zeros(()))

    encoder, every = made(), torch.arange(13)
    trainer = Trainer(
        stepper=Stepper(encoder, store(encoder, images(), FP32), FP32),
        optimization=Optimization(torch.optim.SGD(encoder.trainable(), lr=0.05)),
        loss=steep,
        miner=None,
        sampler=OneAfterAnother(OneBatch(*range(13)), OneBatch(*range(13))),
        distance=SquaredEuclidean(),
        images=every % 8,
        labels=every % 2,
        names=[f"p{number}\n" for number in range(13)],
    )
    steps = train(trainer, range(3, 4), 0)
    with pytest.raises(RunError) as caught:
        list(steps)
    text = str(caught.value)
    assert text.startswith(r"the loss is inf in epoch 3, batch 2 (photos 'p0\n', ")
    assert r"'p9\n' and 3 more)" in text
    assert "p10" not in text


class Sometimes:
    """A miner that finds nothing in batches of three photos."""

    def __init__(self, found: Triplets | Pairs) -> None:
        self.found = found

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets | Pairs:
        return type(self.found)(*(index[: 0 if len(embeddings) == 3 else None] for index in self.found))


def test_a_batch_in_which_the_miner_finds_nothing_makes_no_step() -> None:
    found = Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
    ours, only_first = made(), made()
    (result,) = trained(ours, 1, miner=Sometimes(found))
    (expected,) = trained(only_first, 1, sampler=Filtered(4), miner=Sometimes(found))
    assert result.empty_batches == 0.5
    assert (result.loss, result.gradient_norm) == (expected.loss, expected.gradient_norm)
    for name, value in only_first.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)


class Filtered(TwoBatches):
    """Those of the two batches that have so many photos."""

    def __init__(self, photos: int) -> None:
        self.photos = photos

    def epoch(self, epoch: int) -> Iterator[Batch]:
        yield from (batch for batch in super().epoch(epoch) if len(batch.images) == self.photos)


def test_an_epoch_in_which_the_miner_finds_nothing_at_all_has_no_loss_and_moves_nothing() -> None:
    encoder = made()
    before = [parameter.clone() for parameter in encoder.parameters()]
    (result,) = trained(
        encoder, 1, sampler=Filtered(3), miner=Sometimes(Triplets(*torch.zeros(3, 1, dtype=torch.int64)))
    )
    assert (result.empty_batches, math.isnan(result.loss), math.isnan(result.gradient_norm)) == (1.0, True, True)
    assert result.embedding_variance > 0
    assert all(torch.equal(now, then) for now, then in zip(encoder.parameters(), before, strict=True))
    with pytest.raises(RunError, match="no batch of epoch 1 holds a triplet"):
        nothing = Sometimes(Triplets(*torch.zeros(3, 0, dtype=torch.int64)))
        trained(made(), 1, sampler=OneBatch(0, 1), miner=nothing)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_embedding_variance_is_the_share_of_the_length_that_differs(scale: float) -> None:
    embeddings = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    columns = [[row[k] for row in embeddings.tolist()] for k in range(4)]
    total = sum(sum((x - sum(c) / 7) ** 2 for x in c) / 7 for c in columns)
    length = sum(x * x for c in columns for x in c) / 7
    assert embedding_variance(scale * embeddings).item() == pytest.approx(total / length, rel=1e-12)
    assert embedding_variance(torch.ones(5, 3)).item() == 0


class Proxies(nn.Module):
    """Squared distances to a proxy of each individual."""

    by_class = True

    def __init__(self) -> None:
        super().__init__()
        self.proxies = nn.Parameter(torch.linspace(-1, 1, 2 * 16).reshape(2, 16))
        self.modes: list[bool] = []

    def forward(self, embeddings: Tensor, labels: Tensor, tuples: object) -> LossValue:
        self.modes.append(self.training)
        objective = (embeddings - self.proxies[labels]).square().sum(1).mean()
        return LossValue(objective, objective.detach(), torch.ones(()))


def test_a_loss_by_class_trains_in_batches_without_a_triplet() -> None:
    loss = Proxies().eval()
    results = trained(made(), 3, loss=loss, sampler=OneBatch(0, 1))
    assert results[2].loss < results[0].loss
    assert all(math.isnan(result.accuracy) for result in results)
    assert loss.modes == [True] * 3


class Mined:
    """A sampler that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def __len__(self) -> int:
        return 2

    def mine(self, epoch: int, embed: Callable[[], Tensor]) -> None:
        self.calls.append((epoch, embed()))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        self.calls.append(epoch)
        yield from TwoBatches().epoch(epoch)


def test_a_sampler_mines_before_each_epoch_among_the_training_photos() -> None:
    encoder, sampler = made(), Mined()
    before = encoder.eval()(images()[PHOTOS]).detach()
    trained(encoder, 2, sampler=sampler)
    (first, embeddings), begun, (second, later), begun_again = sampler.calls
    assert (first, begun, second, begun_again) == (1, 1, 2, 2)
    torch.testing.assert_close(embeddings, before, rtol=1e-4, atol=1e-6)
    assert not torch.equal(embeddings, later)


def test_the_average_follows_the_steps() -> None:
    encoder, plain = made(), made()
    average = WeightAverage([encoder], 0.9)
    trained(encoder, 2, average=average)
    trained(plain, 2)
    assert average.updates == 4
    for name, value in plain.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value), "training goes on with the weights themselves"
    with average.applied():
        assert not torch.equal(encoder.state_dict()["head.dense1.weight"], plain.state_dict()["head.dense1.weight"])


def test_a_loss_that_gives_a_plain_scalar_trains_alike_but_for_the_share_of_active_terms() -> None:
    def plain(embeddings: Tensor, labels: Tensor, triplets: Triplets) -> Tensor:
        return TripletLoss(margin=0.7)(embeddings, labels, triplets).objective

    encoders = [made(), made()]
    [expected], [found] = trained(encoders[0], 1), trained(encoders[1], 1, loss=plain)
    assert (found.loss, found.gradient_norm) == (expected.loss, expected.gradient_norm)
    assert math.isnan(found.active_triplets)
    assert all(map(torch.equal, encoders[0].state_dict().values(), encoders[1].state_dict().values()))


def test_what_is_no_loss_is_refused_in_the_words_of_what_it_is() -> None:
    with pytest.raises(
        RunError,
        match=r"loss gives a tensor float32 \[4\]; expected LossValue\(.*, or the objective alone, a scalar tensor",
    ):
        trained(made(), 1, loss=lambda embeddings, labels, triplets: embeddings.sum(1))
