"""Completion in the shell, by the environment variables through which a shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from siamesekit.config.key_places import table_names
from siamesekit.registry import DISTANCES, ENCODERS, LOSSES, REGISTRIES

COMMAND = Path(sys.executable).with_name("siamesekit")
MAIN = "import sys; sys.argv[0] = 'siamesekit'; from siamesekit.cli import main; main()"


def offered(typed: str) -> list[str]:
    """What bash is offered for the last word of a line that ends where Tab is pressed."""
    words = typed.split(" ")
    asked = {"_SIAMESEKIT_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([sys.executable, "-c", MAIN], env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.medium
def test_commands_and_choices_are_offered() -> None:
    assert {"init", "check", "run", "compare", "embed", "list", "show", "schema"} <= set(offered("siamesekit "))
    assert offered("siamesekit comp") == ["compare"]
    assert offered("siamesekit run x.toml --device c") == ["cpu", "cuda"]


@pytest.mark.slow
def test_kinds_are_offered_as_each_command_takes_them() -> None:
    assert offered("siamesekit list ") == [*(registry.plural for registry in REGISTRIES), "tables"]
    assert offered("siamesekit list lo") == ["losses"]
    assert offered("siamesekit show ") == [*(registry.kind for registry in REGISTRIES), "table"]


@pytest.mark.slow
def test_components_of_the_kind_are_offered_and_a_familys_members_after_its_prefix() -> None:
    assert offered("siamesekit show distance ") == [name.removesuffix("*") for name in DISTANCES.names()]
    assert offered("siamesekit show distances man") == ["manhattan"]
    members = [f"pml/{name}" for name in LOSSES.family("pml").members()]
    assert offered("siamesekit show loss pml/") == members
    assert offered("siamesekit show loss pml/multi-") == [name for name in members if name.startswith("pml/multi-")]
    assert "timm/resnet50" in offered("siamesekit show encoder timm/resnet5")
    assert offered("siamesekit list encoders ") == [name[:-2] for name in ENCODERS.names() if name.endswith("/*")]


@pytest.mark.slow
def test_a_config_s_tables_are_offered() -> None:
    assert offered("siamesekit show table enc") == ["encoder", "encoder.head", "encoder.lora", "encoder.stand_in"]
    assert offered("siamesekit show table ") == table_names()


@pytest.mark.slow
def test_encoders_are_offered_to_init() -> None:
    assert offered("siamesekit init birds --encoder eff") == ["efficientnet-lite0"]
    assert "timm/resnet50" in offered("siamesekit init birds --encoder timm/resnet5")
    assert offered("siamesekit enrol timm/resnet50 photos --fit o") == ["own"]


@pytest.mark.slow
def test_keys_of_the_config_are_offered_to_set(tmp_path: Path) -> None:
    assert offered("siamesekit run x.toml --set train.") == [
        "train.epochs=",
        "train.select=",
        "train.accumulate=",
        "train.average=",
        "train.checkpoint_activations=",
        "train.shard_encoder=",
        "train.memory_gib=",
        "train.shard_centers=",
    ]
    assert {"train.", "loss.", "encoder.head.", "seed="} <= set(offered("siamesekit check x.toml --set "))
    assert "loss.margin=" in offered("siamesekit run x.toml --set loss.m")
    (tmp_path / "c.toml").write_text('[loss]\nname = "cross-batch-memory"\n')
    assert "loss.size=" in offered(f"siamesekit run {tmp_path / 'c.toml'} --set loss.")
    assert "loss.hinge=" not in offered(f"siamesekit run {tmp_path / 'c.toml'} --set loss.")


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["show los ", "show loss nothing/", "list x ", "show loss zz"])
def test_what_there_is_not_offers_nothing(typed: str) -> None:
    assert offered(f"siamesekit {typed}") == []


@pytest.mark.medium
def test_asking_loads_nothing_heavy() -> None:
    code = f"import atexit, sys\natexit.register(lambda: print(*{{'torch', 'timm'}} & set(sys.modules)))\n{MAIN}"
    asked = {
        "_SIAMESEKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "siamesekit show encoder timm/resnet50d",
        "COMP_CWORD": "3",
    }
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stdout.split() == ["timm/resnet50d"]


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND.is_file(), reason="siamesekit is not installed as a command here")
@pytest.mark.parametrize(
    ("shell", "marks"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef siamesekit"), ("fish", "complete --command siamesekit")],
)
def test_the_script_for_each_shell_is_shown_and_installed(shell: str, marks: str, tmp_path: Path) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}

    def called(option: str) -> str:
        done = subprocess.run([COMMAND, option, shell], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    script = called("--show-completion")
    assert marks in script and "_SIAMESEKIT_COMPLETE=complete_" in script
    called("--install-completion")
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(script.strip() in file.read_text(encoding="utf-8") for file in written)
