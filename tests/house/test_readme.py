"""What README.md and CONTRIBUTING.md show is run: on small drawn photos, and with a small encoder of random weights in
place of one whose weights would have to be fetched.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import badges
from conftest import draw_photo, write_photos
from siamesekit.cli.app import app

ROOT = Path(__file__).parents[2]
SMALLER = {
    r'name = "(timm/[^"]*|efficientnet-lite0)"': 'name = "timm/test_resnet"',
    'weights = "imagenet"': 'weights = "calibrated"',
    r"epochs = \d+": "epochs = 2",
    r"train_from = .*": 'train_from = "layer4"',
    r"train = 0\.\d+": "train = 0.5",
}
"""What becomes smaller in a config, as patterns of its lines."""


def blocks(file: str, language: str) -> list[str]:
    """The fenced code blocks of one language, in order."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(file: str, name: str) -> list[str]:
    """The commands of the blocks that begin with `name`, comments taken off."""
    lines = "".join(blocks(file, "sh")).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.startswith(name)]


def called(command: str | list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": path},
    )


def made_small(config: Path) -> None:
    """A config with a small encoder of random weights, and two epochs."""
    text = config.read_text(encoding="utf-8")
    for shown, small in SMALLER.items():
        text = re.sub(shown, small, text)
    config.write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: `photos/INDIVIDUAL/…`, two more photos, and a folder of new ones."""
    write_photos(tmp_path / "photos", [f"individual_{number}" for number in range(8)], photos=5)
    for name, photo in (("a", 11), ("b", 12)):
        Image.fromarray(draw_photo(3, photo)).save(tmp_path / f"{name}.jpg")
    (tmp_path / "new").mkdir()
    Image.fromarray(draw_photo(4, 13)).save(tmp_path / "new" / "c.jpg")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("no_hub")
def test_the_commands_on_ones_own_photos_work_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which saves loading torch ten times; the Quickstart's are run in processes of their own."""
    monkeypatch.chdir(folder)
    shown = commands("README.md", "siamesekit")
    assert [command.split()[1] for command in shown] == [
        "init", "check", "run", "compare", "embed", "enrol", "search", "match", "report", "evaluate",
    ]  # fmt: skip
    for command in shown:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception}"
        if command.split()[1] == "init":
            made_small(folder / "seals" / "config.toml")
    assert {"report.html", "evaluation.json", "model"} <= {path.name for path in (folder / "runs" / "seals").iterdir()}
    assert (folder / "embeddings.npz").is_file() and (folder / "season" / "index.html").is_file()

    [python] = [block for block in blocks("README.md", "python") if "siamesekit.load" in block]
    printed = called([sys.executable, "-c", python], folder)
    assert printed.returncode == 0, printed.stderr
    distance, similarity, same = printed.stdout.split()
    assert float(distance) >= 0
    assert 0 <= float(similarity) <= 1
    assert same in ("True", "False")


@pytest.mark.slow
def test_the_config_that_is_shown_runs(folder: Path) -> None:
    [config] = blocks("README.md", "toml")
    (folder / "hard.toml").write_text(config.replace("[encoder]", '[encoder]\nweights = "imagenet"'))
    made_small(folder / "hard.toml")
    more = ["--set", "split.train=0.5", "--set", "train.epochs=1", "--set", "sampler.individuals=2"]
    done = called(["siamesekit", "run", "hard.toml", *more], folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_parts_that_are_shown_work_and_the_count_of_triplets_is_true() -> None:
    [python] = [block for block in blocks("README.md", "python") if "TripletLoss" in block]
    count = int(re.search(r"all ([\d,]+) triplets", python).group(1).replace(",", ""))  # type: ignore[union-attr]
    asked = (
        "same = labels[:, None] == labels\n"
        "print(int((same.sum(1) - 1) @ (~same).sum(1)), embeddings.grad.norm().item())"
    )
    done = called([sys.executable, "-c", f"{python}\n{asked}"], ROOT)
    assert done.returncode == 0, done.stderr
    counted, norm = done.stdout.split()
    assert int(counted) == count
    assert float(norm) > 0


def test_the_badges_say_what_pyproject_says() -> None:
    drawn = {file.stem: file.read_text(encoding="utf-8") for file in badges.FOLDER.glob("*.svg")}
    assert drawn == {name: badges.svg(*said) for name, said in badges.badges().items()}
    shown = re.findall(r"docs/images/badges/(\w+)\.svg", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(drawn)
    assert "coverage report" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_first_commands_are_those_of_ci() -> None:
    ours = commands("README.md", "bash -c")
    in_ci = (
        (ROOT / ".ci" / "run")
        .read_text(encoding="utf-8")
        .replace("OMP_NUM_THREADS=1 python -m coverage run -m", "python -m")
    )
    assert len(ours) == 2
    for command in ours:
        inner = re.fullmatch(r"bash -c '\. scripts/environment\.sh && (.*)'", command)
        assert inner is not None
        assert f". scripts/environment.sh && {inner.group(1)}" in in_ci


@pytest.mark.slow
def test_the_component_that_contributing_shows_is_one(tmp_path: Path) -> None:
    [python] = blocks("CONTRIBUTING.md", "python")
    asked = (
        "import torch\n"
        "power = DISTANCES.build('power', {'p': 2.0})\n"
        "print(power(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])).item())\n"
        "[(option, problem)] = DISTANCES.check('power', {'p': -1.0})[1]\n"
        "print(option, problem)"
    )
    (tmp_path / "power.py").write_text(f"{python}\n{asked}\n")
    done = called([sys.executable, "power.py"], tmp_path)
    assert done.stdout.splitlines() == ["25.0", "p must be greater than 0, not -1.0"], done.stderr


def test_every_file_that_the_pages_link_to_is_there() -> None:
    """Those of `docs/` link to generated pages too: `docs/test_pages.py` looks at them."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("examples/*/README.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
