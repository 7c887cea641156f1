"""stdout that goes away: results end the command, news do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device of a full disk")
COMMAND = f"{sys.executable} -m siamesekit"


def shell(command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["--version", "--help", "schema", "list losses"])
def test_a_result_that_cannot_be_printed_is_an_error_in_words(what: str) -> None:
    full = shell(f"{COMMAND} {what} > /dev/full")
    assert (full.returncode, full.stderr) == (1, "error: stdout cannot be written to: No space left on device\n")
    closed = shell(f"{COMMAND} {what} >&-")
    assert (closed.returncode, closed.stderr) == (1, "error: stdout cannot be written to: Bad file descriptor\n")


@pytest.mark.slow
def test_a_pipe_that_closes_ends_a_list_in_silence() -> None:
    done = shell(f"{COMMAND} schema | head -c 10 > /dev/null; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        pytest.param(
            "> /dev/full",
            "stdout cannot be written to (No space left on device): continuing without output\n",
            marks=pytest.mark.slow,
        ),
        pytest.param(">&-", "stdout is closed: continuing without output\n", marks=pytest.mark.huge),
        pytest.param("| head -c 0", "stdout is closed: continuing without output\n", marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_without_its_screen(project: Path, tmp_path: Path, where: str, told: str) -> None:
    small = "--device cpu --precision fp32 --set train.epochs=1 --out run"
    done = shell(f"set -o pipefail; {COMMAND} run {project / 'config.toml'} {small} {where}", tmp_path)
    assert (done.returncode, done.stderr) == (0, told)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["complete"] is True


@pytest.mark.slow
@pytest.mark.parametrize("where", ["2>&-", "2> /dev/full"])
def test_without_stderr_the_exit_code_is_the_same(where: str) -> None:
    assert shell(f"{COMMAND} list losss {where}").returncode == 2
    assert shell(f"{COMMAND} --version {where}").returncode == 0


def test_an_early_ctrl_c_is_no_traceback() -> None:
    code = "import sys, os, signal\nsys.modules['typer'] = None\nfrom siamesekit import cli\n"
    code += "class Stop:\n def find_spec(self, name, *_):\n  if name == 'siamesekit.cli.app': raise KeyboardInterrupt\n"
    code += "sys.meta_path.insert(0, Stop())\ncli.main()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stderr) == (130, "stopped\n")


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0.05, 0.2, 0.5, 1.0])
def test_ctrl_c_in_the_first_seconds_is_no_traceback_of_the_library(wait: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "siamesekit", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert "siamesekit/cli" not in err
