"""What a run leaves behind: the held-out triplets, the judgement, where its threshold comes from, the report's data."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamesekit.config import Config
from siamesekit.distances.cosine import Cosine
from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.engine.precision import choose_precision
from siamesekit.losses.loss import LossValue
from siamesekit.losses.triplet import Triplet
from siamesekit.preparation import Data, prepare_data, prepare_encoder
from siamesekit.progress import Progress
from siamesekit.results import HeldOut, judge, report_data

LoadConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def data(small_config: LoadConfig) -> Data:
    return prepare_data(small_config(), Progress())


def embeddings(labels: np.ndarray, noise: float = 0.6, seed: int = 0) -> Tensor:
    """Around a centre for each individual, of length 1."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(labels.max() + 1, 6))
    drawn = torch.from_numpy(centres[labels] + noise * rng.normal(size=(len(labels), 6))).float()
    return torch.nn.functional.normalize(drawn)


def judged(config: Config, data: Data, of_all: Tensor) -> dict:
    test = HeldOut.of(data, config.seed)
    networks = dict.fromkeys(("trained", "untrained", "raw_pixels"), of_all[test.photos])
    return judge(config, data, test, networks, SquaredEuclidean())[0]


def test_held_out_triplets_are_all_pairs_of_test_photos_with_a_stranger(data: Data) -> None:
    test = HeldOut.of(data, seed=5)
    assert test.photos.tolist() == list(data.split.test)
    assert test.labels.tolist() == [data.labels[i] for i in data.split.test]
    triplets = list(zip(*(index.tolist() for index in test.triplets), strict=True))
    pairs = [(i, j) for i, j in combinations(range(len(test.labels)), 2) if test.labels[i] == test.labels[j]]
    assert sorted((a, p) for a, p, _ in triplets) == pairs
    assert all(test.labels[a] != test.labels[n] for a, _, n in triplets)


def test_loss_and_accuracy_are_means_over_the_triplets(data: Data) -> None:
    test, distance = HeldOut.of(data, seed=5), SquaredEuclidean()
    embedded = embeddings(test.labels)
    losses, right = [], []
    for a, p, n in zip(*(index.tolist() for index in test.triplets), strict=True):
        d_ap, d_an = (float(((embedded[a] - embedded[other]) ** 2).sum()) for other in (p, n))
        losses.append(max(d_ap - d_an + 0.3, 0))
        right.append(d_ap < d_an)
    found = test.loss_and_accuracy(embedded, Triplet(0.3, "sum", distance=distance), distance)
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


def test_a_loss_by_class_is_null_for_individuals_that_did_not_train(data: Data) -> None:
    test, distance = HeldOut.of(data, seed=5), SquaredEuclidean()
    assert test.classes is None
    found = test.loss_and_accuracy(embeddings(test.labels), Centres(4), distance)
    assert found["test_loss"] is None
    assert 0 < found["test_accuracy"] < 1


def test_a_loss_by_class_numbers_individuals_that_trained_as_training_does(small_config: LoadConfig) -> None:
    data = prepare_data(small_config('split.by="photo"'), Progress())
    keep = [i for i in range(len(data.labels)) if data.labels[i] not in (0, 3)]  # so that numbers differ from labels
    split = replace(data.split, **{
        name: tuple(i for i in part if i in keep) for name, part in data.split.parts().items()
    })  # fmt: skip
    test = HeldOut.of(replace(data, split=split), seed=5)
    numbers = {label: number for number, label in enumerate(sorted({data.labels[i] for i in split.train}))}
    assert test.classes.tolist() == [numbers[data.labels[i]] for i in split.test]
    assert test.classes.tolist() != test.labels.tolist()
    embedded, loss = embeddings(test.labels), Centres(6)
    centres = loss.centres.detach()[test.classes]
    expected = sum(float(((a - b) ** 2).sum()) for a, b in zip(embedded, centres, strict=True)) / len(embedded)
    found = test.loss_and_accuracy(embedded, loss.train(), SquaredEuclidean())
    assert found["test_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_test_loss_that_is_not_finite_is_null(data: Data) -> None:
    test, distance = HeldOut.of(data, seed=5), SquaredEuclidean()
    broken = embeddings(test.labels) * torch.inf
    assert test.loss_and_accuracy(broken, Triplet(distance=distance), distance)["test_loss"] is None


def test_the_threshold_depends_on_held_out_individuals_alone(small_config: LoadConfig, data: Data) -> None:
    config, of_all = small_config(), embeddings(data.labels)
    before = judged(config, data, of_all)
    changed = of_all.clone()
    changed[list(data.split.train)] = embeddings(data.labels, seed=9)[list(data.split.train)]
    assert judged(config, data, changed) == before
    changed[data.split.test[0]] = -of_all[data.split.test[0]]
    assert judged(config, data, changed)["threshold"]["threshold"] != before["threshold"]["threshold"]


def test_the_judgement_counts_and_notes_few_individuals(small_config: LoadConfig, data: Data) -> None:
    found = judged(small_config(), data, embeddings(data.labels))
    assert (found["individuals"], found["photos"], found["triplets"], found["split"]) == (4, 16, 24, "identity")
    assert found["threshold"]["individuals"] == 4
    assert [note.partition(":")[0] for note in found["notes"]] == [
        "The threshold and its error rates rest on 4 held-out individuals"
    ]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("split.train=0.8",), "error rates are unknown: 2 held-out individuals are too few"),
        (("evaluation.false_accept_rate=0.01",), "96 different pairs are too few for a false-accept rate of 1.00%"),
        (('split.by="photo"',), 'No threshold: with split.by = "photo"'),
    ],
)
def test_what_a_threshold_is_not_worth_is_noted(
    small_config: LoadConfig, overrides: tuple[str, ...], says: str
) -> None:
    config = small_config(*overrides)
    data = prepare_data(config, Progress())
    found = judged(config, data, embeddings(data.labels))
    assert any(says in note for note in found["notes"]), found["notes"]
    assert (found["threshold"] is None) == ("No threshold" in says)


def test_embeddings_that_tell_nothing_give_no_threshold(small_config: LoadConfig, data: Data) -> None:
    found = judged(small_config(), data, torch.ones(len(data.labels), 3))
    assert found["threshold"] is None
    assert found["notes"] == [
        "No threshold: the distance does not tell same from different on the held-out individuals."
    ]


def test_notes_of_the_data_come_first(small_config: LoadConfig, data: Data) -> None:
    found = judged(small_config(), replace(data, notes=("1 individual was left out",)), embeddings(data.labels))
    assert found["notes"][0] == "1 individual was left out"


def test_the_report_s_data_are_the_distances_and_the_ten_hardest(small_config: LoadConfig, data: Data) -> None:
    config, precision = small_config(), choose_precision("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test, distance = HeldOut.of(data, config.seed), Cosine()
    embedded = embeddings(test.labels)
    shown = report_data(
        config, data, built, precision, test, embedded, distance, Triplet(distance=distance), [],
        judged(config, data, embeddings(data.labels)),
    )  # fmt: skip

    pairs = list(combinations(range(16), 2))
    same = [float(1 - embedded[i] @ embedded[j]) for i, j in pairs if test.labels[i] == test.labels[j]]
    different = [float(1 - embedded[i] @ embedded[j]) for i, j in pairs if test.labels[i] != test.labels[j]]
    np.testing.assert_allclose(shown.same, same, atol=1e-6)
    np.testing.assert_allclose(shown.different, different, atol=1e-6)

    a, p, n = (embedded[index] for index in test.triplets)
    excess = ((a * n).sum(1) - (a * p).sum(1)).tolist()
    hardest = [t.d_ap - t.d_an for t in shown.hardest]
    assert hardest == pytest.approx(sorted(excess, reverse=True)[:10], abs=1e-6)
    for triplet in shown.hardest:
        assert triplet.anchor.individual == triplet.positive.individual != triplet.negative.individual
        for picture in (triplet.anchor, triplet.positive, triplet.negative):
            photo = next(i for i, record in enumerate(data.records) if record.name == picture.name)
            assert picture.individual == data.records[photo].individual
            np.testing.assert_array_equal(picture.pixels.transpose(2, 0, 1), data.images[photo].numpy())
    facts = dict(shown.facts)
    assert facts["Photos"] == "16 train, 16 test; reader folder"
    assert facts["Individuals"] == "4 train, 4 test; split by identity"
    assert "trained from layer3; random, BatchNorm-calibrated weights" in facts["Encoder"]
    assert facts["Sampler"] == "all-pairs (photos 4), batches of 10"
    assert "Miner" not in facts


def test_the_report_names_a_miner_and_no_batch_size_that_is_not_used(small_config: LoadConfig, data: Data) -> None:
    config = small_config("sampler.name=p-by-k", "miner.name=semi-hard")
    precision = choose_precision("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test = HeldOut.of(data, config.seed)
    shown = report_data(config, data, built, precision, test, embeddings(test.labels), Cosine(), object(), [], {})
    assert dict(shown.facts)["Sampler"] == "p-by-k (individuals 16, photos 4)"
    assert dict(shown.facts)["Miner"] == "semi-hard"


def test_the_report_names_how_the_weights_move_and_what_the_doctor_finds(small_config: LoadConfig, data: Data) -> None:
    config = small_config(
        "schedule.name=step", "optimizer.layer_decay=0.5", "optimizer.clip_norm=2.0", "train.average=0.99",
        "loss.optimizer.name=sgd",
    )  # fmt: skip
    precision = choose_precision("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test, distance = HeldOut.of(data, config.seed), SquaredEuclidean()
    lines = [{"epoch": epoch, "train_loss": 0.5, "embedding_variance": 0.0} for epoch in range(1, 5)]
    loss = Triplet(0.5, distance=distance)
    shown = report_data(config, data, built, precision, test, embeddings(test.labels), distance, loss, lines, {})
    facts = dict(shown.facts)
    assert facts["Schedule"] == "step (every 20, gamma 0.1)"
    assert facts["Optimizer"].endswith("layer by layer 0.5 times the rate, gradients clipped to 2.0, weights averaged "
                                       "with decay 0.99")  # fmt: skip
    assert facts["Optimizer of the loss"].startswith("sgd (lr 0.01")
    assert [(finding.name, finding.first, finding.last) for finding in shown.findings] == [("collapse", 1, 4)]
