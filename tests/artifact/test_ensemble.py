"""Several models as one: concatenated embeddings, their cosines, and the photos that none can read."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from siamesekit import SimilarityModel, ensemble, load
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.records import Record
from siamesekit.errors import DataError, UserError
from siamesekit.progress import Progress


@pytest.fixture(scope="module")
def models(telling: Path) -> list[SimilarityModel]:
    """A model, and one of twice the size of its photos."""
    larger = load(telling, device="cpu")
    larger.size = 64
    return [load(telling, device="cpu"), larger]


@pytest.fixture(scope="module")
def files(project: Path) -> list[Path]:
    return sorted((project / "photos").rglob("*.png"))[:5]


@pytest.mark.medium
@pytest.mark.parametrize("weights", [None, [3, 1]])
def test_the_cosine_is_the_weighted_mean_of_the_models_cosines(
    models: list[SimilarityModel], files: list[Path], weights: list[float] | None
) -> None:
    share = [0.5, 0.5] if weights is None else [0.75, 0.25]
    both = ensemble(models, weights)
    found = both.embed(files)
    expected = torch.zeros(5, 5)
    for model, part in zip(models, share, strict=True):
        unit = model.embed(files)
        unit = unit / unit.norm(dim=1, keepdim=True)
        expected += part * unit @ unit.T
    torch.testing.assert_close(found @ found.T, expected)
    torch.testing.assert_close(both.embed_files(files), found)
    compared = both.compare(files[0], files[1])
    assert compared.distance == pytest.approx(1 - expected[0, 1].item(), abs=1e-5)
    assert (compared.similarity, compared.same, compared.threshold) == (None, None, None)


def test_photos_that_cannot_be_read_are_left_out_of_all_parts(
    models: list[SimilarityModel], files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    both = ensemble(models)
    found = both.embed_usable([files[0], tmp_path / "bad.png", files[1]])
    assert found.kept == (0, 2)
    assert len(found.left_out) == 1
    torch.testing.assert_close(found.embeddings, both.embed(files[:2]))


def test_where_no_photo_can_be_read_there_are_no_embeddings(models: list[SimilarityModel], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    records = [Record(f"{number}.png", "", tmp_path / "bad.png") for number in range(3)]
    both = ensemble(models)
    for model in (*models, both):
        bad: dict[int, UnusablePhoto] = {}
        dimensions = model.embed(np.zeros((9, 9, 3), np.uint8)).shape[1]
        assert model.embed_records(records, Progress(), bad).shape == (0, dimensions)
        assert [finding.name for _, finding in sorted(bad.items())] == ["0.png", "1.png", "2.png"]
        with pytest.raises(DataError, match="3 of 3 photos cannot be used"):
            model.embed_records(records, Progress())
        with pytest.raises(DataError, match="1 of 1 photos cannot be used"):
            model.embed_usable([tmp_path / "bad.png"], Progress())
        with pytest.raises(DataError, match="no photos to embed"):
            model.embed_records([], Progress(), bad)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1], "needs as many weights, not 1"), ([1, 0], "numbers above 0"), ([1, math.nan], "numbers above 0")],
)
def test_weights_that_do_not_fit_are_refused(
    models: list[SimilarityModel], weights: list[float], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        ensemble(models, weights)


def test_an_ensemble_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="at least one model"):
        ensemble([])
