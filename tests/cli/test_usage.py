"""Mistyped command lines are answered with what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from siamesekit.cli.app import app


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("run c.toml --epochs 3", "--set train.epochs=3"),
        ("run c.toml --epochs=3", "--set train.epochs=3"),
        ("run c.toml -epochs 3", "--set train.epochs=3"),
        ("run c.toml --epochs", "--set train.epochs=VALUE"),
        ("check c.toml --lr 0.1", "--set optimizer.lr=0.1"),
        ("run c.toml --batch-size 32", "--set sampler.batch_size=32"),
        ("run c.toml --batch_size 32", "--set sampler.batch_size=32"),
        ("run c.toml --seed 3", "--set seed=3"),
        ("run c.toml --margin -0.5", "--set loss.margin=-0.5"),
        ("run c.toml --optimizer sgd", "--set optimizer.name=sgd"),
        ("run c.toml --loss.margin 0.2", "--set loss.margin=0.2"),
        ("run c.toml --learning-rate 0.2", "--set optimizer.lr=0.2"),
        ("run c.toml --skip_bad", "Did you mean --skip-bad?"),
        ("run c.toml --gpu", "Did you mean --device cuda?"),
        ("run c.toml --output-dir x", "Did you mean --out?"),
        ("run c.toml --set train.epochs 3", "An override is one word: --set train.epochs=3"),
        ("run c.toml --set train.epochs = 3", "An override is one word: --set train.epochs=3"),
        ("check c.toml --set train.epochs= 3", "An override is one word: --set train.epochs=3"),
        ("run c.toml train.epochs=3", "Set a key of the config with --set: --set train.epochs=3"),
        ("run c.toml epochs=3", "--set train.epochs=3"),
        ("train c.toml", "Did you mean 'run'"),
        ("fit", "Did you mean 'run'"),
        ("evaluat runs/x", "Did you mean 'evaluate'"),
        ("predict", "Did you mean 'compare'"),
        ("identify", "Did you mean 'search'"),
        ("version", "Did you mean 'siamesekit --version'?"),
        ("seals.toml", "To run a config: siamesekit run seals.toml"),
        ("chek c.toml", "'check'"),
    ],
)
def test_what_was_meant_is_said(arguments: str, expected: str) -> None:
    result = call(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr


@pytest.mark.parametrize("arguments", ["embed r x --epochs 3", "run c.toml --frobnicate", "compare r a b c"])
def test_where_nothing_is_known_nothing_is_made_up(arguments: str) -> None:
    result = call(*arguments.split())
    assert result.exit_code == 2
    assert "--set" not in result.stderr.partition("Error:")[2]


@pytest.mark.medium
@pytest.mark.parametrize("arguments", [["-h"], ["help"], ["--help"]])
def test_help_has_three_spellings(arguments: list[str]) -> None:
    assert call(*arguments).stdout == call("--help").stdout
    assert call(*arguments, *["run"] * (arguments == ["help"])).exit_code == 0
    assert call("run", "-h").stdout == call("help", "run").stdout == call("run", "--help").stdout


@pytest.mark.medium
def test_help_has_no_cut_lines_braces_or_types_of_python() -> None:
    top = call("--help").stdout
    assert "..." not in top.partition("Commands:")[2]
    for command in ("init", "run", "check", "compare", "embed", "list", "show", "schema"):
        shown = call(command, "--help").stdout
        assert not {"{", "}"} & set(shown.replace("{individual}", "")), command  # but the one of a pattern
        assert "list[" not in shown and "PrecisionName" not in shown, command
    assert "Number format of the encoder." in call("run", "--help").stdout


def test_a_folder_in_place_of_a_config_gets_the_same_command_again(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    assert f"siamesekit check {tmp_path / 'config.toml'}" in call("check", str(tmp_path)).stderr


def test_an_unknown_kind_has_tables_among_its_choices() -> None:
    for command in (["list", "losss"], ["show", "tabel", "train"]):
        assert call(*command).stderr.strip().endswith("matchers, stores, tables")
