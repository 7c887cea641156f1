"""The command `export`: what it writes, prints and refuses."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from siamesekit import runtime
from siamesekit.artifact import export_output
from siamesekit.cli.app import app


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.medium
def test_a_run_is_exported_and_an_earlier_export_replaced(telling: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    done = call("export", telling, "-o", out)
    assert (done.exit_code, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{out}: ") and "images uint8 [N, 3, " in first
    assert float(second.rpartition(" ")[2]) <= 1e-5
    assert runtime.load(out).threshold == 0.95
    told = json.loads(call("export", telling / "model", "-o", out, "--json").stdout)
    assert told["file"] == str(out) and told["bytes"] == out.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_other_files_are_not_replaced_and_wrong_names_refused(telling: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"my work")
    for output, message in (
        ("mine.onnx", "exists and holds something other than a model of siamesekit export"),
        ("model.pt", "the suffix must be .onnx, .pt2, .xml"),
        ("gone/model.onnx", "there is no folder"),
    ):
        done = call("export", telling, "-o", tmp_path / output)
        assert (done.exit_code, done.stdout) == (2, "")
        assert message in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "mine.onnx").read_bytes() == b"my work"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    done = call("export", tmp_path / "gone", "-o", tmp_path / "model.onnx")
    assert (done.exit_code, done.stderr) == (2, f"error: no such file: {tmp_path / 'gone'}\n")
    done = call("export", tmp_path, "-o", tmp_path / "model.onnx")
    assert done.exit_code == 2 and "there is no model in" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_command_that_helps(
    telling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str, *rest: Any) -> object:
        return None if name == "onnxscript" else importlib.util.find_spec(name, *rest)

    monkeypatch.setattr(export_output, "find_spec", without)
    done = call("export", telling, "-o", tmp_path / "model.onnx")
    assert done.exit_code == 2
    assert done.stderr == "error: an export needs onnx, onnxruntime and onnxscript: pip install 'siamesekit[onnx]'\n"
