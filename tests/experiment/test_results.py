"""What a run leaves behind: the judgement, where its threshold comes from, the manifest's times, the report's data."""

import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from conftest import LoadConfig
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.config import Config
from siamesekit.data.images import read_pixels
from siamesekit.engine.test_set import TestSet
from siamesekit.experiment.assembly import Recipe
from siamesekit.experiment.dataset import Dataset, prepare_dataset
from siamesekit.experiment.evaluation_set import evaluation_set
from siamesekit.experiment.judgement import Network, judge, threshold
from siamesekit.experiment.manifest import completed, manifest
from siamesekit.experiment.prepared_encoder import prepare_encoder
from siamesekit.experiment.report_content import report_content
from siamesekit.experiment.setup import Setup
from siamesekit.hardware.compute import choose_compute
from siamesekit.progress import Progress
from siamesekit.report.content import ReportData


def embeddings(labels: np.ndarray, seed: int = 0) -> Tensor:
    """Of individuals that lie apart, each on an axis of its own."""
    noise = 0.2 * np.random.default_rng(seed).normal(size=(len(labels), labels.max() + 1))
    return torch.nn.functional.normalize(torch.from_numpy(np.eye(labels.max() + 1)[labels] + noise).float())


@pytest.fixture(scope="module")
def data(small_config: LoadConfig) -> Dataset:
    return prepare_dataset(small_config(), Progress())


def shown_of(
    setup: Setup,
    trained: Tensor,
    distance: Distance,
    loss: object,
    evaluation: dict[str, Any] | None = None,
    **log: Any,
) -> ReportData:
    """The report's content for embeddings of the test photos; `log` has lines of metrics.jsonl and the kept epoch."""
    chosen = evaluation_set(setup.config, setup.dataset)
    so_far = SimpleNamespace(**{"lines": [], "kept_epoch": 0} | log)
    return report_content(setup, Recipe(distance, loss, None, [], 0), chosen, trained, so_far, evaluation or {})


def judged(config: Config, data: Dataset, of_all: Tensor) -> dict:
    distance, chosen = SquaredEuclidean(), evaluation_set(config, data)
    networks = dict.fromkeys(("trained", "untrained", "raw_pixels"), Network(of_all[chosen.photos], distance))
    point, notes = threshold(config, chosen, of_all[chosen.photos], distance)
    return judge(config, chosen, networks, point, notes)


def test_the_threshold_depends_on_held_out_individuals_alone(small_config: LoadConfig, data: Dataset) -> None:
    config, of_all = small_config(), embeddings(data.labels)
    before = judged(config, data, of_all)
    changed = of_all.clone()
    changed[list(data.split.train)] = embeddings(data.labels, seed=9)[list(data.split.train)]
    assert judged(config, data, changed) == before
    changed[data.split.test[0]] = -of_all[data.split.test[0]]
    assert judged(config, data, changed)["threshold"]["threshold"] != before["threshold"]["threshold"]


def test_the_judgement_counts_and_notes_few_individuals(small_config: LoadConfig, data: Dataset) -> None:
    found = judged(small_config(), data, embeddings(data.labels))
    assert (found["individuals"], found["photos"], found["triplets"], found["split"]) == (4, 16, 24, "identity")
    assert found["threshold"]["individuals"] == 4
    assert [note.partition(":")[0] for note in found["notes"]] == [
        "The threshold and its error rates come from only 4 test individuals"
    ]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("split.train=0.8",), "error rates are unknown: 2 test individuals are too few"),
        (("evaluation.false_accept_rate=0.01",), "96 different pairs are too few for a false-accept rate of 1.00%"),
        (('split.by="photo"',), 'No threshold: with split.by = "photo"'),
    ],
)
def test_what_a_threshold_is_not_worth_is_noted(
    small_config: LoadConfig, overrides: tuple[str, ...], says: str
) -> None:
    config = small_config(*overrides)
    data = prepare_dataset(config, Progress())
    found = judged(config, data, embeddings(data.labels))
    assert any(says in note for note in found["notes"]), found["notes"]
    assert (found["threshold"] is None) == ("No threshold" in says)


def test_embeddings_that_tell_nothing_give_no_threshold(small_config: LoadConfig, data: Dataset) -> None:
    found = judged(small_config(), data, torch.ones(len(data.labels), 3))
    assert found["threshold"] is None
    assert found["notes"] == [
        "No threshold: the distance does not separate same and different pairs of the test individuals."
    ]


@pytest.mark.medium
def test_labels_that_are_permuted_give_no_threshold(small_config: LoadConfig, data: Dataset) -> None:
    shipped = 0
    for seed in range(20):
        found = judged(small_config(), data, embeddings(np.random.default_rng(seed).permutation(data.labels)))
        shipped += found["threshold"] is not None
    assert shipped <= 2


def test_the_report_s_data_are_the_distances_and_the_ten_hardest(small_config: LoadConfig, data: Dataset) -> None:
    config, precision = small_config(), choose_compute("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test, distance = TestSet.of(data.labels, data.split, config.seed), Cosine()
    embedded = embeddings(test.labels)
    setup = Setup(config, data, built, precision)
    shown = shown_of(
        setup,
        embedded,
        distance,
        TripletLoss(distance=distance),
        evaluation=judged(config, data, embeddings(data.labels)),
    )

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
    names = [data.records[int(photo)].name for photo in test.photos]
    queries = [ranking.query.individual for ranking in shown.rankings]
    assert queries == [data.individuals[label] for label in sorted(set(test.labels.tolist()))]
    for ranking in shown.rankings:
        query = names.index(ranking.query.name)
        assert list(test.labels).index(test.labels[query]) == query
        others = sorted((float(1 - embedded[query] @ embedded[i]), names[i]) for i in range(16) if i != query)
        assert [picture.name for picture, _ in ranking.found] == [name for _, name in others[:5]]
        assert [value for _, value in ranking.found] == pytest.approx([value for value, _ in others[:5]], abs=1e-6)
    facts = dict(shown.facts)
    assert facts["Photos"] == "16 train, 16 test"
    assert facts["Read from"] == "a folder for each individual"
    assert facts["Loss"] == "triplet (margin 1.0)", "what is as usual, and is no number, says nothing"
    assert set(shown.parts) == {"train", "test"}
    for part, photos in data.split.parts().items():
        assert set(shown.parts[part]) == {data.records[photo].individual for photo in photos}
    assert shown.findings == ()
    assert facts["Individuals"] == "4 train, 4 test; split by identity"
    assert "trained from layer3; random, BatchNorm-calibrated weights" in facts["Encoder"]
    assert facts["Sampler"] == "all-pairs (photos 4), batches of 10"
    assert "Miner" not in facts


def test_the_report_names_a_miner_and_no_batch_size_that_is_not_used(small_config: LoadConfig, data: Dataset) -> None:
    config = small_config("sampler.name=p-by-k", "miner.name=semi-hard")
    precision = choose_compute("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test = TestSet.of(data.labels, data.split, config.seed)
    shown = shown_of(Setup(config, data, built, precision), embeddings(test.labels), Cosine(), object())
    assert dict(shown.facts)["Sampler"] == "p-by-k (individuals 16, photos 4)"
    assert dict(shown.facts)["Miner"] == "semi-hard"


def test_the_report_names_how_the_weights_move_and_what_the_doctor_finds(
    small_config: LoadConfig, data: Dataset
) -> None:
    config = small_config(
        "schedule.name=step",
        "optimizer.layer_decay=0.5",
        "optimizer.clip_norm=2.0",
        "train.average=0.99",
        "loss.optimizer.name=sgd",
    )
    precision = choose_compute("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test, distance = TestSet.of(data.labels, data.split, config.seed), SquaredEuclidean()
    lines = [{"epoch": epoch, "train_loss": 0.5, "embedding_variance": 0.0} for epoch in range(1, 5)]
    loss = TripletLoss(0.5, distance=distance)
    shown = shown_of(
        Setup(config, data, built, precision), embeddings(test.labels), distance, loss, lines=lines, kept_epoch=4
    )
    facts = dict(shown.facts)
    assert facts["Schedule"] == "step (every 20, gamma 0.1)"
    assert facts["Optimizer"].endswith(
        "layer by layer 0.5 times the rate, gradients clipped to 2.0, weights averaged with decay 0.99"
    )
    assert facts["Optimizer of the loss"].startswith("sgd (lr 0.01")
    assert [(finding.name, finding.first, finding.last) for finding in shown.findings] == [("collapse", 1, 4)]


def test_the_manifest_s_times_add_up() -> None:
    seconds = {"preparation": 1.5, "frozen_part": 2.0, "training": 30.0, "evaluation": 0.25}
    done = completed({"name": "x", "complete": False, "seconds": {}, "kept_epoch": None}, 7, seconds)
    assert done["seconds"] == {**seconds, "total": 33.75}
    assert (done["complete"], done["kept_epoch"], done["name"]) == (True, 7, "x")


def test_a_loss_by_class_is_said_to_be_the_reason_only_where_it_is(small_config: LoadConfig, data: Dataset) -> None:
    config, precision = small_config(), choose_compute("cpu", "fp32")
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test, distance = TestSet.of(data.labels, data.split, config.seed), SquaredEuclidean()

    class ByClass:
        by_class = True

    for loss, expected in ((ByClass(), True), (TripletLoss(0.5, distance=distance), False)):
        shown = shown_of(Setup(config, data, built, precision), embeddings(test.labels), distance, loss)
        assert shown.loss_by_class == expected


def test_the_manifest_names_who_was_left_out_and_counts_what_was_passed_over(
    small_config: LoadConfig, project: Path, tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(project / "photos", tmp_path / "photos"))
    (photos / "single").mkdir()
    shutil.copy(photos / "striped_0" / "0.png", photos / "single" / "only.png")
    (photos / "striped_1" / "0.png").write_bytes(b"")
    (photos / "striped_2" / "9.NEF").touch()
    config = small_config(f"data.root={photos}", "data.singletons=leave-out")
    data = prepare_dataset(config, Progress(), skip_bad=True)
    precision = choose_compute("cpu", "fp32")
    built = prepare_encoder(config, data.images, precision, Progress())
    told = manifest(Setup(config, data, built, precision), cached=False)["data"]
    assert told["left_out"] == [
        {"photo": "striped_1/0.png", "reason": "is empty (0 bytes)"},
        {"photo": "single/only.png", "reason": "is the only photo of its individual"},
    ]
    assert told["passed_over"] == {".NEF": 1}


def test_a_report_has_the_photos_themselves_no_larger_than_it_shows_them(
    small_config: LoadConfig, data: Dataset, tmp_path: Path
) -> None:
    """Beside the network's squares; a photo that has gone since it was read is shown as its square alone."""
    config, precision, distance = small_config(), choose_compute("cpu", "fp32"), Cosine()
    built = prepare_encoder(config, data.images[list(data.split.train)], precision, Progress())
    test = TestSet.of(data.labels, data.split, config.seed)
    large, gone = (int(test.photos[list(test.labels).index(label)]) for label in sorted(set(test.labels.tolist()))[:2])
    Image.fromarray(np.full((300, 1200, 3), 90, np.uint8)).save(tmp_path / "large.png")
    records = list(data.records)
    for photo, name in ((large, "large.png"), (gone, "gone.png")):
        records[photo] = replace(records[photo], source=tmp_path / name, root=None)
    setup = Setup(config, replace(data, records=tuple(records)), built, precision)
    evaluation = judged(config, data, embeddings(data.labels))
    shown = shown_of(setup, embeddings(test.labels), distance, TripletLoss(distance=distance), evaluation=evaluation)
    first, second, *others = (ranking.query for ranking in shown.rankings)
    assert first.photo is not None
    assert first.photo.shape == (128, 512, 3)
    assert (first.photo == 90).all()
    assert second.photo is None
    for picture in others:
        assert picture.photo is not None
        record = next(record for record in data.records if record.name == picture.name)
        np.testing.assert_array_equal(picture.photo, read_pixels(record))
