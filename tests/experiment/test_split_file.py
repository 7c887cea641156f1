"""split.json: who trained, validated and tested, and who was left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import write_photos
from siamesekit.config import Config
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.experiment.running import run
from siamesekit.experiment.split_file import split_of
from siamesekit.progress import Progress

pytestmark = pytest.mark.usefixtures("plain_charts")


@pytest.mark.slow
def test_every_photo_stands_in_its_part_under_its_individual_or_is_left_out(
    small_config: Callable[..., Config], tmp_path: Path
) -> None:
    root = write_photos(tmp_path / "photos", [f"b{number}" for number in range(9)], 3)
    write_photos(root, ["a single", "one left"], 1)
    (root / "one left" / "bad.png").write_bytes(b"no picture")
    (root / "b3" / "bad.jpg").write_bytes(b"no picture")
    config = small_config(
        f"data.root={root}", "data.singletons=leave-out", "split.train=0.6", "split.validation=0.3", "train.epochs=1"
    )
    run(config, tmp_path / "run", device="cpu", precision="fp32", skip_bad=True)
    text = (tmp_path / "run" / "split.json").read_bytes()
    told = json.loads(text)
    assert (told["format"], told["by"], list(told["parts"])) == (
        "siamesekit split 1",
        "identity",
        ["train", "validation", "test"],
    )
    named = [name for part in told["parts"].values() for photos in part.values() for name in photos]
    left_out = {each["photo"]: each["reason"] for each in told["left_out"]}
    there = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    assert sorted([*named, *left_out]) == there
    assert all(
        name.startswith(f"{individual}/")
        for part in told["parts"].values()
        for individual, photos in part.items()
        for name in photos
    )
    individuals = [name for part in told["parts"].values() for name in part]
    assert len(individuals) == len(set(individuals)) == 9
    assert set(left_out) == {"a single/0.png", "one left/0.png", "one left/bad.png", "b3/bad.jpg"}
    assert "only photo of its individual" in left_out["a single/0.png"] and "only photo" in left_out["one left/0.png"]
    data = prepare_dataset(config, Progress(), skip_bad=True)
    for part, photos in data.split.parts().items():
        assert {data.records[photo].individual for photo in photos} == set(told["parts"][part])
    again = run(config, tmp_path / "again", device="cpu", precision="fp32", skip_bad=True)
    assert (again.folder / "split.json").read_bytes() == text


def test_split_by_photo_names_each_individual_in_every_part(small_config: Callable[..., Config]) -> None:
    config = small_config("split.by=photo")
    told = split_of(config, prepare_dataset(config, Progress()))
    assert set(told["parts"]["train"]) == set(told["parts"]["test"])
    assert not {photo for photos in told["parts"]["train"].values() for photo in photos} & {
        photo for photos in told["parts"]["test"].values() for photo in photos
    }
