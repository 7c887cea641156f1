"""From start to report: time is counted once, in its own stage, and products are told from the rest."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.start_to_report import STAGES, START, WHOLE, StageClock, make_project, multiplied, staged
from siamesekit.config import load_config
from siamesekit.evaluation import intervals
from siamesekit.experiment import running


def work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_stage_within_another_counts_on_its_own() -> None:
    clock = StageClock()
    inner = clock.during("inner", lambda: work(0.05))

    def outer() -> None:
        work(0.02)
        inner()
        work(0.02)

    begin = time.process_time()
    clock.during("outer", outer)()
    whole = time.process_time() - begin
    assert clock.stages == [START]
    assert 0.05 <= clock.spent["inner"] < clock.spent["inner"] + 0.04 <= whole
    assert clock.spent["inner"] + clock.spent["outer"] == pytest.approx(whole, abs=0.01)


def test_a_stage_ends_with_an_error() -> None:
    clock = StageClock()
    with pytest.raises(ZeroDivisionError):
        clock.during("wrong", lambda: 1 / 0)()
    assert clock.stages == [START]


@pytest.mark.slow
def test_products_are_told_from_the_rest_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command in place of the run computes a network outside of the stages, and calls functions of two of them."""
    maps, weight = torch.rand(8, 16, 64, 64), torch.rand(32, 16, 3, 3, requires_grad=True)
    seen, before = [], running.raw_pixels

    def command() -> None:
        seen.extend([sys.argv, os.environ["XDG_CACHE_HOME"]])
        torch.nn.functional.conv2d(maps, weight).relu().sum().backward()
        running.raw_pixels(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.arange(4))
        intervals.mean_with_interval(np.ones(4), np.arange(4), 0.95, 50, np.random.default_rng(0))
        raise SystemExit(0)

    monkeypatch.setattr("siamesekit.cli.main", command)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    for measure in (multiplied, staged):
        found = measure("folder", ["--set", "train.epochs=1"])
        assert set(found) == {START, *STAGES, WHOLE}
        silent = [stage for stage in STAGES if found[stage] == 0]
        assert found[START] > 0.001
        if measure is multiplied:
            assert silent == list(STAGES)
            assert found[WHOLE] == found[START]
        else:
            assert set(STAGES) - set(silent) == {"evaluation of the networks", "bootstrap"}
            assert found[WHOLE] == pytest.approx(sum(found[stage] for stage in (START, *STAGES)), abs=0.05)
    assert seen[0][:3] == ["siamesekit", "run", "folder/config.toml"]
    assert seen[0][-2:] == ["--set", "train.epochs=1"]
    assert os.environ.get("XDG_CACHE_HOME") != seen[1]
    assert running.raw_pixels is before


@pytest.mark.slow
def test_the_project_has_the_config_of_init(tmp_path: Path) -> None:
    make_project(str(tmp_path), 4, 2)
    config = load_config(tmp_path / "config.toml", ["train.epochs=1"])
    assert (config.encoder.name, config.sampler.name, config.train.epochs) == ("efficientnet-lite0", "p-by-k", 1)
    assert sorted(path.parent.name for path in (tmp_path / "photos").rglob("*.jpg")) == sorted(2 * ids(tmp_path))


def ids(project: Path) -> list[str]:
    return [folder.name for folder in (project / "photos").iterdir()]
