"""The command `push`, and models of the hub in place of a run, on a local hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import siamesekit
from local_hub import TOKEN, State, in_place_of_the_hub
from siamesekit.cli.app import app


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[State]:
    """A local hub in the place of huggingface.co, and an empty cache."""
    state = State()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with in_place_of_the_hub(state, monkeypatch, tmp_path / "cache"):
        yield state


@pytest.mark.medium
def test_a_model_is_shown_then_published_then_used_by_its_name(
    hub: State, telling: Path, project: Path, tmp_path: Path
) -> None:
    shown = call("push", telling, "fluke/tiny", "--license", "mit", "--dry-run", tmp_path / "dry")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[-1] == f"written to {tmp_path / 'dry'}; nothing was sent"
    assert not hub.asked
    told = json.loads(call("push", telling, "fluke/tiny", "--license", "mit", "--json").stdout)
    commit, files = hub.repositories["fluke/tiny"].commits[-1]
    assert told == {
        "repository": "fluke/tiny",
        "files": {name: len(content) for name, content in files.items()},
        "commit": commit,
        "address": f"{hub.url}/fluke/tiny",
    }
    assert {file.name: file.read_bytes() for file in (tmp_path / "dry").iterdir()} == files

    a, b = (project / "photos" / "striped_2" / f"{n}.png" for n in range(2))
    ours, run = (json.loads(call("compare", name, a, b, "--json").stdout) for name in ("hub:fluke/tiny", telling))
    assert ours == run and ours["threshold"] == 0.95
    done = call("embed", f"hub:fluke/tiny@{commit}", project / "photos", "-o", tmp_path / "e.npz")
    assert done.exit_code == 0, done.output
    assert f"model hub:fluke/tiny@{commit}" in done.stdout
    found = np.load(tmp_path / "e.npz")
    row = [str(name) for name in found["path"]].index(str(a))
    np.testing.assert_allclose(found["embedding"][row], siamesekit.load(telling, "cpu").embed(a)[0], atol=1e-6)


@pytest.mark.medium
def test_a_catalogue_and_an_evaluation_take_a_model_of_the_hub(
    hub: State, telling: Path, project: Path, tmp_path: Path
) -> None:
    siamesekit.push_to_hub(telling, "fluke/tiny", "mit")
    done = call("enrol", "hub:fluke/tiny", project / "photos", "-o", tmp_path / "catalogue")
    assert done.exit_code == 0, done.output
    photo = project / "photos" / "striped_3" / "0.png"
    with siamesekit.Catalogue(tmp_path / "catalogue", "cpu") as catalogue:
        assert catalogue.search(photo)[0].candidates[0].individual == "striped_3"
        assert catalogue.model.threshold == 0.95
    found = json.loads(call("evaluate", "hub:fluke/tiny", "--data", project / "photos", "--json").stdout)
    assert found["photos"] == 32 and found["shipped_threshold"]["threshold"] == 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fluke/tiny",), "no licence: say with --license"),
        (("tiny", "--license", "mit"), "tiny is no name on the hub: it must be OWNER/NAME"),
    ],
)
def test_what_cannot_be_published_is_one_sentence(telling: Path, arguments: tuple[str, ...], message: str) -> None:
    done = call("push", telling, *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1


def test_a_run_that_is_not_there_is_named(tmp_path: Path, project: Path) -> None:
    done = call("push", tmp_path / "gone", "fluke/tiny", "--license", "mit")
    assert (done.exit_code, done.stderr) == (2, f"error: no such file: {tmp_path / 'gone'}\n")
    done = call("embed", "fluke/tiny", project / "photos", "-o", tmp_path / "e.npz")
    assert done.exit_code == 2 and done.stderr.endswith("for a model on the hub: hub:fluke/tiny\n")
