"""Photos of 16 bits in a run: the range of the training photos is measured, used for all, and kept with the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import siamesekit
from siamesekit.config import Config, load_config
from siamesekit.data.images import read_square
from siamesekit.data.photo_reading import Reading
from siamesekit.data.records import Record
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.progress import Progress

pytestmark = pytest.mark.usefixtures("plain_charts")


@pytest.fixture
def thermal(tmp_path: Path, project: Path) -> Callable[..., Config]:
    """The small project with photos of 16 bits, in a narrow range that differs from photo to photo."""
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    for individual in range(8):
        for number in range(4):
            file = photos / f"seal_{individual}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            low = 51_000 + 100 * individual + 10 * number
            Image.fromarray(rng.integers(low, low + 300, (40, 40), dtype=np.uint16)).save(file)
    (tmp_path / "config.toml").write_text((project / "config.toml").read_text())
    return lambda *overrides: load_config(tmp_path / "config.toml", overrides)


def values_of(records: list[Record]) -> list[np.ndarray]:
    return [np.asarray(Image.open(str(record.source))) for record in records]


def test_the_range_is_that_of_the_training_photos_and_scales_all(thermal: Callable[..., Config]) -> None:
    data = prepare_dataset(thermal("data.depth=set"), Progress())
    training = values_of([data.records[photo] for photo in data.split.train])
    low, high = min(map(np.min, training)), max(map(np.max, training))
    everything = values_of(list(data.records))
    assert (low, high) != (min(map(np.min, everything)), max(map(np.max, everything))), "the test's point"
    assert data.reading == Reading("set", (float(low), float(high)))
    for image, record in zip(data.images, data.records, strict=True):
        expected = read_square(record, image.shape[-1], "squash", data.reading)
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
    assert data.images.float().std() > 40


def test_without_the_option_the_loss_of_levels_is_told(thermal: Callable[..., Config], told: object) -> None:
    data = prepare_dataset(thermal(), told)  # type: ignore[arg-type]
    assert data.reading == Reading()
    assert data.images.unique().numel() < 10
    (warning,) = told.warned  # type: ignore[attr-defined]
    assert warning.startswith("32 photos of more than 8 bits with fewer than 32 grey levels left: ")


@pytest.mark.slow
def test_a_model_embeds_by_the_range_of_its_training_photos(thermal: Callable[..., Config], tmp_path: Path) -> None:
    config = thermal("data.depth=set", "data.max_megapixels=120", "train.epochs=1")
    data = prepare_dataset(config, Progress())
    run = siamesekit.run(config, tmp_path / "run", device="cpu")
    stored = json.loads((run.folder / "model" / "model.json").read_text())["input"]
    assert stored["value_range"] == list(data.reading.value_range or ())
    assert (stored["depth"], stored["max_megapixels"]) == ("set", 120)
    model = siamesekit.load(run.folder, "cpu")
    assert model.reading == data.reading
    files = [Path(str(record.source)) for record in data.records]
    embedded = model.embed_files(files, Progress())
    torch.testing.assert_close(embedded, model.embed(data.images), rtol=0, atol=1e-5)
    torch.testing.assert_close(embedded, model.embed(files), rtol=0, atol=1e-5)
