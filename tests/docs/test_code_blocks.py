"""Every code block of the pages is run, in the page's order, in a folder of its own, on small drawn photos.

- A block with a title is written to that file; a whole config is loaded too.
- A config's fragment is completed with photos and an encoder, and loaded.
- Commands run in this process where they are `siamesekit`, which saves loading torch each time, else in a shell.
- Training is made short by overrides that stand in `OVERRIDES`; networks are made small by `SMALLER`.
- A block that cannot run has `<!-- not run: REASON -->` above it, and is counted.

README.md and CONTRIBUTING.md have tests of their own (`tests/house/test_readme.py`), and the Quickstart's blocks run as
they stand when the site is built for its tests (`tests/docs/building.py`).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from building import RUN
from conftest import SMALL, write_photos
from docs_site.blocks import Block, blocks_of, commands_of
from docs_site.including import ROOT
from siamesekit.cli.app import app
from siamesekit.config import dump_toml, load_config
from siamesekit.experiment.run_result import RunResult
from siamesekit.registry import READERS

PAGES = {
    page.relative_to(ROOT).as_posix(): page
    for page in [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("examples/*/README.md"))]
    if blocks_of(page.read_text(encoding="utf-8"))
}
SHORT = ["train.epochs=1", "evaluation.bootstrap=100"]
OVERRIDES = {
    "photos": [],
    "config.toml": [*SHORT, "encoder.name=timm/test_resnet", "encoder.train_from=layer4", "data.size=32"],
    "examples/whales/config.toml": [
        *SHORT, "data.size=32", "encoder.name=timm/test_resnet", "encoder.train_from=layer4", "split.train=0.7",
        "data.stand_in.individuals=10", "data.stand_in.photos=4", "sampler.photos=4",
        "sampler.batch_size=16",
    ],
    "examples/whales/modern.toml": [
        *SHORT, "data.size=32", "encoder.name=timm/test_resnet", "encoder.weights=calibrated", "split.train=0.7",
        "data.stand_in.individuals=10", "data.stand_in.photos=4", "sampler.individuals=5",
    ],
    "examples/digits/shared.toml": [*SHORT, "sampler.photos=10"],
    "examples/digits/disjoint.toml": [*SHORT, "sampler.photos=10"],
    "mine.toml": ["evaluation.bootstrap=100"],
    "runs/mine/config.toml": [],
}  # fmt: skip
"""Of `siamesekit run` and `check`, by the config; `SHORT` of all others."""
SMALLER = {'"timm/resnet18"': '"timm/test_resnet"'}
"""Of configs that are written."""
CELLS = {"docs/guides/notebook.md"}
"""Pages whose Python blocks are the cells of one session."""
PHOTOS = [f"animal-{number:02}" for number in range(20)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: RunResult) -> Path:
    """What the pages say that the reader has: photos, a config and a finished run, and the examples."""
    place = tmp_path / "animals"
    place.mkdir()
    shutil.copytree(ROOT / "examples", place / "examples", ignore=shutil.ignore_patterns("data", "runs", "__pycache__"))
    monkeypatch.chdir(place)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return place


def furnish(folder: Path, finished: RunResult) -> None:
    write_photos(folder / "photos", PHOTOS)
    (folder / "mine.toml").write_text(SMALL)
    run = shutil.copytree(finished.folder, folder / "runs" / "mine")
    config = (run / "config.toml").read_text(encoding="utf-8")
    (run / "config.toml").write_text(re.sub(r"^root = .*", 'root = "../../photos"', config, flags=re.M))


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize("page", [page for page in PAGES if page != f"docs/{RUN}"])
def test_every_block_of_a_page_runs(
    page: str, folder: Path, finished: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.startswith("docs/guides/"):
        furnish(folder, finished)
    for entries in (READERS._components, READERS._factories):  # of the same plugin at another place, by other tests
        monkeypatch.delitem(entries, "flukes", raising=False)
    session: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(PAGES[page].read_text(encoding="utf-8")):
        try:
            execute(block, folder, monkeypatch, session if page in CELLS else {"__name__": "__main__"})
        except Exception as error:
            raise AssertionError(f"{page}:{block.line}:\n{block.code}") from error


def execute(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]) -> None:
    if block.reason:
        return
    code = block.code
    if block.title:
        for shown, small in SMALLER.items():
            code = code.replace(shown, small)
        (folder / block.title).write_text(code, encoding="utf-8")
    if block.language == "toml":
        load_whole_or_fragment(code, folder, block.title)
    elif block.language == "python" and block.title:
        compile(code, block.title, "exec")  # a command or a config runs it
    elif block.language == "python":
        exec(compile(code, f"line {block.line}", "exec"), names)
    else:
        for command in commands_of(code):
            call(command, folder, monkeypatch)


def load_whole_or_fragment(code: str, folder: Path, title: str) -> None:
    """Check a config; what a fragment lacks of data and encoder is added."""
    tables = tomllib.loads(code)
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    whole = {
        "data": {"reader": "folder", "root": "photos"},
        "encoder": {"name": "timm/test_resnet", "weights": "random"},
    }
    if title:
        assert set(whole) <= set(tables), f"{title} is no whole config"
    file = folder / (title or "fragment.toml")
    file.write_text(code if title else dump_toml({**whole, **tables}), encoding="utf-8")
    load_config(file)


def call(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    if words[0] == "siamesekit":
        if words[1] in ("run", "check"):
            given = OVERRIDES.get(words[2], SHORT)
            words[3:3] = [part for each in given for part in ("--set", each)]
        answered = CliRunner().invoke(app, words[1:])
        assert answered.exit_code == 0, f"{command}\n{answered.output}\n{answered.exception}"
    elif re.fullmatch(r"pip install \./examples/\w+", command.strip()):
        # really installed in tests/examples/test_plugin.py; here its entry point is all that counts
        monkeypatch.syspath_prepend(str(folder / words[2] / "src"))
        import siamesekit_gulls  # noqa: F401
    else:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PATH": path})  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_blocks_that_do_not_run_are_few_and_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    counted: Counter[str] = Counter()
    reasons = []
    for page, file in PAGES.items():
        for block in blocks_of(file.read_text(encoding="utf-8")):
            counted[f"{block.language} {'not run' if block.reason else 'run'}"] += 1
            if block.reason:
                reasons.append(f"{page}:{block.line}: {block.reason}")
    with capsys.disabled():
        told = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
        print(f"\ncode blocks of {len(PAGES)} pages: {told}", *reasons, sep="\n  ")
    assert len(reasons) == 16
    assert all(len(reason) > 30 for reason in reasons)
    assert counted["python run"] >= 15
    assert counted["sh run"] >= 18
    assert counted["toml run"] >= 12


def test_no_block_escapes_the_reader_of_blocks() -> None:
    """Every fence of the pages that opens a block of these languages is found."""
    for page in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/README.md")]:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^\s*```(?:python|sh|bash|toml)\b", text, re.M)) == len(blocks_of(text)), page


def test_markers_titles_and_comments_are_read() -> None:
    """The oracle itself."""
    text = '# T\n\n<!-- not run: because -->\n\n```sh\na  # b\n\nc \\\n  d\n```\n\n```python title="x.py"\n1\n```\n'
    shell, python = blocks_of(text)
    assert (shell.reason, shell.line, commands_of(shell.code)) == ("because", 5, ["a", "c    d"])
    assert (python.title, python.code, python.reason) == ("x.py", "1\n", "")
