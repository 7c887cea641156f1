"""What each epoch is judged on: its triplets, and a loss over the same kind of terms as in training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import LoadConfig, embeddings
from helpers import rows_of
from oracles import (
    every_pair,
    info_nce_losses,
    positive_pairs,
    ranked_right,
    squared_distance,
    squared_distances,
    triplet_losses,
)
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.info_nce import InfoNCELoss
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.components.miners.batch_hard import BatchHardMiner
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import Triplets
from siamesekit.engine.test_set import TestSet
from siamesekit.experiment.dataset import Dataset, prepare_dataset
from siamesekit.progress import Progress


@pytest.fixture(scope="module")
def data(small_config: LoadConfig) -> Dataset:
    return prepare_dataset(small_config(), Progress())


def test_held_out_triplets_are_all_pairs_of_test_photos_with_a_stranger(data: Dataset) -> None:
    test = TestSet.of(data.labels, data.split, seed=5)
    assert test.photos.tolist() == list(data.split.test)
    assert test.labels.tolist() == [data.labels[i] for i in data.split.test]
    triplets = rows_of(test.triplets)
    assert sorted((a, p) for a, p, _ in triplets) == positive_pairs(test.labels)
    assert all(test.labels[a] != test.labels[n] for a, _, n in triplets)


def test_loss_and_accuracy_are_means_over_the_triplets(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, seed=5), SquaredEuclidean()
    embedded = embeddings(test.labels)
    losses = [loss.item() for loss in triplet_losses(embedded.double(), test.triplets, margin=0.3)]
    right = ranked_right(squared_distances(embedded), rows_of(test.triplets))
    found = test.loss_and_accuracy(embedded, TripletLoss(0.3, "sum", distance=distance), distance)
    assert 0 < np.mean(right) < 1
    assert found == pytest.approx({"test_loss": np.mean(losses), "test_accuracy": np.mean(right)}, rel=1e-5)


class Centres(nn.Module):
    """The squared distance from a centre of each class, in training mode ten times as much."""

    by_class = True

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.arange(6.0 * classes).reshape(classes, 6) / 10)

    def forward(self, embeddings: Tensor, labels: Tensor, tuples: object) -> LossValue:
        assert tuples is None
        objective = (embeddings - self.centres[labels]).square().sum(1).mean() * (10 if self.training else 1)
        return LossValue(objective, objective.detach(), torch.ones(()))


def test_a_loss_by_class_is_null_for_individuals_that_did_not_train(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, seed=5), SquaredEuclidean()
    assert test.classes is None
    found = test.loss_and_accuracy(embeddings(test.labels), Centres(4), distance)
    assert found["test_loss"] is None
    assert 0 < found["test_accuracy"] < 1


def test_a_loss_by_class_numbers_individuals_that_trained_as_training_does(small_config: LoadConfig) -> None:
    data = prepare_dataset(small_config('split.by="photo"'), Progress())
    keep = [i for i in range(len(data.labels)) if data.labels[i] not in (0, 3)]  # so that numbers differ from labels
    split = replace(
        data.split, **{name: tuple(i for i in part if i in keep) for name, part in data.split.parts().items()}
    )
    test = TestSet.of(data.labels, split, seed=5)
    numbers = {label: number for number, label in enumerate(sorted({data.labels[i] for i in split.train}))}
    assert test.classes.tolist() == [numbers[data.labels[i]] for i in split.test]
    assert test.classes.tolist() != test.labels.tolist()
    embedded, loss = embeddings(test.labels), Centres(6)
    centres = loss.centres.detach()[test.classes]
    expected = sum(float(((a - b) ** 2).sum()) for a, b in zip(embedded, centres, strict=True)) / len(embedded)
    found = test.loss_and_accuracy(embedded, loss.train(), SquaredEuclidean())
    assert found["test_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_test_loss_that_is_not_finite_is_null(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, seed=5), SquaredEuclidean()
    broken = embeddings(test.labels) * torch.inf
    assert test.loss_and_accuracy(broken, TripletLoss(distance=distance), distance)["test_loss"] is None


BATCHES = (Batch(torch.tensor([0, 1, 4, 5, 8]), None), Batch(torch.tensor([2, 3, 6, 7, 12, 13]), None))
"""Of the 16 test photos, four of each of four individuals in turn."""


def info_nce(embedded: Tensor, labels: np.ndarray) -> float:
    """The mean over the positive pairs, both ways round, by the definition with the temperature 0.5."""
    losses = info_nce_losses(embedded.double(), every_pair(labels), 0.5, squared_distance)
    return float(torch.stack(losses).mean())


def test_a_loss_over_all_pairs_is_taken_over_batches_as_in_training(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, 5, BATCHES), SquaredEuclidean()
    embedded = embeddings(test.labels)
    expected = np.mean([info_nce(embedded[batch.images], test.labels[batch.images]) for batch in BATCHES])
    found = test.loss_and_accuracy(embedded, InfoNCELoss(0.5, distance=distance), distance)
    assert found["test_loss"] == pytest.approx(expected, rel=1e-5)
    of_triplets = replace(test, batches=None).loss_and_accuracy(embedded, InfoNCELoss(0.5, distance=distance), distance)
    assert of_triplets["test_accuracy"] == found["test_accuracy"]
    assert of_triplets["test_loss"] != pytest.approx(expected, rel=0.01)


def test_a_miner_chooses_in_each_batch_as_in_training(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, 5, BATCHES), SquaredEuclidean()
    embedded, means = embeddings(test.labels), []
    for batch in BATCHES:
        rows, own = embedded[batch.images], test.labels[batch.images.numpy()]
        d = torch.cdist(rows.double(), rows.double()).square()
        losses = []
        for a in range(len(own)):
            positives = [d[a, p].item() for p in range(len(own)) if p != a and own[p] == own[a]]
            negatives = [d[a, n].item() for n in range(len(own)) if own[n] != own[a]]
            if positives:
                losses.append(max(max(positives) - min(negatives) + 0.3, 0))
        means.append(np.mean(losses))
    found = test.loss_and_accuracy(
        embedded, TripletLoss(0.3, distance=distance), distance, BatchHardMiner(distance=distance)
    )
    assert found["test_loss"] == pytest.approx(np.mean(means), rel=1e-4)


class Chance:
    """Remembers, and draws from torch's generator."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
        self.calls += 1
        draw = int(torch.randint(2, ()))
        return Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2 + draw]))


def test_judging_changes_nothing_in_training(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, 5, BATCHES), SquaredEuclidean()
    miner, before = Chance(), torch.get_rng_state()
    found = [
        test.loss_and_accuracy(embeddings(test.labels), TripletLoss(0.3, distance=distance), distance, miner)
        for _ in range(5)
    ]
    assert found == [found[0]] * 5, "the same draws each time"
    assert miner.calls == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_without_a_term_do_not_count_and_without_any_there_is_no_loss(data: Dataset) -> None:
    test, distance = TestSet.of(data.labels, data.split, 5, BATCHES), SquaredEuclidean()
    embedded, loss = embeddings(test.labels), InfoNCELoss(0.5, distance=distance)
    alone = Batch(torch.tensor([0, 1]), None)
    expected = test.loss_and_accuracy(embedded, loss, distance)
    assert replace(test, batches=(*BATCHES, alone)).loss_and_accuracy(embedded, loss, distance) == expected
    for batches in ((), (alone,)):
        found = replace(test, batches=batches).loss_and_accuracy(embedded, loss, distance)
        assert (found["test_loss"], found["test_accuracy"]) == (None, expected["test_accuracy"])
