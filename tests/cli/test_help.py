"""Help texts are sentences: of the app, of every command, and of every option and argument."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from siamesekit.cli.app import app

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = {"siamesekit": GROUP, **GROUP.commands}
SHORT = {name: command.get_short_help_str(limit=1000) for name, command in COMMANDS.items()}
PARAMETERS = {
    f"{name} {max(parameter.opts, key=len)}": parameter.help or ""
    for name, command in COMMANDS.items()
    for parameter in command.get_params(command.make_context(name, [], resilient_parsing=True))
}
CODE = r"[\w./<>-]*[_./<>-][\w./<>-]*"
"""A file name, an option or a key, with which a sentence may begin."""

CLASS = re.compile(r"\b(?!OpenVINO\b)[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+\b")
DOUBLED = re.compile(r"\b([a-z]+)\s+\1\b", re.I)


def faults(text: str) -> list[str]:
    """What keeps a text from being a sentence, or several."""
    found = []
    if not re.match(rf"[A-Z]|{CODE}(?=[\s,;:]|$)", text):
        found.append("does not begin with a capital letter or a code word")
    if not text.endswith("."):
        found.append("does not end with a full stop")
    if doubled := DOUBLED.search(text):
        found.append(f"doubled word: {doubled[1]}")
    if named := CLASS.search(text):
        found.append(f"name of a class: {named[0]}")
    return found


@pytest.mark.parametrize("name", SHORT)
def test_the_short_help_of_a_command_is_a_sentence(name: str) -> None:
    assert faults(SHORT[name]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_long_help_of_a_command_begins_with_a_sentence(name: str) -> None:
    long = COMMANDS[name].help or ""
    assert faults(long.partition("\n\n")[0].strip()) == []
    assert not DOUBLED.search(long)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_help_of_an_option_or_argument_is_a_sentence(name: str) -> None:
    assert faults(PARAMETERS[name]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_page_names_no_class(name: str) -> None:
    context = COMMANDS[name].make_context(name, [], resilient_parsing=True)
    page = " ".join(COMMANDS[name].get_help(context).split())
    assert not CLASS.search(page)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "does not begin with a capital letter or a code word"),
        (".npz, .csv or .parquet", "does not end with a full stop"),
        ("a photo.", "does not begin with a capital letter or a code word"),
        ("Photo of the the run.", "doubled word: the"),
        ("A PrecisionName of the encoder.", "name of a class: PrecisionName"),
    ],
)
def test_what_is_no_sentence_is_found(text: str, fault: str) -> None:
    assert fault in faults(text)
