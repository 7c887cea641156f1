"""The package as others get it: built from the sources, installed where the repository is not, and used there."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import write_photos
from siamesekit import __version__

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
USES_THE_API = """\
from pathlib import Path

import torch

import siamesekit
from siamesekit import DISTANCES, Config, Record, RunResult, Triplets, load_config, nearest


def judged(file: Path) -> float:
    config: Config = load_config(file, ["train.epochs=1"])
    result: RunResult = siamesekit.run(config, Path("out"), device="cpu")
    model = siamesekit.load(result.folder)
    embeddings: torch.Tensor = model.embed(["a.jpg", "b.jpg"])
    found = nearest(embeddings, embeddings, 1, model.distance)
    print(found.index.tolist(), DISTANCES.names(), Record("a/1", "a", Path("a/1.jpg")).individual)
    return model.compare("a.jpg", "b.jpg").distance


one = torch.tensor([0])
print(judged(Path("config.toml")) + 1, Triplets(one, one + 1, one + 2).anchor.shape)
"""
WRONG = {
    'siamesekit.run(config, Path("out"), device="cpu")': 'siamesekit.run(config, Path("out"), device="gpu")',
    "nearest(embeddings, embeddings, 1,": "nearest(embeddings, embeddings, 1.5,",
    "one + 2).anchor": "one + 2, one).anchor",
    "load_config, nearest": "load_config, nearst as nearest",
}
"""What a user may have got wrong, each an error that mypy finds only with the package's own types."""


def called(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints, run without the repository; it must succeed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(
        command, cwd=cwd, env={**inherited, "COLUMNS": "200", **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that was built from that."""
    folder = tmp_path_factory.mktemp("dist")
    called(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [file] = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment with the wheel, and with the dependencies of the one that runs the tests.

    Those are gigabytes, so they are looked at where they are: a `.pth` file adds their folder behind the environment's
    own. `.pth` files in that folder are not read, so an editable siamesekit there is not found.
    """
    folder = tmp_path_factory.mktemp("clean")
    called(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    called(
        sys.executable, "-m", "pip", "--python", binaries / "python", "install", "--no-deps", "--no-index", wheel,
        cwd=folder,
    )  # fmt: skip
    own = Path(
        called(binaries / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    theirs = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (own / "dependencies.pth").write_text("\n".join(theirs) + "\n")
    return binaries


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"siamesekit-{__version__}.dist-info/METADATA").decode()
        scripts = archive.read(f"siamesekit-{__version__}.dist-info/entry_points.txt").decode()
    sources = {
        file.relative_to(ROOT / "src").as_posix()
        for file in (ROOT / "src").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"siamesekit/py.typed", "siamesekit/report/page.html", "siamesekit/components/losses/triplet.py"} <= sources
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert f"siamesekit-{__version__}.dist-info/licenses/LICENSE" in names
    required = {
        canonicalize_name(Requirement(line.partition(": ")[2]).name)
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    }
    assert required == {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
    assert "siamesekit = siamesekit.cli:main" in scripts
    assert wheel.stat().st_size < 1_250_000


def test_the_source_archive_holds_what_is_needed_to_test_it(built: Path) -> None:
    [file] = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "src/siamesekit/py.typed", "scripts/environment.sh",
        "src/siamesekit/report/page.html", "tests/conftest.py", "tests/golden/keras_xception.npz", ".ci/run",
        "examples/whales/config.toml", "examples/tour.py", "docs/benchmarks.md", "docs/images/report.png",
    } <= names  # fmt: skip
    assert not [
        name
        for name in names
        if re.search(r"(^runs|/data/.*\.(png|jpg)|__pycache__|\.pyc|/site/)", name) and not name.startswith("tests/")
    ]


def test_installed_without_the_repository_it_is_that_package(clean: Path, tmp_path: Path) -> None:
    where = called(clean / "python", "-c", "import siamesekit; print(siamesekit.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(clean.parent)
    assert called(clean / "siamesekit", "--version", cwd=tmp_path) == f"siamesekit {__version__}\n"
    listed = called(clean / "python", "-m", "siamesekit", "list", "losses", cwd=tmp_path)
    assert " triplet " in listed and " pml/* " in listed
    found = called(
        clean / "python", "-c", "from importlib.metadata import version; print(version('siamesekit'))", cwd=tmp_path
    )
    assert found.strip() == __version__


def test_from_a_folder_of_photos_to_a_report_in_three_commands(clean: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "zoo" / "photos", [f"zebra_{number}" for number in range(6)], photos=4)
    siamesekit = clean / "siamesekit"
    called(siamesekit, "init", "zoo", cwd=tmp_path)
    called(siamesekit, "check", "zoo/config.toml", cwd=tmp_path)
    chosen = ("--set", "encoder.name=timm/test_resnet", "--set", "encoder.weights=calibrated", "--set",
              "encoder.train_from=layer4", "--set", "train.epochs=1", "--out", "run", "--device", "cpu")  # fmt: skip
    said = called(siamesekit, "run", "zoo/config.toml", *chosen, cwd=tmp_path)
    assert "report: run/report.html" in said
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
    assert "<svg" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    photos = ["zoo/photos/zebra_0/0.png", "zoo/photos/zebra_0/0.png"]
    compared = json.loads(called(siamesekit, "compare", "run", *photos, "--json", cwd=tmp_path))
    assert compared["distance"] == 0


STRAY = ("tmp", "wheelhouse")
"""Modules of pyvips-binary, which has a library for pyvips alone."""
IMPORTING = """\
import importlib, json, sys

failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps(failed))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is installed of all extras, imported in one process: distributions, and how they fail; empty: not at all."""
    modules: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        if re.fullmatch(r"[a-z_]\w*", module) and "__mypyc" not in module and module not in STRAY:
            for distribution in distributions:
                modules.setdefault(canonicalize_name(distribution), []).append(module)
    named = {canonicalize_name(Requirement(each).name) for extra in EXTRAS.values() for each in extra}
    own = {
        name: min(modules[name], key=lambda module: (module.replace("_", "-") != name, module.startswith("_")))
        for name in sorted(named & set(modules))
    }
    said = called(sys.executable, "-c", IMPORTING, *own.values(), cwd=tmp_path_factory.mktemp("imports"))
    failed = json.loads(said.splitlines()[-1])
    return {name: failed.get(module, "") for name, module in own.items()}


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_names_can_be_imported(extra: str, imported: dict[str, str]) -> None:
    """`dev` and `parquet` are what the tests run with; of the others those that are not installed are passed over."""
    wanted = {canonicalize_name(Requirement(each).name): Requirement(each) for each in EXTRAS[extra]}
    missing = sorted(set(wanted) - set(imported))
    if extra not in ("dev", "parquet") and missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert missing == []
    for name, requirement in wanted.items():
        assert requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
        assert imported[name] == "", name


USERS = (
    "parquet",
    "remote",
    "serve",
    "matchers",
    "cluster",
    "umap",
    "lancedb",
    "qdrant",
    "excel",
    "heif",
    "onnx",
    "openvino",
    "tensorboard",
    "wandb",
    "mlflow",
    "trackio",
)
"""Extras of what the library imports."""


def test_every_package_that_the_sources_import_is_declared() -> None:
    part_of = {
        "PIL": "pillow", "annotated_types": "pydantic", "pydantic_core": "pydantic", "cv2": "opencv_python_headless",
        "sklearn": "scikit_learn", "umap": "umap_learn", "httpx": "qdrant_client", "mlflow": "mlflow_skinny",
        "aiohttp": "s3fs",
    }  # fmt: skip
    nodes = [node for file in (ROOT / "src").rglob("*.py") for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    roots = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"siamesekit"}
    declared = {
        Requirement(each).name.replace("-", "_")
        for each in [*PROJECT["dependencies"], *(each for extra in USERS for each in EXTRAS[extra])]
    }
    assert {"torch", "annotated_types", "PIL"} <= roots
    assert {part_of.get(root, root) for root in roots} <= declared


@pytest.fixture(scope="module")
def type_errors(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says of the right use and of each wrong one, by the wrong one's key; the right one's is empty.

    One mypy looks at all of them: reading torch takes it a minute.
    """
    folder = tmp_path_factory.mktemp("typed")
    sources = {"": USES_THE_API, **{right: USES_THE_API.replace(right, wrong) for right, wrong in WRONG.items()}}
    files = [f"use_{number}.py" for number in range(len(sources))]
    for file, source in zip(files, sources.values(), strict=True):
        (folder / file).write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", clean / "python", "--cache-dir",
         os.devnull, *files],
        cwd=folder, capture_output=True, text=True, env={**os.environ, "MYPYPATH": ""},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert re.search(rf"checked {len(files)} source files", lines[-1]), done.stdout + done.stderr
    told = {
        right: [line for line in lines if re.match(rf"{re.escape(file)}:\d+: error", line)]
        for right, file in zip(sources, files, strict=True)
    }
    assert sum(map(len, told.values())) == sum(": error: " in line for line in lines), done.stdout
    return told


def test_a_type_checker_finds_nothing_wrong_with_right_use(type_errors: dict[str, list[str]]) -> None:
    assert type_errors[""] == []


@pytest.mark.parametrize("right", WRONG)
def test_a_type_checker_finds_what_is_wrong(type_errors: dict[str, list[str]], right: str) -> None:
    assert USES_THE_API.count(right) == 1
    assert len(type_errors[right]) == 1, type_errors[right]
