"""A team's own camera-trap data package gets its individuals, and every other byte stays."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from camtrap_rules import faults, table
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from conftest import draw_photo
from siamesekit.cli.app import app
from siamesekit.errors import OutputError, UserError
from siamesekit.gallery.catalogue import Catalogue
from siamesekit.gallery.decisions import COLUMNS
from siamesekit.gallery.exchange.cell_places import replaced, rows_of_places

DEPLOYMENTS = "deploymentID,locationName,latitude,longitude\nd1,Oak,1,2\n"
MEDIA = "mediaID,deploymentID,timestamp,filePath\n" + "".join(
    f"m{n},d1,2024-01-16T14:32:0{n}Z,media/{n}.png\n" for n in range(4)
)
BEFORE = (
    "\ufeffobservationID,mediaID,observationType,individualID,bboxX,bboxY,bboxWidth,bboxHeight,"
    'observationComments,"own, column"\r\n'
    'o1,m0,animal,,0.1,0.2,0.5,0.6,"two\r\nlines, ""quoted""",=1+1\r\n'
    "o2,m0,animal,  ,0.5,0.2,0.5,0.5,,\r\n"
    'o3,m1,animal,"",,,,,,x\r\n'
    "o4,m1,blank,,,,,,,\r\n"
    "\r\n"
    "o5,m2,animal,Zoe,,,,,,\r\n"
    "o6,,animal,,,,,,event,\r\n"
    "o7,m3,animal,,,,,,"
)
"""A byte order mark, ends of lines of Windows, quotes, an empty line, no end of the last line."""
AFTER = (
    BEFORE.replace("o1,m0,animal,,", "o1,m0,animal,'=1+1,")
    .replace("o2,m0,animal,  ,", 'o2,m0,animal,"Ann, the 2nd",')
    .replace('o3,m1,animal,"",', "o3,m1,animal,Bob,")
)


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    place = tmp_path / "package"
    (place / "media").mkdir(parents=True)
    for number in range(4):
        Image.fromarray(draw_photo(2, number)).save(place / "media" / f"{number}.png")
    for name, text in (("deployments", DEPLOYMENTS), ("media", MEDIA), ("observations", BEFORE)):
        (place / f"{name}.csv").write_bytes(text.encode())
    return place


def enrolled(telling: Path, package: Path, tmp_path: Path) -> Path:
    """A catalogue that has the photos of a package with their boxes, in another folder, under other names."""
    copies = tmp_path / "copies"
    copies.mkdir()
    for number in range(3):
        (copies / f"c{number}.png").write_bytes((package / "media" / f"{number}.png").read_bytes())
    with (copies / "photos.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo", "individual", "box"))
        rows.writerows([("c0.png", "=1+1", "0.1 0.2 0.5 0.6"), ("c0.png", "Ann, the 2nd", "0.5 0.2 0.5 0.5"),
                        ("c1.png", "Bob", ""), ("c2.png", "Cy", "")])  # fmt: skip
    options = ("--set", "data.box=box", "--set", "data.box_units=relative", "--device", "cpu")
    done("enrol", telling, copies / "photos.csv", "-o", tmp_path / "c", *options)
    return tmp_path / "c"


def test_a_catalogue_fills_in_what_is_empty(telling: Path, package: Path, tmp_path: Path) -> None:
    """The catalogue knows the photos by content and box."""
    enrolled(telling, package, tmp_path)
    out = tmp_path / "observations.csv"
    told = done("fill-in", tmp_path / "c", package, "-o", out)
    assert out.read_bytes() == AFTER.encode()
    assert (told["filled"], told["there"], told["open"]) == (3, 0, 1)
    assert told["notes"] == ["1 photos have another individual there, which stays: o5 (Zoe there, Cy here)"]
    assert (package / "observations.csv").read_bytes() == BEFORE.encode()
    result = call("fill-in", tmp_path / "c", package, "-o", out)
    assert result.exit_code == 2 and "exists, and nothing is replaced" in " ".join(result.output.split())
    (package / "observations.csv").write_bytes(out.read_bytes())
    told = done("fill-in", tmp_path / "c", package, "-o", tmp_path / "again.csv")
    assert (told["filled"], told["there"]) == (0, 3) and (tmp_path / "again.csv").read_bytes() == AFTER.encode()


def test_an_event_gets_the_individual_that_all_its_known_photos_have(
    telling: Path, package: Path, tmp_path: Path
) -> None:
    """One event has photos of two individuals, one of one individual, one has photos that the catalogue lacks."""
    place = enrolled(telling, package, tmp_path)
    header = "observationID,deploymentID,mediaID,eventStart,eventEnd,observationType,individualID\n"
    moments = [("o1", 1, 2, ""), ("o2", 2, 3, "")]
    lines = [f"{name},d1,,2024-01-16T14:32:0{a}Z,2024-01-16T14:32:0{b}Z,animal,{who}\n" for name, a, b, who in moments]
    filled = [line.replace("animal,", f"animal,{who}") for line, who in zip(lines, ("Bob", "Cy"), strict=True)]
    out = tmp_path / "o.csv"
    (package / "observations.csv").write_text(header + lines[0])
    told = done("fill-in", place, package, "-o", out)
    assert out.read_text() == header + lines[0] and (told["filled"], told["open"]) == (0, 1)
    assert told["notes"] == ["events whose photos are of several individuals stay as they are: o1"]
    (package / "observations.csv").write_text(header + lines[1])
    out.unlink()
    told = done("fill-in", place, package, "-o", out)
    assert out.read_text() == header + filled[1] and (told["filled"], told["open"], told["notes"]) == (1, 0, [])


@pytest.mark.medium
def test_in_python_a_catalogue_writes_what_the_commands_write(telling: Path, package: Path, tmp_path: Path) -> None:
    place = enrolled(telling, package, tmp_path)
    facts = {"date": "2024-01-16", "latitude": "-34.5", "longitude": "18.2", "species": "Panthera onca"}
    options = [part for name, text in facts.items() for part in ("--fact", f"{name}={text}")]
    with Catalogue(place, "cpu") as catalogue:
        for form, name in {"camtrap-dp": "p", "wildlife": "w.csv", "coco": "c.json", "wildbook": "b.csv"}.items():
            ours = catalogue.convert(form, tmp_path / f"ours-{name}", facts, package.parent)
            told = done("convert", place, "--to", form, "-o", tmp_path / f"told-{name}", "--photos", tmp_path, *options)
            assert (ours.photos, ours.individuals, list(ours.notes)) == (4, 4, told["notes"])
            for file, theirs in zip(ours.files, told["files"], strict=True):
                if not file.endswith("datapackage.json"):  # it has the time of its writing
                    assert Path(file).read_bytes() == Path(theirs).read_bytes()
        assert catalogue.fill_in(package, tmp_path / "filled.csv").filled == 3
        assert (tmp_path / "filled.csv").read_bytes() == AFTER.encode()
        with pytest.raises(OutputError, match="nothing is replaced"):
            catalogue.fill_in(package, str(tmp_path / "filled.csv"))
        with pytest.raises(OutputError, match="nothing is replaced"):
            catalogue.convert("coco", str(tmp_path / "ours-c.json"))
        with pytest.raises(UserError, match="did you mean 'wildlife'"):
            catalogue.convert("wildlif", tmp_path / "x.csv")


@pytest.mark.medium
def test_decisions_of_a_match_are_written_and_filled_in_and_answers_are_not(
    telling: Path, package: Path, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    for name in ("Ann", "Bob"):
        (known / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(draw_photo(5 + (name == "Bob"), number)).save(known / name / f"{number}.png")
    done("enrol", telling, known, "-o", tmp_path / "c", "--device", "cpu")
    season = tmp_path / "season"
    done("match", tmp_path / "c", package, "-o", season, "--reader", "camtrap-dp", "--device", "cpu")
    told = done("convert", season, "--to", "camtrap-dp", "-o", package / "out", "--photos", package)
    rows = table(package / "out" / "observations.csv")
    assert faults(package / "out") == [] and [row["observationID"] for row in rows] == ["o1", "o2", "o3", "o5", "o7"]
    assert {row["classificationMethod"] for row in rows} == {"machine"}
    assert {row["individualID"] for row in rows} == {""}, "two individuals are too few for probabilities"
    assert any("nobody has confirmed" in note for note in told["notes"])
    result = call("fill-in", season, package, "-o", tmp_path / "o.csv")
    assert result.exit_code == 2 and "only individuals that a person has confirmed" in " ".join(result.output.split())
    decisions = decided(season, tmp_path / "decisions.csv")
    told = done("convert", decisions, "--to", "camtrap-dp", "-o", package / "own", "--photos", package)
    rows = table(package / "own" / "observations.csv")
    assert [(row["observationID"], row["individualID"], row["classificationMethod"]) for row in rows] == [
        ("o1", "Ann", "human"), ("o2", "Dee", "human"), ("o3", "", "human"),
    ]  # fmt: skip
    assert "2 photos that were called bad are left out" in told["notes"]
    told = done("fill-in", decisions, package, "-o", tmp_path / "o.csv")
    assert (told["filled"], told["open"]) == (2, 2)


def decided(season: Path, file: Path) -> Path:
    """The decisions of a person: same, new, unsure, bad, bad."""
    page = (season / "index.html").read_text()
    facts = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    words = [("same", "Ann"), ("new", "Dee"), ("unsure", ""), ("bad", ""), ("bad", "")]
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(COLUMNS)
        for query, (word, name) in zip(facts["queries"], words, strict=True):
            photo = query["photos"][0]
            rows.writerow([query["name"], photo["name"], photo["path"], photo["sha256"], photo["box"], word, name, "[]",
                           json.dumps(photo["attributes"])])  # fmt: skip
    return file


def test_answers_that_are_likelier_than_a_new_individual_are_a_machines(tmp_path: Path) -> None:
    """A page whose facts are written by hand: known, likelier new, maybe new by verdict, without probabilities."""
    from siamesekit.gallery.exchange.sources import source_of
    from siamesekit.gallery.match_page import PageFacts, page

    answers = [("known", 0.1, 0.8), (None, 0.7, 0.2), ("maybe new", 0.3, 0.6), (None, None, None)]
    queries = [
        {"name": f"q{n}", "verdict": verdict, "new": new,
         "photos": [{"name": f"q{n}", "path": f"/p/{n}.png", "sha256": "0" * 64, "box": "", "attributes": {}}],
         "candidates": [{"individual": "B", "probability": best and best / 9}, {"individual": "A",
                                                                                "probability": best}]}
        for n, (verdict, new, best) in enumerate(answers)
    ]  # fmt: skip

    def written(queries: list[dict[str, Any]]) -> None:
        told = page("c", PageFacts({"id": ""}, lambda: iter(queries)), "note")
        (tmp_path / "index.html").write_text("".join(told))

    written(queries)
    found = source_of(tmp_path)
    assert [(each.record.individual, each.probability) for each in found.observations] == [
        ("A", 0.8), ("", None), ("", None), ("", None),
    ]  # fmt: skip
    written([{**queries[0], "photos": [{}]}])
    result = call("convert", tmp_path, "--to", "camtrap-dp", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "is damaged; match the photos again" in " ".join(result.output.split())


def test_a_package_without_the_columns_is_refused(telling: Path, package: Path, tmp_path: Path) -> None:
    done("enrol", telling, package, "-o", tmp_path / "c", "--reader", "camtrap-dp", "--device", "cpu")
    (package / "observations.csv").write_text("observationID,mediaID,observationType\no1,m0,animal\n")
    result = call("fill-in", tmp_path / "c", package, "-o", tmp_path / "o.csv")
    assert result.exit_code == 2 and "individualID" in result.output and not (tmp_path / "o.csv").exists()


CELL = st.text(st.sampled_from("ab ,\"\n';="), max_size=6)


@settings(max_examples=60)
@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), CELL)
def test_the_cells_are_those_of_csv_and_one_is_replaced_alone(rows: list[list[str]], end: str, new: str) -> None:
    output = io.StringIO()
    csv.writer(output, lineterminator=end).writerows(rows)
    places = list(rows_of_places(output.getvalue()))
    assert [len(row) for row in places] == [2] * len(rows)
    text = replaced(output.getvalue(), {places[-1][0]: new})
    plain = list(csv.reader(io.StringIO(text, newline="")))
    assert plain == [*rows[:-1], [new, rows[-1][1]]]
