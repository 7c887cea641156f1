"""A run that is killed at any moment and resumed ends as if it had not been; so does one that is asked to stop."""

import json
import multiprocessing
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import outcome
from siamesekit.config import Config, load_config
from siamesekit.experiment.run_folder import RunFolder
from siamesekit.experiment.running import run
from siamesekit.files.run_files import CONFIG

OVERRIDES = (
    "train.epochs=2", "train.select=validation", "split.train=0.6", "split.validation=0.5", "sampler.batch_size=6",
    "encoder.head.dropout=0.2", "encoder.train_from=layer4", "loss.name=cross-batch-memory",
    "loss.loss={name='triplet', margin=0.5}", "loss.size=12", "schedule.name=warmup-cosine", "train.average=0.9",
    "save.every_seconds=0", "evaluation.bootstrap=100",
)  # fmt: skip
FOUR = "train.epochs=4"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["siamesekit.experiment.running", "siamesekit.config", "timm"])


def work(project: Path, out: Path, resume: bool, cache: str) -> None:
    """The run, in a process of its own."""
    os.environ["XDG_CACHE_HOME"] = cache
    torch.set_num_threads(1)
    run(load_config(project / "config.toml", OVERRIDES), out, resume=resume, device="cpu", precision="fp32")


def started(project: Path, out: Path, resume: bool) -> BaseProcess:
    process = FORKS.Process(target=work, args=(project, out, resume, os.environ["XDG_CACHE_HOME"]))
    process.start()
    return process


def finished(process: BaseProcess) -> None:
    process.join(120)
    assert process.exitcode == 0


def wait_for_folder(process: BaseProcess, folder: Path) -> None:
    """Until the run has begun to write."""
    while not (folder / CONFIG).exists() and process.is_alive():
        time.sleep(0.001)


def kill_at_random(project: Path, tmp_path: Path, kills: int, seed: int) -> None:
    """Most kills fall into the time in which a run writes, one in ten before it; half of the runs several times."""
    whole = started(project, tmp_path / "whole", False)
    wait_for_folder(whole, tmp_path / "whole")
    begin = time.monotonic()
    finished(whole)
    duration = time.monotonic() - begin
    expected = outcome(tmp_path / "whole")
    rng = random.Random(seed)
    killed = resumed = number = 0
    while killed < kills:
        folder = tmp_path / f"run{number}"
        number += 1
        again = True
        while again:  # the same run is killed until it gets through, or is let through
            resume = (folder / CONFIG).exists()
            resumed += resume
            process = started(project, folder, resume)
            if rng.random() < 0.9 and not resume:
                wait_for_folder(process, folder)
            time.sleep(rng.uniform(0, duration))
            process.kill()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            killed += process.exitcode != 0
            again = process.exitcode != 0 and rng.random() < 0.5
        if process.exitcode != 0:
            resume = (folder / CONFIG).exists()
            resumed += resume
            finished(started(project, folder, resume))
        assert outcome(folder) == expected
        assert json.loads((folder / "manifest.json").read_text())["complete"]
        assert [file.name for file in folder.rglob("*") if file.name.startswith(".")] == []
    print(f"{killed} kills of {number} runs, {resumed} resumed in their middle; a run writes for {duration:.1f} s")
    assert resumed > 0


@pytest.mark.slow
def test_killed_at_random_moments_a_run_ends_the_same(project: Path, tmp_path: Path) -> None:
    kill_at_random(project, tmp_path, 3, seed=1)


@pytest.mark.huge
@pytest.mark.timeout(3600)
def test_killed_at_many_random_moments_a_run_ends_the_same(project: Path, tmp_path: Path) -> None:
    kill_at_random(project, tmp_path, 200, seed=2)


@pytest.mark.slow
def test_a_dead_process_holds_no_lock_and_a_living_one_does(
    project: Path, tmp_path: Path, small_config: Callable[..., Config]
) -> None:
    process = started(project, tmp_path / "run", False)
    while not (tmp_path / "run" / CONFIG).exists():
        time.sleep(0.01)
    config = small_config(*OVERRIDES)
    with pytest.raises(Exception, match="is in use by another run"):
        run(config, tmp_path / "run", resume=True, precision="fp32")
    process.kill()
    process.join()
    run(config, tmp_path / "run", resume=True, precision="fp32")
    assert not list(tmp_path.glob(".run.lock"))
    with RunFolder(tmp_path / "run").locked():
        assert (tmp_path / ".run.lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("deterministic", [False, True])
def test_twice_the_same_run_gives_the_same_bytes(
    small_config: Callable[..., Config], tmp_path: Path, deterministic: bool
) -> None:
    config = small_config(*OVERRIDES, "augmentation.name=photo-id")
    for name in ("one", "two"):
        run(config, tmp_path / name, device="cpu", precision="fp32", deterministic=deterministic)
    assert outcome(tmp_path / "one") == outcome(tmp_path / "two")
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture(scope="module")
def uninterrupted(
    small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, list[dict[str, Any]], bytes]:
    """The outcome of a run of `FOUR` epochs."""
    whole = run(
        small_config(*OVERRIDES, FOUR), tmp_path_factory.mktemp("whole") / "run", device="cpu", precision="fp32"
    )
    return outcome(whole.folder)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.huge),
    ],
)
def test_a_signal_saves_and_the_printed_command_goes_on_to_the_same_end(
    project: Path,
    tmp_path: Path,
    uninterrupted: tuple[bytes, list[dict[str, Any]], bytes],
    number: signal.Signals,
    code: int,
) -> None:
    overrides = [part for each in (*OVERRIDES, FOUR) for part in ("--set", each)]
    command = [sys.executable, "-m", "siamesekit", "run", str(project / "config.toml"), *overrides,
               "--device", "cpu", "--precision", "fp32", "--out", str(tmp_path / "run")]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "run").glob("checkpoints/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == code, told
    assert f"{number.name}: finishing this step and saving" in told
    assert "stopped; all work is saved" in told
    again = told.partition("to continue: ")[2].strip()
    assert again.startswith("siamesekit run ")
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(again)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Continuing after epoch" in done.stdout
    assert outcome(tmp_path / "run") == uninterrupted
