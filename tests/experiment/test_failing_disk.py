"""Every change of the disk that a whole run makes fails in turn: the run is resumed and ends as if nothing had been."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import outcome
from helpers import Crash
from siamesekit.config import Config
from siamesekit.errors import OutputError
from siamesekit.experiment.running import run
from siamesekit.files import atomic as files
from siamesekit.files.run_files import CONFIG

pytestmark = pytest.mark.usefixtures("plain_charts")

OVERRIDES = (
    "train.epochs=2", "train.select=validation", "split.train=0.6", "split.validation=0.5", "encoder.train_from=layer4",
    "train.average=0.9", "evaluation.bootstrap=100", "save.pickle=network.pkl",
)  # fmt: skip


class Disk:
    """Fails at the n-th change."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.fail_at = -1
        self.crash = False
        for name in files.STEPS:
            monkeypatch.setattr(files, name, self._guarded(getattr(files, name)))

    def _guarded(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            if number == self.fail_at or (self.crash and 0 <= self.fail_at < number):
                raise Crash if self.crash else OSError(28, "No space left on device")
            return real(*arguments)

        return step

    def armed(self, fail_at: int, crash: bool = False) -> None:
        self.calls, self.fail_at, self.crash = 0, fail_at, crash


def fail_everywhere(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    run(config, tmp_path / "whole", device="cpu", precision="fp32")  # the frozen part is in the cache from here on
    disk = Disk(monkeypatch)
    run(config, tmp_path / "count", device="cpu", precision="fp32")
    steps = disk.calls
    expected = outcome(tmp_path / "whole")
    assert outcome(tmp_path / "count") == expected
    failed = 0
    points = [(number, crash) for number in range(0, steps, every) for crash in (False, True)]
    for number, crash in points:
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        disk.armed(number, crash)
        try:
            run(config, folder, device="cpu", precision="fp32")
        except (OutputError, Crash):
            failed += 1
        disk.armed(-1)
        run(config, folder, resume=(folder / CONFIG).exists(), device="cpu", precision="fp32")
        assert outcome(folder) == expected, f"after change {number} of the disk"
        assert [file.name for file in folder.rglob("*") if file.name.startswith(".")] == []
    print(f"{len(points)} faults in a run that changes the disk {steps} times, {failed} of them ended it")
    assert failed > len(points) / 2


@pytest.mark.slow
def test_after_faults_all_over_a_run_it_resumes_to_the_same_end(
    small_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_everywhere(small_config(*OVERRIDES), tmp_path, monkeypatch, every=79)


@pytest.mark.huge
@pytest.mark.timeout(3600)
def test_after_a_fault_at_every_change_of_the_disk_it_resumes_to_the_same_end(
    small_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_everywhere(small_config(*OVERRIDES), tmp_path, monkeypatch, every=1)
