"""The artifact: a model that loads without its config, embeds what it is given, and is refused when damaged."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from siamesekit.artifact import CHUNKS, SimilarityModel, build, load, save_model
from siamesekit.artifact import Architecture as Made
from siamesekit.errors import ArtifactError, DataError
from siamesekit.experiment import RunResult
from siamesekit.progress import Progress


@pytest.fixture(scope="module")
def model(finished: RunResult) -> SimilarityModel:
    return load(finished.folder, device="cpu")


@pytest.fixture
def copy(finished: RunResult, tmp_path: Path) -> Path:
    """A copy of the finished run's model, to be damaged."""
    return Path(shutil.copytree(finished.folder / "model", tmp_path / "model"))


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


def test_the_threshold_is_that_of_the_evaluation(model: SimilarityModel, finished: RunResult) -> None:
    assert model.threshold == finished.evaluation["threshold"]["threshold"]


def test_the_model_folder_loads_alone(copy: Path, model: SimilarityModel, photo: Path) -> None:
    assert torch.equal(load(copy).embed(photo), model.embed(photo))


@pytest.mark.parametrize("key", ["mean", "std"])
def test_input_scaling_travels_with_the_model(copy: Path, model: SimilarityModel, photo: Path, key: str) -> None:
    edit(copy, lambda d: d["encoder"].update({key: [30.0, 20.0, 10.0]}))
    assert not torch.allclose(load(copy).embed(photo), model.embed(photo), atol=1e-3)


def test_a_model_without_threshold_gives_a_distance_and_no_verdict(tmp_path: Path, photo: Path) -> None:
    made = Made("timm/test_resnet", {}, {"layers": [8]}, "inference")
    cosine = {"name": "cosine", "options": {}}
    save_model(tmp_path, build(made).eval(), made, 32, "pad", cosine, None, {})
    model = load(tmp_path)
    found = model.compare(photo, photo.with_name("0.png"))
    first, second = model.embed([photo, photo.with_name("0.png")])
    assert found.distance == pytest.approx(1 - (first @ second).item(), abs=1e-6)
    assert (found.similarity, found.threshold, found.same) == (None, None, None)
    wide = model.prepare(Image.new("RGB", (64, 32), "white"))
    assert (wide[:, 0].max(), wide[:, 16].min()) == (0, 255), "fit = pad travels with the model"


@pytest.mark.parametrize("place", [100, -1])
def test_one_tampered_byte_of_the_weights_is_noticed(copy: Path, place: int) -> None:
    file = copy / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="is not the file that was saved: its SHA-256 differs"):
        load(copy)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model.json"
    description = json.loads(file.read_text())
    change(description)
    file.write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(format=2), "has format 2, this version reads 1"),
        (
            lambda d: d["encoder"].update(name="my-net"),
            r"needs a component .*unknown encoder 'my-net'.*\(--plugin FILE\)",
        ),
        (
            lambda d: d["distance"].update(name="mine"),
            r"needs a component .*unknown distance 'mine'.*\(--plugin FILE\)",
        ),
        (lambda d: d["distance"].update(options={"p": 3}), "unknown option of distance"),
        (lambda d: d.pop("encoder"), "is damaged: KeyError"),
        (lambda d: d.update(encoder=[]), "is damaged: TypeError"),
        (lambda d: d["encoder"].update(options=[1]), "is damaged"),
        (lambda d: d["encoder"].update(mean=[1.0]), "is damaged: RuntimeError"),
        (lambda d: d["encoder"]["head"].update(layers=[8]), "is damaged: RuntimeError"),
        (lambda d: d["encoder"]["head"].update(activation="tanh"), "is damaged: KeyError"),
        (lambda d: d["input"].update(size="big"), "is damaged: ValueError"),
        (lambda d: d["input"].update(fit="stretch"), "is damaged: ValueError"),
        (lambda d: d["operating_point"].update(threshold="far"), "is damaged: ValueError"),
        (lambda d: d["operating_point"].pop("slope"), "is damaged: KeyError"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    edit(copy, change)
    with pytest.raises(ArtifactError, match=says):
        load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\ud83d".encode("utf-8", "surrogatepass")])
def test_damaged_json_is_refused(copy: Path, text: str | bytes) -> None:
    (copy / "model.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ArtifactError, match="is damaged"):
        load(copy)


def test_missing_files_are_named(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"is damaged: FileNotFoundError: .*model\.safetensors"):
        load(copy)
    (copy / "model.json").unlink()
    for folder in (copy, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match=r"there is no model in .*model\.json is missing; did the run finish\?"):
            load(folder)


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
        in_full = model.embed(image)
    difference = (alone - in_full).norm().item()
    assert 0 < difference < 0.05, "decoded at a smaller scale, and nearly the same"


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
