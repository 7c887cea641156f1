"""Text of unknown origin never acts on a terminal: every way in which text leaves the library is walked."""

from __future__ import annotations

import ast
import io
import json
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import siamesekit
from siamesekit import RunResult, errors
from siamesekit.cli.shell import Shell
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import load_weights
from siamesekit.errors import ArtifactError, SiamesekitError, WeightsError
from siamesekit.progress import ShownProgress
from tests.test_errors import HOSTILE

ROOT = Path(siamesekit.__file__).parent
RAISED = {name for name, c in vars(errors).items() if isinstance(c, type) and issubclass(c, SiamesekitError)}
WRITERS = {"print", "echo", "write", "writelines"}
OUTPUT = {
    "__init__.py:exec_module": "a warning in words of its own",
    "cli/__init__.py:main": "a word of its own",
    "cli/app.py:version": "the version",
    "cli/screen.py:_lost": "words of its own, and what the system calls an error",
    "cli/screen.py:write": "hands on what it is given",
    "cli/screen.py:writelines": "hands on what it is given",
    "cli/shell.py:_print": "through `in_one_line`",
    "cli/shell.py:add": "a file",
    "cli/shell.py:json": "escapes what is not printable",
    "cli/shell.py:json_of": "escapes what is not printable",
    "cli/shell.py:lines": "through `printable`",
    "progress.py:_write": "of `say`, through `in_one_line`, and bars of its own",
    "artifact/similarity_model.py:compare": "a warning in words of its own",
    "registry/registry.py:_look_up": "through `told`",
    "cli/usage.py:resolve_command": "the help, which is its own",
    "components/encoders/downloads.py:_download": "a file",
    "files/atomic.py:_probe": "a file",
    "gallery/bound_model.py:_copy": "a file",
    "artifact/hub_push.py:_copy": "a file",
    "components/stores/embedding_matrix.py:overwrite": "a file",
    "engine/ranks/shared_tensors.py:_keep": "a file",
    "components/stores/embedding_matrix.py:store": "a file",
    "files/atomic.py:fill": "a file",
    "files/spooled.py:append": "a temporary file",
    "gallery/match_folder.py:write": "a file",
    "experiment/tracker_process.py:_answer_to": "JSON for the process of a tracker",
    "experiment/tracker_process.py:main": "JSON from that process",
}
"""Where text leaves for a terminal, or for a file by a method of the same name, and why nothing hostile is in it."""


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(ROOT.rglob("*.py")):
        yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def calls(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Each call, with the name of the function around it."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.Call):
            yield inside, node
        yield from calls(node, inside)


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_table(call: ast.Call) -> bool:
    """`shell.out.print(a_table(…))`: what stands in a table is made printable where the table is made."""
    return called(call) == "print" and any(
        isinstance(argument, ast.Call) and called(argument).endswith("_table") for argument in call.args
    )


@pytest.mark.medium
def test_all_ways_in_which_text_leaves_are_known() -> None:
    found = {
        f"{file}:{function}"
        for file, tree in parsed()
        for function, call in calls(tree)
        if called(call) in WRITERS or (called(call) == "warn" and ast.unparse(call.func) == "warnings.warn")
        if not is_table(call)
    }
    assert found == OUTPUT.keys()


@pytest.mark.medium
def test_no_message_has_a_line_break_that_would_be_escaped() -> None:
    """More lines of a message are its details, and each is made printable by itself."""
    broken = [
        f"{file}:{call.lineno}"
        for file, tree in parsed()
        for _, call in calls(tree)
        if called(call) in RAISED | {"say", "warn", "say_once", "error"}
        for argument in call.args[:1]
        for part in ast.walk(argument)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and "\n" in part.value
    ]
    assert broken == []


def is_safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_the_shell_prints_nothing_that_acts_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell()
    shell.say(HOSTILE)
    shell.warn(HOSTILE, [HOSTILE])
    shell.error(HOSTILE, [HOSTILE])
    shell.lines([HOSTILE, "plain"])
    shell.json({HOSTILE: [HOSTILE]})
    out, err = capsys.readouterr()
    assert is_safe(out) and is_safe(err)
    assert len(err.splitlines()) == 4
    assert out.splitlines()[2] == "plain"
    assert json.loads("\n".join(out.splitlines()[3:])) == {HOSTILE: [HOSTILE]}


def test_progress_writes_nothing_that_acts_on_a_terminal() -> None:
    stream = io.StringIO()
    progress = ShownProgress(stream, in_place=False)
    progress.say(HOSTILE)
    progress.warn(HOSTILE, [HOSTILE])
    assert is_safe(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 3


def with_option(model: Path, table: str) -> None:
    description = json.loads((model / "model.json").read_text())
    description[table]["options"] = {HOSTILE: 1}
    (model / "model.json").write_text(json.dumps(description))


def with_header(model: Path, change: Any) -> None:
    file = model / "model.safetensors"
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    name = next(key for key in header if not key.startswith("_"))
    change(header, name)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def rename(header: dict[str, Any], name: str) -> None:
    header[HOSTILE] = header.pop(name)


def retype(header: dict[str, Any], name: str) -> None:
    header[name]["dtype"] = HOSTILE


HOSTILE_MODELS = {
    "an option of the distance": lambda model: with_option(model, "distance"),
    "an option of the encoder": lambda model: with_option(model, "encoder"),
    "the name of a tensor": lambda model: with_header(model, rename),
    "the type of a tensor": lambda model: with_header(model, retype),
    "the whole description": lambda model: (model / "model.json").write_bytes(HOSTILE.encode("utf-8", "replace")),
}


@pytest.fixture
def model(finished: RunResult, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.folder / "model", tmp_path / "model"))


@pytest.mark.parametrize("place", HOSTILE_MODELS)
def test_a_hostile_model_cannot_command_the_terminal(
    model: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    HOSTILE_MODELS[place](model)
    with pytest.raises(ArtifactError) as refused:
        siamesekit.load(model)
    with pytest.raises(SystemExit) as ended, Shell():
        raise refused.value
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert is_safe(said)
    assert "verdict     same individual" not in [line.strip() for line in said.splitlines()]


def test_a_hostile_weights_file_cannot_command_the_terminal(tmp_path: Path) -> None:
    backbone = Backbone(torch.nn.Linear(2, 2), 2, (0.0,) * 3, (1.0,) * 3)
    torch.save(backbone.network.state_dict(), tmp_path / "member.pth")
    with zipfile.ZipFile(tmp_path / "member.pth", "a") as archive:
        archive.writestr(HOSTILE.encode("utf-8", "replace").decode().replace("\x00", ""), "x")
    torch.save({HOSTILE.encode("utf-8", "replace").decode(): torch.zeros(2)}, tmp_path / "name.pth")
    (tmp_path / "pickle.bin").write_bytes(b'cos\nsystem\n(S"touch P"\ntR.')
    for file in ("member.pth", "name.pth", "pickle.bin"):
        with pytest.raises(WeightsError) as refused:
            load_weights(backbone, tmp_path / file)
        assert is_safe(str(refused.value))
        assert "weights_only" not in str(refused.value), "advice that would run the file's code"
