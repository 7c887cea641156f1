"""Catalogues, decisions, matches and tables as Camtrap DP, by the published rules, and back by the reader."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camtrap_rules import faults, table
from PIL import Image
from typer.testing import CliRunner

from conftest import draw_photo
from siamesekit.cli.app import app
from siamesekit.data.dates import moment_of
from siamesekit.data.records import Box, Record
from siamesekit.registry import READERS

COLUMNS = ("photo", "individual", "box", "date", "site", "latitude", "longitude", "side", "encounter", "sex", "note")
ROWS = (
    ("a.jpg", "=1+1", "0.1 0.2 0.3 0.4", "2024-01-16T14:32:00+02:00", "Oak; Ridge", "-34.5", "18.2", "left", "e1",
     "female", "x"),
    ("a.jpg", "Zoé", "0.5 0.2 0.5 0.8", "2024-01-16T14:32:00+02:00", "Oak; Ridge", "-34.5", "18.2", "right", "e1",
     "F", ""),
    ("sub/b.png", "a;=2", "", "2024-01-17 10:15:30", "", "-34", "18", "", "e1", "", "-3.5"),
    ("sub/c.png", "", "", "2024:01:18", "", "-34", "18", "", "", "", "@c"),
    ("d.png", "-A1", "", "2024-01-19T10:00:00Z", "Oak; Ridge", "-34.5", "18.2", "", "", "", ""),
)  # fmt: skip
"""Two animals on a photo, formulas as names, dates with and without time and zone, texts that no field takes."""


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def drawn(file: Path, number: int, size: tuple[int, int] = (60, 40)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_photo(1, number)).resize(size).save(file)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A team's photos, with a table."""
    folder = tmp_path / "photos"
    for number, name in enumerate(dict.fromkeys(row[0] for row in ROWS)):
        drawn(folder / name, number)
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS])
    return folder


def read(reader: str, **options: object) -> list[Record]:
    return list(READERS.build(reader, options, seed=0))


RELATIVE = ("--set", "data.box=box", "--set", "data.box_units=relative")


def test_a_table_becomes_a_valid_package_and_comes_back_as_it_was(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "package"
    told = done("convert", photos / "photos.csv", "--to", "camtrap-dp", "-o", out, *RELATIVE)
    assert (told["photos"], told["individuals"]) == (5, 4)
    assert faults(out) == []
    before = read("csv", file=str(photos / "photos.csv"), box="box", box_units="relative")
    after = read("camtrap-dp", root=str(out), photos=str(photos))
    for old, new in zip(before, after, strict=True):
        assert (new.individual, new.source, new.box) == (old.individual, old.source, old.box)
        assert moment_of(new.attributes["date"]) == moment_of(old.attributes["date"])
        for name in ("site", "latitude", "longitude", "encounter", "side", "note"):
            assert new.attributes.get(name, "") == old.attributes[name]
    assert [each.attributes["sex"] for each in after] == ["female", "F", "", "", ""]
    again = tmp_path / "again"
    done("convert", out, "--to", "camtrap-dp", "--reader", "camtrap-dp", "--set", f"data.photos={photos}", "-o", again)
    assert faults(again) == []
    for name in ("media", "observations", "deployments"):
        assert (again / f"{name}.csv").read_bytes() == (out / f"{name}.csv").read_bytes()


def test_events_become_observations_of_their_photos_and_come_back(tmp_path: Path) -> None:
    """A package with observations of events alone, as Agouti writes it: its encounters and times are kept."""
    package, out, again = (tmp_path / name for name in ("package", "out", "again"))
    for number in range(4):
        drawn(package / f"{number}.jpg", number)
    tables = {
        "deployments": "deploymentID,latitude,longitude\nd1,1,2\n",
        "media": "mediaID,deploymentID,timestamp,filePath\n" + "".join(
            f"m{n},d1,2024-01-16T10:00:0{n}Z,{n}.jpg\n" for n in range(4)
        ),
        "observations": (
            "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,observationType,"
            "individualID\n"
            "o1,d1,,e1,2024-01-16T09:59:00Z,2024-01-16T10:00:01Z,event,animal,Ann\n"
            "o2,d1,,e2,2024-01-16T10:00:02Z,2024-01-16T10:00:09Z,event,animal,Bob\n"
        ),
    }  # fmt: skip
    for name, text in tables.items():
        (package / f"{name}.csv").write_text(text)
    reader = ("--reader", "camtrap-dp")
    done("convert", package, "--to", "camtrap-dp", *reader, "-o", out, "--photos", package)
    assert faults(out) == []
    names = ("mediaID", "eventID", "eventStart", "eventEnd", "observationLevel", "individualID")
    first = ("e1", "2024-01-16T09:59:00Z", "2024-01-16T10:00:01Z", "media", "Ann")
    second = ("e2", "2024-01-16T10:00:02Z", "2024-01-16T10:00:09Z", "media", "Bob")
    assert [tuple(row[name] for name in names) for row in table(out / "observations.csv")] == [
        ("m0", *first), ("m1", *first), ("m2", *second), ("m3", *second),
    ]  # fmt: skip
    before, after = (read("camtrap-dp", root=str(root), photos=str(package)) for root in (package, out))
    assert [(each.source, each.individual, each.attributes["encounter"]) for each in before] == [
        (each.source, each.individual, each.attributes["encounter"]) for each in after
    ]
    done("convert", out, "--to", "camtrap-dp", *reader, "--set", f"data.photos={package}", "-o", again)
    assert (again / "observations.csv").read_bytes() == (out / "observations.csv").read_bytes()


def test_what_the_format_cannot_hold_or_nobody_has_said_is_told(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "package"
    notes = "\n".join(done("convert", photos / "photos.csv", "--to", "camtrap-dp", "-o", out, *RELATIVE)["notes"])
    for text in (
        "2 photos have dates without a time or time zone: midnight, in UTC",
        "1 texts do not fit the field sex, and are tags: F",
        "3 texts begin like formulas of spreadsheets",
        "samplingDesign=opportunistic, captureMethod=activityDetection",
        f"paths begin at {photos}: to read it again, --set data.photos={photos}",
    ):
        assert text in notes
    places = {row["deploymentID"]: row for row in table(out / "deployments.csv")}
    assert {name: row["timestampIssues"] for name, row in places.items()} == {"Oak; Ridge": "", "deployment": "true"}
    assert places["Oak; Ridge"]["deploymentStart"] == "2024-01-16T14:32:00+02:00"
    assert places["Oak; Ridge"]["deploymentEnd"] == "2024-01-19T10:00:00Z"
    cells = (out / "observations.csv").read_text(encoding="utf-8")
    assert ",'=1+1," in cells and ",'-A1," in cells and ",=" not in cells and ";=" not in cells
    zoned = tmp_path / "zoned"
    facts = ("--fact", "timezone=+02:00", "--fact", "samplingDesign=targeted", "--fact", "contributor=Ann",
             "--fact", "captureMethod=timeLapse", "--fact", "species=Panthera onca")  # fmt: skip
    told = done("convert", photos / "photos.csv", "--to", "camtrap-dp", "-o", zoned, *RELATIVE, *facts)
    assert faults(zoned) == [] and not any(note.startswith("assumed") for note in told["notes"])
    assert table(zoned / "media.csv")[1]["timestamp"] == "2024-01-17T10:15:30+02:00"
    package = json.loads((zoned / "datapackage.json").read_text())
    assert package["taxonomic"] == [{"scientificName": "Panthera onca"}]
    assert package["spatial"]["coordinates"] == [[[18.0, -34.5], [18.2, -34.5], [18.2, -34.0], [18.0, -34.0],
                                                  [18.0, -34.5]]]  # fmt: skip


def test_boxes_in_pixels_of_a_turned_photo_become_shares_of_the_upright_one(tmp_path: Path) -> None:
    """A photo of 60 × 40 pixels that is stored turned is 40 wide and 60 high; one box reaches beyond, one is turned."""
    image = Image.fromarray(np.zeros((40, 60, 3), np.uint8))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    rows = ["photo,individual,box,rotation,date,latitude,longitude"]
    rows += [f"a.jpg,A,{box},{turn},2024-01-16,1,2" for box, turn in (("10 15 20 30", ""), ("30 50 20 20", ""),
                                                                    ("10 20 20 10", "90"))]  # fmt: skip
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    options = ("--set", "data.box=box", "--set", "data.rotation=rotation")
    notes = "\n".join(done("convert", tmp_path / "photos.csv", "--to", "camtrap-dp", "-o", out, *options)["notes"])
    sides = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
    found = [[float(row[side]) for side in sides] for row in table(out / "observations.csv")]
    expected = [[10 / 40, 15 / 60, 20 / 40, 30 / 60], [30 / 40, 50 / 60, 10 / 40, 10 / 60],
                [15 / 40, 15 / 60, 10 / 40, 20 / 60]]  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert faults(out) == []
    assert "3 photos have boxes in other units" in notes and "1 photos have turned boxes" in notes
    assert "1 photos have boxes that reach beyond them" in notes


@pytest.mark.medium
def test_a_catalogue_is_enrolled_again_from_its_package(telling: Path, photos: Path, tmp_path: Path) -> None:
    """The same individuals, photos, boxes and attributes; a person's split has author and date."""
    options = ("--device", "cpu", "--author", "Zoe")
    place, again, out = tmp_path / "c", tmp_path / "d", tmp_path / "package"
    done("enrol", telling, photos / "photos.csv", "-o", place, *options, *RELATIVE)
    done("split", place, "Ann", photos / "d.png", "--author", "Ann Lee")
    assert done("convert", place, "--to", "camtrap-dp", "-o", out)["photos"] == 4
    assert faults(out) == []
    named = {row["individualID"]: row for row in table(out / "observations.csv")}
    assert set(named) == {"'=1+1", "Zoé", "a;'=2", "Ann"}
    assert [named["Ann"][each] for each in ("classificationMethod", "classifiedBy")] == ["human", "Ann Lee"]
    assert moment_of(named["Ann"]["classificationTimestamp"]) is not None
    assert named["Zoé"]["classificationMethod"] == ""
    done("enrol", telling, out, "-o", again, *options, "--reader", "camtrap-dp", "--set", f"data.photos={photos}")
    first, second = (record_of(each) for each in (place, again))
    assert [record[:3] for record in first] == [record[:3] for record in second]
    for (*_, old), (*_, new) in zip(first, second, strict=True):
        assert old.items() - {("date", old["date"])} <= new.items() | {("sex", "F")}
        assert moment_of(old["date"]) == moment_of(new["date"])


def record_of(place: Path) -> list[tuple[str, Path, Box | None, dict[str, str]]]:
    from siamesekit.gallery.catalogue import Catalogue

    with Catalogue(place) as catalogue:
        records = [catalogue.photo(n).record for each in catalogue.individuals() for n in catalogue.photos_of(each)]
    return [(each.individual, Path(str(each.source)), each.box, dict(each.attributes)) for each in records]


@pytest.mark.medium
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--to", "camtrapdp"), "--to camtrapdp (did you mean 'camtrap-dp'?)"),
        (("--fact", "sight=x"), "no fact 'sight'"),
        (("--fact", "species"), "expected NAME=TEXT"),
        (("--fact", "timezone=2"), "expected an offset from UTC, such as +02:00"),
        (("--fact", "samplingDesign=best"), "choices: simpleRandom"),
        (("-o", "no/package"), "there is no folder"),
        (("--photos", "gone"), "there is no such folder"),
    ],
)
def test_wrong_input_is_an_error_in_words(photos: Path, tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    result = call("convert", photos / "photos.csv", "--to", "camtrap-dp", "-o", tmp_path / "out", *RELATIVE, *more)
    assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output
    assert not (tmp_path / "out").exists()


def test_photos_without_date_or_coordinates_are_refused_or_left_out(photos: Path, tmp_path: Path) -> None:
    text = (photos / "photos.csv").read_text(encoding="utf-8").replace("2024:01:18", "").replace("-34.5,18.2", ",", 1)
    (photos / "photos.csv").write_text(text, encoding="utf-8")
    order = ("convert", photos / "photos.csv", "--to", "camtrap-dp", "-o", tmp_path / "out", *RELATIVE)
    result = call(*order)
    assert result.exit_code == 2 and not (tmp_path / "out").exists()
    for part in ("requires what 2 photos lack", "1 photos have no timestamp: sub/c.png",
                 "1 photos have no latitude: a.jpg"):  # fmt: skip
        assert part in " ".join(result.output.split())
    assert faults_after(tmp_path / "given", *order[:4], "--fact", "date=2024-01-18", "--fact", "latitude=-34.5",
                        "--fact", "longitude=18.2", *RELATIVE) == []  # fmt: skip
    assert any("left out" in note for note in done(*order, "--skip-bad")["notes"])
    assert faults(tmp_path / "out") == [] and len(table(tmp_path / "out" / "observations.csv")) == 3


def faults_after(out: Path, *order: object) -> list[str]:
    done(*order, "-o", out)
    return faults(out)


def test_nothing_is_replaced(photos: Path, tmp_path: Path) -> None:
    own = photos / "media.csv"
    own.write_text("mine")
    result = call("convert", photos / "photos.csv", "--to", "camtrap-dp", "-o", photos, *RELATIVE)
    assert result.exit_code == 2 and "media.csv exists, and nothing is replaced" in " ".join(result.output.split())
    assert own.read_text() == "mine" and not (photos / "observations.csv").exists()
