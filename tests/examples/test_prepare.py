"""prepare.py: from a Kaggle download to ROOT/INDIVIDUAL/0.jpg …"""

import csv
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import encoded

SCRIPT = Path(__file__).parents[2] / "examples" / "whales" / "prepare.py"


def photo(number: int, width: int = 60, height: int = 40) -> bytes:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 255, (5, 5, 3)).astype(np.uint8)
    return encoded(Image.fromarray(pixels).resize((width, height)), "JPEG")


def humpbacks(root: Path, individuals: int = 6, photos: int = 4, unknown: int = 3) -> Path:
    """A download in the layout of 2019."""
    (root / "train").mkdir(parents=True)
    rows = [(f"{i}_{k}.jpg", f"w_{i}") for i in range(individuals) for k in range(photos)]
    rows += [(f"u{k}.jpg", "new_whale") for k in range(unknown)]
    for number, (image, _) in enumerate(rows):
        (root / "train" / image).write_bytes(photo(number))
    write_table(root, ("Image", "Id"), rows)
    return root


def write_table(root: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with (root / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def small(download: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return call(download, "--out", out, "--individuals", 4, "--photos", 3, "--size", 32, *more)


def hashes(root: Path) -> dict[str, str]:
    return {str(f.relative_to(root)): sha256(f.read_bytes()).hexdigest() for f in sorted(root.rglob("*.jpg"))}


def test_makes_the_folder(tmp_path: Path) -> None:
    done = small(humpbacks(tmp_path / "in"), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    files = hashes(tmp_path / "out")
    assert len(files) == 12
    assert len(set(files.values())) == 12
    assert sorted(Counter(name.split("/")[0] for name in files).values()) == [3, 3, 3, 3]
    assert {name.split("/")[1] for name in files} == {"0.jpg", "1.jpg", "2.jpg"}
    assert "3 photos of unknown" in done.stdout
    assert all(Image.open(tmp_path / "out" / name).size == (32, 32) for name in files)


def test_layout_of_2022_mends_species_and_filters(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "train_images").mkdir(parents=True)
    rows = []
    for species in ("humpback_whale", "kiler_whale"):
        for i in range(3):
            for k in range(3):
                image = f"{species}{i}{k}.jpg"
                (root / "train_images" / image).write_bytes(photo(len(rows)))
                rows.append((image, species, f"{species[:3]}{i}"))
    write_table(root, ("image", "species", "individual_id"), rows)
    arguments = ("--individuals", 3, "--photos", 3, "--size", 16)
    assert call(root, "--out", tmp_path / "a", *arguments).returncode == 0
    assert {p.name for p in (tmp_path / "a").iterdir() if p.is_dir()} == {"hum0", "hum1", "hum2"}
    assert call(root, "--out", tmp_path / "b", *arguments, "--species", "killer_whale").returncode == 0
    assert {p.name for p in (tmp_path / "b").iterdir() if p.is_dir()} == {"kil0", "kil1", "kil2"}


def test_goes_on_where_it_stopped_with_the_same_bytes(tmp_path: Path) -> None:
    download = humpbacks(tmp_path / "in")
    (download / "train" / "2_1.jpg").write_bytes(b"")  # a bad photo shifts the numbers of those after it
    small(download, tmp_path / "whole")
    small(download, tmp_path / "again")
    removed = sorted((tmp_path / "again").rglob("*.jpg"))[2::3]
    for file in removed:
        file.unlink()
    done = small(download, tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert len(removed) == 4
    assert hashes(tmp_path / "again") == hashes(tmp_path / "whole")


def test_other_settings_are_refused(tmp_path: Path) -> None:
    download = humpbacks(tmp_path / "in")
    small(download, tmp_path / "out")
    before = hashes(tmp_path / "out")
    done = small(download, tmp_path / "out", "--seed", 6)
    assert done.returncode == 2
    assert "seed was 5, now 6" in done.stderr
    assert hashes(tmp_path / "out") == before


def test_squash_and_pad(tmp_path: Path) -> None:
    download = humpbacks(tmp_path / "in")
    for file in (download / "train").iterdir():
        Image.new("RGB", (60, 30), "white").save(file)
    small(download, tmp_path / "squash")
    small(download, tmp_path / "pad", "--fit", "pad")
    squashed = np.asarray(Image.open(next((tmp_path / "squash").rglob("0.jpg"))))
    padded = np.asarray(Image.open(next((tmp_path / "pad").rglob("0.jpg"))))
    assert squashed.min() > 250
    assert padded[:6].max() < 10
    assert padded[10:22].min() > 245


def test_a_bad_photo_is_replaced_and_named(tmp_path: Path) -> None:
    download = humpbacks(tmp_path / "in", individuals=4)
    (download / "train" / "1_0.jpg").write_bytes(photo(1)[:200])
    (download / "train" / "2_0.jpg").write_text("no image")
    done = small(download, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(hashes(tmp_path / "out")) == 12
    (download / "train" / "1_1.jpg").write_bytes(b"")
    short = small(download, tmp_path / "short")
    assert short.returncode == 2
    assert "only 3 individuals" in short.stderr


def test_an_unreadable_individual_is_replaced_by_the_next(tmp_path: Path) -> None:
    download = humpbacks(tmp_path / "in")
    for k in range(4):
        (download / "train" / f"0_{k}.jpg").write_bytes(b"")
        (download / "train" / f"3_{k}.jpg").write_bytes(b"")
    done = small(download, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "out").iterdir() if p.is_dir()} == {"w_1", "w_2", "w_4", "w_5"}


@pytest.mark.medium
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda root: (root / "train.csv").unlink(), "no such file: "),
        (lambda root: write_table(root, ("a", "b"), []), "has columns a,b; expected Image,Id or"),
        (lambda root: (root / "train").rename(root / "elsewhere"), "there is no such folder"),
        (lambda root: write_table(root, ("Image", "Id"), [("../x.jpg", "w")]), "line 2: '../x.jpg' cannot name"),
        (lambda root: write_table(root, ("Image", "Id"), [("x.jpg", "..")]), "line 2: '..' cannot name"),
        (lambda root: write_table(root, ("Image", "Id"), [("0_0.jpg", "w_0")]), "set --individuals 0"),
    ],
)
def test_wrong_downloads(tmp_path: Path, damage, says: str) -> None:
    download = humpbacks(tmp_path / "in")
    damage(download)
    done = small(download, tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_foreign_folder_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    done = small(humpbacks(tmp_path / "in"), out)
    assert done.returncode == 2
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]
