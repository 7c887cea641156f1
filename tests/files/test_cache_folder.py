"""The cache folder: there need not be one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from siamesekit.data.pixel_store import empty_images
from siamesekit.files import cache_folder as module
from siamesekit.files.cache_folder import cache_folder
from siamesekit.hardware import mapped_files


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user whom the system does not know, without HOME."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(module.Path, "home", unknown)
    monkeypatch.setattr(mapped_files.tempfile, "gettempdir", lambda: str(tmp_path))


def test_without_a_home_there_is_no_cache(homeless: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "siamesekit"


def test_without_a_home_photos_beyond_the_memory_are_in_a_file_without_a_name(homeless: None, tmp_path: Path) -> None:
    images = empty_images(3, 8, budget=0)
    images[1] = 7
    assert images.shape == (3, 3, 8, 8) and torch.equal(images[1], torch.full((3, 8, 8), 7, dtype=torch.uint8))
    assert list(tmp_path.iterdir()) == []
