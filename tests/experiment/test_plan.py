"""The plan: its counts are exact, its estimates near enough to decide by, and it leaves nothing behind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import peak_memory
from conftest import LoadConfig, write_photos
from siamesekit.engine.cost import Cost
from siamesekit.experiment import plan as planning
from siamesekit.experiment.running import check, run


def test_counts_are_exact(small_config: LoadConfig) -> None:
    plan = check(small_config("split.validation=0.5"), "cpu", "fp32")
    assert plan.individuals == {"train": 2, "validation": 2, "test": 4}
    assert plan.photos == {"train": 8, "validation": 8, "test": 16}
    assert plan.triplets == 2 * 4 * 3 // 2
    assert (plan.batches, plan.steps) == (2, 2 * 2)
    assert plan.device == "cpu, fp32"
    assert plan.stand_ins == ()


def test_a_step_of_several_batches_is_counted_once(small_config: LoadConfig) -> None:
    plan = check(small_config("sampler.batch_size=4", "train.accumulate=4", "train.epochs=5"), "cpu", "fp32")
    assert (plan.batches, plan.steps) == (6, 5 * 2)
    assert ("steps", "10, of up to 4 batches each") in plan.rows()


@pytest.mark.medium
def test_all_triplets_of_p_by_k_are_counted_and_a_miner_s_are_not_known(small_config: LoadConfig) -> None:
    by_k = ("sampler.name=p-by-k", "sampler.individuals=2", "sampler.photos=3")  # four individuals of four photos
    plan = check(small_config(*by_k), "cpu", "fp32")
    assert (plan.batches, plan.steps) == (2, 4)
    assert plan.triplets == 2 * (6 * 2 * 3)
    mined = check(small_config(*by_k, "miner.name=batch-hard"), "cpu", "fp32")
    assert (mined.batches, mined.triplets) == (2, None)


def test_parameters_and_cache_are_counted(small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MEASURED_IMAGES", 5)
    plan = check(small_config("encoder.train_from=head", "encoder.head.batchnorm=false"), "cpu", "fp32")
    head = (96 * 32 + 32) + (32 * 16 + 16)
    assert plan.trainable == head
    assert plan.parameters > head + 300_000
    assert "cached" in plan.frozen_part
    assert plan.cache_bytes == 32 * 96 * 4
    whole = check(small_config("encoder.train_from="), "cpu", "fp32")
    assert "trains from its first layer on" in whole.frozen_part
    assert whole.cache_bytes == 32 * 3 * 32 * 32


def test_views_are_counted_for_the_photos_that_train_alone(small_config: LoadConfig) -> None:
    frozen = ("encoder.train_from=head", "augmentation.name=flip", "augmentation.views=3")
    assert check(small_config(*frozen), "cpu", "fp32").cache_bytes == (32 + 3 * 16) * 96 * 4


@pytest.mark.medium
def test_a_frozen_part_that_is_too_large_is_told_in_its_own_size(
    small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all photos, not of the few that are tried; and photos are what is kept then."""
    monkeypatch.setattr(planning, "MEASURED_IMAGES", 4)
    size = 32 * 48 * 4 * 4 * 4 / 2**30  # what crosses the cut of the small network
    kept = check(small_config(f"encoder.cache_gib={1.01 * size}"), "cpu", "fp32")
    assert kept.frozen_part == "the frozen part's output is cached"
    assert kept.cache_bytes == size * 2**30
    refused = check(small_config(f"encoder.cache_gib={0.5 * size}"), "cpu", "fp32")
    assert refused.frozen_part == (
        "the frozen part's output would take 96 KiB, more than the limit of 48 KiB, so nothing is cached"
    )
    assert refused.cache_bytes == 32 * 3 * 32 * 32


@pytest.mark.medium
def test_setting_up_is_counted_once_and_not_for_each_photo(
    small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = planning.store

    def slow(*given: object, **options: object) -> object:
        time.sleep(1.5)
        return real(*given, **options)

    monkeypatch.setattr(planning, "MEASURED_IMAGES", 4)
    monkeypatch.setattr(planning, "store", slow)
    monkeypatch.setattr(planning, "measure_cost", lambda *given: Cost(seconds=0.0, bytes=1000))
    monkeypatch.setattr(planning, "frozen_seconds", lambda *given: 0.25)
    assert check(small_config(), "cpu", "fp32").seconds == pytest.approx(1.5 + 32 * 0.25, abs=4)


@pytest.mark.medium
def test_memory_holds_the_comparison_of_pixels(small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "measure_cost", lambda *given: Cost(seconds=0.0, bytes=1))
    before = check(small_config(), "cpu", "fp32").memory_bytes
    monkeypatch.setattr(planning, "COMPARED", 0)
    without = check(small_config(), "cpu", "fp32").memory_bytes
    assert before - without == pytest.approx(8 * 16 * 3 * 32 * 32 * 4, abs=1000)


def test_stand_ins_are_named(small_config: LoadConfig, project: Path, tmp_path: Path) -> None:
    config = small_config(
        f"data.root={tmp_path / 'none'}",
        "data.stand_in.reader=folder",
        f"data.stand_in.root={project / 'photos'}",
        f"encoder.weights={tmp_path / 'none.pth'}",
        "encoder.stand_in.weights=calibrated",
    )
    assert check(config).stand_ins == ("reader 'folder'", "random, BatchNorm-calibrated weights")


def test_nothing_is_written(small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(small_config())
    assert list(tmp_path.iterdir()) == []


MEASURE = (
    Path(peak_memory.__file__).read_text()
    + """
import json, sys, time
from pathlib import Path
from siamesekit import check, load_config, run
config = load_config(sys.argv[1])
if sys.argv[2] == "check":
    plan = check(config, "cpu", "fp32")
    print(json.dumps([plan.memory_bytes, plan.seconds]))
else:
    start = time.perf_counter()
    result = run(config, Path(sys.argv[2]), device="cpu", precision="fp32")
    seconds = result.manifest["seconds"]
    print(json.dumps([peak_memory(), seconds["frozen_part"] + seconds["training"]]))
"""
)


@pytest.mark.slow
def test_memory_is_estimated_within_a_factor_of_two_and_time_of_four(tmp_path: Path, small_config: LoadConfig) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's memory is read from Linux's /proc")
    write_photos(tmp_path / "photos", [f"i{number}" for number in range(10)], photos=8)
    config = small_config(
        f"data.root={tmp_path / 'photos'}",
        "data.size=128",
        "encoder.name=timm/resnet18",
        "encoder.train_from=",
        "sampler.photos=8",
        "sampler.batch_size=64",
        "train.epochs=1",
    )
    (tmp_path / "config.toml").write_text(config.to_toml())

    def measured(what: str) -> list[float]:
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "config.toml"), what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return json.loads(done.stdout)

    estimated, actual = measured("check"), measured(str(tmp_path / "run"))
    for factor, ours, theirs in zip((2, 4), estimated, actual, strict=True):
        assert theirs / factor < ours < theirs * factor


@pytest.mark.medium
def test_time_grows_with_the_epochs(small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "measure_cost", lambda *given: Cost(seconds=1.0, bytes=1000))
    short, long = (check(small_config(f"train.epochs={epochs}"), "cpu", "fp32") for epochs in (10, 1000))
    assert long.steps == 100 * short.steps
    an_epoch = short.seconds / 10  # but for the frozen part, which takes a fraction of a second
    assert long.seconds - short.seconds == pytest.approx(990 * an_epoch, rel=0.05)


@pytest.mark.slow
def test_the_plan_changes_nothing_in_the_run(small_config: LoadConfig, finished, tmp_path: Path) -> None:
    check(small_config(), "cpu", "fp32")
    again = run(small_config(), tmp_path / "run", device="cpu", precision="fp32")
    assert again.evaluation == finished.evaluation
