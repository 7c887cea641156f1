"""Models that nobody has to train: by name in place of a run, saved without a hub, and calibrated on one's own photos.

The model of the hub is a small network of timm with random weights, in the layout in which MegaDescriptor lies there,
on a local hub: it shows that names, preprocessing and weights arrive, not how good such a model is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image
from timm.models import save_for_hf
from typer.testing import CliRunner

import siamesekit
from local_hub import Repository, State, in_place_of_the_hub
from siamesekit.artifact.named_model import load, saved_model
from siamesekit.cli.app import app
from siamesekit.evaluation.pairs import pairs_of
from siamesekit.randomness import generator

READY, COMMIT = "timm/hf-hub:fluke/mega", "b" * 40
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """The network of the model on the hub."""
    torch.manual_seed(3)
    made: torch.nn.Module = timm.create_model("test_resnet", num_classes=7)
    made.pretrained_cfg.update(mean=MEAN, std=STD, input_size=(3, 64, 64), interpolation="bicubic", crop_pct=0.8)  # type: ignore[union-attr, operator]
    return made


@pytest.fixture
def hub(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[State]:
    """A local hub with the model, and an empty cache."""
    save_for_hf(network, tmp_path / "saved", safe_serialization=True)
    files = {file.name: file.read_bytes() for file in (tmp_path / "saved").iterdir()}
    state = State({"fluke/mega": Repository(commits=[(COMMIT, files)])})
    with in_place_of_the_hub(state, monkeypatch, tmp_path / "cache"):
        yield state


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_its_size_and_scaling_are_its_own_and_what_differs_is_told(
    hub: State, network: torch.nn.Module, project: Path
) -> None:
    model = load(READY, "cpu")
    photo = project / "photos" / "striped_2" / "1.png"
    side = model.size
    small = Image.open(photo).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(((np.asarray(small) / 255 - MEAN) / STD).transpose(2, 0, 1)).float()
    features = network.eval().forward_head(network.forward_features(pixels[None]), pre_logits=True)  # type: ignore[operator]
    expected = torch.nn.functional.normalize(features.detach())
    np.testing.assert_allclose(model.embed(photo), expected, rtol=1e-3, atol=1e-4)
    assert side == 64
    assert model.description["weights"] == {"source": "imagenet", "hub": "fluke/mega", "revision": COMMIT}
    assert model.description["preprocessing_note"] == (
        "the pretrained weights were judged on photos resized to a shorter side of 80 pixels (bicubic), of which the "
        "middle 64 × 64 was taken; here they are squashed to 64 × 64 pixels (bilinear)"
    )


def test_a_saved_copy_needs_no_hub(hub: State, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(READY, "cpu")
    photo = project / "photos" / "striped_2" / "1.png"
    with saved_model(model) as saved:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "none"))
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        again = siamesekit.load(saved.folder, "cpu")
        assert torch.equal(again.embed(photo), model.embed(photo))
        assert again.description["encoder"]["name"] == "timm/test_resnet"
        assert again.description["weights"] == model.description["weights"]
        place = saved.folder
    assert not place.exists()


@pytest.mark.slow
def test_it_stands_in_place_of_a_run(hub: State, project: Path, tmp_path: Path) -> None:
    photos = project / "photos"
    done = call("embed", READY, photos, "-o", tmp_path / "e.npz")
    assert done.exit_code == 0, done.output
    assert f"weights of fluke/mega, commit {COMMIT}" in done.stdout
    assert "the pretrained weights were judged on photos resized" in done.stdout
    option = call("embed", "--encoder", READY, photos, "-o", tmp_path / "o.npz")
    assert option.exit_code == 0
    by_name, by_option = (np.load(tmp_path / name)["embedding"] for name in ("e.npz", "o.npz"))
    assert np.array_equal(by_name, by_option)

    compared = json.loads(
        call("compare", READY, photos / "striped_2" / "1.png", photos / "striped_2" / "2.png", "--json").stdout
    )
    assert compared["distance"] == pytest.approx(1 - float(by_name[9] @ by_name[10]), abs=1e-5)
    assert compared["same"] is None

    enrolled = call("enrol", READY, photos, "-o", tmp_path / "catalogue")
    assert enrolled.exit_code == 0, enrolled.output
    with siamesekit.Catalogue(tmp_path / "catalogue", "cpu") as catalogue:
        assert catalogue.info().encoder == "timm/test_resnet"
        assert catalogue.search(photos / "striped_3" / "0.png")[0].candidates[0].individual == "striped_3"
    figures = json.loads(call("evaluate", READY, "--data", photos, "--json").stdout)
    option = json.loads(call("evaluate", "--encoder", READY, "--data", photos, "--json").stdout)
    assert figures["networks"] == option["networks"] and figures["photos"] == 32


def test_calibrated_on_ones_own_photos_it_gives_verdicts(hub: State, project: Path, tmp_path: Path) -> None:
    photos, mine = project / "photos", tmp_path / "mine"
    told = json.loads(call("calibrate", READY, "--data", photos, "-o", mine, "--json").stdout)
    model = siamesekit.load(mine, "cpu")
    assert model.threshold == told["threshold"] and told["individuals"] == 8
    files = sorted(photos.rglob("*.png"))
    labels = np.unique([file.parent.name for file in files], return_inverse=True)[1]
    embeddings = model.embed(files)
    assert torch.equal(embeddings, load(READY, "cpu").embed(files)), "nothing was trained"
    pairs = pairs_of(embeddings, labels, model.distance, generator(0, "all pairs"))
    slope, intercept = told["slope"], told["intercept"]
    share = 1 / (1 + np.exp(slope * pairs.distance + intercept))
    weights = np.where(pairs.same, 1 / pairs.same.sum(), 1 / (~pairs.same).sum())
    for values in (np.ones_like(share), pairs.distance):  # a fitted logistic curve: its residuals are 0 on average
        assert abs((weights * (share - pairs.same) * values).sum()) < 1e-3
    compared = model.compare(files[0], files[1])
    assert compared.similarity == pytest.approx(1 / (1 + np.exp(slope * compared.distance + intercept)), rel=1e-4)
    assert compared.same == (compared.distance <= told["threshold"])

    again = call("calibrate", READY, "--data", photos, "-o", mine)
    assert again.exit_code == 2 and "exists and is not an empty folder" in again.stderr


def test_photos_that_give_no_threshold_write_nothing(hub: State, project: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "only").symlink_to(project / "photos" / "striped_2")
    done = call("calibrate", READY, "--data", tmp_path / "one", "-o", tmp_path / "mine", "--follow-links")
    assert done.exit_code == 2, done.output
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "mine").exists()
