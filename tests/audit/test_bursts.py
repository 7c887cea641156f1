"""Bursts across the split: by a column, by dates, and by the time in the EXIF."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image
from planted import audited, saved, scene

from siamesekit.data.records import Record

PARTS = {"w0/0.jpg": "train", "w0/1.jpg": "test", "w1/2.jpg": "test", "w1/3.jpg": "train"}


def exif(moment: str) -> bytes:
    made = Image.Exif()
    made.get_ifd(0x8769)[0x9003] = moment
    return made.tobytes()


def photos(folder: Path, *moments: str) -> list[Record]:
    names = PARTS if moments else {}
    return [
        saved(scene(seed), folder, name, exif=exif(moment))
        for seed, (name, moment) in enumerate(zip(names, moments, strict=True))
    ]


def bursts(records: list[Record]) -> list[tuple[str, tuple[str, ...]]]:
    found = audited(records, PARTS).findings
    return [(each.file, each.others) for each in found if each.kind == "burst_across_split"]


def test_the_time_in_the_exif_joins_photos_of_one_individual(tmp_path: Path) -> None:
    records = photos(
        tmp_path, "2021:03:04 10:15:30", "2021:03:04 10:15:31", "2021:03:04 10:15:31", "2021:03:05 10:15:31"
    )
    assert bursts(records) == [("w0/1.jpg", ("w0/0.jpg",))]


def test_a_column_of_encounters_goes_before_the_exif(tmp_path: Path) -> None:
    records = photos(tmp_path, *["2021:03:04 10:15:30"] * 4)
    apart = [replace(record, attributes={"encounter": record.name}) for record in records]
    assert bursts(apart) == []
    shared = [
        replace(record, attributes={"encounter": "e1" if record.individual == "w1" else ""}) for record in records
    ]
    assert bursts(shared) == [("w1/2.jpg", ("w1/3.jpg",))]


def test_without_any_time_there_are_no_bursts(tmp_path: Path) -> None:
    assert bursts([saved(scene(seed), tmp_path, name) for seed, name in enumerate(PARTS)]) == []
