"""The commands: exit codes, no tracebacks, JSON, help without delay, and the list of components."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from siamesekit import __version__, pretrained
from siamesekit.cli.app import app
from siamesekit.errors import RunError
from siamesekit.experiment.run_result import RunResult
from siamesekit.registry import ENCODERS, LOSSES, REGISTRIES, Component, Registry
from siamesekit.registry.signatures import type_in_words

SHIPPED = [
    pytest.param(registry, component, id=f"{registry.kind}-{component.name}")
    for registry in REGISTRIES
    for component in registry.components()
    if component.origin.startswith("siamesekit.")
]
KINDS = ", ".join([*(registry.plural for registry in REGISTRIES), "tables"])
FAMILIES = ", ".join(name.removesuffix("/*") for name in ENCODERS.names() if name.endswith("/*"))
LOSS_NAMES = ", ".join(LOSSES.names())
PLUGIN = '''
from siamesekit import LOSSES

@LOSSES.register("mine")
def mine(a: int, b: float = 2.0):
    """A loss of mine."""
'''


pytestmark = pytest.mark.usefixtures("no_traces")


def call(*arguments: object) -> Result:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def spawn(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "siamesekit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def document(result: Result) -> Any:
    """The one JSON document on stdout of a command that went well."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_version_and_help() -> None:
    shown = spawn("--version")
    assert (shown.returncode, shown.stdout) == (0, f"siamesekit {__version__}\n")
    assert {"init", "run", "check", "compare", "embed", "list", "show", "schema"} <= set(call("--help").stdout.split())
    assert call().exit_code == 2


@pytest.mark.medium
def test_help_starts_within_half_a_second_of_typer() -> None:
    """In processor time, which other work on the machine changes little, and without the tracing of coverage."""

    def used() -> float:
        times = os.times()
        return times.children_user + times.children_system

    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    best = {"help": 9.0, "typer": 9.0}
    commands = {"help": ["-m", "siamesekit", "--help"], "typer": ["-c", "import typer"]}
    for _ in range(4):
        for name, command in commands.items():
            start = used()
            subprocess.run([sys.executable, *command], check=True, capture_output=True, env=untraced)
            best[name] = min(best[name], used() - start)
    assert best["help"] - best["typer"] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "losses"], ["show", "loss", "triplet"], ["check", "gone.toml"]]
)
def test_torch_is_not_imported_before_a_command_needs_it(arguments: list[str]) -> None:
    code = f"import sys\nsys.argv = ['siamesekit', *{arguments!r}]\nfrom siamesekit.cli import main\n"
    code += "try: main()\nexcept SystemExit: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "False"


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "gone.toml"], "error: 1 problem in gone.toml\n  no such file\n"),
        (["check", "gone.toml", "--json"], "error: 1 problem in gone.toml\n  no such file\n"),
        (["list", "losss"], f"error: unknown kind 'losss' (did you mean 'losses'?); choices: {KINDS}\n"),
        (["list", "losses", "timm"], "error: losses have no family 'timm'; families: pml\n"),
        (["list", "readers", "timm"], "error: readers have no family 'timm'; families: none\n"),
        (["list", "encoders", "tim"], f"error: encoders have no family 'tim'; families: {FAMILIES}\n"),
        (
            ["show", "loss", "triplt"],
            f"error: unknown loss 'triplt' (did you mean 'triplet'?); choices: {LOSS_NAMES}\n",
        ),
        (["show", "los", "triplet"], f"error: unknown kind 'los' (did you mean 'losses'?); choices: {KINDS}\n"),
        (["compare", "gone", "a.png", "b.png"], "error: no such file: gone, a.png, b.png\n"),
        (["embed", "gone", "x", "-o", "y.foo"], "error: y.foo: unknown suffix; choose one of .npz, .csv, .parquet\n"),
        (["embed", "gone", "x", "-o", "gone/y.csv"], "error: gone/y.csv: there is no folder gone\n"),
        (["embed", "gone", "x", "-o", "y.csv"], "error: no such file or folder: x\n"),
        (["list", "--plugin", "gone.py"], "error: plugin 'gone.py': no such file: {here}/gone.py\n"),
    ],
)
def test_wrong_input_is_an_error_on_stderr_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", expected.format(here=tmp_path))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "No such command 'trian'"),
        (["check", "c.toml", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["run"], "Missing argument 'CONFIG'"),
        (["run", "c.toml", "--frobnicate"], "No such option"),
    ],
)
def test_wrong_usage_is_explained_and_exit_2(arguments: list[str], expected: str) -> None:
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr


@pytest.mark.medium
def test_without_debug_there_is_no_traceback_and_with_it_there_is(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[los]\n")
    plain = spawn("run", tmp_path / "c.toml")
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr.splitlines()[0] == f"error: 3 problems in {tmp_path / 'c.toml'}"
    assert "Traceback" not in plain.stderr
    debug = spawn("run", tmp_path / "c.toml", "--debug")
    assert debug.returncode == 1
    assert "Traceback (most recent call last)" in debug.stderr
    assert "ConfigError: 3 problems" in debug.stderr


@pytest.mark.medium
def test_a_long_error_is_not_wrapped(tmp_path: Path) -> None:
    """So that a line can be searched for, and a path copied."""
    (tmp_path / "c.toml").write_text(f'name = "{"x " * 200}"\n')
    assert any(len(line) > 300 for line in spawn("run", tmp_path / "c.toml").stderr.splitlines())


def test_work_that_fails_is_exit_1(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    def fail(*_: object) -> None:
        raise RunError("the loss is NaN [at] step 3")

    monkeypatch.setattr("siamesekit.experiment.running.run", fail)
    result = call("run", project / "config.toml")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: the loss is NaN [at] step 3\n")


@pytest.mark.medium
@pytest.mark.parametrize("command", ["run", "check"])
def test_ctrl_c_is_exit_130_without_traceback(tmp_path: Path, command: str) -> None:
    (tmp_path / "p.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGINT)})\n")
    (tmp_path / "c.toml").write_text('plugins = ["p.py"]\n')
    result = spawn(command, tmp_path / "c.toml")
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "stopped\n")


def test_after_ctrl_c_the_command_to_go_on_holds_every_option(
    monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my run"

    def stop(*_: object) -> None:
        out.mkdir()
        (out / "config.toml").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr("siamesekit.experiment.running.run", stop)
    config = project / "config.toml"
    result = call("run", config, "--set", "train.epochs=9", "--set", "name=a-b", "--device", "cpu",
                  "--out", out, "--precision", "fp32")  # fmt: skip
    assert result.exit_code == 130
    assert result.stderr == (
        "stopped\nto continue: "
        f"siamesekit run {config} --set train.epochs=9 --set name=a-b --device cpu --precision fp32 "
        f"--out '{out}' --resume\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["", "wide", "0", "-5"])
def test_a_width_that_is_none_is_not_taken(columns: str) -> None:
    listed = spawn("list", "losses", COLUMNS=columns)
    assert listed.returncode == 0
    assert "triplet" in listed.stdout


@pytest.mark.medium
def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m siamesekit list encoders timm | head -n 1", shell=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("timm/")
    assert "Traceback" not in done.stderr


@pytest.mark.medium
@pytest.mark.parametrize(("registry", "component"), SHIPPED)
def test_a_shipped_component_is_listed_shown_and_says_its_shapes(registry: Registry, component: Component) -> None:
    listed = document(call("list", registry.plural, "--json"))
    [entry] = [entry for entry in listed[registry.plural] if entry["name"] == component.name]
    assert entry["origin"] == component.origin
    name = f"{component.name.removesuffix('*')}{component.members()[0]}" if component.is_family else component.name
    told = registry.get(name)
    shown = call("show", registry.kind, name).stdout
    assert shown.startswith(f"{registry.kind} {name}: {registry.purpose}\nfrom {component.origin}\n")
    assert told.doc in shown
    assert component.summary[:40] in call("list").stdout
    if registry.kind == "reader":
        assert "list of N records" in component.doc
    elif registry.kind == "optimizer":
        assert "any shape" in component.doc
    elif registry.kind == "schedule":
        assert "tep → factor" in component.doc
    elif registry.kind != "tracker":
        assert re.search(r"`\[[^\]]+\]`", component.doc)


def test_list_shows_every_kind_with_its_components_and_origins() -> None:
    lines = call("list").stdout.splitlines()
    for registry in REGISTRIES:
        assert any(line.split()[:1] == [registry.plural] and registry.purpose in line for line in lines)
        for component in registry.components():
            assert any(line.split()[:1] == [component.name] and component.origin in line for line in lines)


def test_list_of_a_family_is_a_model_a_line() -> None:
    models = call("list", "encoders", "timm").stdout.splitlines()
    assert len(models) > 500
    named = [model for model in models if "*" not in model]
    assert named == sorted(named)
    assert {"timm/resnet18", "timm/vit_base_patch16_224", "timm/legacy_xception"} <= set(models)
    assert document(call("list", "encoders", "timm", "--json")) == models


@pytest.mark.medium
def test_show_gives_options_with_range_and_default() -> None:
    shown = call("show", "losses", "triplet").stdout
    assert re.search(r"^ *margin +float ≥ 0 +1\.0 *$", shown, re.M)
    assert re.search(r"^ *reduction +'sum' \| 'mean' \| 'mean-nonzero' +'mean' *$", shown, re.M)
    assert "supplied by the run, not set in a config: distance\n" in shown


def test_show_and_list_as_json() -> None:
    shown = document(call("show", "loss", "triplet", "--json"))
    assert [(option["name"], option["type"], option["default"]) for option in shown["options"]] == [
        (option.name, type_in_words(option.annotation), option.default) for option in LOSSES.get("triplet").options
    ]
    assert ("margin", "float ≥ 0", 1.0) in [(o["name"], o["type"], o["default"]) for o in shown["options"]]
    assert set(document(call("list", "--json"))) == {registry.plural for registry in REGISTRIES}
    root, *_ = document(call("show", "reader", "folder", "--json"))["options"]
    assert (root["name"], root["type"]) == ("root", "Path")
    assert "default" not in root


def test_show_of_a_family_s_member_is_of_that_member() -> None:
    shown = call("show", "loss", "pml/triplet-margin").stdout
    assert re.search(r"^ *margin +float +0\.05 *$", shown, re.M)
    assert re.search(r"^ *distance +table of a distance \| None +None *$", shown, re.M)
    assert re.search(r"^ *losses +tables of losses +required *$", call("show", "loss", "pml/multiple").stdout, re.M)
    assert "`TripletMarginLoss` of pytorch-metric-learning" in shown
    described = document(call("show", "optimizer", "torch/sgd", "--json"))
    assert described["name"] == "torch/sgd"
    assert ("nesterov", "bool", False) in [(o["name"], o["type"], o.get("default")) for o in described["options"]]


def test_a_plugin_s_components_are_listed_and_shown(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PLUGIN)
    shown = document(call("show", "loss", "mine", "--plugin", tmp_path / "p.py", "--json"))
    assert (shown["name"], shown["doc"], shown["origin"]) == ("mine", "A loss of mine.", str(tmp_path / "p.py"))
    assert [(option["name"], option["type"], option.get("default")) for option in shown["options"]] == [
        ("a", "int", None),
        ("b", "float", 2.0),
    ]
    listed = call("list", "losses", "--plugin", tmp_path / "p.py").stdout
    assert re.search(r"^ *mine +A loss of mine\. ", listed, re.M)


@pytest.mark.medium
def test_check_prints_the_plan_and_writes_nothing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = document(call("check", project / "config.toml", "--device", "cpu", "--json", "--set", "train.epochs=3"))
    assert plan["photos"] == {"train": 16, "test": 16}
    assert (plan["triplets"], plan["batches"], plan["steps"]) == (24, 3, 9)
    table = call("check", project / "config.toml", "--device", "cpu").stdout
    assert re.search(r"individuals +4 train, 4 test", table)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_check_and_run_say_who_was_left_out_in_the_same_words_once(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = Path(shutil.copytree(project / "photos", tmp_path / "photos"))
    for name in ("x/1.NEF", "x/2.NEF", "x/3.NEF"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    (photos / "single").mkdir()
    shutil.copy(photos / "striped_0" / "0.png", photos / "single")
    (photos / "striped_1" / "0.png").write_bytes(b"")
    options = ["--device", "cpu", "--skip-bad", "--set", f"data.root={photos}", "--set", "data.singletons=leave-out",
               "--set", "train.epochs=1"]  # fmt: skip
    sentences = [
        "3 files skipped: 3 .NEF; ",
        "individual x has no photos: 3 files skipped: 3 .NEF",
        "1 individuals with a single photo were left out: single/0.png",
        "1 of 32 photos cannot be used and are left out:",
        "striped_1/0.png: is empty (0 bytes)",
    ]
    for command in ("check", "run"):
        said = call(command, project / "config.toml", *options).output
        assert {sentence: said.count(sentence) for sentence in sentences} == dict.fromkeys(sentences, 1), command
    plan = document(call("check", project / "config.toml", *options, "--json"))
    assert [any(note.startswith(sentence) for note in plan["left_out"]) for sentence in sentences[:3]] == [True] * 3
    written = json.loads((tmp_path / "runs/small/evaluation.json").read_text())
    assert written["left_out"] == plan["left_out"]
    assert len(plan["test_individuals"]) == 4


def test_random_layers_below_those_that_train_are_refused_or_said(project: Path) -> None:
    config = project / "config.toml"
    refused = call("run", config, "--set", "encoder.weights=random", "--device", "cpu")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert 'encoder.weights = "random" with encoder.train_from = "layer3"' in refused.stderr
    said = call("check", config, "--device", "cpu")
    assert said.exit_code == 0
    assert said.stdout.count("The layers before 'layer3' are frozen and random") == 1


@pytest.mark.slow
def test_run_as_json_is_one_document_and_the_run(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", project / "config.toml", "--device", "cpu", "--set", "train.epochs=1"]
    result = document(call(*arguments, "--json"))
    assert result["run"] == "runs/small"
    written = json.loads((tmp_path / "runs/small/evaluation.json").read_text())
    assert {key: result[key] for key in written} == written
    assert result["stand_ins"] == []
    again = call(*arguments)
    assert again.exit_code == 2
    assert again.stderr.startswith("error: runs/small exists: --resume continues it")


def test_compare_and_embed_agree(telling: Path, project: Path, tmp_path: Path) -> None:
    a, b = project / "photos/striped_0/0.png", project / "photos/striped_1/0.png"
    compared = document(call("compare", telling, a, b, "--device", "cpu", "--json"))
    embedded = document(call("embed", telling / "model", a, b, "-o", tmp_path / "e.npz", "--json"))
    assert embedded == {"photos": 2, "dimensions": 16, "file": str(tmp_path / "e.npz")}
    with np.load(tmp_path / "e.npz") as file:
        first, second = file["embedding"].astype(np.float64)
        assert file["path"].tolist() == [a.as_posix(), b.as_posix()]
    assert compared["distance"] == pytest.approx(((first - second) ** 2).sum(), abs=1e-5)
    assert compared["same"] == (compared["distance"] <= compared["threshold"])


def test_compare_says_distance_similarity_and_verdict(telling: Path, project: Path) -> None:
    photo = project / "photos/striped_0/0.png"
    lines = call("compare", telling, photo, photo, "--device", "cpu").stdout.splitlines()
    assert lines[0] == "distance    0.0000"
    assert re.fullmatch(r"similarity  [01]\.\d{3}", lines[1])
    assert re.fullmatch(r"verdict     same individual \(threshold \d\.\d{4}\)", lines[2])


def test_embed_of_a_folder_says_what_it_wrote(finished: RunResult, project: Path, tmp_path: Path) -> None:
    result = call("embed", finished.folder, project / "photos", "-o", tmp_path / "e.csv", "--device", "cpu")
    assert result.stdout.splitlines()[-1] == f"32 photos, 16 dimensions each: {tmp_path / 'e.csv'}"
    header, *rows = (tmp_path / "e.csv").read_text().splitlines()
    assert header.split(",") == ["path", "individual", *(f"e{i}" for i in range(16))]
    assert len(rows) == 32
    for row in rows:
        path, individual = (cell.strip('"') for cell in row.split(",")[:2])
        assert individual == Path(path).parent.name


@pytest.mark.medium
def test_embed_leaves_out_bad_photos_and_says_which_and_why(telling: Path, project: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(project / "photos", tmp_path / "photos"))
    (photos / "striped_1" / "0.png").write_bytes(b"")
    (photos / "striped_3" / "2.png").write_bytes(b"%PDF-1.4")
    out = tmp_path / "e.csv"
    plain = call("embed", telling, photos, "-o", out, "--device", "cpu")
    assert (plain.exit_code, out.exists()) == (2, False)
    assert "photos cannot be used: fix them, or embed the rest with --skip-bad\n" in plain.stderr
    told = document(call("embed", telling, photos, "-o", out, "--device", "cpu", "--skip-bad", "--json"))
    assert (told["photos"], told["left_out_file"]) == (30, f"{out}.left-out.csv")
    with Path(f"{out}.left-out.csv").open(newline="") as text:
        header, *rows = csv.reader(text)
    assert header == ["file", "reason", "what to do"]
    assert [row[0] for row in rows] == [str(photos / "striped_1" / "0.png"), str(photos / "striped_3" / "2.png")]
    assert [row[1].partition(" (JPEG")[0] for row in rows] == ["is empty (0 bytes)", "is not a supported image"]
    assert told["left_out"] == [dict(zip(header, row, strict=True)) for row in rows]
    with out.open(newline="") as text:
        _, *kept = csv.reader(text)
    assert len(kept) == 30
    whole = tmp_path / "whole.csv"
    assert call("embed", telling, project / "photos", "-o", whole, "--device", "cpu").exit_code == 0
    with whole.open(newline="") as text:
        expected = {row[0].removeprefix(f"{project}/"): row[1:] for row in csv.reader(text)}
    for path, individual, *values in kept:
        name, *numbers = expected[path.removeprefix(f"{tmp_path}/")]
        assert individual == name
        assert np.array(values, float) == pytest.approx(np.array(numbers, float), abs=1e-5)


def test_embed_needs_no_run_if_an_encoder_is_named(finished: RunResult, project: Path, tmp_path: Path) -> None:
    a, b = project / "photos/striped_0/0.png", project / "photos/striped_1/0.png"
    out, weights = tmp_path / "e.npz", finished.folder / "model" / "model.safetensors"
    named = ["--encoder", "timm/test_resnet", "--weights", weights, "--size", "32", "--device", "cpu"]
    model = pretrained("timm/test_resnet", weights, size=32, device="cpu")
    expected = model.embed([a, b])
    told = document(call("embed", *named, a, b, "-o", out, "--json"))
    assert told == {"photos": 2, "dimensions": expected.shape[1], "file": str(out)}
    with np.load(out) as file:
        assert file["path"].tolist() == [a.as_posix(), b.as_posix()]
        np.testing.assert_allclose(file["embedding"], expected, atol=1e-6)
    (tmp_path / "bad.png").write_bytes(b"")
    told = document(call("embed", *named, a, b, tmp_path / "bad.png", "-o", out, "--skip-bad", "--json"))
    assert (told["photos"], [row["reason"] for row in told["left_out"]]) == (2, ["is empty (0 bytes)"])


def test_embed_of_bad_photos_alone_is_an_error(telling: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    result = call("embed", telling, tmp_path / "a.png", "-o", tmp_path / "e.csv", "--skip-bad", "--device", "cpu")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, "error: 1 of 1 photos cannot be used")
    assert not list(tmp_path.glob("e.csv*"))


@pytest.mark.medium
def test_joined_models_have_weights(telling: Path, project: Path, tmp_path: Path) -> None:
    photo, out = project / "photos" / "striped_2" / "0.png", tmp_path / "joined.npz"
    joined = ("--with", telling, "--device", "cpu")
    assert call("embed", telling, photo, "-o", out, *joined, "--with-weights", "3,1").exit_code == 0
    embedding = np.load(out)["embedding"][0]
    assert (embedding[:16] ** 2).sum() == pytest.approx(0.75, rel=1e-5)
    np.testing.assert_allclose(embedding[:16], np.sqrt(3) * embedding[16:], rtol=1e-5)
    for wrong in ("1", "1,2,3", "1,nan", "1,0", "1,-1", "1,inf", "a,b", ""):
        result = call("embed", telling, photo, "-o", tmp_path / "no.npz", *joined, "--with-weights", wrong)
        assert (result.exit_code, "must be 2 numbers above 0" in result.stderr) == (2, True), wrong
    for command in (("embed", telling, photo, "-o", tmp_path / "no.npz"), ("compare", telling, photo, photo)):
        alone = call(*command, "--with-weights", "1")
        assert (alone.exit_code, "name another run with --with RUN" in alone.stderr) == (2, True)
    assert not (tmp_path / "no.npz").exists()


@pytest.mark.medium
def test_embed_and_compare_take_views_and_several_runs(telling: Path, project: Path, tmp_path: Path) -> None:
    a, b = (project / "photos" / "striped_2" / name for name in ("0.png", "1.png"))
    plain, views = tmp_path / "plain.npz", tmp_path / "views.npz"
    assert call("embed", telling, a, "-o", plain, "--device", "cpu").exit_code == 0
    both = ("--with", telling, "--tta", "mirror, crops", "--device", "cpu")
    assert call("embed", telling, a, "-o", views, *both).exit_code == 0
    one, joined = (np.load(file)["embedding"] for file in (plain, views))
    assert (one.shape, joined.shape) == ((1, 16), (1, 32))
    np.testing.assert_allclose(np.linalg.norm(joined), 1, rtol=1e-5)
    np.testing.assert_allclose(joined[:, :16], joined[:, 16:])
    assert not np.allclose(joined[:, :16] * np.sqrt(2), one, atol=1e-4)
    told = document(call("compare", telling, a, b, *both, "--json"))
    assert (told["threshold"], told["note"].partition(":")[0]) == (None, "an ensemble ships no threshold")
    alone = call("compare", telling, a, b, "--tta", "mirror", "--device", "cpu")
    assert "was measured with no further views" in alone.stderr
    wrong = call("compare", telling, a, b, "--tta", "miror")
    assert (wrong.exit_code, "did you mean 'mirror'" in wrong.stderr) == (2, True)
