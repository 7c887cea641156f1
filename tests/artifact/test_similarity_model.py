"""A model in use: it embeds photos in any form, compares them, and refuses what is no photo."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import POINT
from siamesekit.artifact.loading import load
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.artifact.similarity_model import CHUNKS, SimilarityModel
from siamesekit.data.photo_reading import Reading
from siamesekit.errors import DataError
from siamesekit.experiment.run_result import RunResult
from siamesekit.model import Architecture, build
from siamesekit.progress import Progress


@pytest.fixture(scope="module")
def model(telling: Path) -> SimilarityModel:
    return load(telling, device="cpu")


@pytest.fixture
def photo(project: Path) -> Path:
    return project / "photos" / "striped_2" / "1.png"


def test_every_kind_of_input_embeds_alike(model: SimilarityModel, photo: Path) -> None:
    image = Image.open(photo)
    expected = model.embed(photo)
    assert expected.shape == (1, 16)
    assert expected.norm().item() == pytest.approx(1)
    for same in (str(photo), [photo], image, np.asarray(image), image.convert("RGBA"), model.prepare(photo)[None]):
        torch.testing.assert_close(model.embed(same), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.embed_files([photo], Progress()), expected, rtol=0, atol=1e-6)


def test_an_embedding_does_not_depend_on_its_company(model: SimilarityModel, project: Path) -> None:
    photos = sorted((project / "photos").rglob("*.png"))
    alone = torch.cat([model.embed(photo) for photo in photos])
    assert alone.std(dim=0).max() > 0.01, "the photos differ, or this would show nothing"
    torch.testing.assert_close(model.embed(photos), alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.embed([*photos, *photos, *photos])[-len(photos) :], alone, rtol=0, atol=1e-5)


@pytest.mark.medium
def test_compare_is_symmetric_and_its_verdict_follows_the_threshold(model: SimilarityModel, project: Path) -> None:
    photos = sorted((project / "photos").glob("*/0.png"))
    verdicts = set()
    for a in photos:
        for b in photos:
            one, other = model.compare(a, b), model.compare(b, a)
            first, second = model.embed(a)[0], model.embed(b)[0]
            assert one.distance == pytest.approx(((first - second) ** 2).sum().item(), abs=1e-5)
            assert one.distance == pytest.approx(other.distance, abs=1e-6)
            assert 0 <= one.similarity <= 1
            assert one.same == (one.distance <= one.threshold)
            assert (one.similarity >= 0.5) == one.same, "without a false-accept rate the threshold is where it is 0.5"
            verdicts.add(one.same)
    assert verdicts == {True, False}


def test_a_photo_is_at_distance_0_of_itself(model: SimilarityModel, photo: Path) -> None:
    found = model.compare(photo, photo)
    assert (found.distance, found.same) == (0, True)


def test_similarity_falls_with_distance(model: SimilarityModel) -> None:
    similarity = [model.calibration.similarity(distance) for distance in (0, 0.5, 1, 2, 4, 1000)]
    assert similarity == sorted(similarity, reverse=True)
    assert similarity[-1] == pytest.approx(0)


def test_the_threshold_is_that_of_the_operating_point(model: SimilarityModel) -> None:
    assert model.threshold == POINT["threshold"]


def test_a_model_without_threshold_gives_a_distance_and_no_verdict(tmp_path: Path, photo: Path) -> None:
    made = Architecture("timm/test_resnet", {}, {"layers": [8]}, "inference")
    cosine = {"name": "cosine", "options": {}}
    save_model(tmp_path, build(made).eval(), made, Preprocessing(32, "pad"), cosine, None, {})
    model = load(tmp_path)
    found = model.compare(photo, photo.with_name("0.png"))
    first, second = model.embed([photo, photo.with_name("0.png")])
    assert found.distance == pytest.approx(1 - (first @ second).item(), abs=1e-6)
    assert (found.similarity, found.threshold, found.same) == (None, None, None)
    wide = model.prepare(Image.new("RGB", (64, 32), "white"))
    assert (wide[:, 0].max(), wide[:, 16].min()) == (0, 255), "fit = pad travels with the model"


def test_how_photos_are_decoded_travels_with_the_model(tmp_path: Path) -> None:
    made = Architecture("timm/test_resnet", {}, {"layers": [8]}, "inference")
    network, cosine = build(made).eval(), {"name": "cosine", "options": {}}
    reading = Reading("set", (1000.0, 1510.0), "accept", 150)
    save_model(tmp_path / "a", network, made, Preprocessing(32, "pad", reading), cosine, None, {})
    model = load(tmp_path / "a")
    assert model.reading == reading
    image = Image.fromarray(np.full((32, 32), 1254, np.uint16))
    image.save(tmp_path / "a.png")
    for photo in (tmp_path / "a.png", (tmp_path / "a.png").read_bytes(), Image.open(tmp_path / "a.png"), image):
        assert model.prepare(photo).unique().tolist() == [127]
    save_model(tmp_path / "b", network, made, Preprocessing(32, "pad"), cosine, None, {})
    assert json.loads((tmp_path / "b" / "model.json").read_text())["input"] == {"size": 32, "fit": "pad"}
    assert load(tmp_path / "b").reading == Reading()


@pytest.mark.parametrize("wrong", [np.zeros((4, 4)), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8)])
def test_an_array_that_is_no_photo_is_refused(model: SimilarityModel, wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"uint8 \[height, width, 3\]"):
        model.embed(wrong)


def test_files_embed_as_they_do_one_by_one_whatever_their_number(model: SimilarityModel, project: Path) -> None:
    photos = sorted((project / "photos").rglob("*.png"))
    for number in (1, CHUNKS["cpu"], CHUNKS["cpu"] + 1, len(photos)):
        found = model.embed_files(photos[:number], Progress())
        torch.testing.assert_close(found, model.embed(photos[:number]), rtol=0, atol=1e-6)


def test_a_large_jpeg_embeds_alike_alone_and_in_a_folder(model: SimilarityModel, tmp_path: Path) -> None:
    blotches = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    file = tmp_path / "large.jpg"
    Image.fromarray(blotches).resize((640, 480), Image.Resampling.BICUBIC).save(file)
    alone = model.embed(file)
    torch.testing.assert_close(model.embed_files([file], Progress()), alone, rtol=0, atol=1e-6)
    with Image.open(file) as image:
        torch.testing.assert_close(model.embed(image), alone, rtol=0, atol=1e-6)
        in_full = model.embed(np.asarray(image))
    difference = (alone - in_full).norm().item()
    assert 0 < difference < 0.01, "decoded at a smaller scale, and nearly the same"


def test_bf16_is_within_a_tenth_of_fp32(finished: RunResult, model: SimilarityModel, project: Path) -> None:
    photos = sorted((project / "photos").rglob("*.png"))
    exact = model.embed_files(photos, Progress())
    found = load(finished.folder, device="cpu", precision="bf16").embed_files(photos, Progress())
    assert found.dtype == torch.float32
    difference = (found - exact).norm(dim=1)
    assert 0 < difference.max() < 0.1


def test_decoding_ends_when_the_network_fails(
    model: SimilarityModel, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = sorted((project / "photos").rglob("*.png")) * 20
    before = threading.active_count()

    def fail(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model.encoder, "forward", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.embed_files(photos, Progress())
    assert threading.active_count() == before


def test_photos_that_cannot_be_read_are_refused(model: SimilarityModel, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"broken\.jpg: is not an image"):
        model.embed(tmp_path / "broken.jpg")
    with pytest.raises(DataError, match="1 of 1 photos cannot be used"):
        model.embed_files([tmp_path / "broken.jpg"], Progress())
    for nothing in (lambda: model.embed([]), lambda: model.embed_files([], Progress())):
        with pytest.raises(DataError, match="no photos to embed"):
            nothing()
    (tmp_path / "new\nline.jpg").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"^'.*/new\\nline\.jpg': is not an image"):
        model.embed(tmp_path / "new\nline.jpg")


def test_views_are_the_models_own_unless_others_are_asked_for(model: SimilarityModel, photo: Path) -> None:
    plain, mirrored = model.embed(photo)[0], model.embed(model.prepare(photo).flip(-1)[None])[0]
    expected = (plain + mirrored) / (plain + mirrored).norm()
    assert not torch.allclose(plain, expected, atol=1e-4), "the views differ, or this would show nothing"
    torch.testing.assert_close(model.embed(photo, tta=("mirror",))[0], expected)
    torch.testing.assert_close(model.embed_files([photo], Progress(), ("mirror",))[0], expected)
    torch.testing.assert_close(model.embed_usable([photo], Progress(), ("mirror",)).embeddings[0], expected)
    model.tta = ("mirror",)
    try:
        torch.testing.assert_close(model.embed(photo)[0], expected)
        torch.testing.assert_close(model.embed(photo, tta=())[0], plain)
        assert model.compare(photo, photo).same
        with pytest.warns(UserWarning, match="was measured with the views mirror"):
            model.compare(photo, photo, tta=())
    finally:
        model.tta = ()
    with pytest.warns(UserWarning, match="was measured with no further views"):
        model.compare(photo, photo, tta=("crops",))
