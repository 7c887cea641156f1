"""The tour: a short form of it is run as a user runs it, and its pictures are looked at."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOUR = Path(__file__).parent.parent.parent / "examples" / "tour.py"
PICTURES = ["1-photos.png", "2-training.png", "3-map.png", "4-hardest-triplets.png", "5-ranks.png"]


@pytest.mark.slow
def test_it_imports_only_public_names() -> None:
    imports = [
        node
        for node in ast.parse(TOUR.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("siamesekit")
    ]
    assert [node.module for node in imports] == ["siamesekit"]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a short tour prints, and where its pictures are."""
    place = tmp_path_factory.mktemp("tour")
    done = subprocess.run(
        [sys.executable, TOUR, "--epochs", "3", "--individuals", "20"], cwd=place, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, place / "tour"


@pytest.mark.slow
def test_it_says_what_it_did_and_that_its_photos_are_drawn(said: tuple[str, Path]) -> None:
    text, _ = said
    assert re.findall(r"^(\d)\. ", text, re.M) == ["1", "2", "3", "4", "5", "6"]
    assert "160 drawn photos of 20 individuals; 8 individuals are kept from training" in text
    shares = [int(share) for share in re.findall(r"(\d+)% of the unseen", text)]
    assert shares[-1] > shares[0] + 5  # three epochs, and already better than untrained
    assert "by chance it would be 11%" in text  # 7 of the 63 other photos
    assert "figures of drawings" in text


@pytest.mark.slow
def test_it_draws_five_pictures_that_are_not_empty(said: tuple[str, Path]) -> None:
    _, folder = said
    assert sorted(file.name for file in folder.iterdir()) == PICTURES
    for name in PICTURES:
        pixels = np.asarray(Image.open(folder / name).convert("RGB"))
        assert min(pixels.shape[:2]) > 300
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    green, red = (42, 138, 74), (200, 55, 45)
    ranks = np.asarray(Image.open(folder / "5-ranks.png").convert("RGB"))
    assert all((ranks == colour).all(axis=2).sum() > 500 for colour in (green, red))
