"""How photos are resized goes from a config to the images that train, to the saved model, and to its export."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import siamesekit
from conftest import run_fp32
from siamesekit.artifact.model_card import Facts, Publication, model_card
from siamesekit.artifact.onnx_description import parse_description
from siamesekit.artifact.onnx_export import description_of, export_onnx
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.artifact.tables import InputTable
from siamesekit.config import load_config
from siamesekit.data.images import read_square
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_inputs import prepared
from siamesekit.data.photo_reading import PLAIN, Reading
from siamesekit.engine.frozen.feature_cache import HEADER
from siamesekit.errors import ArtifactError, ConfigError
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.model import Architecture, build
from siamesekit.progress import Progress
from siamesekit.runtime import load as load_onnx

pytestmark = pytest.mark.usefixtures("plain_charts")

OPTIONS = ("data.fit=crop", "data.resampling=bicubic", "data.crop_share=0.8")
READING = Reading(resampling="bicubic", crop_share=0.8)


def saved(folder: Path, preprocessing: Preprocessing) -> Path:
    made = Architecture("timm/test_resnet", {}, {"layers": []}, "inference")
    cosine = {"name": "cosine", "options": {}}
    save_model(folder, build(made).eval(), made, preprocessing, cosine, None, {"stand_ins": []})
    return folder


def test_the_images_of_a_run_are_resized_as_set(project: Path) -> None:
    data = prepare_dataset(load_config(project / "config.toml", OPTIONS), Progress())
    assert data.reading == READING
    for image, record in zip(data.images, data.records, strict=True):
        pixels = image.permute(1, 2, 0).numpy()
        assert np.array_equal(pixels, read_square(record, len(pixels), "crop", READING))
    usual = prepare_dataset(load_config(project / "config.toml", ["data.fit=crop"]), Progress())
    assert usual.reading == PLAIN and usual.fingerprint() != data.fingerprint()


@pytest.mark.slow
def test_the_frozen_part_of_other_pixels_is_not_taken_from_the_cache(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shares = [["data.resampling=bicubic", f"data.crop_share={share}"] for share in (0.8, 0.9)]
    found: list[int] = []
    for number, options in enumerate(([], ["data.resampling=bicubic"], *shares, [])):
        config = load_config(project / "config.toml", ["data.fit=crop", *options, "train.epochs=1"])
        run_fp32(config, tmp_path / str(number))
        assert json.loads((tmp_path / str(number) / "manifest.json").read_text())["frozen_part_cached"] is True
        found.append(len(list((tmp_path / "cache").rglob(HEADER))))
    assert found == [1, 2, 3, 4, 4], "the last run is as the first, and takes what was kept"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["data.crop_share=0.8"], 'data.crop_share: needs data.fit = "crop"'),
        (["data.fit=pad", "data.crop_share=1"], 'data.crop_share: needs data.fit = "crop"'),
        (["data.fit=crop", "data.crop_share=0.05"], "data.crop_share: must be 0, for none, or at least 0.1"),
        (["data.fit=crop", "data.crop_share=1.1"], "data.crop_share: .*less than or equal to 1"),
        (["data.resampling=lanczos"], "data.resampling: .*'bilinear' or 'bicubic'"),
    ],
)
def test_what_has_no_meaning_is_refused(project: Path, options: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(project / "config.toml", options)
    assert any(re.search(expected, line) for line in caught.value.problems), caught.value.problems


def test_a_saved_model_keeps_it_and_its_export_tells_and_uses_it(tmp_path: Path, project: Path) -> None:
    model = siamesekit.load(saved(tmp_path / "m", Preprocessing(40, "crop", READING)), "cpu")
    stored = json.loads((tmp_path / "m" / "model.json").read_text())["input"]
    assert stored == {"size": 40, "fit": "crop", "resampling": "bicubic", "crop_share": 0.8}
    assert model.reading == READING
    exported = description_of(model)
    assert InputTable.of(exported["input"]).reading == READING
    assert (exported["format"], parse_description(json.dumps(exported), "m.onnx").input.reading) == (2, READING)
    photo = project / "photos" / "striped_2" / "1.png"
    expected = torch.from_numpy(prepared(photo, 40, "crop", READING).transpose(2, 0, 1).copy())
    assert torch.equal(model.prepare(photo), expected)


@pytest.mark.slow
def test_the_runner_without_torch_gives_the_pixels_of_training(tmp_path: Path, project: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = siamesekit.load(saved(tmp_path / "m", Preprocessing(40, "crop", READING)), "cpu")
    export_onnx(model, tmp_path / "m.onnx")
    exported = load_onnx(tmp_path / "m.onnx")
    data = prepare_dataset(load_config(project / "config.toml", [*OPTIONS, "data.size=40"]), Progress())
    for image, record in zip(data.images, data.records, strict=True):
        assert np.array_equal(exported.prepare(str(record.source)), image.numpy())


def test_a_model_made_before_is_bilinear_and_whole(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", Preprocessing(40, "crop"))
    assert json.loads((folder / "model.json").read_text())["input"] == {"size": 40, "fit": "crop"}
    reading = siamesekit.load(folder, "cpu").reading
    assert (reading.resampling, reading.crop_share) == ("bilinear", None)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"crop_share": 0.01}, "input.crop_share: must be greater than or equal to 0.1"),
        ({"crop_share": 2}, "input.crop_share: must be less than or equal to 1"),
        ({"fit": "pad"}, 'input: a crop_share needs the fit "crop", not "pad"'),
        ({"resampling": "lanczos"}, "input.resampling: must be 'bilinear' or 'bicubic'"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, wrong: dict[str, object], expected: str) -> None:
    folder = saved(tmp_path / "m", Preprocessing(40, "crop", READING))
    told = json.loads((folder / "model.json").read_text())
    told["input"] |= wrong
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(ArtifactError) as caught:
        siamesekit.load(folder, "cpu")
    assert any(line.startswith(expected) for line in caught.value.details), caught.value.details


@pytest.mark.parametrize(
    ("fit", "reading", "number", "told"),
    [
        ("crop", READING, 2, "(crop, a share of 0.8 of the shorter side, bicubic)"),
        ("squash", Reading(resampling="bicubic"), 2, "(squash, bicubic)"),
        ("crop", Reading(crop_share=0.875), 2, "(crop, a share of 0.875 of the shorter side)"),
        ("pad", Reading("photo", truncated="accept"), 1, "(pad)"),
        ("crop", PLAIN, 1, "(crop)"),
    ],
)
def test_the_format_says_what_older_versions_cannot_read_and_the_card_tells_it(
    tmp_path: Path, fit: Fit, reading: Reading, number: int, told: str
) -> None:
    model = siamesekit.load(saved(tmp_path / "m", Preprocessing(40, fit, reading)), "cpu")
    assert json.loads((tmp_path / "m" / "model.json").read_text())["format"] == number
    assert description_of(model)["format"] == number
    card = model_card(Publication("a/b", "mit"), Facts(model.description, 96))
    assert f"photos of 40 × 40 pixels {told}." in card
