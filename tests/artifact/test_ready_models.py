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
from siamesekit.errors import UserError
from siamesekit.evaluation.pairs import pairs_of
from siamesekit.randomness import generator

READY, COMMIT = "timm/hf-hub:fluke/mega", "b" * 40
OWN = {"size": 64, "fit": "crop", "resampling": "bicubic", "crop_share": 0.8}
"""How the photos are prepared on which the weights of the model on the hub were judged."""
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


@pytest.mark.medium
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


def embedded_by_timm(network: torch.nn.Module, files: list[Path]) -> torch.Tensor:
    """The features of length 1 of photos that timm prepares, `[N, F]`."""
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    pixels = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
    features = network.eval().forward_head(network.forward_features(pixels), pre_logits=True)  # type: ignore[operator]
    return torch.nn.functional.normalize(features.detach())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five individuals with four photos each, which are not square and larger than the images."""
    rng, folder = np.random.default_rng(5), tmp_path / "unlike"
    for individual in range(5):
        base = rng.integers(0, 256, (12, 15, 3))
        for number in range(4):
            file = folder / f"seal-{individual}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            noisy = np.clip(base + rng.integers(-80, 81, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((130 + 7 * number, 90), Image.Resampling.BICUBIC).save(file)
    return folder


@pytest.mark.medium
def test_embed_prepares_photos_as_the_weights_were_judged(
    hub: State, network: torch.nn.Module, photos: Path, tmp_path: Path
) -> None:
    for number, name in enumerate(([READY], ["--encoder", READY])):
        done = call("embed", *name, photos, "--fit", "own", "-o", tmp_path / f"{number}.npz")
        assert done.exit_code == 0, done.output
        assert "the pretrained weights were judged" not in done.stdout
        found = np.load(tmp_path / f"{number}.npz")
        expected = embedded_by_timm(network, [Path(path) for path in found["path"]])
        np.testing.assert_allclose(found["embedding"], expected, rtol=1e-3, atol=1e-4)
    squashed = siamesekit.pretrained(READY, device="cpu").embed(sorted(photos.rglob("*.png")))
    own = embedded_by_timm(network, sorted(photos.rglob("*.png")))
    assert (squashed - own).abs().max() > 0.01, "the test's point"


@pytest.mark.medium
def test_compare_does_and_joins_ready_models_that_do(hub: State, network: torch.nn.Module, photos: Path) -> None:
    files = [photos / "seal-1" / "0.png", photos / "seal-2" / "3.png"]
    a, b = embedded_by_timm(network, files)
    expected = 1 - float(a.double() @ b.double())
    for joined in ([], ["--with", READY]):
        told = json.loads(call("compare", READY, *files, *joined, "--fit", "own", "--json").stdout)
        assert told["distance"] == pytest.approx(expected, rel=0.01)
    squashed = json.loads(call("compare", READY, *files, "--json").stdout)
    assert squashed["distance"] != pytest.approx(expected, rel=0.02), "the test's point"


@pytest.mark.medium
def test_evaluate_does_for_both_models(hub: State, network: torch.nn.Module, photos: Path) -> None:
    own = json.loads(call("evaluate", READY, "--data", photos, "--fit", "own", "--against", READY, "--json").stdout)
    usual = json.loads(call("evaluate", "--encoder", READY, "--data", photos, "--json").stdout)
    files = sorted(photos.rglob("*.png"))
    labels = np.unique([file.parent.name for file in files], return_inverse=True)[1]
    distances = 1 - (embedded := embedded_by_timm(network, files)) @ embedded.T
    nearest = distances.fill_diagonal_(np.inf).argmin(1).numpy()
    for name in ("model", "against"):
        assert own["networks"][name]["precision_at_1"]["value"] == pytest.approx(np.mean(labels[nearest] == labels))
    assert own["networks"]["model"] == own["networks"]["against"]
    assert own["networks"]["model"]["map_at_r"] != usual["networks"]["model"]["map_at_r"]


@pytest.mark.medium
def test_a_catalogue_keeps_it_for_all_that_follows(
    hub: State, network: torch.nn.Module, photos: Path, tmp_path: Path
) -> None:
    place, asked = tmp_path / "catalogue", photos / "seal-3" / "0.png"
    known = sorted(file for file in photos.rglob("*.png") if file != asked)
    done = call("enrol", READY, photos, "-o", place, "--fit", "own")
    assert done.exit_code == 0, done.output
    assert "the pretrained weights were judged" not in done.stdout
    a, *others = embedded_by_timm(network, [asked, *known])
    expected = {file: 1 - float(a.double() @ other.double()) for file, other in zip(known, others, strict=True)}
    nearest = min(value for file, value in expected.items() if file.parent.name == "seal-2")

    def described() -> dict[str, Any]:
        (file,) = (place / "models").glob("*/model.json")
        told: dict[str, Any] = json.loads(file.read_text())
        return told

    def found() -> float:
        with siamesekit.Catalogue(place, "cpu") as catalogue:
            candidates = catalogue.search(asked, k=5)[0].candidates
        return next(each.distance for each in candidates if each.individual == "seal-2")

    assert (described()["input"], described()["format"]) == (OWN, 2)
    assert found() == pytest.approx(nearest, rel=0.01)
    again = call("re-embed", place, READY)
    assert again.exit_code == 0 and described()["input"] == {"size": 64, "fit": "squash"}
    assert found() != pytest.approx(nearest, rel=0.02), "the test's point"
    again = call("re-embed", place, READY, "--fit", "own")
    assert again.exit_code == 0 and described()["input"] == OWN
    assert found() == pytest.approx(nearest, rel=0.01)


@pytest.mark.medium
def test_a_calibrated_model_keeps_it(hub: State, network: torch.nn.Module, photos: Path, tmp_path: Path) -> None:
    done = call("calibrate", READY, "--data", photos, "-o", tmp_path / "mine", "--fit", "own")
    assert done.exit_code == 0, done.output
    model = siamesekit.load(tmp_path / "mine", "cpu")
    assert json.loads((tmp_path / "mine" / "model" / "model.json").read_text())["input"] == OWN
    files = sorted(photos.rglob("*.png"))
    np.testing.assert_allclose(model.embed(files), embedded_by_timm(network, files), rtol=1e-3, atol=1e-4)
    assert model.threshold is not None
    refused = call("embed", tmp_path / "mine", photos, "--fit", "squash", "-o", tmp_path / "e.npz")
    assert refused.exit_code == 2
    assert "--fit is only for a ready model, such as timm/resnet50: the model of a run" in refused.stderr


@pytest.mark.medium
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_another_fit_is_told_and_kept(hub: State, photos: Path, tmp_path: Path, fit: str) -> None:
    done = call("enrol", READY, photos, "-o", tmp_path / "catalogue", "--fit", fit)
    assert done.exit_code == 0, done.output
    here = {"pad": "padded", "crop": "cropped to the middle and resized"}[fit]
    assert f"here they are {here} to 64 × 64 pixels (bilinear)" in done.stdout
    with siamesekit.Catalogue(tmp_path / "catalogue", "cpu") as catalogue:
        assert catalogue.model.fit == fit


@pytest.mark.medium
@pytest.mark.parametrize(
    ("cfg", "why"),
    [
        ({"crop_mode": "border"}, "their photos were padded with the mean colour, and are padded with black here"),
        ({"crop_pct": 1.15}, "their share of the shorter side is 1.15, and must be 0.1 to 1 here"),
        ({"crop_mode": "squash"}, "their photos were squashed to more pixels than the middle that was taken"),
        ({"interpolation": "lanczos"}, "their photos were resized by the filter lanczos; here: bilinear, bicubic"),
    ],
)
def test_what_cannot_be_repeated_is_refused_with_the_reason(
    hub: State, photos: Path, tmp_path: Path, cfg: dict[str, object], why: str
) -> None:
    commit, files = hub.repositories["fluke/mega"].commits[0]
    config = json.loads(files["config.json"])
    config["pretrained_cfg"] |= cfg
    hub.repositories["fluke/mega"].commits[0] = (commit, {**files, "config.json": json.dumps(config).encode()})
    done = call("enrol", READY, photos, "-o", tmp_path / "catalogue", "--fit", "own")
    assert done.exit_code == 2, done.output
    assert f'"own", because {why}; choose "squash", "pad" or "crop"' in done.stderr
    assert not (tmp_path / "catalogue").exists()


def test_own_is_refused_where_nothing_is_known() -> None:
    with pytest.raises(UserError, match=r"'efficientnet-lite0' cannot .* because nothing says how their photos were"):
        siamesekit.pretrained("efficientnet-lite0", fit="own", device="cpu")


def test_a_model_that_has_its_own_takes_no_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^fit: .* is no encoder's name, and such a model has its own$"):
        load(tmp_path, "cpu", fit="own")
