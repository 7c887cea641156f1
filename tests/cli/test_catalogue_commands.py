"""The commands of a catalogue, as a person uses them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from conftest import draw_photo, write_photos
from siamesekit.cli.app import app
from siamesekit.gallery.decisions import COLUMNS


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(*arguments: object) -> Any:
    """The JSON of a command that went well."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Drawn photos of three individuals."""
    return write_photos(tmp_path / "photos", ["Ann", "Bob", "Cy"])


@pytest.fixture
def place(telling: Path, photos: Path, tmp_path: Path) -> Path:
    """A catalogue that a person has made."""
    result = call("enrol", telling, photos, "-o", tmp_path / "c", "--device", "cpu", "--author", "Zoe")
    assert result.exit_code == 0, result.output
    count = sum(1 for file in photos.rglob("*") if file.is_file())
    assert f"{count} photos added, 3 new individuals" in result.stdout
    return tmp_path / "c"


@pytest.mark.medium
def test_a_person_enrols_searches_corrects_and_undoes(place: Path, photos: Path, tmp_path: Path) -> None:
    photo = sorted((photos / "Bob").iterdir())[0]
    found = document("search", place, photo, "--device", "cpu")
    assert found["left_out"] == [] and found["enrolled"] == {str(photo): "Bob"}
    (answer,) = found["answers"]
    assert answer["candidates"][0]["individual"] == "Bob" and len(answer["candidates"]) == 3
    shown = call("search", place, photo, "-k", 2, "--device", "cpu").stdout
    assert "Bob" in shown and "similarity" in shown
    assert f"{photo} is in the catalogue itself, as a photo of Bob; the figures" in shown
    other = tmp_path / "other.png"
    Image.open(photo).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    assert document("search", place, other, "--device", "cpu")["enrolled"] == {}
    assert "itself" not in call("search", place, other, "--device", "cpu").stdout
    assert document("rename", place, "Bob", "Robert") == {"old": "Bob", "new": "Robert"}
    assert "Ann has the" in call("merge", place, "Ann", "Robert").stdout
    assert document("info", place)["individuals"] == 2
    assert "undone: change 3, merge" in call("undo", place).stdout
    assert document("info", place)["individuals"] == 3
    assert call("split", place, "Dee", photo).stdout == "Dee has 1 more photos now\n"
    assert document("remove", place, "Dee") == {"photos": 1}
    commands = [change["command"] for change in document("log", place)]
    assert commands == ["remove", "split", "undo", "merge", "rename", "add"]
    lines = call("log", place, "-n", 4).stdout.splitlines()
    assert len(lines) == 4 and lines[3].endswith("merge: Robert into Ann: 4 photos (undone)")
    document("rename", place, "Robert", "Bob")
    assert document("add", place, photos, "--device", "cpu")["photos"] == 1  # the removed one is Bob's again
    assert "columns" not in call("info", place).stdout


@pytest.mark.medium
def test_a_table_brings_columns_that_conditions_name(telling: Path, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["photo", "individual", "site"])
        for each in sorted(photos.rglob("*.*")):
            rows.writerow(
                [each.relative_to(tmp_path), each.parent.name, "North" if each.parent.name < "B" else "South"]
            )
    place = tmp_path / "c"
    assert document("enrol", telling, table, "-o", place, "--device", "cpu")["individuals"] == 3
    assert "site" in document("info", place)["columns"]
    query = sorted((photos / "Ann").iterdir())[0]
    found = document("search", place, query, "--where", "site = 'South'", "--device", "cpu")
    assert {each["individual"] for each in found["answers"][0]["candidates"]} == {"Bob", "Cy"}
    refused = call("search", place, query, "--where", "site = 'South'; DROP TABLE photos", "--device", "cpu")
    assert (refused.exit_code, refused.stdout) == (2, "") and "the condition" in refused.stderr


@pytest.mark.medium
def test_answers_are_a_table_that_no_spreadsheet_computes(place: Path, photos: Path, tmp_path: Path) -> None:
    call("rename", place, "Bob", "=1+1")
    query, table = sorted((photos / "Bob").iterdir())[0], tmp_path / "answers.csv"
    for _ in range(2):  # its own table is replaced
        assert call("search", place, query, "--csv", table, "--device", "cpu").exit_code == 0
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["individual"] == "'=1+1" and rows[0]["rank"] == "1" and rows[0]["query"] == str(query)
    table.write_text("mine")
    refused = call("search", place, query, "--csv", table, "--device", "cpu")
    assert refused.exit_code == 2 and table.read_text() == "mine"


@pytest.mark.medium
def test_of_queries_that_are_no_photos_or_missing_the_others_are_answered(
    place: Path, photos: Path, tmp_path: Path
) -> None:
    bad, gone = tmp_path / "bad.jpg", tmp_path / "gone.jpg"
    bad.write_bytes(b"no photo")
    good = sorted((photos / "Ann").iterdir())[0]
    table = tmp_path / "answers.csv"
    partly = call("search", place, bad, gone, good, "--device", "cpu", "--json", "--csv", table)
    assert partly.exit_code == 2
    assert [answer["query"] for answer in json.loads(partly.stdout)["answers"]] == [str(good)]
    assert "2 of 3 photos cannot be used: fix them, or leave them out with --skip-bad" in partly.stderr
    assert str(bad) in partly.stderr and str(gone) in partly.stderr
    assert str(good) in table.read_text()
    result = call("search", place, bad, gone, good, "--device", "cpu", "--json", "--skip-bad")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert [answer["query"] for answer in told["answers"]] == [str(good)]
    assert sorted(finding["name"] for finding in told["left_out"]) == [str(bad), str(gone)]
    first, second, total = result.stderr.splitlines()
    assert first == f"left out: {gone}: does not exist; check its name"
    assert second.startswith(f"left out: {bad}: ")
    assert total == "2 of 3 photos cannot be used and were left out"
    assert call("search", place, bad, "--device", "cpu", "--skip-bad").exit_code == 2


def unlike(folder: Path) -> Path:
    """Photos of two individuals, Dee and Eve, that are none of those in the catalogue."""
    write_photos(folder, ["Ann", "Bob", "Cy", "Dee", "Eve"])
    for known in ("Ann", "Bob", "Cy"):
        shutil.rmtree(folder / known)
    return folder


@pytest.mark.medium
def test_a_season_and_new_photos_with_missing_rows(place: Path, photos: Path, tmp_path: Path) -> None:
    new = unlike(tmp_path / "new")
    names = [f"new/{file.relative_to(new).as_posix()}" for file in sorted(new.rglob("*.*"))]
    table = tmp_path / "new.csv"
    rows = [f"{name},{Path(name).parent.name}\n" for name in [*names, "new/Dee/gone.png"]]
    table.write_text("photo,individual\n" + "".join(rows))
    for command in (["match", place, table, "-o", tmp_path / "m"], ["add", place, table]):
        refused = call(*command, "--device", "cpu")
        assert refused.exit_code == 2 and "no such photo: new/Dee/gone.png" in refused.stderr
        assert "leave them out with --skip-bad" in refused.stderr
    assert not (tmp_path / "m").exists()
    matched = document("match", place, table, "-o", tmp_path / "m", "--device", "cpu", "--skip-bad")
    assert matched["queries"] == len(names)
    assert [finding["reason"] for finding in matched["left_out"]] == ["no such photo: new/Dee/gone.png"]
    added = document("add", place, table, "--device", "cpu", "--skip-bad")
    assert (added["photos"], len(added["unusable"])) == (len(names), 1)


@pytest.mark.medium
def test_options_of_the_reader_and_links(place: Path, photos: Path, tmp_path: Path) -> None:
    """Layouts and links are read by catalogues as by runs."""
    unlike(tmp_path / "store")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "north").symlink_to(tmp_path / "store")
    refused = call("add", place, tmp_path / "new", "--device", "cpu")
    assert refused.exit_code == 2 and "north" in refused.stderr and "--follow-links" in refused.stderr
    pattern = ["--set", "data.pattern={site}/{individual}/", "--follow-links"]
    added = document("add", place, tmp_path / "new", "--device", "cpu", *pattern)
    assert added["individuals"] == 2
    assert "site" in document("info", place)["columns"]
    wrong = call("add", place, tmp_path / "new", "--set", "split.by=photo")
    assert wrong.exit_code == 2 and "here only keys of [data] can be set" in wrong.stderr


@pytest.mark.medium
def test_all_photos_of_an_encounter_are_one_query(place: Path, photos: Path) -> None:
    found = document("search", place, photos / "Cy", "--together", "--by", "2", "--device", "cpu")
    (answer,) = found["answers"]
    assert answer["candidates"][0]["individual"] == "Cy"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device of a full disk")
def test_answers_that_cannot_be_printed_are_an_error_unless_they_are_in_a_table(
    place: Path, photos: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "siamesekit",
        "search",
        place,
        sorted((photos / "Cy").iterdir())[0],
        "--device",
        "cpu",
    ]
    table = tmp_path / "answers.csv"
    for further, fails in (([], True), (["--csv", table], False)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([*command, *further], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode != 0) == fails and "cannot be written to" in done.stderr
    assert len(table.read_text().splitlines()) == 4


@pytest.mark.medium
def test_a_second_look_counts_shared_points(
    place: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    query = sorted((photos / "Cy").iterdir())[0]
    found = document("search", place, query, "--matcher", "sift", "--look-at", "2", "--device", "cpu")
    counts = [each["points"] for each in found["answers"][0]["candidates"]]
    assert sum(count is not None for count in counts) == 2
    told = call("search", place, query, "--matcher", "sift", "--device", "cpu").stdout
    assert "points" in told
    refused = call("search", place, query, "--matcher", "sif", "--device", "cpu")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "unknown matcher 'sif' (did you mean 'sift'?)" in refused.stderr
    for command in (["search", place, query], ["match", place, query, "-o", tmp_path / "season"]):
        wrong = call(*command, "--matcher", "sift", "--matcher-option", "ratio=2", "--device", "cpu")
        assert (wrong.exit_code, wrong.stdout) == (2, "") and "ratio" in wrong.stderr
        alone = call(*command, "--matcher-option", "ratio=0.8", "--device", "cpu")
        assert "--matcher-option is only for --matcher NAME" in alone.stderr
    assert not (tmp_path / "season").exists()


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "gone", "{photo}"], "there is no catalogue in gone"),
        (["search", "{place}", "gone.jpg"], "no such file or folder: gone.jpg"),
        (["search", "{place}", "{photo}", "-k", "9"], "k = 9, but 3 individuals are searched"),
        (["search", "{place}", "{photo}", "--by", "median"], "--by: expected nearest, mean or a number"),
        (["rename", "{place}", "Bobb", "x"], "did you mean 'Bob'?"),
        (["remove", "{place}", "nobody"], "no individual or photo 'nobody'"),
        (["info", "{place}/models"], "there is no catalogue"),
        (["add", "{place}", "{photo}"], "name the reader: --reader NAME"),
        (["enrol", "{place}", "{photos}", "-o", "x"], "there is no model in"),
        (["match", "{place}", "{photo}", "-o", "{place}"], "holds something other than a match"),
        (["match", "{place}", "{photo}", "-o", "{photo}"], "is not a folder"),
        (["match", "{place}", "{photo}", "-o", "gone/m"], "there is no folder"),
        (["match", "{place}", "{photo}", "-o", "m"], "nothing to match: of 1 photos, 1 are in the catalogue already"),
        (["match", "{place}", "gone", "-o", "m"], "gone"),
        (["decide", "{place}", "{photo}"], "is not UTF-8"),
        (["decide", "{place}", "gone.csv"], "gone.csv"),
    ],
)
def test_wrong_input_is_an_error_in_words(place: Path, photos: Path, arguments: list[str], message: str) -> None:
    photo = sorted((photos / "Ann").iterdir())[0]
    result = call(*(each.format(place=place, photo=photo, photos=photos) for each in arguments))
    assert (result.exit_code, result.stdout) == (2, "") and message in result.stderr.replace("\n", " ")


@pytest.mark.medium
def test_bad_photos_are_left_out_if_asked(place: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    (more / "Dee").mkdir(parents=True)
    Image.effect_noise((40, 40), 80).convert("RGB").save(more / "Dee" / "good.png")
    (more / "Dee" / "bad.png").write_bytes(b"x")
    refused = call("add", place, more, "--device", "cpu")
    assert refused.exit_code == 2 and "nothing was added" in refused.stderr
    told = document("add", place, more, "--skip-bad", "--device", "cpu")
    assert told["individuals"] == 1 and [finding["name"] for finding in told["unusable"]] == ["Dee/bad.png"]


@pytest.mark.medium
def test_a_season_is_matched_and_decided(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "day 1").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(draw_photo(number, 50)).save(folder / "day 1" / f"{number}.png")
    (folder / "bad.jpg").write_bytes(b"no photo")
    refused = call("match", place, folder, "-o", tmp_path / "match", "--device", "cpu")
    assert refused.exit_code == 2 and "--skip-bad" in refused.stderr and not (tmp_path / "match").exists()
    result = call("match", place, folder, "-o", tmp_path / "match", "--device", "cpu", "--skip-bad")
    assert result.exit_code == 0, result.output
    assert "3 queries matched\n" in result.stdout and "index.html in a browser" in result.stdout
    assert result.stderr.startswith("left out: bad.jpg: ") and result.stderr.endswith("and were left out\n")
    with (tmp_path / "match" / "matches.csv").open(newline="") as file:
        assert [row["query"] for row in csv.DictReader(file)] == [f"day 1/{n}.png" for n in range(3) for _ in range(3)]
    page = (tmp_path / "match" / "index.html").read_text(encoding="utf-8")
    shown = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["queries"]
    decisions = tmp_path / "decisions.csv"
    with decisions.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for query, (word, name) in zip(shown, [("same", "Ann"), ("new", "Dee"), ("bad", "")], strict=True):
            (photo,) = query["photos"]
            cells = [photo["name"], photo["path"], photo["sha256"], photo["box"], word, name, "[]", "{}"]
            rows.writerow([query["name"], *cells])
    done = call("decide", place, decisions, "--author", "Yan", "--device", "cpu")
    assert done.stdout == "1 photos given to known individuals, 1 to 1 new ones; 0 unsure, 1 bad\n"
    assert call("decide", place, decisions, "--device", "cpu").stdout.endswith("3 applied before\n")
    assert document("log", place)[0]["author"] == "Yan"
    refused = call("match", place, folder, "-o", tmp_path / "match", "--device", "cpu")
    assert refused.exit_code == 2 and "of 4 photos, 2 are in the catalogue already, 1 were called bad" in refused.stderr


def test_a_table_of_a_season_needs_no_individuals(place: Path, tmp_path: Path) -> None:
    Image.fromarray(draw_photo(1, 60)).save(tmp_path / "a.png")
    Image.fromarray(draw_photo(1, 61)).save(tmp_path / "b.png")
    (tmp_path / "new.csv").write_text("photo,sighting\na.png,7\nb.png,7\n")
    told = document(
        "match", place, tmp_path / "new.csv", "-o", tmp_path / "m", "--encounter", "sighting", "--device", "cpu"
    )
    assert told["queries"] == 1


@pytest.mark.medium
def test_neighbours_help_to_order_the_candidates(place: Path, photos: Path) -> None:
    photo = sorted((photos / "Bob").iterdir())[0]
    for options in (["--rerank", "k-reciprocal"], ["--expand", "2", "--alpha", "0"]):
        (answer,) = document("search", place, photo, *options, "--device", "cpu")["answers"]
        assert {each["individual"] for each in answer["candidates"]} == {"Ann", "Bob", "Cy"}
    refused = call("search", place, photo, "--rerank", "nearest")
    assert refused.exit_code == 2 and "expected k-reciprocal, not 'nearest'" in refused.stderr
    looked = document("search", place, photo, "--expand", "2", "--matcher", "sift", "--look-at", "2", "--device", "cpu")
    assert [each["points"] is None for each in looked["answers"][0]["candidates"]] == [False, False, True]


@pytest.mark.slow
def test_a_catalogue_is_measured(telling: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", [f"p{number:02}" for number in range(13)])
    assert call("enrol", telling, photos, "-o", tmp_path / "c", "--device", "cpu").exit_code == 0
    told = document("report", tmp_path / "c", "--expand", "2", "--device", "cpu")
    assert list(told["ways"]) == ["alone", "with query expansion by 2 photos"]
    assert told["individuals"] == 13 and 0 <= told["ways"]["alone"]["top_12"]["value"] <= 1
    shown = call("report", tmp_path / "c", "--device", "cpu").stdout
    assert "top-12" in shown and "alone" in shown and "adjusted Rand index" in shown
    wrong = call("evaluate", tmp_path / "c")
    assert wrong.exit_code == 2 and "siamesekit report" in wrong.stderr


def test_too_small_a_catalogue_is_not_measured(place: Path) -> None:
    refused = call("report", place, "--device", "cpu")
    assert refused.exit_code == 2 and "a report needs 5" in refused.stderr


@pytest.mark.slow
def test_embed_leaves_out_missing_photos_and_follows_links_as_the_other_commands(
    telling: Path, photos: Path, tmp_path: Path
) -> None:
    output, gone = tmp_path / "e.npz", tmp_path / "gone.jpg"
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "Ann").symlink_to(photos / "Ann")
    (photos / "Ann" / "@eaDir").mkdir()
    (photos / "Ann" / "@eaDir" / "thumb.jpg").touch()
    command = ["embed", telling, tmp_path / "linked", "-o", output, "--device", "cpu"]
    refused = call(*command)
    assert refused.exit_code == 2 and "a link leads out of" in refused.stderr and not output.exists()
    result = call(*command, "--follow-links")
    assert result.exit_code == 0, result.stderr
    assert "left alone, as hidden or made by a system: 1 @eaDir" in result.stdout
    count = sum(1 for file in (photos / "Ann").iterdir() if file.is_file())
    assert f"{count} photos, " in result.stdout
    assert call("embed", telling, photos, gone, "-o", output, "--device", "cpu").exit_code == 2
    told = document("embed", telling, photos / "Ann", gone, "-o", output, "--device", "cpu", "--skip-bad")
    assert told["photos"] == count
    assert told["left_out"] == [{"file": str(gone), "reason": "does not exist", "what to do": "check its name"}]
