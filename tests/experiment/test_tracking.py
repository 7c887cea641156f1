"""Trackers of a run: what they are told, and that they change and hold up nothing."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import LoadConfig, Told, manifest, metrics, outcome, run_fp32
from siamesekit.config import Config, load_config
from siamesekit.errors import ComponentError, PluginError, UserError
from siamesekit.experiment import tracking
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.running import check
from siamesekit.experiment.tracking import Tracking, final_figures, trackers_of
from siamesekit.files.run_files import EVENTS, own_files
from siamesekit.progress import Progress
from siamesekit.registry import TRACKERS
from siamesekit.registry.plugin_files import load_plugin_file

pytestmark = pytest.mark.usefixtures("plain_charts")

WITNESS = '''
"""A tracker that writes what it is told into a file, draws random numbers, prints, and fails if it is asked to."""
import json, os, random, time
from siamesekit import TRACKERS, Tracked


@TRACKERS.register("witness")
class Witness:
    """Writes what it is told."""

    def __init__(self, file: str, fault: str = "", at: str = "log_epoch") -> None:
        self.file, self.fault, self.at = file, fault, at
        self.package = "no_such_package" if fault == "package" else ""

    def _note(self, *told):
        random.random()
        print("I print")
        with open(self.file, "a") as file:
            file.write(json.dumps(told, default=lambda it: getattr(it, "__dict__", str(it))) + "\\n")
        if self.at == told[0]:
            {"raise": lambda: 1 / 0, "exit": lambda: os._exit(3), "hang": lambda: time.sleep(60)}.get(
                self.fault, lambda: None)()

    def begin(self, run):
        self._note("begin", run)
        return "nothing" if self.fault == "give" else Tracked("id-" + str(len(run.id)), "here")

    def log_epoch(self, epoch):
        self._note("log_epoch", epoch)

    def log_result(self, figures, report):
        self._note("log_result", figures, report)

    def end(self, complete):
        self._note("end", complete)
'''
LINE = {"epoch": 1, "train_loss": 0.5, "test_loss": None}


@pytest.fixture(scope="module")
def witnessed(project: Path) -> Path:
    """The small config with the witness's plugin."""
    (project / "witness.py").write_text(WITNESS)
    file = project / "witnessed.toml"
    file.write_text('plugins = ["witness.py"]\n' + (project / "config.toml").read_text())
    return file


def witness(file: Path, **options: str) -> dict[str, str]:
    return {"name": "witness", "file": str(file), **options}


def config_of(file: Path, *trackers: dict[str, str], more: tuple[str, ...] = ()) -> Config:
    inline = ", ".join("{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in each.items()) + "}" for each in trackers)
    return load_config(file, [f"track.trackers=[{inline}]", *more])


def noted(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
def test_a_tracked_run_is_that_without_trackers_and_they_are_told_all_of_it(
    finished: RunResult, witnessed: Path, tmp_path: Path, told: Told
) -> None:
    """One tracker fails in the second epoch, and the run goes on."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    config = config_of(witnessed, witness(good), witness(bad, fault="raise"), more=("save.pickle=network.pkl",))
    result = run_fp32(config, tmp_path / "run", progress=told)
    assert outcome(result.folder) == outcome(finished.folder)
    began, *epochs, results, end = noted(good)
    assert [line[0] for line in (began, *epochs, results, end)] == [
        "begin",
        "log_epoch",
        "log_epoch",
        "log_result",
        "end",
    ]
    assert began[1]["name"] == "small"
    assert began[1]["config"]["seed"] == 5
    assert began[1]["config"]["encoder"]["head"]["layers"] == [32, 16]
    lines = [{"epoch": line[1]["number"], **line[1]["figures"]} for line in epochs]
    assert lines == [
        {key: value for key, value in line.items() if value is not None} for line in metrics(result.folder)
    ]
    assert results[1] == final_figures(json.loads((result.folder / "evaluation.json").read_text()))
    precision = result.evaluation["networks"]["untrained"]["precision_at_1"]
    assert results[1]["untrained/precision_at_1"] == precision["value"]
    assert results[1]["untrained/precision_at_1_low"] == precision["low"]
    assert Path(results[2]) == result.report.resolve()
    assert end == ["end", True]
    [warning] = [warning for warning in told.warned if "Tracker" in warning]
    assert warning.startswith("Tracker 'witness' is left out")
    assert "tracker 'witness' of witness.py fails in Witness._note" in warning
    assert "ZeroDivisionError: division by zero. The run goes on" in warning
    assert [each["id"] for each in manifest(result.folder)["trackers"]] == ["id-0", "id-0"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
def test_a_run_that_continues_goes_on_in_the_same_place(witnessed: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    run_fp32(config_of(witnessed, witness(old), more=("train.epochs=1",)), tmp_path / "run")
    run_fp32(config_of(witnessed, witness(old), witness(new)), tmp_path / "run", resume=True)
    begins = [line[1] for line in noted(old) if line[0] == "begin"]
    assert [each["id"] for each in begins] == ["", "id-0"]
    assert [[epoch["number"] for epoch in each["epochs"]] for each in begins] == [[], [1]]
    [begin] = [line[1] for line in noted(new) if line[0] == "begin"]
    assert (begin["id"], [epoch["number"] for epoch in begin["epochs"]]) == ("", [1])
    assert [each["id"] for each in manifest(tmp_path / "run")["trackers"]] == ["id-4", "id-0"]


@pytest.mark.medium
@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize(
    ("fault", "at", "problem"),
    [
        ("raise", "begin", " is left out: tracker 'witness' of witness.py fails in Witness._note"),
        ("exit", "begin", " is left out: its process has ended."),
        ("give", "", " is left out: begin of tracker 'witness' of witness.py gives a str; expected Tracked."),
        ("hang", "log_epoch", " is left out at the end: it has not answered for 1.5 seconds."),
    ],
)
def test_a_tracker_that_fails_is_left_out_with_one_warning(
    witnessed: Path, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch, fault: str, at: str, problem: str
) -> None:
    config = config_of(witnessed, witness(tmp_path / "file", fault=fault, at=at))
    if fault == "hang":
        monkeypatch.setattr(tracking, "PATIENCE", 1.5)
        monkeypatch.setattr(tracking, "PATIENCE_TO_BEGIN", 60.0)
    began = time.monotonic()
    with Tracking(config, told) as tracked:
        known = tracked.begin(tmp_path, [], [])
        assert bool(known) == (fault == "hang")
        tracked.log_epoch(LINE)
    assert time.monotonic() - began < 30
    [warning] = told.warned
    assert f"Tracker 'witness'{problem}" in warning


@pytest.mark.usefixtures("no_traces")
def test_a_tracker_that_hangs_is_given_up_at_a_later_epoch(
    witnessed: Path, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tracking(config_of(witnessed, witness(tmp_path / "file", fault="hang")), told) as tracked:
        tracked.begin(tmp_path, [], [])
        began = time.monotonic()
        tracked.log_epoch(LINE)
        assert time.monotonic() - began < 0.5
        monkeypatch.setattr(tracking, "PATIENCE", 0.2)
        time.sleep(0.3)
        tracked.log_epoch({**LINE, "epoch": 7})
        [warning] = told.warned
        assert warning.startswith("Tracker 'witness' is left out from epoch 7 on: it has not answered for 0.2 seconds.")
    assert len(told.warned) == 1


DIES = """
import os, sys
from pathlib import Path
from siamesekit.config import load_config
from siamesekit.experiment.tracking import Tracking
from siamesekit.progress import Progress
tracking = Tracking(load_config(sys.argv[1], [sys.argv[2]]), Progress())
tracking.begin(Path(sys.argv[3]), [], [])
os._exit(9)
"""


@pytest.mark.medium
def test_a_tracker_ends_after_a_run_that_is_killed(witnessed: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    override = f"track.trackers=[{{name = 'witness', file = '{file}'}}]"
    done = subprocess.run([sys.executable, "-c", DIES, witnessed, override, tmp_path], timeout=60)
    assert done.returncode == 9
    until = time.monotonic() + 20
    while noted(file)[-1][0] == "begin" and time.monotonic() < until:
        time.sleep(0.05)
    assert noted(file)[-1] == ["end", False]


@pytest.mark.usefixtures("no_traces")
def test_what_cannot_track_is_refused_before_the_run(
    witnessed: Path, tmp_path: Path, small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan and run refuse it, and no folder is made."""
    out = tmp_path / "run"

    def refused(config: Config, error: type[UserError], message: str) -> None:
        for begin in (lambda: check(config, progress=Progress()), lambda: run_fp32(config, out, progress=Progress())):
            with pytest.raises(error) as raised:
                begin()
            assert str(raised.value).splitlines() == [message]
            assert not out.exists()

    refused(
        config_of(witnessed, witness(tmp_path / "file", fault="package")),
        UserError,
        "tracker 'witness' of witness.py needs the package no_such_package: pip install no_such_package",
    )
    (tmp_path / "wandb").mkdir()  # where wandb keeps its files: no package
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *(entry for entry in sys.path if not (Path(entry) / "wandb").exists())])
    refused(
        small_config("track.name=wandb"),
        UserError,
        "tracker 'wandb' needs the package wandb: pip install 'siamesekit[wandb]'",
    )
    (witnessed.parent / "half.py").write_text(WITNESS.replace('"witness"', '"half"').replace("def end", "def ends"))
    load_plugin_file(witnessed.parent / "half.py")
    refused(
        small_config("track.name=half", "track.file=x"),
        PluginError,
        "tracker 'half' of half.py gives a Witness, which has no method 'end'; expected a tracker: an object with the "
        "methods begin, log_epoch, log_result, end",
    )


@pytest.mark.usefixtures("no_traces")
def test_a_tracker_of_this_session_is_refused(small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        """Never built."""

    Here.__module__ = "__main__"
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    for name in ("begin", "log_epoch", "log_result", "end"):
        setattr(Here, name, print)
    TRACKERS.register("here")(Here)
    with pytest.raises(ComponentError, match=r"^tracker 'here' of this session runs in a process of its own.*put it"):
        check(small_config("track.name=here"), progress=Progress())


def test_a_plan_names_the_trackers_and_several_are_taken_apart(small_config: LoadConfig) -> None:
    config = small_config(
        'track.trackers=[{name="wandb", tags=["a"]}, {name="several", trackers=[{name="mlflow", uri="u"}]}]'
    )
    assert [(each["name"], each["options"]) for each in trackers_of(config)] == [
        ("wandb", {"project": "siamesekit", "entity": "", "mode": "online", "group": "", "tags": ["a"]}),
        ("mlflow", {"uri": "u", "experiment": "siamesekit"}),
    ]
    assert trackers_of(small_config()) == []


def test_event_files_belong_to_the_run_and_nothing_else_beside_them(tmp_path: Path) -> None:
    events = tmp_path / "tensorboard"
    events.mkdir()
    for name in ("events.out.tfevents.1795873652.vm.31489.0", "notes.txt"):
        (events / name).touch()
    assert own_files(tmp_path, {"files": [EVENTS]}) == ["tensorboard/events.out.tfevents.1795873652.vm.31489.0"]
    assert own_files(tmp_path, {"files": []}) == []


def test_the_figures_of_a_run_have_the_ends_of_their_intervals() -> None:
    interval = {"value": 0.5, "low": 0.25, "high": 0.75}
    evaluation = {
        "networks": {"trained": {"map_at_r": interval, "mrr": {**interval, "low": None, "high": None}}},
        "roc": {"auc": interval, "pairs": 12, "curve": {"threshold": [0.0]}},
        "threshold": None,
        "groups": {"side": {"left": {"map_at_r": interval}}},
    }
    assert final_figures(evaluation) == {
        "trained/map_at_r": 0.5, "trained/map_at_r_low": 0.25, "trained/map_at_r_high": 0.75, "trained/mrr": 0.5,
        "roc/auc": 0.5, "roc/auc_low": 0.25, "roc/auc_high": 0.75,
    }  # fmt: skip
