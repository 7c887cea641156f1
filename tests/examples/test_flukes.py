"""Drawn flukes: the same everywhere, one whale unlike another, and harder when asked to be."""

import importlib.util
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

SCRIPT = Path(__file__).parents[2] / "examples" / "whales" / "flukes.py"
SHOWN = [(0, 0), (3, 1), (11, 7)]


@pytest.fixture(scope="module")
def flukes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flukes_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["flukes_example"] = module
    spec.loader.exec_module(module)
    return module


def digest(pixels: NDArray[np.uint8]) -> str:
    return sha256(pixels.tobytes()).hexdigest()


def nearest_is_same(photos: NDArray[np.float64]) -> float:
    """Share of photos `[whales, photos, …]` whose nearest other one, in coarse grey, shows the same whale."""
    whales, each = photos.shape[:2]
    grey = photos.mean(-1).reshape(whales * each, 20, 8, 20, 8).mean((2, 4)).reshape(whales * each, -1)
    grey = (grey - grey.mean(1, keepdims=True)) / grey.std(1, keepdims=True)
    distances = ((grey[:, None] - grey[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    return float((distances.argmin(1) // each == np.arange(whales * each) // each).mean())


def drawn(flukes: ModuleType, difficulty: float, whales: int = 12, photos: int = 4) -> NDArray[np.float64]:
    return np.array([[flukes.draw_photo(5, w, p, difficulty) for p in range(photos)] for w in range(whales)], float)


def test_a_photo_is_uint8_rgb(flukes: ModuleType) -> None:
    pixels = flukes.draw_photo(5, 0, 0, 0.5)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (160, 160, 3))
    assert pixels.std() > 10


@pytest.mark.medium
def test_the_same_seed_gives_the_same_bytes_in_another_process(flukes: ModuleType) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "from hashlib import sha256; from flukes import draw_photo\n"
        f"for w, p in reversed({SHOWN}): print(sha256(draw_photo(5, w, p, 0.5).tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    here = [digest(flukes.draw_photo(5, whale, photo, 0.5)) for whale, photo in SHOWN]
    assert done.stdout.split()[::-1] == here
    assert len({*here, *(digest(flukes.draw_photo(6, whale, photo, 0.5)) for whale, photo in SHOWN)}) == 6


def test_a_photo_does_not_depend_on_how_many_are_drawn(flukes: ModuleType) -> None:
    few, many = flukes.flukes(2, 3, 0.5, seed=5), flukes.flukes(20, 9, 0.5, seed=5)
    assert [record.name for record in few[:4]] == ["fluke_000/0", "fluke_000/1", "fluke_000/2", "fluke_001/0"]
    assert (len(few), len(many)) == (6, 180)
    by_name = {record.name: record for record in many}
    for record in few:
        assert by_name[record.name].individual == record.individual
        assert digest(by_name[record.name].source()) == digest(record.source())


@pytest.mark.medium
def test_photos_of_one_whale_differ_yet_less_than_those_of_two(flukes: ModuleType) -> None:
    photos = drawn(flukes, 0.0)
    assert len({digest(photo) for whale in photos for photo in whale}) == 48
    chance = 3 / 47
    assert nearest_is_same(photos) > 5 * chance


@pytest.mark.slow
def test_difficulty_makes_whales_harder_to_tell_apart(flukes: ModuleType) -> None:
    easy, hard = (nearest_is_same(drawn(flukes, difficulty)) for difficulty in (0.0, 1.0))
    assert easy > hard + 0.2


@pytest.mark.slow
def test_five_hundred_photos_take_seconds(flukes: ModuleType) -> None:
    """Of the processor: what else runs on the machine does not count."""
    start = time.process_time()
    for record in flukes.flukes(10, 10, 0.5, seed=4):
        record.source()
    assert 5 * (time.process_time() - start) < 20
