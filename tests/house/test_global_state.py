"""What belongs to the whole process is left as it was found by every public function, and while threads embed."""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image, ImageFile

import siamesekit
from helpers import serving
from local_hub import LocalHub, Repository, State
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.config import Config
from siamesekit.errors import SiamesekitError
from siamesekit.evaluation.calibration import Calibration
from siamesekit.experiment.run_result import RunResult
from siamesekit.model import Architecture, build
from siamesekit.registry import DISTANCES, LOSSES, REGISTRIES

pytestmark = pytest.mark.filterwarnings("ignore:Please use the new API settings")  # of torch, asked for its older ones
LOGGERS = ("", "PIL", "PIL.TiffImagePlugin", "siamesekit", "matplotlib", "timm", "huggingface_hub", "torch")


def settings() -> dict[str, Any]:
    """Everything of the process that a function could change and that others rely on, random states aside."""
    backends: Any = torch.backends
    matmul = [
        getattr(getattr(backend, "matmul", None), "fp32_precision", None)
        for backend in (backends.cuda, backends.mkldnn)
    ]
    return {
        "matrix products": (torch.get_float32_matmul_precision(), matmul, getattr(backends, "fp32_precision", None)),
        "cuDNN": (backends.cudnn.allow_tf32, backends.cudnn.benchmark, backends.cudnn.deterministic,
                  backends.cudnn.enabled),
        "deterministic": (torch.are_deterministic_algorithms_enabled(),
                          torch.is_deterministic_algorithms_warn_only_enabled()),
        "torch's defaults": (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(),
                             torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"),
                             torch.get_autocast_dtype("cpu"), len(torch.overrides._get_current_function_mode_stack())),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "sockets": socket.getdefaulttimeout(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "environment": dict(os.environ),
        "folder": (Path.cwd(), list(sys.path), sys.stdout, sys.stderr),
        "Python": (sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold(),
                   sys.excepthook, threading.excepthook, locale.setlocale(locale.LC_ALL)),
        "Hugging Face": (constants.HF_HUB_OFFLINE, constants.ENDPOINT, constants.HF_HUB_CACHE),
        "matplotlib": (dict(matplotlib.rcParams), matplotlib.get_backend()),
        "logging": [(name, logging.getLogger(name).level, list(logging.getLogger(name).handlers), logging.root.disabled)
                    for name in LOGGERS],
        "Pillow": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, sorted(Image.OPEN),
                   list(Image.ID)),
        "NumPy": (np.geterr(), np.get_printoptions()),
    }  # fmt: skip


def warned_of() -> tuple[Any, ...]:
    """Warning filters: those themselves, not a copy that someone has put in their place for a while."""
    return id(warnings.filters), list(warnings.filters), warnings.showwarning


def randomness() -> list[Any]:
    """The states of the global generators."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), random.getstate(), kind, np.asarray(keys).tolist(), rest]


class Places:
    """What the calls need."""

    def __init__(self, finished: RunResult, project: Path, small: Callable[..., Config], empty: Path) -> None:
        self.finished, self.project, self.small, self.empty = finished, project, small, empty
        self.photo = project / "photos" / "striped_2" / "1.png"
        self.model = siamesekit.load(finished.folder, "cpu")
        self.encoder = build(Architecture("timm/test_resnet", {}, {"layers": [8]}, "inference")).eval()


def shown_before_a_push(p: Places) -> siamesekit.Pushed:
    """The files of a model, in a new folder."""
    folder = p.empty / f"dry-{time.monotonic_ns()}"
    return siamesekit.push_to_hub(p.finished.folder, "fluke/tiny", "mit", dry_run=folder)


def from_local_hub(p: Places) -> None:
    """A model of a hub on this machine."""
    folder = Path(shown_before_a_push(p).address)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    state = State({"fluke/tiny": Repository(commits=[("1" * 40, files)])})
    with serving(type("Served", (LocalHub,), {"state": state})) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}")
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        siamesekit.from_pretrained("fluke/tiny", device="cpu").embed(p.photo)


def each_component(_: Places) -> None:
    """Everything that a registry builds without options, or refuses to."""
    for registry in REGISTRIES:
        for component in registry.components():
            if not component.is_family and registry.kind != "encoder":
                for runtime in ({}, {"distance": DISTANCES.build("cosine")}, {"num_classes": 4, "embedding_dim": 8}):
                    with suppress(SiamesekitError, TypeError):
                        registry.build(component.name, {}, **runtime)
                with suppress(SiamesekitError):
                    registry.build(component.name, {"no such option": 1})


def written(plugin: Path) -> Path:
    """A plugin file that registers nothing."""
    plugin.write_text("x = 1\n")
    return plugin


def enrolled(places: Places) -> siamesekit.Catalogue:
    """A catalogue with one photo."""
    record = siamesekit.Record("a", "b", places.photo)
    folder = places.empty / f"catalogue-{time.monotonic_ns()}"
    return siamesekit.enrol(places.finished.folder, [record], folder, siamesekit.Progress(), device="cpu")[0]


IMAGES = torch.zeros(2, 3, 32, 32)
ONE = siamesekit.Triplets(*torch.tensor([[0], [1], [2]]))
CALLS: dict[str, Callable[[Places], object]] = {
    "Backbone": lambda p: p.encoder.backbone(IMAGES),
    "Box": lambda p: siamesekit.Box(0, 0, 10, 10),
    "Catalogue": lambda p: enrolled(p).search(p.photo),
    "Comparison": lambda p: siamesekit.Comparison(0.1, None, None, None),
    "Config": lambda p: p.small().to_toml(),
    "Distance": lambda p: siamesekit.Distance,
    "DistanceLayer": lambda p: siamesekit.DistanceLayer(DISTANCES.build("dot"))(*torch.ones(3, 4, 5)),
    "Encoder": lambda p: p.encoder(IMAGES),
    "LossValue": lambda p: LOSSES.build("contrastive", distance=DISTANCES.build("euclidean"))(
        torch.ones(4, 5), torch.tensor([0, 0, 1, 1]), None
    ),
    "Neighbours": lambda p: siamesekit.Neighbours(torch.zeros(1, 1), torch.zeros(1, 1)),
    "Pairs": lambda p: siamesekit.Pairs(*torch.zeros(4, 1, dtype=torch.int64)),
    "Plan": lambda p: siamesekit.check(p.small(), "cpu"),
    "Preprocessing": lambda p: siamesekit.Preprocessing(32, "pad"),
    "Progress": lambda p: list(siamesekit.Progress().track([1, 2], 2, "a", "b")),
    "Reading": lambda p: siamesekit.Reading("photo"),
    "Record": lambda p: siamesekit.Record("a", "b", p.photo),
    "RunResult": lambda p: siamesekit.run(p.small("train.epochs=1"), p.empty / f"run-{time.monotonic()}", device="cpu"),
    "SiameseNetwork": lambda p: siamesekit.SiameseNetwork(p.encoder, DISTANCES.build("dot"))(*[IMAGES] * 3),
    "as_pairs": lambda p: siamesekit.as_pairs(ONE, torch.tensor([0, 0, 1])),
    "as_triplets": lambda p: siamesekit.as_triplets(ONE),
    "count_triplets": lambda p: siamesekit.count_triplets(torch.tensor([0, 0, 1])),
    "positives_of": lambda p: siamesekit.positives_of(torch.tensor([0, 0, 1])),
    "diagnose": lambda p: siamesekit.diagnose([], 1.0),
    "Streams": lambda p: siamesekit.Streams,
    "load_plugin_file": lambda p: siamesekit.load_plugin_file(written(p.empty / f"p{time.monotonic_ns()}.py")),
    "SimilarityModel.embed_records": lambda p: p.model.embed_records(
        [siamesekit.Record("a", "", p.photo)], siamesekit.Progress()
    ),
    "SimilarityModel.embed_usable": lambda p: p.model.embed_usable([p.photo] * 3, siamesekit.Progress()),
    "SimilarityModel": lambda p: SimilarityModel(
        p.encoder, DISTANCES.build("dot"), siamesekit.Preprocessing(32, "pad"), None, {}, "cpu"
    ),
    "Triplets": lambda p: siamesekit.Triplets(*torch.zeros(3, 1, dtype=torch.int64)),
    "Ensemble": lambda p: siamesekit.Ensemble([p.model]),
    "ensemble": lambda p: siamesekit.ensemble([p.model, p.model], [1, 2]).compare(p.photo, p.photo),
    "check": lambda p: siamesekit.check(p.small(), "cpu", "bf16"),
    "KReciprocal": lambda p: enrolled(p).search(p.photo, rerank=siamesekit.KReciprocal(4, 2)),
    "QueryExpansion": lambda p: enrolled(p).search(p.photo, expand=siamesekit.QueryExpansion(2)),
    "expand_queries": lambda p: siamesekit.expand_queries(torch.eye(4), torch.eye(4), "cosine"),
    "k_reciprocal": lambda p: siamesekit.k_reciprocal(torch.eye(4), torch.eye(4), "cosine"),
    "SecondLook": lambda p: enrolled(p).search(p.photo, second_look=siamesekit.SecondLook()),
    "StoreChoice": lambda p: siamesekit.StoreChoice("memory-mapped"),
    "cluster": lambda p: siamesekit.cluster(
        torch.randn(9, 5, generator=torch.Generator()),
        SimilarityModel(
            p.encoder, DISTANCES.build("dot"), siamesekit.Preprocessing(32, "pad"), Calibration(1, 0, 0), {}, "cpu"
        ),
    ),
    "enrol": lambda p: enrolled(p).undo(),
    "load": lambda p: siamesekit.load(p.finished.folder, "cpu"),
    "load_config": lambda p: siamesekit.load_config(p.project / "config.toml"),
    "nearest": lambda p: siamesekit.nearest(
        torch.randn(9, 5, generator=torch.Generator()), torch.ones(700, 5), 3, DISTANCES.build("cosine")
    ),
    "run": lambda p: siamesekit.run(
        p.small("train.epochs=1"), p.empty / f"run-{time.monotonic()}", device="cpu", deterministic=True
    ),
    "SimilarityModel.prepare": lambda p: p.model.prepare(p.photo),
    "SimilarityModel.embed": lambda p: p.model.embed([p.photo, Image.open(p.photo), p.photo.read_bytes()]),
    "SimilarityModel.embed_files": lambda p: p.model.embed_files([p.photo] * 20, siamesekit.Progress()),
    "SimilarityModel.compare": lambda p: p.model.compare(p.photo, p.photo),
    "SimilarityModel.threshold": lambda p: p.model.threshold,
    "pretrained": lambda p: siamesekit.pretrained(
        "timm/test_resnet", p.finished.folder / "model" / "model.safetensors", size=32, device="cpu"
    ).embed(p.photo),
    "push_to_hub": lambda p: shown_before_a_push(p),
    "Pushed": lambda p: repr(shown_before_a_push(p)),
    "from_pretrained": lambda p: from_local_hub(p),
    "registries": each_component,
}
"""A call of each public name that can be called, and of each method of a loaded model."""


class Failing(siamesekit.Progress):
    """Stops a run or a check in its middle."""

    def __init__(self, at: str = "") -> None:
        self.at = at

    def track(self, items: Any, total: int, label: str, unit: str) -> Iterator[Any]:
        for number, item in enumerate(items):
            if number == 1 and label.startswith(self.at):
                raise ZeroDivisionError
            yield item


WRONG: dict[str, Callable[[Places], object]] = {
    "check": lambda p: siamesekit.check(p.small("data.root='nowhere'"), "cpu"),
    "check, in its middle": lambda p: siamesekit.check(p.small(), "cpu", progress=Failing()),
    "run": lambda p: siamesekit.run(p.small(), p.project / "config.toml", device="cpu"),
    "run, in its middle": lambda p: siamesekit.run(
        p.small(), p.empty / "stopped", device="cpu", progress=Failing("Epoch 1"), deterministic=True
    ),
    "load": lambda p: siamesekit.load(p.empty),
    "load_config": lambda p: siamesekit.load_config(p.empty / "no.toml"),
    "nearest": lambda p: siamesekit.nearest(torch.ones(2, 3), torch.ones(2, 4), 1, DISTANCES.build("dot")),
    "SimilarityModel.embed": lambda p: p.model.embed([p.photo, p.empty / "no.png"]),
    "SimilarityModel.embed_files": lambda p: p.model.embed_files([p.empty / "no.png"] * 3, siamesekit.Progress()),
    "SimilarityModel.compare": lambda p: p.model.compare(p.photo, b"no photo"),
    "Encoder": lambda p: p.encoder(torch.zeros(2, 5, 8, 8)),
}


@pytest.fixture(scope="module")
def places(
    finished: RunResult, project: Path, small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> Places:
    made = Places(finished, project, small_config, tmp_path_factory.mktemp("empty"))
    made.model.embed(made.photo)
    matplotlib.figure.Figure().savefig(os.devnull, format="svg")  # what it loads when it draws first
    return made


def test_every_public_name_is_called() -> None:
    """A new one must be entered in `CALLS`; components are built by their registries."""
    kinds = {registry.plural for registry in REGISTRIES}
    callables = {
        name
        for name in siamesekit.__all__
        if callable(value := getattr(siamesekit, name))
        and not name.isupper()
        and not (isinstance(value, type) and issubclass(value, Exception | siamesekit.Registry))
        and (siamesekit._PUBLIC[name].endswith(".nearest") or not kinds & set(siamesekit._PUBLIC[name].split(".")[:-1]))
    }
    methods = {f"SimilarityModel.{name}" for name in vars(SimilarityModel) if not name.startswith("_")}
    interfaces = {"Backbone", "Distance", "LossValue"}  # beside the components of their kinds
    assert callables | methods | interfaces | {"registries"} == set(CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_public_function_leaves_the_process_as_it_was(places: Places, name: str) -> None:
    before, filters, drawn = settings(), warned_of(), randomness()
    CALLS[name](places)
    assert settings() == before
    assert warned_of() == filters
    if name not in ("registries", "SimilarityModel"):  # a loss with weights draws them as any module of torch does
        assert randomness() == drawn


@pytest.mark.parametrize("name", WRONG)
def test_so_does_one_that_raises(places: Places, name: str) -> None:
    before, filters, drawn = settings(), warned_of(), randomness()
    with pytest.raises((SiamesekitError, ZeroDivisionError, ValueError, RuntimeError, IndexError)):
        WRONG[name](places)
    assert settings() == before
    assert warned_of() == filters
    assert randomness() == drawn


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_program_draws_the_same_numbers_whether_or_not_it_runs_an_experiment(places: Places, seed: int) -> None:
    def numbers(between: Callable[[Places], object]) -> list[float]:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        between(places)
        return [float(torch.rand(())), float(np.random.random()), random.random()]  # noqa: NPY002

    plain = numbers(lambda p: None)
    for name in ("check", "load", "SimilarityModel.embed"):
        assert numbers(CALLS[name]) == plain, name


@pytest.mark.slow
def test_nothing_changes_while_threads_embed_compare_and_load(places: Places) -> None:
    """Looked at from another thread, again and again."""
    before, filters, drawn = settings(), warned_of(), torch.get_rng_state()
    expected = places.model.embed(places.photo)
    over, wrong = threading.Event(), list[str]()

    def work(number: int) -> None:
        try:
            while not over.is_set():
                model = places.model
                if number == 0:
                    model = siamesekit.load(places.finished.folder, "cpu")
                elif number % 2:
                    assert model.compare(places.photo, places.photo).distance == 0
                with suppress(SiamesekitError):
                    model.embed(b"no photo")
                torch.testing.assert_close(model.embed(places.photo), expected, rtol=0, atol=1e-5)
        except BaseException as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    looked = 0
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end or looked < 20:
            assert warned_of() == filters
            assert settings() == before
            assert torch.equal(torch.get_rng_state(), drawn)
            looked += 1
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert warned_of() == filters
    assert looked >= 20


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_that_is_forked_while_photos_are_decoded_can_decode(places: Places, tmp_path: Path) -> None:
    """What threads of the parent hold at that moment, they never give back in the child."""
    file = tmp_path / "photo.jpg"
    Image.effect_noise((400, 300), 90).convert("RGB").save(file)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            places.model.prepare(file)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                code = 1
                with suppress(BaseException):
                    code = 0 if places.model.prepare(file).shape == (3, 32, 32) else 2
                os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        over.set()
        for thread in threads:
            thread.join()
