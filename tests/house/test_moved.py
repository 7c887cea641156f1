"""What version 0.1 wrote and what was imported from its modules: opened and found after every move."""

from __future__ import annotations

import gzip
import importlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import siamesekit
from siamesekit.model import SiameseNetwork

GOLDEN = Path(__file__).parents[1] / "golden" / "version_0_1"


def images() -> torch.Tensor:
    """The six images of which the golden distances are: float32 `[3, 2, 3, 32, 32]`."""
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 2, 3, 32, 32)).astype(np.float32))


@pytest.mark.filterwarnings("ignore:siamesekit")
def test_a_pickle_of_version_0_1_opens_and_measures_as_it_did() -> None:
    network = pickle.loads(gzip.decompress((GOLDEN / "siamese_model.pkl.gz").read_bytes()))
    assert isinstance(network, SiameseNetwork)
    expected = json.loads((GOLDEN / "distances.json").read_text())
    with torch.no_grad():
        found = network(*images())
    for name in ("d_ap", "d_an"):
        torch.testing.assert_close(getattr(found, name), torch.tensor(expected[name]), rtol=1e-4, atol=1e-5)


def test_an_artifact_of_version_0_1_opens_and_embeds_as_the_pickle(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes((GOLDEN / "model.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(gzip.decompress((GOLDEN / "model.safetensors.gz").read_bytes()))
    model = siamesekit.load(tmp_path, device="cpu")
    expected = json.loads((GOLDEN / "distances.json").read_text())
    with torch.no_grad():
        anchor, positive, negative = (model.encoder(part) for part in images())
    for name, other in (("d_ap", positive), ("d_an", negative)):
        torch.testing.assert_close(model.distance(anchor, other), torch.tensor(expected[name]), rtol=1e-4, atol=1e-5)


def test_what_is_pickled_now_names_the_package_alone() -> None:
    """So that no later move touches it."""
    model = siamesekit.SiameseNetwork(torch.nn.Identity(), siamesekit.Cosine())  # type: ignore[arg-type]
    content = pickle.dumps(model)
    assert b"siamesekit.model" not in content and b"siamesekit.components" not in content
    assert isinstance(pickle.loads(content), SiameseNetwork)


def test_every_public_class_is_of_the_package() -> None:
    for name in siamesekit.__all__:
        value = getattr(siamesekit, name)
        if isinstance(value, type) and not issubclass(value, BaseException):
            assert value.__module__ == "siamesekit", name


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("losses.triplet", "components.losses.triplet", "TripletLoss"),
        ("distances.distance", "components.distances.distance", "pairwise"),
        ("data.samplers.batch", "components.samplers.batch", "Batch"),
        ("triplets", "components.tuples", "count_triplets"),
        ("retrieval", "components.distances.nearest", "nearest"),
        ("metrics", "evaluation.retrieval", "retrieval"),
        ("doctor", "engine.doctor", "diagnose"),
        ("plugins", "registry.plugin_files", "load_plugin_file"),
        ("stopping", "experiment.stopping", "Stop"),
    ],
)
def test_a_module_s_old_path_leads_to_the_same_module_and_warns(old: str, new: str, name: str) -> None:
    for module in [each for each in sys.modules if each.startswith(f"siamesekit.{old.partition('.')[0]}")]:
        if module not in ("siamesekit.data", "siamesekit.data.records"):
            sys.modules.pop(module) if siamesekit.moved(module) else None
    with pytest.warns(DeprecationWarning, match=rf"siamesekit\.{old} is now siamesekit\.{new}:"):
        found = importlib.import_module(f"siamesekit.{old}")
    assert found is importlib.import_module(f"siamesekit.{new}")
    assert hasattr(found, name)
    assert found.__name__ == f"siamesekit.{new}"


@pytest.mark.filterwarnings("ignore:siamesekit")
def test_a_module_that_was_split_has_its_names_under_the_old_path() -> None:
    for old, places in siamesekit._SPLIT.items():
        found = importlib.import_module(f"siamesekit.{old}")
        for name, place in places.items():
            module, _, now = place.rpartition(".")
            assert getattr(found, name) is getattr(importlib.import_module(f"siamesekit.{module}"), now)


@pytest.mark.slow
def test_the_artifact_s_and_the_experiment_s_names_are_where_they_were() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "from siamesekit.artifact import Comparison, SimilarityModel, load\n"
        "from siamesekit.experiment import RunResult, check, run\n"
        "import siamesekit\n"
        "assert run is siamesekit.run and check is siamesekit.check and load is siamesekit.load\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("siamesekit.losses.no_such_loss")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("siamesekit.no_such_room")
