"""Training photos that also train mirrored: what is stored, sampled and planned, and whole runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import FP32, LoadConfig, StopAt, metrics, outcome, run_fp32
from siamesekit.config import load_config
from siamesekit.errors import DataError
from siamesekit.experiment.assembly import (
    build_loss,
    build_recipe,
    build_sampler,
    build_trainer,
    store_frozen_part,
    views_of,
)
from siamesekit.experiment.dataset import Dataset, prepare_dataset
from siamesekit.experiment.prepared_encoder import prepare_encoder
from siamesekit.experiment.running import check
from siamesekit.experiment.setup import Setup
from siamesekit.experiment.stopping import Stopped
from siamesekit.experiment.training_photos import training_photos, with_mirrored
from siamesekit.progress import Progress
from siamesekit.registry import DISTANCES

pytestmark = pytest.mark.usefixtures("plain_charts")

MIRRORED = "sampler.mirrored=individuals"
ALL_PARTS = (
    MIRRORED,
    "encoder.pooling=gem",
    "encoder.head.neck=batchnorm",
    "augmentation.name=photo-id-strong",
    "distance.name=cosine",
    "sampler.name=p-by-k",
    "sampler.individuals=4",
    "loss.name=arcface",
    "loss.smallest_margin=0.1",
    "loss.smoothing=0.1",
    "loss.sub_centers=2",
    "train.average=0.9",
)


@pytest.fixture(scope="module")
def dataset(small_config: LoadConfig) -> Dataset:
    """Eight individuals of four photos, half of them to train; in groups."""
    data = prepare_dataset(small_config(), Progress())
    records = tuple(replace(record, group=record.name[-5]) for record in data.records)
    return replace(data, records=records)


def test_without_the_option_the_photos_are_those_of_the_split(small_config: LoadConfig, dataset: Dataset) -> None:
    photos = training_photos(small_config(), dataset)
    assert photos.images.tolist() == list(dataset.split.train)
    np.testing.assert_array_equal(photos.labels, dataset.labels_in(dataset.split.train))
    assert photos.counts().tolist() == [4] * 4
    assert with_mirrored(small_config(), dataset) is dataset.images


@pytest.mark.parametrize("gib", ["2.0", "0.0"], ids=["in memory", "in a file"])
def test_mirrored_photos_follow_as_photos_of_further_individuals(
    small_config: LoadConfig, dataset: Dataset, gib: str
) -> None:
    config = small_config(MIRRORED, f"data.memory_gib={gib}")
    photos, images = training_photos(config, dataset), with_mirrored(config, dataset)
    train = list(dataset.split.train)
    assert torch.equal(images[: len(dataset.images)], dataset.images)
    groups = dataset.groups()
    assert groups is not None
    assert photos.groups is not None
    for place, (photo, label, group, name) in enumerate(
        zip(photos.images.tolist(), photos.labels, photos.groups, photos.names, strict=True)
    ):
        original = train[place % 16]
        mirrored = place >= 16
        expected = dataset.images[original].numpy()
        np.testing.assert_array_equal(images[photo].numpy(), expected[:, :, ::-1] if mirrored else expected)
        assert label == dataset.labels_in(train)[place % 16] + 4 * mirrored
        assert group == groups[original]
        assert name == dataset.records[original].name + " (mirrored)" * mirrored
    assert photos.counts().tolist() == [4] * 8


@pytest.fixture(scope="module")
def with_sides(dataset: Dataset) -> Dataset:
    """Each individual's photos alternate between left and right; the last photo's side is unknown."""
    sides = [*("left", "right") * (len(dataset.records) // 2 - 1), "left", ""]
    records = tuple(
        replace(record, attributes={"side": side, "site": "North"})
        for record, side in zip(dataset.records, sides, strict=True)
    )
    return replace(dataset, records=records)


def test_individuals_train_divided_by_columns_and_are_tested_whole(
    small_config: LoadConfig, with_sides: Dataset
) -> None:
    photos = training_photos(small_config("sampler.apart=['side', 'site']"), with_sides)
    train = [with_sides.records[photo] for photo in with_sides.split.train]
    owners = [(record.individual, record.attributes["side"]) for record in train]
    expected = [[one == other for other in owners] for one in owners]
    np.testing.assert_array_equal(photos.labels[:, None] == photos.labels, expected)
    assert sorted(set(photos.labels)) == list(range(len(set(owners))))
    assert with_sides.labels_in(with_sides.split.train).max() == 3, "four individuals"


def test_told_apart_and_mirrored_they_are_four_times_as_many(small_config: LoadConfig, with_sides: Dataset) -> None:
    sides = replace(with_sides, records=tuple(replace(r, attributes={"side": r.name[-5]}) for r in with_sides.records))
    plain = training_photos(small_config("sampler.apart=['side']"), sides).labels
    both = training_photos(small_config("sampler.apart=['side']", MIRRORED), sides).labels
    np.testing.assert_array_equal(both, [*plain, *(plain + plain.max() + 1)])


def test_a_column_that_no_training_photo_has_is_refused(small_config: LoadConfig, with_sides: Dataset) -> None:
    with pytest.raises(
        DataError, match=r"sampler\.apart names 'sides', which no training photo has.*'side'.*side, site"
    ):
        training_photos(small_config("sampler.apart=['sides']"), with_sides)


@pytest.mark.slow
def test_the_plan_names_the_columns_that_tell_apart(small_config: LoadConfig, tmp_path: Path) -> None:
    config = small_config()
    root = config.data.options["root"]
    photos = sorted(Path(root).rglob("*.*"))
    sides = "lr" * len(photos)
    rows = [f"{p.relative_to(root)},{p.parent.name},{side}" for p, side in zip(photos, sides, strict=False)]
    (tmp_path / "t.csv").write_text("\n".join(["photo,individual,side", *rows]))
    reading = ("data.reader=csv", f"data.file={tmp_path / 't.csv'}", f"data.root={root}")
    plan = check(small_config(*reading, "sampler.apart=['side']"))
    assert ("told apart", "by side, the individuals train as 8") in plan.rows()
    assert "told apart" not in dict(check(config).rows())


def test_the_fingerprint_knows_the_columns_that_tell_apart(with_sides: Dataset) -> None:
    records = list(with_sides.records)
    records[0] = replace(records[0], attributes={"side": "right", "site": "North"})
    turned = replace(with_sides, records=tuple(records))
    assert turned.fingerprint(["side"]) != with_sides.fingerprint(["side"])
    assert turned.fingerprint(["site"]) == with_sides.fingerprint(["site"]) != with_sides.fingerprint()


def made(small_config: LoadConfig, dataset: Dataset, *overrides: str) -> Setup:
    config = small_config(*overrides)
    return Setup(config, dataset, prepare_encoder(config, dataset.images, FP32, Progress()), FP32)


def test_the_frozen_part_is_stored_for_mirrored_photos_and_for_their_views(
    small_config: LoadConfig, dataset: Dataset
) -> None:
    setup = made(small_config, dataset, MIRRORED, "augmentation.name=photo-id", "augmentation.views=2")
    stored = store_frozen_part(setup, Progress())
    assert stored.cached
    assert stored.images == 32 + 16
    assert len(stored.tensors[0]) == 32 + 16 + 2 * 32
    flipped = dataset.images[list(dataset.split.train)].flip(3)
    mirrored = torch.arange(32, 48)
    with torch.no_grad():
        torch.testing.assert_close(stored.embeddings(mirrored, FP32), setup.encoder(flipped), rtol=1e-3, atol=1e-5)
        views = views_of(setup)
        assert views is not None
        second = setup.encoder(views.make(flipped, mirrored, 0, 1))
        torch.testing.assert_close(stored.embeddings(mirrored, FP32, epoch=2), second, rtol=1e-3, atol=1e-5)
        of_photos = views.make(dataset.images[list(dataset.split.train)], torch.tensor(dataset.split.train), 0, 1)
    assert not torch.equal(views.make(flipped, mirrored, 0, 1), of_photos.flip(3)), "the views differ from the photos'"


def test_every_part_of_the_training_sees_the_doubled_individuals(small_config: LoadConfig, dataset: Dataset) -> None:
    overrides = ("loss.name=arcface", "distance.name=cosine", "sampler.name=p-by-k", "sampler.individuals=8")
    setup = made(small_config, dataset, MIRRORED, *overrides)
    distance = DISTANCES.build("cosine")
    assert len(build_loss(setup, distance).centers) == 8  # type: ignore[attr-defined]
    [batch] = build_sampler(setup, distance).epoch(1)
    assert sorted(batch.images.tolist()) == list(range(32))
    assert len(build_sampler(setup, distance, dataset.split.test)) == 1, "the test photos are not mirrored"
    trainer = build_trainer(setup, build_recipe(setup), store_frozen_part(setup, Progress()), Progress())
    assert trainer.labels.bincount().tolist() == [4] * 8
    assert trainer.names is not None
    assert len(trainer.names) == len(trainer.images) == 32


@pytest.mark.medium
def test_the_plan_counts_mirrored_photos(small_config: LoadConfig) -> None:
    by_k = ("sampler.name=p-by-k", "sampler.individuals=4", "sampler.photos=4", "encoder.train_from=head")
    plain = check(small_config(*by_k, "augmentation.name=flip"), "cpu", "fp32")
    plan = check(small_config(*by_k, "augmentation.name=flip", MIRRORED), "cpu", "fp32")
    assert (plain.batches, plain.triplets) == (1, 16 * 3 * 12)
    assert (plan.batches, plan.triplets) == (2, 2 * 16 * 3 * 12)
    assert (plain.mirrored, plan.mirrored) == (0, 16)
    assert (plain.photos, plain.individuals) == (plan.photos, plan.individuals)
    assert ("mirrored", "16 train photos, as further individuals") in plan.rows()
    assert "mirrored" not in dict(plain.rows())
    assert plan.cache_bytes == plain.cache_bytes // (32 + 4 * 16) * (48 + 4 * 32)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["all-pairs", "p-by-k", "mined"])
def test_a_run_with_mirrored_individuals_tests_on_the_same_photos(
    project: Path, small_config: LoadConfig, tmp_path: Path, sampler: str
) -> None:
    content = (
        (project / "config.toml").read_text().replace("photos = 4\n", "" if sampler == "mined" else "photos = 4\n")
    )
    (project / "mirrored.toml").write_text(content)
    plain = run_fp32(small_config("train.epochs=1"), tmp_path / "plain")
    first = ["sampler.first=1"] if sampler == "mined" else []
    config = load_config(project / "mirrored.toml", [MIRRORED, f"sampler.name={sampler}", *first, "train.epochs=1"])
    mirrored = run_fp32(config, tmp_path / "mirrored")
    assert (plain.folder / "split.json").read_bytes() == (mirrored.folder / "split.json").read_bytes()
    assert metrics(mirrored.folder)[0]["test_accuracy"] is not None


@pytest.mark.slow
def test_a_run_with_all_parts_ends_in_the_same_bytes_however_it_is_broken_off(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    run_fp32(small_config(*ALL_PARTS, "train.epochs=3"), tmp_path / "whole")
    run_fp32(small_config(*ALL_PARTS, "train.epochs=1"), tmp_path / "parts")
    with pytest.raises(Stopped):
        run_fp32(small_config(*ALL_PARTS, "train.epochs=3"), tmp_path / "parts", resume=True, stop=StopAt(2))
    run_fp32(small_config(*ALL_PARTS, "train.epochs=3"), tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
