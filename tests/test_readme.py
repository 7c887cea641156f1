"""What README.md and CONTRIBUTING.md show is run: on small drawn photos, and with a small encoder of random weights in
place of one whose weights would have to be fetched."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from conftest import draw_photo, write_photos

ROOT = Path(__file__).parent.parent
SMALLER = {
    '"timm/resnet50"': '"timm/test_resnet"\nweights = "random"',
    '"layer4"': '"layer4"\n\n[train]\nepochs = 2\n\n[split]\ntrain = 0.5',
}


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
        command, shell=isinstance(command, str), cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PATH": path},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: `photos/INDIVIDUAL/…`, two more photos, and README's config, its encoder made small."""
    place = tmp_path_factory.mktemp("readme")
    write_photos(place / "photos", [f"individual_{number}" for number in range(8)])
    for name, photo in (("a", 11), ("b", 12)):
        Image.fromarray(draw_photo(3, photo)).save(place / f"{name}.jpg")
    [config] = blocks("README.md", "toml")
    for shown, small in SMALLER.items():
        assert shown in config
        config = config.replace(shown, small)
    (place / "mine.toml").write_text(config)
    return place


def test_the_commands_on_ones_own_photos_work_in_their_order(folder: Path) -> None:
    shown = commands("README.md", "siamesekit")
    assert [command.split()[1] for command in shown] == ["check", "run", "compare", "embed"]
    for command in shown:
        done = called(command, folder)
        assert done.returncode == 0, done.stderr
    assert {"report.html", "evaluation.json", "model"} <= {path.name for path in (folder / "runs" / "mine").iterdir()}
    assert (folder / "embeddings.npz").is_file()

    [python] = blocks("README.md", "python")
    printed = called([sys.executable, "-c", python], folder)
    assert printed.returncode == 0, printed.stderr
    distance, similarity, same = printed.stdout.split()
    assert float(distance) >= 0
    assert 0 <= float(similarity) <= 1
    assert same in ("True", "False")


def test_the_first_commands_are_those_of_ci() -> None:
    ours = commands("README.md", "bash -c")
    in_ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert len(ours) == 2
    for command in ours:
        inner = re.fullmatch(r"bash -c '\. scripts/environment\.sh && (.*)'", command)
        assert inner is not None
        assert f". scripts/environment.sh && {inner.group(1)}" in in_ci


def test_the_component_that_contributing_shows_is_one(folder: Path) -> None:
    [python] = blocks("CONTRIBUTING.md", "python")
    asked = (
        "import torch\n"
        "power = DISTANCES.build('power', {'p': 2.0})\n"
        "print(power(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])).item())\n"
        "[(option, problem)] = DISTANCES.check('power', {'p': -1.0})[1]\n"
        "print(option, problem)"
    )
    (folder / "power.py").write_text(f"{python}\n{asked}\n")
    done = called([sys.executable, "power.py"], folder)
    assert done.stdout.splitlines() == ["25.0", "p must be greater than 0, not -1.0"], done.stderr


def test_every_file_that_the_pages_link_to_is_there() -> None:
    """Those of `docs/` link to generated pages too: `docs/test_pages.py` looks at them."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("examples/*/README.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
