"""Shared by the tests: a folder of drawn photos, a small config over it, one finished run, and what reads runs."""

import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from siamesekit.config import Config, load_config
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.running import run
from siamesekit.experiment.stopping import Stop
from siamesekit.hardware.compute import choose_compute
from siamesekit.model import Architecture, Encoder, build
from siamesekit.progress import Progress
from siamesekit.registry import REGISTRIES

INDIVIDUALS, PHOTOS, SIDE = 8, 4, 40
FP32 = choose_compute("cpu", "fp32")
LoadConfig = Callable[..., Config]
"""Loads the small config with overrides, as the fixture `small_config` does."""
SMALL = """\
name = "small"
seed = 5

[data]
reader = "folder"
root = "photos"
size = 32

[split]
train = 0.5

[encoder]
name = "timm/test_resnet"
weights = "calibrated"
train_from = "layer3"

[encoder.head]
layers = [32, 16]

[sampler]
photos = 4
batch_size = 10

[train]
epochs = 2

[evaluation]
bootstrap = 100
"""


def embeddings(labels: NDArray[np.int64], noise: float = 0.6, seed: int = 0) -> Tensor:
    """Around a centre for each individual, of length 1."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(labels.max() + 1, 6))
    drawn = torch.from_numpy(centres[labels] + noise * rng.normal(size=(len(labels), 6))).float()
    return torch.nn.functional.normalize(drawn)


def small_encoder(
    batchnorm: str = "inference",
    train_from: str = "",
    name: str = "timm/test_resnet",
    layers: tuple[int, ...] = (24, 16),
) -> Encoder:
    """An encoder of random weights, always the same, whose layers before `train_from` are frozen."""
    torch.manual_seed(0)
    encoder = build(Architecture(name, {}, {"layers": list(layers)}, batchnorm))
    encoder.backbone.freeze_before(train_from)
    return encoder


def run_fp32(config: Config, out: Path, **options: Any) -> RunResult:
    """A run whose bytes do not depend on the device that is there."""
    return run(config, out, device="cpu", precision="fp32", **options)


class StopAt(Stop):
    """Asks for a stop, as a signal would, from the run's n-th look at it on."""

    def __init__(self, look: int) -> None:
        super().__init__()
        self.look, self.looks = look, 0

    @property
    def requested(self) -> int | None:
        self.looks += 1
        return signal.SIGTERM if self.looks >= self.look else None

    @requested.setter
    def requested(self, value: int | None) -> None: ...


def pytest_make_parametrize_id(config: pytest.Config, val: object) -> str | None:
    """A function's name alone, and no address: every process that shares the tests gives them the same names."""
    text = repr(val)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text) if " at 0x" in text else None


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of this process and its children: not the user's. Nor is the width of the user's terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub is asked, here and in child processes, so that nothing waits for one: for `pytest.mark.usefixtures`."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def no_traces() -> Iterator[None]:
    """What a test's plugins register is forgotten after it, and so are they: for `pytest.mark.usefixtures`."""
    before = {registry.kind: set(registry.names()) for registry in REGISTRIES}
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith(("siamesekit_plugin_", "siamesekit_gulls")):
            del sys.modules[name]
    for registry in REGISTRIES:
        for name in set(registry.names()) - before[registry.kind]:
            del registry._components[name], registry._factories[name]


def draw_photo(individual: int, photo: int) -> NDArray[np.uint8]:
    """Stripes whose colour, direction and width are the individual's; their place, the light and the noise are the
    photo's: uint8 `[40, 40, 3]`.
    """
    own, here = np.random.default_rng(individual), np.random.default_rng([individual, photo])
    colour, angle, width = own.uniform(90, 200, 3), own.uniform(0, np.pi), own.uniform(3, 9)
    angle += here.normal(0, 0.25)
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / width + here.uniform(0, 6.3))
    light = here.uniform(0.6, 1.3, 3)
    noisy = colour * light * (0.6 + 0.3 * waves[..., None]) + here.normal(0, 50, (SIDE, SIDE, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def write_photos(folder: Path, names: list[str], photos: int = PHOTOS) -> Path:
    """A folder `INDIVIDUAL/0.png …` of drawn photos."""
    for individual, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for photo in range(photos):
            Image.fromarray(draw_photo(individual, photo)).save(folder / name / f"{photo}.png")
    return folder


class Told(Progress):
    """Keeps what the library says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        self.warned.append("\n  ".join([text, *details]))


@pytest.fixture
def told() -> Told:
    """A progress that keeps what it is told."""
    return Told()


@pytest.fixture
def plain_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report's charts are composed but not drawn, which takes most of the time of a small run.

    For `pytest.mark.usefixtures`. Runs of wider fixtures, of other processes, and the tests of the report draw them.
    """
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **options: file.write("<svg></svg>"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `config.toml` and `photos/`: eight individuals, four photos each."""
    folder = tmp_path_factory.mktemp("project")
    write_photos(folder / "photos", [f"striped_{number}" for number in range(INDIVIDUALS)])
    (folder / "config.toml").write_text(SMALL)
    return folder


TIMING = ("seconds", "images_per_second")
"""Figures of an epoch that no two runs share."""


def weights(folder: Path) -> bytes:
    """The weights of a run's model, as its file holds them."""
    return (folder / "model" / "model.safetensors").read_bytes()


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The figures of a run's epochs."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest."""
    told: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return told


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def outcome(folder: Path) -> tuple[bytes, list[dict[str, Any]], bytes]:
    """What two runs that are the same have in common: weights, figures without their times, evaluation."""
    figures = [{key: value for key, value in line.items() if key not in TIMING} for line in metrics(folder)]
    return weights(folder), figures, (folder / "evaluation.json").read_bytes()


@pytest.fixture(scope="session")
def small_config(project: Path) -> Callable[..., Config]:
    """Loads the small config with overrides: `small_config("train.epochs=1")`."""
    return lambda *overrides: load_config(project / "config.toml", overrides)


@pytest.fixture(scope="session")
def finished(small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished run of the small config, in fp32, with a pickle; not to be written to."""
    config = small_config("save.pickle=network.pkl")
    return run(config, tmp_path_factory.mktemp("runs") / "small", device="cpu", precision="fp32")


POINT = {
    "slope": 0.75,
    "intercept": -0.7125,
    "threshold": 0.95,
    "criterion": "same and different equally likely",
    "individuals": 4,
    "cross_fit": {
        "folds": 6,
        "same_pairs": 24,
        "different_pairs": 96,
        "false_accept_rate": {"value": 0.125, "low": 0.0, "high": 0.25},
        "false_reject_rate": {"value": 0.25, "low": 0.125, "high": 0.5},
        "accuracy": {"value": 0.8125, "low": 0.625, "high": 0.9375},
    },
}
"""An operating point whose verdicts are better than guessing."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Test files go to processes whole, those that look at the built site together: one builds it, none waits.

    They go in the order of their names. xdist's own order ends with the files of a single test, some of which take a
    minute, in which the other processes would have nothing to do; by name, short files are the last.
    """
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return "the site" if file in ("tests/docs/test_browser.py", "tests/docs/test_site.py") else file

    config.option.loadscopereorder = False
    return Files(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def telling(finished: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose model ships a threshold: the finished run's is no better than guessing, and ships none.

    Not to be written to.
    """
    folder = Path(shutil.copytree(finished.folder, tmp_path_factory.mktemp("telling") / "run"))
    file = folder / "model" / "model.json"
    description = json.loads(file.read_text()) | {"operating_point": POINT, "no_threshold": None}
    file.write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="session")
def photos() -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes features `[N, F]` and individuals 0 … 6: dimensions differ in variance, individual 6 has one photo."""

    def make(count: int = 60, width: int = 5) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(0)
        labels = torch.cat([torch.randint(6, (count - 1,), generator=draw), torch.tensor([6])])
        centres = torch.randn(7, width, generator=draw, dtype=torch.float64)
        noise = torch.randn(count, width, generator=draw, dtype=torch.float64) * torch.arange(1, width + 1) / width
        return centres[labels] + noise + 3, labels

    return make


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """This process computes with one thread, as those that are started: float32 is rounded in the same way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
