"""A run that goes on ends in the bytes of the unbroken run, or is refused: more epochs, fewer, within an epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import LoadConfig, StopAt, Told, content, outcome, run_fp32
from siamesekit.config import Config
from siamesekit.errors import OutputError
from siamesekit.experiment.resuming import same_config, spans_the_run
from siamesekit.experiment.run_folder import RunFolder
from siamesekit.experiment.stopping import Stopped
from siamesekit.registry import SCHEDULES

pytestmark = pytest.mark.usefixtures("plain_charts")

SPANNING = [
    ("schedule.name=warmup-cosine",),
    ("schedule.name=warmup-linear", "schedule.warmup=0.5"),
    ("schedule.name=torch/cosine-annealing",),
    ("schedule.name=torch/one-cycle", "schedule.max_lr=0.01"),
    ("schedule.name=torch/one-cycle", "schedule.max_lr=0.01", "schedule.every=epoch"),
]
FREE = [
    (),
    ("schedule.name=step", "schedule.every=1"),
    ("schedule.name=exponential",),
    ("schedule.name=torch/cosine-annealing", "schedule.T_max=9"),
    ("schedule.name=torch/one-cycle", "schedule.max_lr=0.01", "schedule.total_steps=900", "schedule.every=step"),
    ("train.select=validation", "split.train=0.6", "split.validation=0.5", "optimizer.lr=0.01"),
    ("train.average=0.9", "loss.name=cross-batch-memory", "loss.loss={name='triplet', margin=0.5}", "loss.size=12"),
]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", SPANNING, ids=str)
def test_a_schedule_over_the_whole_run_is_refused_with_other_epochs(
    small_config: LoadConfig, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    run_fp32(small_config(*overrides, "train.epochs=1"), tmp_path / "run")
    before = content(tmp_path / "run")
    name = overrides[0].partition("=")[2]
    says = f"schedule {name!r} spans the whole run.*train.epochs = 1.*set train.epochs = 1, or start anew"
    with pytest.raises(OutputError, match=says):
        run_fp32(small_config(*overrides, "train.epochs=2"), tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == before


@pytest.mark.slow
@pytest.mark.parametrize("overrides", FREE, ids=str)
def test_more_epochs_end_in_the_bytes_of_the_unbroken_run(
    small_config: LoadConfig, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    run_fp32(small_config(*overrides, "train.epochs=3"), tmp_path / "whole")
    run_fp32(small_config(*overrides, "train.epochs=1"), tmp_path / "parts")
    run_fp32(small_config(*overrides, "train.epochs=3"), tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    for name in ("split.json", "model/model.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def stop_within(config: Config, out: Path, looks: int) -> None:
    with pytest.raises(Stopped):
        run_fp32(config, out, stop=StopAt(looks + 1))


@pytest.mark.slow
def test_within_an_epoch_other_epochs_go_on_to_the_bytes_of_the_unbroken_run(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    run_fp32(small_config("train.epochs=2"), tmp_path / "whole")
    stop_within(small_config("train.epochs=4"), tmp_path / "fewer", looks=1)
    assert not (tmp_path / "fewer" / "metrics.jsonl").exists(), "it stops within its first epoch"
    run_fp32(small_config("train.epochs=2"), tmp_path / "fewer", resume=True)
    assert outcome(tmp_path / "fewer") == outcome(tmp_path / "whole")


@pytest.mark.slow
def test_fewer_epochs_than_have_begun_are_refused(small_config: LoadConfig, tmp_path: Path) -> None:
    run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    with pytest.raises(Stopped):
        run_fp32(small_config("train.epochs=3"), tmp_path / "run", resume=True, stop=StopAt(2))
    before = content(tmp_path / "run")
    with pytest.raises(OutputError, match=r"epoch 2 has begun, but train\.epochs is 1; raise it"):
        run_fp32(small_config("train.epochs=1"), tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == before


@pytest.mark.slow
def test_a_run_that_has_not_trained_may_have_any_epochs(small_config: LoadConfig, tmp_path: Path) -> None:
    cosine = "schedule.name=warmup-cosine"
    run_fp32(small_config(cosine, "train.epochs=2"), tmp_path / "whole")
    run_fp32(small_config(cosine, "train.epochs=1"), tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.unlink()
    run_fp32(small_config(cosine, "train.epochs=2"), tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


@pytest.mark.slow
def test_options_that_an_older_version_did_not_write_have_their_defaults(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    """A run that began before an update goes on after it."""
    run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    file = tmp_path / "run" / "config.toml"
    newer = ("fit", "resampling", "crop_share", "singletons", "bootstrap", "average")
    lines = file.read_text().splitlines()
    kept = [line for line in lines if line.partition(" = ")[0] not in newer]
    assert len(kept) == len(lines) - len(newer)
    file.write_text("\n".join(kept))
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(OutputError, match=r"changed: data\.fit, evaluation\.bootstrap; change it back"):
        same_config(small_config("train.epochs=1", "data.fit=crop"), folder)
    with pytest.raises(OutputError, match=r"changed: data\.resampling, evaluation\.bootstrap; change it back"):
        same_config(small_config("train.epochs=1", "data.resampling=bicubic"), folder)
    same_config(small_config("train.epochs=1", "evaluation.bootstrap=1000"), folder)


@pytest.mark.parametrize("name", [name for name in SCHEDULES.names() if not name.endswith("/*")])
def test_a_schedule_that_names_no_steps_is_the_same_for_every_length(name: str) -> None:
    """The rule against the curves: what does not span the run gives the same factors whatever its length."""
    build = getattr(SCHEDULES, "build_for_run", SCHEDULES.build)
    short, long = (build(name, {}, steps=steps, steps_per_epoch=10, lr=0.1) for steps in (20, 70))
    same = [short(step) for step in range(20)] == [long(step) for step in range(20)]
    assert spans_the_run(name, short) is not same


@pytest.mark.slow
def test_other_views_of_the_photos_are_refused_and_rounding_is_said(
    small_config: LoadConfig, tmp_path: Path, told: Told
) -> None:
    augmented = ("augmentation.name=photo-id", "augmentation.views=2")
    run_fp32(small_config(*augmented, "train.epochs=1"), tmp_path / "views")
    with pytest.raises(OutputError, match=r"augmentation would make other views.*set encoder\.cache_gib back"):
        run_fp32(small_config(*augmented, "encoder.cache_gib=0"), tmp_path / "views", resume=True)
    run_fp32(small_config("train.epochs=1"), tmp_path / "plain")
    run_fp32(small_config("encoder.cache_gib=0"), tmp_path / "plain", resume=True, progress=told)
    assert any("encoder.cache_gib" in warning and "by rounding" in warning for warning in told.warned)
