"""Reader `happywhale`: a download as Kaggle packs it, with its misspelt species."""

from pathlib import Path

from helpers import touched
from siamesekit.data.records import Box
from siamesekit.registry import READERS


def test_species_are_mended_groups_and_attributes(tmp_path: Path) -> None:
    rows = [("00021adfb725ed.jpg", "melon_headed_whale", "cadddb1636b9"), ("00056224.jpg", "kiler_whale", "1a71fbb"),
            ("0007c33415ce37.jpg", "bottlenose_dolpin", "new_individual"), ("a.jpg", "globis", "0012")]  # fmt: skip
    touched(tmp_path, *(f"train_images/{photo}" for photo, _, _ in rows), "test_images/x.jpg")
    text = "image,species,individual_id\n" + "".join(f"{','.join(row)}\n" for row in rows)
    (tmp_path / "train.csv").write_text(text)
    records = READERS.build("happywhale", {"root": str(tmp_path)}, seed=0)
    assert [record.individual for record in records] == ["cadddb1636b9", "1a71fbb", "", "0012"]
    species = ["melon_headed_whale", "killer_whale", "bottlenose_dolphin", "globis"]
    assert [record.group for record in records] == [record.attributes["species"] for record in records] == species
    assert records[0].source == tmp_path / "train_images" / "00021adfb725ed.jpg"


def test_boxes_may_have_been_added(tmp_path: Path) -> None:
    touched(tmp_path, "train_images/a.jpg", "train_images/b.jpg")
    text = 'image,species,individual_id,box\na.jpg,beluga,1,"[0, 0, 10, 20]"\nb.jpg,beluga,1,\n'
    (tmp_path / "boxes.csv").write_text(text)
    options = {"root": str(tmp_path), "table": "boxes.csv", "box": "box", "margin": 0.1}
    assert [record.box for record in READERS.build("happywhale", options, seed=0)] == [Box(-1, -2, 12, 24), None]
