"""The plan: its counts are exact, its estimates near enough to decide by, and it leaves nothing behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import write_photos
from siamesekit import planning
from siamesekit.config import Config
from siamesekit.engine.trial import Cost
from siamesekit.experiment import check, run

LoadConfig = Callable[..., Config]


def test_counts_are_exact(small_config: LoadConfig) -> None:
    plan = check(small_config("split.validation=0.5"), "cpu", "fp32")
    assert plan.individuals == {"train": 2, "validation": 2, "test": 4}
    assert plan.photos == {"train": 8, "validation": 8, "test": 16}
    assert plan.triplets == 2 * 4 * 3 // 2
    assert (plan.batches, plan.steps) == (2, 2 * 2)
    assert plan.device == "cpu, fp32"
    assert plan.stand_ins == ()


def test_all_triplets_of_p_by_k_are_counted_and_a_miner_s_are_not_known(small_config: LoadConfig) -> None:
    by_k = ("sampler.name=p-by-k", "sampler.individuals=2", "sampler.photos=3")  # four individuals of four photos
    plan = check(small_config(*by_k), "cpu", "fp32")
    assert (plan.batches, plan.steps) == (2, 4)
    assert plan.triplets == 2 * (6 * 2 * 3)
    mined = check(small_config(*by_k, "miner.name=batch-hard"), "cpu", "fp32")
    assert (mined.batches, mined.triplets) == (2, None)


def test_parameters_and_cache_are_counted(small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "TRIAL_IMAGES", 5)
    plan = check(small_config("encoder.train_from=head", "encoder.head.batchnorm=false"), "cpu", "fp32")
    head = (96 * 32 + 32) + (32 * 16 + 16)
    assert plan.trainable == head
    assert plan.parameters > head + 300_000
    assert "cached" in plan.frozen_part
    assert plan.cache_bytes == 32 * 96 * 4
    whole = check(small_config("encoder.train_from="), "cpu", "fp32")
    assert "trains from its first layer on" in whole.frozen_part
    assert whole.cache_bytes == 32 * 3 * 32 * 32


def test_stand_ins_are_named(small_config: LoadConfig, project: Path, tmp_path: Path) -> None:
    config = small_config(
        f"data.root={tmp_path / 'none'}", "data.stand_in.reader=folder", f"data.stand_in.root={project / 'photos'}",
        f"encoder.weights={tmp_path / 'none.pth'}", "encoder.stand_in.weights=calibrated",
    )  # fmt: skip
    assert check(config).stand_ins == ("reader 'folder'", "random, BatchNorm-calibrated weights")


def test_nothing_is_written(small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(small_config())
    assert list(tmp_path.iterdir()) == []


MEASURE = """
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
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps([peak, seconds["frozen_part"] + seconds["training"]]))
"""


@pytest.mark.slow
def test_memory_is_estimated_within_a_factor_of_two_and_time_of_four(tmp_path: Path, small_config: LoadConfig) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's memory is read from Linux's /proc")
    write_photos(tmp_path / "photos", [f"i{number}" for number in range(10)], photos=8)
    config = small_config(
        f"data.root={tmp_path / 'photos'}", "data.size=128", "encoder.name=timm/resnet18", "encoder.train_from=",
        "sampler.photos=8", "sampler.batch_size=64", "train.epochs=1",
    )  # fmt: skip
    (tmp_path / "config.toml").write_text(config.to_toml())

    def measured(what: str) -> list[float]:
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "config.toml"), what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return json.loads(done.stdout)

    estimated, actual = measured("check"), measured(str(tmp_path / "run"))
    for factor, ours, theirs in zip((2, 4), estimated, actual, strict=True):
        assert theirs / factor < ours < theirs * factor


def test_time_grows_with_the_epochs(small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "trial", lambda *given: Cost(seconds=1.0, bytes=1000))
    short, long = (check(small_config(f"train.epochs={epochs}"), "cpu", "fp32") for epochs in (10, 1000))
    assert long.steps == 100 * short.steps
    an_epoch = short.seconds / 10  # but for the frozen part, which takes a fraction of a second
    assert long.seconds - short.seconds == pytest.approx(990 * an_epoch, rel=0.05)


def test_the_plan_changes_nothing_in_the_run(small_config: LoadConfig, finished, tmp_path: Path) -> None:
    check(small_config(), "cpu", "fp32")
    again = run(small_config(), tmp_path / "run", device="cpu", precision="fp32")
    assert again.evaluation == finished.evaluation
