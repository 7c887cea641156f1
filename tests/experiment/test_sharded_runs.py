"""Runs whose processes divide the weights of the encoder: the figures of one process, also after a kill."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_several_processes import EPOCHS, after_epochs, assert_close, done, first_child, started

from conftest import run_fp32
from siamesekit import load
from siamesekit.config import Config

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.usefixtures("one_thread"),
]
SHARDED = "train.shard_encoder=true"
TWO = ["--nproc", "2", "--set", SHARDED]
ROUNDING = 10
"""One process folds BatchNorm into convolutions, and adds in another order."""


@pytest.fixture(scope="module")
def alone(small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, which holds the whole network."""
    return run_fp32(small_config(EPOCHS, SHARDED), tmp_path_factory.mktemp("alone") / "run").folder


@pytest.mark.slow
def test_a_sharded_run_has_the_figures_of_one_process(project: Path, alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    said = done(started(project, folder, *TWO))
    assert "by 2 processes; each process holds a part of the network's weights" in said
    assert_close(folder, alone, ROUNDING)
    assert json.loads((folder / "manifest.json").read_text())["frozen_part_cached"] is False
    assert load(folder).embed([project / "photos" / "striped_0" / "0.png"]).shape == (1, 16)


@pytest.mark.huge
def test_a_killed_process_ends_the_run_which_goes_on_with_one(
    project: Path, small_config: Callable[..., Config], alone: Path, tmp_path: Path
) -> None:
    process = started(project, tmp_path / "run", *TWO)
    after_epochs(tmp_path / "run", 2, process)
    os.kill(first_child(process), signal.SIGKILL)
    killed = time.monotonic()
    said = done(process, 1)
    assert time.monotonic() - killed < 30
    assert "ended by SIGKILL" in said and "Traceback" not in said
    run_fp32(small_config(EPOCHS), tmp_path / "run", resume=True)  # the option may change
    assert_close(tmp_path / "run", alone, ROUNDING)


@pytest.mark.huge
def test_a_process_that_hangs_ends_the_run(project: Path, tmp_path: Path) -> None:
    process = started(project, tmp_path / "run", *TWO, SIAMESEKIT_SILENCE="3")
    after_epochs(tmp_path / "run", 1, process)
    os.kill(first_child(process), signal.SIGSTOP)
    stopped = time.monotonic()
    said = done(process, 1)
    assert time.monotonic() - stopped < 60
    assert "rank 1 has given no sign of life" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "further",
    [
        pytest.param([], marks=pytest.mark.huge, id="whole"),
        pytest.param(["--set", SHARDED], marks=pytest.mark.slow, id="divided"),
    ],
)
def test_views_of_test_photos_are_shared(
    project: Path, small_config: Callable[..., Config], tmp_path: Path, further: list[str]
) -> None:
    views, epochs = 'evaluation.tta=["mirror", "crops"]', "train.epochs=1"
    done(started(project, tmp_path / "two", "--nproc", "2", "--set", views, "--set", epochs, *further))
    run_fp32(small_config(views, epochs), tmp_path / "one")
    ours, theirs = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("two", "one"))
    for network in ("untrained", "trained"):
        assert ours["networks"][network] == theirs["networks"][network]
    assert load(tmp_path / "two").tta == ("mirror", "crops")
