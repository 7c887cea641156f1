"""Steps of several batches against a plain PyTorch loop in float64, which minimizes the mean of the batches' losses."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from conftest import FP32
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import Head
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import Triplets
from siamesekit.engine.epoch import EpochResult, Midway
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.optimization import Optimization, steps_of
from siamesekit.engine.steps import Stepper
from siamesekit.engine.training import Trainer, train
from siamesekit.engine.weight_average import WeightAverage
from siamesekit.model import Encoder

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2])
BATCHES = [[0, 1, 2], [3, 4, 5, 6], [1, 0, 5], [2, 3, 6, 0, 1], [4, 2, 0]]
"""Photos of each batch. A triplet of a batch: its first photo, its second, its third."""
EPOCHS = 2


class Batches:
    def __len__(self) -> int:
        return len(BATCHES)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        yield from (Batch(torch.tensor(batch), None) for batch in BATCHES)


class FirstThree:
    """A miner that selects the first three photos of a batch, unless the batch is one of `nothing_in`, by number."""

    def __init__(self, *nothing_in: int) -> None:
        self.nothing_in, self.calls = nothing_in, 0

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
        number = self.calls % len(BATCHES)
        self.calls += 1
        size = 0 if number in self.nothing_in else 1
        return Triplets(*(torch.full((size,), place) for place in range(3)))


class Proxied(nn.Module):
    """The mean of ‖a − p‖² − ‖a − n‖² and of ‖e − proxy‖², with a proxy that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.proxy = nn.Parameter(torch.linspace(-1, 1, 16, dtype=torch.float64))

    def forward(self, embeddings: Tensor, labels: Tensor, tuples: Triplets | None) -> LossValue:
        value = self.of(embeddings)
        return LossValue(value, value.detach(), torch.ones(()))

    def of(self, embeddings: Tensor) -> Tensor:
        a, p, n = embeddings[:3]
        return (a - p).square().sum() - (a - n).square().sum() + (embeddings - self.proxy).square().sum(1).mean()


def images() -> Tensor:
    return torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def made() -> tuple[Encoder, Proxied]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.Tanh(), nn.Linear(12, 16))
    encoder = Encoder(Backbone(network, 16, [128] * 3, [128] * 3), Head(16, layers=(16,), last_activation=False))
    encoder.backbone.freeze_before("3")
    return encoder.double().train(), Proxied()


def factor(step: int) -> float:
    return 1 / (1 + step)


def trainer_of(encoder: Encoder, loss: Proxied, accumulate: int, miner: FirstThree) -> Trainer:
    optimization = Optimization(
        torch.optim.AdamW(encoder.trainable(), lr=0.01), torch.optim.SGD(loss.parameters(), lr=0.01, momentum=0.9),
        factor, 0.5, WeightAverage([encoder, loss], 0.9), None, accumulate,
    )  # fmt: skip
    stepper = Stepper(encoder, store(encoder, images(), FP32), FP32)
    return Trainer(stepper, optimization, loss, miner, Batches(), SquaredEuclidean(), torch.arange(7), LABELS)


def trained(accumulate: int, *nothing_in: int) -> tuple[list[EpochResult], list[Tensor], list[Tensor]]:
    encoder, loss = made()
    trainer = trainer_of(encoder, loss, accumulate, FirstThree(*nothing_in))
    results = list(train(trainer, range(1, EPOCHS + 1)))
    assert trainer.optimization.average is not None
    return results, [*encoder.trainable(), loss.proxy], trainer.optimization.average.average


def plain(accumulate: int, *nothing_in: int) -> tuple[list[list[float]], list[Tensor], list[Tensor]]:
    """Gradient norms of each epoch's steps, final weights, and their running average."""
    encoder, loss = made()
    weights = [*encoder.trainable(), loss.proxy]
    optimizers = torch.optim.AdamW(weights[:-1]), torch.optim.SGD(weights[-1:], lr=1.0, momentum=0.9)
    average, updates, number, norms = [w.detach().clone() for w in weights], 0, 0, []
    for _ in range(EPOCHS):
        norms.append([])
        for start in range(0, len(BATCHES), accumulate):
            group = range(start, min(start + accumulate, len(BATCHES)))
            losses = [loss.of(encoder(images()[BATCHES[each]])) for each in group if each not in nothing_in]
            if losses:
                gradients = torch.autograd.grad(sum(losses) / len(losses), weights)
                norms[-1].append(sum((g**2).sum() for g in gradients[:-1]).sqrt().item())
                length = sum((g**2).sum() for g in gradients).sqrt().item()
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.grad = gradient * min(1.0, 0.5 / (length + 1e-6))
                for optimizer in optimizers:
                    optimizer.param_groups[0]["lr"] = 0.01 * factor(number)
                    optimizer.step()
                decay = min(0.9, (1 + updates) / (10 + updates))
                average = [decay * a + (1 - decay) * w.detach() for a, w in zip(average, weights, strict=True)]
                updates += 1
            number += 1
    return norms, weights, average


@pytest.mark.parametrize(
    ("accumulate", "nothing_in"),
    [(2, ()), (3, ()), (99, ()), (2, (1, 2, 3)), (2, (4,))],
    ids=["pairs", "last group smaller", "an epoch", "empty batches, and a group of them", "last group empty"],
)
def test_a_step_of_several_batches_is_that_of_a_plain_loop(accumulate: int, nothing_in: tuple[int, ...]) -> None:
    results, weights, average = trained(accumulate, *nothing_in)
    norms, expected, expected_average = plain(accumulate, *nothing_in)
    for result, steps in zip(results, norms, strict=True):
        assert result.gradient_norm == pytest.approx(sum(steps) / len(steps), rel=1e-12)
        assert result.empty_batches == len(nothing_in) / len(BATCHES)
    for ours, theirs in ((weights, expected), (average, expected_average)):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_step_of_several_batches_is_not_that_of_one_batch_nor_of_single_ones() -> None:
    _, pairs, _ = trained(2)
    for accumulate in (1, 3):
        _, others, _ = trained(accumulate)
        assert (pairs[-1] - others[-1]).abs().max() > 1e-4


def test_a_group_that_was_saved_halfway_goes_on_to_the_same_bits() -> None:
    _, whole, _ = trained(3)
    first = trainer_of(*made(), 3, FirstThree())
    states = {}

    def stop(midway: Midway) -> None:
        if midway.epoch == 2 and midway.batches == 2:
            states.update({name: part.state_dict() for name, part in first.parts().items()}, midway=midway.state())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(train(first, range(1, EPOCHS + 1), after_step=stop))
    assert states["descent"]["added"] == 2
    second = trainer_of(*made(), 3, FirstThree())
    for name, part in second.parts().items():
        part.load_state_dict(states[name])
    list(train(second, range(2, EPOCHS + 1), midway=Midway(**states["midway"])))
    for one, other in zip([*second.encoder.trainable(), second.loss.proxy], whole, strict=True):
        assert torch.equal(one, other)


def test_the_state_holds_gradients_within_a_group_only() -> None:
    optimization = trainer_of(*made(), 2, FirstThree()).optimization
    assert "gradients" not in optimization.state_dict()
    optimization.begin_batch(0)
    assert not optimization.end_batch(0, 5)
    assert optimization.state_dict()["added"] == 1
    optimization.begin_batch(1)
    assert optimization.end_batch(1, 5)
    optimization.step(0)
    assert "gradients" not in optimization.state_dict()


def test_an_epoch_has_a_step_for_each_group() -> None:
    for batches in range(1, 12):
        for accumulate in range(1, 14):
            assert steps_of(batches, accumulate) == len(range(0, batches, accumulate))
