"""An exported model gives, without torch, what the run's model gives with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import siamesekit
from conftest import draw_photo
from helpers import encoded
from siamesekit import runtime
from siamesekit.artifact.numpy_distances import NUMPY_DISTANCES
from siamesekit.artifact.onnx_export import export_onnx
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import ArtifactError, DataError, RunError, UserError
from siamesekit.registry import DISTANCES


@pytest.fixture(scope="module")
def model(telling: Path) -> SimilarityModel:
    return siamesekit.load(telling, device="cpu")


@pytest.fixture(scope="module")
def file(model: SimilarityModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(model, tmp_path_factory.mktemp("exported") / "model.onnx").file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Drawn photos of two individuals: PNG, large JPEG, turned by EXIF, transparent, of 16 bits."""
    folder = tmp_path_factory.mktemp("drawn")
    images = [Image.fromarray(draw_photo(individual, 3)) for individual in (0, 0, 1, 1, 1)]
    images[0].save(folder / "0.png")
    images[1].resize((1200, 900)).save(folder / "1.jpg", quality=90)
    turned = Image.Exif()
    turned[0x0112] = 6
    images[2].resize((300, 200)).save(folder / "2.jpg", exif=turned)
    images[3].convert("RGBA").save(folder / "3.png")
    Image.fromarray(np.asarray(images[4].convert("L")).astype(np.uint16) * 257).save(folder / "4.png")
    return sorted(folder.iterdir())


def changed(file: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of an exported file with another description."""
    proto = onnx.load(file)
    description = json.loads(proto.metadata_props[0].value)
    change(description)
    onnx.helper.set_model_props(proto, {"siamesekit": json.dumps(description)})
    onnx.save(proto, folder / "changed.onnx")
    return folder / "changed.onnx"


def test_embeddings_are_those_of_the_run(model: SimilarityModel, file: Path, photos: list[Path]) -> None:
    found = runtime.load(file, threads=1).embed(photos)
    wanted = model.embed(photos).numpy()
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.abs(wanted[0] - wanted[4]).max() > 1e-3  # photos do differ


def test_photos_come_in_every_form(model: SimilarityModel, file: Path, photos: list[Path]) -> None:
    used = runtime.load(file)
    array = draw_photo(1, 2)
    forms: list[Any] = [photos[2], str(photos[2]), photos[2].read_bytes(), Image.open(photos[2]), array]
    for form in forms:
        np.testing.assert_array_equal(used.prepare(form), model.prepare(form).numpy())
    np.testing.assert_array_equal(used.embed(array), used.embed([array]))
    np.testing.assert_array_equal(used.embed(np.stack([array] * 2)), used.embed([array] * 2))
    many = used.embed([array] * 17)  # more than are embedded at a time
    assert many.shape[0] == 17
    np.testing.assert_allclose(many[16], many[0], atol=1e-6)


def test_comparisons_are_those_of_the_run(model: SimilarityModel, file: Path, photos: list[Path]) -> None:
    used = runtime.load(file)
    assert used.threshold == model.threshold == 0.95
    for a, b in [(0, 1), (0, 2), (2, 3), (4, 4)]:
        found, wanted = used.compare(photos[a], photos[b]), model.compare(photos[a], photos[b])
        assert found.distance == pytest.approx(wanted.distance, abs=1e-5)
        assert found.similarity == pytest.approx(wanted.similarity, abs=1e-4)
        assert (found.threshold, found.same) == (wanted.threshold, wanted.same)
    assert {used.compare(photos[0], photos[b]).same for b in (0, 1, 2, 3, 4)} >= {True}


def test_without_a_threshold_there_is_no_verdict(file: Path, photos: list[Path], tmp_path: Path) -> None:
    silent = runtime.load(changed(file, tmp_path, lambda told: told.update(operating_point=None)))
    found = silent.compare(photos[0], photos[2])
    assert found.distance > 0 and (found.similarity, found.threshold, found.same) == (None, None, None)
    assert "no threshold" in repr(silent)


@pytest.mark.parametrize("name", NUMPY_DISTANCES)
def test_distances_are_those_of_torch(name: str) -> None:
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=(2, 50, 7)).astype(np.float32)
    a[0] = 0
    b[1] = a[1]
    wanted = DISTANCES.build(name)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(NUMPY_DISTANCES[name](a, b), wanted, atol=1e-5)


def test_other_distances_are_refused_by_name_and_photos_still_embedded(
    file: Path, photos: list[Path], tmp_path: Path
) -> None:
    used = runtime.load(changed(file, tmp_path, lambda told: told["distance"].update(name="pml/snr")))
    assert len(used.embed(photos[:2])) == 2
    with pytest.raises(UserError, match="the distance 'pml/snr' cannot be computed without torch"):
        used.compare(photos[0], photos[1])


def test_neither_torch_nor_what_takes_time_to_import_is_imported(file: Path, photos: list[Path]) -> None:
    source = (
        "import sys\nfrom siamesekit import runtime\n"
        f"print(runtime.load({str(file)!r}).compare({str(photos[0])!r}, {str(photos[1])!r}).same)\n"
        "unwanted = {'torch', 'torchvision', 'timm', 'onnx', 'matplotlib', 'pydantic', 'annotated_types'}\n"
        "unwanted |= {'siamesekit.data.remote.servers', 'concurrent.futures', '_hashlib', 'difflib'}\n"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    # coverage, which imports hashlib itself, is not started in this process
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, env=untraced)
    assert done.stdout.splitlines()[0] in ("True", "False")
    assert done.stdout.splitlines()[1] == "[]"


def test_photos_that_cannot_be_read_are_named(file: Path, tmp_path: Path) -> None:
    used = runtime.load(file)
    (tmp_path / "bad.jpg").write_bytes(encoded(Image.new("RGB", (64, 64)), "JPEG")[:200])
    wrong: list[tuple[Any, str]] = [
        (tmp_path / "gone.jpg", "gone.jpg: "),
        (tmp_path / "bad.jpg", "bad.jpg: "),
        (b"no photo", "a photo as bytes: "),
        (np.zeros((4, 4)), r"not float64 \[4, 4\]"),
        ([3], "int is not a photo"),
        (3, "int is neither a photo nor a list of photos"),
        ([], "no photos to embed"),
    ]
    for photo, message in wrong:
        with pytest.raises(DataError, match=message):
            used.embed(photo)


def test_a_distance_that_is_not_a_number_is_an_error(
    file: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = runtime.load(file)
    monkeypatch.setattr(used, "embed", lambda photos: np.full((2, 4), np.nan, np.float32))
    with pytest.raises(RunError, match="NaN or infinite"):
        used.compare(photos[0], photos[1])


def test_files_of_others_are_refused(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    proto = onnx.load(file)
    onnx.helper.set_model_props(proto, {"author": "another"})
    onnx.save(proto, tmp_path / "foreign.onnx")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:5000])
    (tmp_path / "text.onnx").write_text("a text")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, message in (
        ("foreign", "was not written by siamesekit export: its metadata has no 'siamesekit'"),
        ("cut", "is not a model that onnxruntime can run"),
        ("text", "is not a model that onnxruntime can run"),
        ("empty", "is not a model that onnxruntime can run"),
        ("gone", "cannot be read: No such file or directory"),
    ):
        with pytest.raises(ArtifactError, match=f"{name}.onnx {message}"):
            runtime.load(tmp_path / f"{name}.onnx")
    with pytest.raises(ArtifactError, match="cannot be read: not a plain file"):
        runtime.load(tmp_path)
    assert capfd.readouterr() == ("", "")


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "format": (lambda told: told.update(format=3), "has format 3, this version reads 1 and 2"),
    "size": (lambda told: told["input"].update(size=10**9), "input.size"),
    "type": (lambda told: told["input"].update(size="32"), "input.size"),
    "other size": (lambda told: told["input"].update(size=31), "its network does not take images"),
    "dimension": (lambda told: told.update(embedding_dim=5), "its network does not take images"),
    "fit": (lambda told: told["input"].update(fit="../../etc"), "input.fit"),
    "slope": (lambda told: told["operating_point"].update(slope=-1), "operating_point.slope"),
    "missing": (lambda told: told.pop("distance"), "distance"),
    "options": (lambda told: told["distance"].update(options={"a": [0] * 2000}), "distance.options"),
    "deep": (lambda told: told.update(note=json.loads("[" * 100 + "]" * 100)), "nested more than 64 deep"),
    "long": (lambda told: told.update(note="x" * (1 << 20)), "too large"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_metadata_is_refused_with_its_place(file: Path, tmp_path: Path, what: str) -> None:
    change, message = HOSTILE[what]
    with pytest.raises(ArtifactError, match=message) as caught:
        runtime.load(changed(file, tmp_path, change))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1, "format": 1}', '{"format": NaN}'])
def test_metadata_that_is_no_json_object_is_refused(file: Path, tmp_path: Path, text: str) -> None:
    proto = onnx.load(file)
    onnx.helper.set_model_props(proto, {"siamesekit": text})
    onnx.save(proto, tmp_path / "changed.onnx")
    with pytest.raises(ArtifactError, match="its metadata 'siamesekit' is damaged"):
        runtime.load(tmp_path / "changed.onnx")


def test_a_missing_package_and_wrong_threads_are_errors_in_words(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="threads: must be at least 1, not 0"):
        runtime.load(file, threads=0)
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'siamesekit\[onnx\]'"):
        runtime.load(file)
