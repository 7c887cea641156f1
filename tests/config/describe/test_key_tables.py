"""A config's tables in the terminal: every key with type, default and meaning; a wrong name is named; without torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from siamesekit.cli.app import app
from siamesekit.config import load_config
from siamesekit.config.describe.tables import TOP, config_table, config_tables
from siamesekit.config.key_places import table_names
from siamesekit.config.schema import config_schema
from siamesekit.config.tables import NESTED_TABLES, TABLES
from siamesekit.errors import UserError

NAMES = [
    "data", "data.stand_in", "check", "check.accept", "split", "augmentation", "encoder", "encoder.head",
    "encoder.lora", "encoder.stand_in", "projection", "distance", "sampler", "miner", "loss", "loss.optimizer",
    "optimizer", "schedule", "train", "evaluation", "report", "track", "save",
]  # fmt: skip
WHOLE = """
[data]
reader = "folder"
root = "photos"
[encoder]
name = "timm/resnet18"
"""


def call(*arguments: str, columns: int = 160) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns)})


def printed(*arguments: str, columns: int = 160) -> str:
    result = call(*arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The JSON Schema of a config, which is made in another way from the same tables."""
    return config_schema()


def schema_of(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    for part in name.split("."):
        schema = schema["properties"][part]
    return schema


def test_all_tables_are_there_in_order() -> None:
    assert table_names() == NAMES
    assert {tuple(name.split(".")) for name in NAMES} == {(name,) for name in TABLES} | set(NESTED_TABLES)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_s_keys_are_those_of_the_schema(name: str, schema: dict[str, Any]) -> None:
    """All of them, with the same defaults and meanings; options of components and inner tables aside."""
    table = config_table(name)
    known = schema_of(name, schema)
    inner = [place.rpartition(".")[2] for place in table.inner]
    for key in table.keys:
        said = known["properties"][key.parameter.name]
        assert key.meaning == said.get("description", "")
        default = None if key.parameter.required else key.parameter.default
        assert said.get("default") == (list(default) if isinstance(default, tuple) else default)
    mine = {key.parameter.name for key in table.every_key} | set(inner)
    model = NESTED_TABLES.get(tuple(name.split("."))) or TABLES[name]
    assert mine == set(model.model_fields) - {"options"}
    assert mine <= set(known["properties"])
    required = {key.parameter.name for key in table.every_key if key.parameter.required}
    assert required == set(known["required"])


def test_the_keys_above_all_tables_are_those_of_the_schema(schema: dict[str, Any]) -> None:
    above = {key: said for key, said in schema["properties"].items() if key not in TABLES}
    assert {key.parameter.name: key.meaning for key in TOP} == {key: said["description"] for key, said in above.items()}
    for key in TOP:
        default = key.parameter.default
        assert (list(default) if isinstance(default, tuple) else default) == above[key.parameter.name].get("default")


def test_what_holds_where_a_table_is_left_out(tmp_path: Path) -> None:
    """By leaving them out."""
    (tmp_path / "c.toml").write_text(WHOLE)
    config = load_config(tmp_path / "c.toml")
    for table in config_tables():
        value: Any = config
        for part in table.name.split("."):
            value = getattr(value, part)
        expected = "none" if value is None else "an error" if table.name in ("data", "encoder") else "defaults"
        assert table.if_left_out == expected, table.name
    for name in ("data", "encoder"):
        (tmp_path / "c.toml").write_text(WHOLE.replace(f"[{name}]", f"[{name}_]"))
        with pytest.raises(UserError, match=rf"\b{name}\b"):
            load_config(tmp_path / "c.toml")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_s_snippet_is_toml_and_shows_its_defaults(name: str) -> None:
    text = config_table(name).snippet()
    assert tomllib.loads(text)
    shown = tomllib.loads("\n".join(line.removeprefix("# ") for line in text.splitlines()))
    for part in name.split("."):
        shown = shown[part]
    defaults = {
        key.parameter.name: key.parameter.default for key in config_table(name).keys if not key.parameter.required
    }
    assert {
        key: tuple(value) if isinstance(value, list) else value for key, value in shown.items() if key in defaults
    } == defaults


def test_a_table_is_shown_with_its_keys_and_what_stands_beside_them() -> None:
    shown = printed("show", "table", "encoder")
    assert shown.startswith("table [encoder]: Backbone, weights, and the part that trains.\nif left out: an error\n")
    row = r"batchnorm +'inference' \| 'train' +'inference' +Whether BatchNorm layers that train use"
    assert re.search(row, shown)
    assert (
        "\nthe table also takes the options of the encoder that 'name' names: siamesekit show encoder NAME\n" in shown
    )
    assert "\n[encoder.head] is a table: siamesekit show table encoder.head\n" in shown
    assert shown.endswith("\nin a config:\n\n" + config_table("encoder").snippet())
    assert 'name = "…"  # required: siamesekit list encoders\n' in shown
    assert "the table also takes" not in printed("show", "table", "train")
    assert printed("show", "tables", "[encoder.head]") == printed("show", "table", "encoder.head")


@pytest.mark.parametrize("columns", [80, 120])
def test_all_tables_are_listed_and_fit(columns: int) -> None:
    listed = printed("list", "tables", columns=columns)
    assert [line.split()[0] for line in listed.splitlines() if line.startswith(" [")] == [f"[{n}]" for n in NAMES]
    assert "top-level keys:" in listed
    assert "Seed of all random numbers." in listed
    assert max(map(len, listed.splitlines())) <= columns


def test_json_of_one_and_of_all() -> None:
    one = json.loads(printed("show", "table", "optimizer", "--json"))
    assert (one["table"], one["component"], one["key"], one["if_left_out"]) == (
        "optimizer",
        "optimizer",
        "name",
        "defaults",
    )
    assert one["keys"][0] == {
        "name": "name",
        "type": "str",
        "default": "adam",
        "description": "The optimizer: how weights are updated.",
    }
    assert one["keys"][2]["type"] == "float ≥ 0"
    everything = json.loads(printed("list", "tables", "--json"))
    assert [key["name"] for key in everything["keys"]] == ["name", "seed", "plugins"]
    assert [table["table"] for table in everything["tables"]] == NAMES
    assert one in everything["tables"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "table", "trian"], "unknown table 'trian' (did you mean 'train' or 'track'?); choices: data, "),
        (["show", "table", "head"], "unknown table 'head' (did you mean 'encoder.head'?); choices: data, "),
        (["show", "table", "stand_in"], "(did you mean 'data.stand_in' or 'encoder.stand_in'?)"),
        (["show", "table", "zzz"], "error: unknown table 'zzz'; choices: data, "),
        (["list", "tables", "train"], "error: tables have no families; to show one table: siamesekit show table train"),
    ],
)
def test_a_wrong_name_is_answered_with_what_there_is(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.medium
def test_showing_a_table_loads_nothing_heavy() -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print(*{'torch', 'timm', 'pandas', 'matplotlib'} & "
        "set(sys.modules), file=sys.stderr)); sys.argv = ['siamesekit', 'show', 'table', 'train']; "
        "from siamesekit.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    assert "epochs" in done.stdout
