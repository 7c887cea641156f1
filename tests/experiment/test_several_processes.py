"""Runs of several processes: the figures of one, also after one of them was killed, hung or failed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import TIMING, StopAt, Told, metrics, outcome, run_fp32
from siamesekit import load
from siamesekit.config import Config
from siamesekit.engine.state_files import load_state
from siamesekit.experiment.stopping import Stopped

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.usefixtures("one_thread"),
]
EPOCHS = "train.epochs=8"
COMMAND = [sys.executable, "-m", "siamesekit", "run"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]


def started(
    project: Path, out: Path, *more: str, by: Sequence[str] = COMMAND, **environment: str
) -> subprocess.Popen[str]:
    """A run as a process of its own, in fp32 with one thread per process."""
    command = [*by, str(project / "config.toml"), "--set", EPOCHS, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--device", "cpu", "--precision", "fp32", *more],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a process printed; it must end with this exit code."""
    said, _ = process.communicate(timeout=240)
    assert process.returncode == code, said
    return said


def first_child(process: subprocess.Popen[str]) -> int:
    """The process that a run has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def after_epochs(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has trained some epochs."""
    until = time.monotonic() + 200
    while not (folder / "metrics.jsonl").exists() or len(metrics(folder)) < count:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)


def assert_close(ours: Path, theirs: Path, times: float = 1) -> None:
    """The epochs' figures of two runs are equal: up to the rounding of float32, which grows from epoch to epoch.

    Where the same numbers are added in another order, as by a network that is not folded, it is some `times` larger.
    """
    for epoch, (our, their) in enumerate(zip(metrics(ours), metrics(theirs), strict=True), 1):
        within = times * (1e-6 if epoch <= 2 else 1e-5)
        for name in our.keys() - set(TIMING):
            assert our[name] == pytest.approx(their[name], rel=within, abs=within), name


@pytest.fixture(scope="module")
def alone(small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    return run_fp32(small_config(EPOCHS), tmp_path_factory.mktemp("alone") / "run").folder


@pytest.fixture(scope="module")
def two(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes."""
    folder = tmp_path_factory.mktemp("two") / "run"
    said = done(started(project, folder, "--nproc", "2"))
    assert said.count("epoch   8/8") == 1, "only one process speaks"
    return folder


@pytest.mark.slow
def test_two_processes_have_the_figures_of_one(project: Path, alone: Path, two: Path) -> None:
    assert_close(two, alone)
    assert sorted(file.name for file in two.iterdir()) == sorted(file.name for file in alone.iterdir())
    ours, theirs = (json.loads((folder / "evaluation.json").read_text())["networks"] for folder in (two, alone))
    assert ours["untrained"] == theirs["untrained"]
    assert load(two).embed([project / "photos" / "striped_0" / "0.png"]).shape == (1, 16)


@pytest.mark.medium
def test_a_run_of_two_processes_in_one_epoch(
    project: Path, small_config: Callable[..., Config], tmp_path: Path
) -> None:
    """The same in short."""
    said = done(started(project, tmp_path / "two", "--nproc", "2", "--set", "train.epochs=1"))
    assert "by 2 processes" in said
    run_fp32(small_config("train.epochs=1"), tmp_path / "one")
    assert_close(tmp_path / "two", tmp_path / "one")
    assert json.loads((tmp_path / "two" / "manifest.json").read_text())["device"]["processes"] == 2


@pytest.mark.slow
def test_torchrun_starts_the_same_run(project: Path, two: Path, tmp_path: Path) -> None:
    done(started(project, tmp_path / "run", by=[*TORCHRUN, "siamesekit", "run"]))
    assert outcome(tmp_path / "run") == outcome(two)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_which_goes_on_exactly(
    project: Path, small_config: Callable[..., Config], alone: Path, two: Path, tmp_path: Path
) -> None:
    """With as many processes to the last bit, with another number up to rounding."""
    process = started(project, tmp_path / "run", "--nproc", "2")
    after_epochs(tmp_path / "run", 2, process)
    os.kill(first_child(process), signal.SIGKILL)
    killed = time.monotonic()
    said = done(process, 1)
    assert time.monotonic() - killed < 30
    assert "ended by SIGKILL" in said and "Traceback" not in said
    shutil.copytree(tmp_path / "run", tmp_path / "one")
    done(started(project, tmp_path / "run", "--nproc", "2", "--resume"))
    assert outcome(tmp_path / "run") == outcome(two)
    run_fp32(small_config(EPOCHS), tmp_path / "one", resume=True)
    assert_close(tmp_path / "one", alone)


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_with_two(
    project: Path, small_config: Callable[..., Config], alone: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        run_fp32(small_config(EPOCHS), tmp_path / "run", stop=StopAt(8))
    done(started(project, tmp_path / "run", "--nproc", "2", "--resume"))
    assert_close(tmp_path / "run", alone)


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_run(project: Path, tmp_path: Path) -> None:
    process = started(project, tmp_path / "run", "--nproc", "2", SIAMESEKIT_SILENCE="3")
    after_epochs(tmp_path / "run", 1, process)
    child = first_child(process)
    os.kill(child, signal.SIGSTOP)
    said = done(process, 1)
    assert "rank 1 has given no sign of life" in said and "Traceback" not in said
    assert not Path(f"/proc/{child}").exists(), "it is ended, too"


@pytest.mark.huge
def test_ctrl_c_saves_the_run_of_all_processes(project: Path, two: Path, tmp_path: Path) -> None:
    """A terminal sends the signal to all processes; those that follow leave it to the one that leads."""
    process = started(project, tmp_path / "run", "--nproc", "2")
    after_epochs(tmp_path / "run", 1, process)
    os.kill(first_child(process), signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    said = done(process, 130)
    assert "all work is saved" in said and "--nproc 2" in said and "Traceback" not in said
    done(started(project, tmp_path / "run", "--nproc", "2", "--resume"))
    assert outcome(tmp_path / "run") == outcome(two)


@pytest.mark.slow
def test_another_config_of_a_process_is_refused_by_name(project: Path, tmp_path: Path) -> None:
    """As on two machines whose files differ."""
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    leader = started(project, tmp_path / "run", RANK="0", **common)
    follower = started(project, tmp_path / "run", "--set", "seed=6", RANK="1", **common)
    said = done(leader, 1)
    assert "rank 1 on" in said and "the config of this process is" in said
    assert not (tmp_path / "run").exists()
    assert "the config of this process is" in done(follower, 2)


FAILING = """
import sys
import siamesekit.experiment.team_work as work
from siamesekit.cli.app import app

def fail(*_):
    raise OSError("no room for centres")

work.{} = fail
sys.argv[0] = "siamesekit"
app()
"""
"""A run whose process fails at one place."""


@pytest.mark.medium
@pytest.mark.parametrize("place", ["centers_to_follow", pytest.param("choose_compute", marks=pytest.mark.slow)])
def test_a_process_that_fails_before_its_work_ends_all_at_once(project: Path, tmp_path: Path, place: str) -> None:
    """Though it is not this process that has started it, which would see it end."""
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    silent = {"SIAMESEKIT_SILENCE": "200"}
    leader = started(project, tmp_path / "run", RANK="0", **common, **silent)
    by = [sys.executable, "-c", FAILING.format(place), "run"]
    follower = started(project, tmp_path / "run", by=by, RANK="1", **common, **silent)
    assert "no room for centres" in done(follower, 1)
    ended = time.monotonic()
    said = done(leader, 1)
    assert time.monotonic() - ended < 100  # for what the leader does before; it does not wait for the silence
    assert "rank 1 on" in said and "no room for centres" in said and "Traceback" not in said
    assert not (tmp_path / "run").exists()


SHARED = (
    "train.shard_centers=true", "loss={name='arcface', scale=8.0, sub_centers=2}", "distance={name='cosine'}",
    "split={by='photo', train=0.5}", "sampler={name='p-by-k', individuals=2, photos=2}", "train.average=0.5",
    "train.accumulate=3", "optimizer.clip_norm=0.5",
)  # fmt: skip
"""A run whose processes share the centres of the loss; the test individuals train, so that there is a test loss."""


def shared(project: Path, out: Path, epochs: int, *more: str) -> None:
    """A run of two processes that share the centres."""
    sets = [part for each in (*SHARED, f"train.epochs={epochs}") for part in ("--set", each)]
    done(started(project, out, "--nproc", "2", *sets, *more))


@pytest.fixture(scope="module")
def alone_with_centers(small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, which holds all centres."""
    config = small_config(*SHARED, "train.epochs=3")
    return run_fp32(config, tmp_path_factory.mktemp("alone") / "run").folder


def last_checkpoint(folder: Path) -> dict[str, Any]:
    """The parts of a run's last checkpoint."""
    parts: dict[str, Any] = load_state(max((folder / "checkpoints").glob("*.safetensors")))["parts"]
    return parts


@pytest.mark.slow
def test_shared_centres_train_and_are_saved_as_those_of_one_process(
    project: Path, small_config: Callable[..., Config], alone_with_centers: Path, tmp_path: Path, told: Told
) -> None:
    """Beside a network that is divided, too; the run goes on in one process, as if it had begun there."""
    divided = "train.shard_encoder=true"
    shared(project, tmp_path / "run", 2, "--set", divided)
    ours, theirs = metrics(tmp_path / "run"), metrics(alone_with_centers)[:2]
    for our, their in zip(ours, theirs, strict=True):
        assert their["test_loss"] is not None
        for name in our.keys() - set(TIMING):
            assert our[name] == pytest.approx(their[name], rel=1e-6, abs=1e-6), name
    run_fp32(small_config(*SHARED, "train.epochs=3", divided), tmp_path / "run", resume=True, progress=told)
    assert any("One process holds all centres" in line for line in told.said)
    assert_close(tmp_path / "run", alone_with_centers)
    ours, theirs = (last_checkpoint(folder) for folder in (tmp_path / "run", alone_with_centers))
    assert theirs["loss"]["centers"].shape == (2 * 8, 16)
    assert torch.allclose(ours["loss"]["centers"], theirs["loss"]["centers"], atol=1e-5)


@pytest.mark.huge
def test_a_run_of_one_process_goes_on_with_two_that_share_its_centres(
    project: Path, small_config: Callable[..., Config], alone_with_centers: Path, tmp_path: Path
) -> None:
    """It stops within a group of batches; the option may change."""
    with pytest.raises(Stopped):
        run_fp32(
            small_config(*SHARED, "train.epochs=3", SHARED[0].replace("true", "false")),
            tmp_path / "run",
            stop=StopAt(1),
        )
    assert last_checkpoint(tmp_path / "run")["descent"]["added"] == 1
    shared(project, tmp_path / "run", 3, "--resume")
    assert_close(tmp_path / "run", alone_with_centers)
    ours, theirs = (
        load_file(folder / "model" / "model.safetensors") for folder in (tmp_path / "run", alone_with_centers)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)
    last = last_checkpoint(tmp_path / "run"), last_checkpoint(alone_with_centers)
    assert [tensors_of(each["descent"]) for each in last[:1]] == [tensors_of(each["descent"]) for each in last[1:]]


def tensors_of(state: Any) -> Any:
    """A nested state with the shapes of its tensors in their place."""
    if isinstance(state, dict):
        return {name: tensors_of(each) for name, each in state.items()}
    if isinstance(state, list | tuple):
        return [tensors_of(each) for each in state]
    return state.shape if isinstance(state, torch.Tensor) else state


@pytest.mark.huge
def test_another_process_is_missed_also_where_the_centres_are_shared(project: Path, tmp_path: Path) -> None:
    sets = [part for each in (*SHARED, "train.epochs=500") for part in ("--set", each)]
    process = started(project, tmp_path / "run", "--nproc", "2", *sets)
    after_epochs(tmp_path / "run", 1, process)
    os.kill(first_child(process), signal.SIGKILL)
    said = done(process, 1)
    assert "ended by SIGKILL" in said and "Traceback" not in said


def _free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
