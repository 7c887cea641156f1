"""Trackers: TensorBoard and MLflow by their own readers, the others against small modules of the same interface."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from siamesekit.components.trackers.tracker import Epoch, Tracked, TrackedRun, Tracker
from siamesekit.errors import UserError
from siamesekit.registry import TRACKERS

CONFIG = {"name": "seals", "seed": 3, "encoder": {"name": "xception", "head": {"layers": [32, 16]}}}
EPOCHS = tuple(Epoch(number, {"train_loss": 1 / number, "seconds": 2.0}) for number in (1, 2, 3))
FIGURES = {"trained/map_at_r": 0.5, "trained/map_at_r_low": 0.25, "trained/map_at_r_high": 0.75}
"""Figures that float32, in which TensorBoard keeps them, holds exactly."""


def tracked(make: Callable[[], Tracker], folder: Path) -> tuple[Tracked, Tracked]:
    """A run of three epochs that stops after two of them, and continues."""
    first = make()
    began = first.begin(TrackedRun("seals", folder, CONFIG))
    for epoch in EPOCHS[:2]:
        first.log_epoch(epoch)
    first.end(complete=False)
    second = make()
    again = second.begin(TrackedRun("seals", folder, CONFIG, began.id, EPOCHS[:2]))
    second.log_epoch(EPOCHS[2])
    second.log_result(FIGURES, folder / "report.html")
    second.end(complete=True)
    return began, again


def test_the_settings_of_a_run_are_dotted_keys() -> None:
    expected = {"name": "seals", "seed": 3, "encoder.name": "xception", "encoder.head.layers": "[32, 16]"}
    assert TrackedRun("seals", Path(), CONFIG).settings() == expected


@pytest.mark.slow
def test_tensorboard_reads_each_epoch_once_though_the_run_was_continued(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    began, again = tracked(lambda: TRACKERS.build("tensorboard"), tmp_path)
    assert began == again
    read = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    scalars = {tag: [(each.step, each.value) for each in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    assert scalars.pop("train_loss") == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert scalars.pop("seconds") == [(1, 2.0), (2, 2.0), (3, 2.0)]
    assert scalars == {name: [(3, value)] for name, value in FIGURES.items()}
    texts = {tag: read.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in read.Tags()["tensors"]}
    assert texts["report"].strip() == str(tmp_path / "report.html")
    assert json.loads(texts["config"]) == CONFIG


@pytest.mark.slow
def test_mlflow_keeps_each_epoch_once_though_the_run_was_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    uri = (tmp_path / "store").as_uri()
    began, again = tracked(lambda: TRACKERS.build("mlflow", uri=uri, experiment="mine"), tmp_path)
    assert began.id == again.id
    client = mlflow.MlflowClient(tracking_uri=uri)
    [run] = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (began.id, "seals", "FINISHED")
    assert run.data.params == {key: str(value) for key, value in TrackedRun("", Path(), CONFIG).settings().items()}
    history = {name: [(each.step, each.value) for each in client.get_metric_history(began.id, name)]
               for name in run.data.metrics}  # fmt: skip
    assert history == {
        "train_loss": [(1, 1.0), (2, 0.5), (3, 1 / 3)],
        "seconds": [(1, 2.0), (2, 2.0), (3, 2.0)],
        **{name: [(3, value)] for name, value in FIGURES.items()},
    }
    assert run.data.tags["report"] == str(tmp_path / "report.html")


WANDB = """\
'''The part of wandb's interface that the tracker uses; runs are kept in `RUNS` by their ids.'''
RUNS = {}

class Settings:
    def __init__(self, console, silent): ...

class Run:
    url = dir = "https://wandb.example/seals"
    def __init__(self, given):
        self.id, self.given, self.step, self.lines, self.summary, self.ended = "abc", given, 0, [], {}, []
    def log(self, figures, step):
        assert step >= self.step
        self.lines.append((step, figures))
        self.step = step + 1
    def finish(self, exit_code):
        self.ended.append(exit_code)

def init(*, project, entity, name, id, resume, group, tags, config, mode, settings):
    assert (resume == "allow") == (id is not None)
    given = dict(project=project, entity=entity, name=name, group=group, tags=tags, config=config, mode=mode)
    return RUNS[id] if id else RUNS.setdefault("abc", Run(given))
"""
TRACKIO = """\
'''The part of Trackio's interface that the tracker uses; runs are kept in `RUNS` by their names.'''
RUNS = {}

class Run:
    def __init__(self, given):
        self.given, self.lines, self.ended = given, [], 0
    def log(self, figures, step):
        self.lines.append((step, figures))
    def finish(self):
        self.ended += 1

def init(project, name, *, group, space_id, config, resume, embed):
    assert (resume == "allow") == (name in RUNS)
    return RUNS.setdefault(name, Run(dict(project=project, group=group, space_id=space_id, config=config)))
"""


@pytest.fixture
def standing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, Any]]:
    """Puts a small module in the place of a package, and returns its runs."""

    def put(package: str, source: str) -> dict[str, Any]:
        (tmp_path / f"{package}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(sys.modules, package, ModuleType(package))  # so that it is forgotten after the test
        del sys.modules[package]
        runs: dict[str, Any] = __import__(package).RUNS
        return runs

    return put


def test_wandb_is_told_each_epoch_once_in_one_run(
    standing_in: Callable[[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    """Against a module of the same interface: wandb itself weighs 56 MB."""
    runs = standing_in("wandb", WANDB)
    began, again = tracked(lambda: TRACKERS.build("wandb", project="p", tags=["a"], group="g"), tmp_path)
    assert began == again == Tracked("abc", "https://wandb.example/seals")
    [run] = runs.values()
    assert run.given == {"project": "p", "entity": None, "name": "seals", "group": "g", "tags": ["a"],
                         "config": CONFIG, "mode": "online"}  # fmt: skip
    assert run.lines == [(epoch.number, epoch.figures) for epoch in EPOCHS]
    assert run.summary == {**FIGURES, "report": str(tmp_path / "report.html")}
    assert run.ended == [1, 0]


def test_wandb_offline_names_the_folder_to_send(
    standing_in: Callable[[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    """Against a module of the same interface. A run whose tracker is new gets the epochs that are done already."""
    runs = standing_in("wandb", WANDB.replace("https://wandb.example/seals", "wandb/offline-run-1/files"))
    tracker = TRACKERS.build("wandb", mode="offline")
    began = tracker.begin(TrackedRun("seals", tmp_path, CONFIG, epochs=EPOCHS[:2]))
    assert began.place == f"wandb sync {Path('wandb/offline-run-1')}"
    assert runs["abc"].lines == [(epoch.number, epoch.figures) for epoch in EPOCHS[:2]]


def test_trackio_is_told_each_epoch_once_in_one_run(
    standing_in: Callable[[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    """Against a module of the same interface: Trackio needs an older Pillow."""
    runs = standing_in("trackio", TRACKIO)
    began, again = tracked(lambda: TRACKERS.build("trackio", project="p", space="me/seals"), tmp_path)
    assert began == again
    assert began.place == "https://huggingface.co/spaces/me/seals"
    [(name, run)] = runs.items()
    assert name == began.id
    assert name.startswith("seals-")
    assert run.given == {"project": "p", "group": None, "space_id": "me/seals", "config": CONFIG}
    result = {**FIGURES, "report": str(tmp_path / "report.html")}
    assert run.lines == [*((epoch.number, epoch.figures) for epoch in EPOCHS), (3, result)]
    assert run.ended == 2
    TRACKERS.build("trackio").begin(TrackedRun("other", tmp_path, CONFIG, epochs=EPOCHS[:2]))
    assert [run.lines for name, run in runs.items() if name != began.id] == [
        [(epoch.number, epoch.figures) for epoch in EPOCHS[:2]]
    ]


def test_mlflow_takes_no_password_which_the_run_would_keep() -> None:
    with pytest.raises(UserError, match=r"http://…@host has a user, .*: leave uri out, and set MLFLOW") as caught:
        TRACKERS.build_for_run("mlflow", {"uri": "http://me:secret@host"})
    assert "secret" not in str(caught.value)
