"""`siamesekit schema`: to stdout, to a file, with a plugin's components, and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from siamesekit.cli.app import app
from siamesekit.config.schema import config_schema

PLUGIN = '''
from siamesekit import LOSSES

@LOSSES.register("mine")
def mine(a: int):
    """A loss of mine."""
'''


def test_it_is_printed_whole() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == config_schema()


def test_it_is_written_to_a_file_and_nothing_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "config.schema.json"
    result = CliRunner().invoke(app, ["schema", "-o", str(file)])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert json.loads(file.read_text()) == config_schema()
    gone = CliRunner().invoke(app, ["schema", "-o", str(tmp_path / "gone" / "x.json")])
    assert (gone.exit_code, gone.stdout) == (2, "")
    assert gone.stderr == f"error: {tmp_path}/gone/x.json: no such folder: {tmp_path}/gone\n"


@pytest.mark.usefixtures("no_traces")
def test_a_plugin_s_components_are_in_it(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PLUGIN)
    shown = json.loads(CliRunner().invoke(app, ["schema", "--plugin", str(tmp_path / "p.py")]).stdout)
    assert "mine" in shown["properties"]["loss"]["properties"]["name"]["enum"]
    assert shown["definitions"]["loss.mine"]["required"] == ["a"]


@pytest.mark.slow
def test_torch_is_not_imported() -> None:
    code = "import sys\nsys.argv = ['siamesekit', 'schema']\nfrom siamesekit.cli import main\n"
    code += "try: main()\nexcept SystemExit: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["False"]
