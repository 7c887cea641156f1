"""From the photos of a season to decisions that are enrolled."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import draw_photo, write_photos
from siamesekit.data.records import Box, Record
from siamesekit.data.spreadsheet_cells import spreadsheet_cell
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.gallery import match_folder, matching
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.decisions import COLUMNS, read_decisions
from siamesekit.gallery.match_folder import PICTURES, TABLE, write_match
from siamesekit.gallery.matching import Query
from siamesekit.gallery.search import Answer, Candidate, PhotoMatch
from siamesekit.progress import Progress
from siamesekit.registry import READERS

NAMES = ["Ann", "Bob", "Cy"]
SAVED = "query,name,photo,sha256,box,decision,individual,rejected,attributes"


@pytest.fixture(scope="module")
def enrolled(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three individuals; not to be written to."""
    folder = tmp_path_factory.mktemp("season")
    records: list[Record] = READERS.build("folder", {"root": str(write_photos(folder / "photos", NAMES))}, seed=0)
    catalogue, _ = enrol(telling, records, folder / "catalogue", Progress(), author="Zoe")
    catalogue.close()
    return folder / "catalogue"


@pytest.fixture
def place(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue, to be written to."""
    return Path(shutil.copytree(enrolled, tmp_path / "catalogue"))


def season_in(folder: Path) -> list[Record]:
    """Six new photos: one of each known individual, and three of others; the first two were taken together."""
    folder.mkdir()
    records = []
    for number, (individual, photo) in enumerate([(0, 40), (0, 41), (1, 40), (2, 40), (7, 40), (8, 40)]):
        file = folder / f"{number}.png"
        Image.fromarray(draw_photo(individual, photo)).save(file)
        attributes = {"encounter": "dawn", "site": "=North"} if number < 2 else {}
        records.append(Record(file.name, "", file, attributes=attributes))
    return records


@pytest.fixture
def season(tmp_path: Path) -> list[Record]:
    return season_in(tmp_path / "new")


def row(record: Record, decision: str, individual: str = "", rejected: tuple[str, ...] = (), **cells: str) -> list[str]:
    """A line of a table of decisions, as the page writes it."""
    content = sha256(Path(str(record.source)).read_bytes()).hexdigest()
    told = {"query": record.name, "name": record.name, "photo": str(record.source), "sha256": content, "box": ""}
    told |= {"decision": decision, "individual": individual, "rejected": json.dumps(rejected)}
    told |= {"attributes": json.dumps(dict(record.attributes))} | cells
    return [spreadsheet_cell(told[column]) for column in COLUMNS]


def table(file: Path, *rows: list[str]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([list(COLUMNS), *rows])
    return file


def test_what_the_page_saves_is_what_is_read() -> None:
    assert ",".join(COLUMNS) == SAVED
    script = Path(match_folder.__file__).with_name("match_decisions.js").read_text(encoding="utf-8")
    assert json.loads(re.search(r"COLUMNS = (\[.*?\])", script)[1]) == list(COLUMNS)  # type: ignore[index]


def test_each_photo_gets_the_answer_of_a_search(enrolled: Path, season: list[Record]) -> None:
    with Catalogue(enrolled) as catalogue:
        found = catalogue.match(season, k=2)
        expected = catalogue.search([Path(str(record.source)) for record in season], k=2)
    assert [query.name for query in found.queries] == [record.name for record in season]
    for query, answer in zip(found.queries, expected, strict=True):
        assert [each.individual for each in query.answer.candidates] == [each.individual for each in answer.candidates]
        assert [each.distance for each in query.answer.candidates] == pytest.approx(
            [each.distance for each in answer.candidates], rel=1e-5, abs=1e-6
        )
        assert 0 <= query.uncertainty <= 1
    assert (found.unusable, found.enrolled, found.bad, found.copies) == ((), 0, 0, 0)
    assert found.note == "no probabilities: the catalogue has 3 individuals, and 10 are needed"


def test_photos_of_an_encounter_are_one_query(enrolled: Path, season: list[Record]) -> None:
    with Catalogue(enrolled) as catalogue:
        found = catalogue.match(season, encounter="encounter")
        (expected,) = catalogue.search([Path(str(record.source)) for record in season[:2]], together=True)
        with pytest.raises(UserError, match=r"no column 'encunter' \(did you mean 'encounter'\?\)"):
            catalogue.match(season, encounter="encunter")
    assert [query.name for query in found.queries] == ["dawn", *(record.name for record in season[2:])]
    assert [len(query.photos) for query in found.queries] == [2, 1, 1, 1, 1]
    first = found.queries[0].answer.candidates[0]
    assert first.individual == expected.candidates[0].individual
    assert first.distance == pytest.approx(expected.candidates[0].distance, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("encounter", [None, "encounter"])
def test_a_season_is_matched_some_photos_at_a_time(
    enrolled: Path, season: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encounter: str | None
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    broken = Record("broken.jpg", "", tmp_path / "broken.jpg", attributes={"encounter": "dawn"})
    with Catalogue(enrolled) as catalogue:
        whole = catalogue.match([*season, broken], encounter=encounter)
        embedded: list[int] = []
        embed = catalogue.model.embed_records

        def counted(records: Sequence[Record], *rest: Any) -> Any:
            embedded.append(len(records))
            return embed(records, *rest)

        monkeypatch.setattr(catalogue.model, "embed_records", counted)
        monkeypatch.setattr(matching, "AT_ONCE", 2)
        parts = catalogue.match([*season, broken], encounter=encounter)
    assert embedded == ([2, 2, 2, 1] if encounter is None else [3, 2, 2])  # an encounter is never divided
    assert [query.name for query in parts.queries] == [query.name for query in whole.queries]
    assert parts.unusable == whole.unusable and len(parts.unusable) == 1
    for part, query in zip(parts.queries, whole.queries, strict=True):
        assert part.photos == query.photos
        found, wanted = part.answer.candidates, query.answer.candidates
        assert [each.best.photo for each in found] == [each.best.photo for each in wanted]
        distances = [each.distance for each in wanted]
        assert [each.distance for each in found] == pytest.approx(distances, rel=1e-5, abs=1e-6)


def test_what_is_left_out_is_counted(place: Path, season: list[Record], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    copy = shutil.copy(Path(str(season[5].source)), tmp_path / "copy.png")
    more = [*season, Record("broken.jpg", "", broken), Record("copy.png", "", Path(copy))]
    with Catalogue(place) as catalogue:
        catalogue.decide(table(tmp_path / "d.csv", row(season[0], "same", "Ann"), row(season[4], "bad")))
        found = catalogue.match(more)
        assert [query.name for query in found.queries] == ["1.png", "2.png", "3.png", "5.png"]
        assert (found.enrolled, found.bad, found.copies) == (1, 1, 1)
        assert [finding.name for finding in found.unusable] == ["broken.jpg"]
        with pytest.raises(DataError, match=r"nothing to match: of 2 photos, 1 are in the catalogue already, 1 were"):
            catalogue.match([season[0], season[4]])
        with pytest.raises(DataError, match=r"nothing to match: of 1 photos, 0 are .*, 1 cannot be read"):
            catalogue.match(more[6:7])


def answer_of(new: float | None, *candidates: tuple[float, float | None]) -> Query:
    best = PhotoMatch(1, "a", "a", "A", 0.1, None)
    listed = tuple(Candidate("A", distance, None, chance, best, 1) for distance, chance in candidates)
    return Query("q", (), Answer("q", new, listed, ()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (answer_of(0.25, (0.1, 0.6), (0.2, 0.15)), 0.4),
        (answer_of(0.9, (0.1, 0.1)), 0.1),
        (answer_of(None, (0.1, None), (0.4, None)), 0.25),
        (answer_of(None, (0.1, None)), 0.0),
        (answer_of(None, (0.0, None), (0.0, None)), 0.0),
    ],
)
def test_how_open_an_answer_is(query: Query, expected: float) -> None:
    assert query.uncertainty == pytest.approx(expected)


def data_of(page: Path) -> Any:
    """What the script of a page shows."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert text is not None
    return json.loads(text[1])


def test_the_folder_has_a_table_and_a_page_with_its_pictures(place: Path, season: list[Record], tmp_path: Path) -> None:
    with Catalogue(place) as catalogue:
        catalogue.rename("Bob", "<script>alert('</script>')")
        found = catalogue.match(season, encounter="encounter")
        moved = Path(found.queries[0].answer.candidates[0].best.path)
        hidden = moved.rename(moved.with_suffix(".moved"))
        try:
            page = write_match(tmp_path / "match", catalogue, found, Progress())
        finally:
            hidden.rename(moved)
        with (tmp_path / "match" / TABLE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 5 * 3
        assert [each["query"] for each in rows[:3]] == ["dawn"] * 3
        candidates = found.queries[0].answer.candidates
        assert [each["individual"] for each in rows[:3]] == [each.individual for each in candidates]
        data = data_of(page)
        assert [each["name"] for each in data["queries"]] == ["dawn", "2.png", "3.png", "4.png", "5.png"]
        first = data["queries"][0]
        assert [each["sha256"] for each in first["photos"]] == [photo.sha256 for photo in found.queries[0].photos]
        assert first["photos"][0]["attributes"] == {"encounter": "dawn", "site": "=North"}
        known, further = data["known"], data["further"]
        assert known[str(first["candidates"][0]["best"])]["moved"]
        assert "moved" not in known[str(first["candidates"][1]["best"])]
        pictures = {file.name for file in (tmp_path / "match" / PICTURES).iterdir()}
        for query in data["queries"]:
            best = [known[str(each["best"])] for each in query["candidates"]]
            shown = [query["photos"][0]["image"], *(each.get("image", each["small"]) for each in best)]
            numbers = [number for each in query["candidates"] for number in further[each["individual"]]]
            shown += [known[str(number)]["small"] for number in numbers]
            assert {Path(each).name for each in shown} <= pictures
        assert len(further[first["candidates"][0]["individual"]]) == first["candidates"][0]["photos"]
        text = page.read_text(encoding="utf-8")
        assert "alert(" not in text.replace(json.dumps("<script>alert('</script>')")[1:-1].replace("<", "\\u003c"), "")
        # again, with less: what is not shown any more goes, and nothing else
        write_match(tmp_path / "match", catalogue, catalogue.match(season[5:], k=1), Progress())
        left = {file.name for file in (tmp_path / "match" / PICTURES).iterdir()}
        assert left < pictures and {Path(data_of(page)["queries"][0]["photos"][0]["image"]).name} == {
            name for name in left if name.startswith("query")
        }
        (tmp_path / "match" / "mine.txt").write_text("mine")
        with pytest.raises(OutputError, match=r"holds something other than a match: mine\.txt"):
            write_match(tmp_path / "match", catalogue, found, Progress())


def test_decisions_are_enrolled_and_kept(place: Path, season: list[Record], tmp_path: Path) -> None:
    rows = [
        row(season[0], "same", "Ann"),
        row(season[2], "new", "=Dee", ("Ann", "Bob")),
        row(season[3], "new", "=Dee", ("Ann", "Bob")),
        row(season[4], "unsure"),
        row(season[5], "bad"),
    ]
    file = table(tmp_path / "d.csv", *rows)
    with Catalogue(place, author="Yan") as catalogue:
        before = catalogue.info()
        done = catalogue.decide(file)
        assert (done.same, done.new, done.individuals, done.unsure, done.bad, done.there) == (1, 2, 1, 1, 1, 0)
        assert catalogue.individuals() == {"Ann": 5, "Bob": 4, "Cy": 4, "=Dee": 2}
        assert catalogue.info().kept == before.kept + 2
        change = catalogue.log()[0]
        assert (change.author, change.command) == ("Yan", "decide")
        assert change.summary == "1 photos of known individuals, 2 of 1 new ones, 1 unsure, 1 bad"
        (number,) = set(catalogue.photos_of("Ann")) - {1, 2, 3, 4}
        assert catalogue.photo(number).record.attributes == {"encounter": "dawn", "site": "=North"}
        connection = catalogue._storage.connection
        words = dict(connection.execute("SELECT p.name, decision FROM decisions d JOIN photos p ON p.id = d.photo"))
        assert words == {"0.png": "same", "2.png": "new", "3.png": "new", "4.png": "unsure", "5.png": "bad"}
        rejected = connection.execute(
            "SELECT p.name, i.name FROM rejected r JOIN photos p ON p.id = r.photo JOIN individuals i ON "
            "i.id = r.individual ORDER BY 1, 2"
        ).fetchall()
        assert rejected == [("2.png", "Ann"), ("2.png", "Bob"), ("3.png", "Ann"), ("3.png", "Bob")]
        # the same table again changes nothing
        assert vars(catalogue.decide(file)) == vars(type(done)(0, 0, 0, 0, 0, 5))
        assert catalogue.log()[0] == change
        # undone, all of it can be decided again
        assert catalogue.undo().command == "decide"
        assert catalogue.individuals() == {"Ann": 4, "Bob": 4, "Cy": 4}
        assert len(catalogue.match(season).queries) == 6
        assert catalogue.decide(file) == done


def test_a_box_makes_another_photo_of_a_file(place: Path, season: list[Record], tmp_path: Path) -> None:
    box = Box(0, 0, 0.5, 1, relative=True)
    record = Record(season[0].name, "", season[0].source, box=box)
    with Catalogue(place) as catalogue:
        (query,) = catalogue.match([record]).queries
        text = query.photos[0].identity[1]
        catalogue.decide(table(tmp_path / "d.csv", row(record, "new", "Half", box=text)))
        (number,) = catalogue.photos_of("Half")
        assert catalogue.photo(number).record.box == box
        assert len(catalogue.match(season[:1]).queries) == 1


def altered(season: list[Record]) -> list[list[str]]:
    Image.fromarray(draw_photo(9, 9)).save(Path(str(season[0].source)))
    return []


WRONG: list[tuple[Callable[[list[Record]], list[list[str]]], str]] = [
    (lambda s: [row(s[0], "same", "Ann"), row(s[0], "same", "Bob")], r"line 3: 0.png is Bob \(same\), and Ann"),
    (lambda s: [row(s[0], "same", "Ann"), row(s[0], "bad")], r"line 3: 0.png is bad, and Ann \(same\) in line 2"),
    (lambda s: [row(s[0], "same", "An")], r"line 2: 0.png: the catalogue has no individual 'An' \(did"),
    (lambda s: [row(s[0], "new", "Ann")], "line 2: 0.png is called new, and the catalogue has an individual 'Ann'"),
    (lambda s: [row(s[0], "sane", "Ann")], r"line 2: the decision is 'sane' \(did"),
    (lambda s: [row(s[0], "same")], "line 2: the name of an individual is empty"),
    (lambda s: [row(s[0], "new", "A\nB")], "line 3: the name 'A\\\\nB' has characters that cannot be seen"),
    (lambda s: [row(s[0], "bad", "Ann")], "line 2: the decision is bad, so there is no individual, but 'Ann' is named"),
    (lambda s: [row(s[0], "bad", sha256="12")], "line 2: sha256 has 64 digits 0 … f, not '12'"),
    (lambda s: [row(s[0], "bad", sha256="0" * 64)], "line 2: .*0.png is not the photo that was decided on"),
    (lambda s: [row(s[0], "bad", photo="")], "line 2: the photo is missing"),
    (lambda s: [row(s[0], "bad", photo="gone.png")], "line 2: gone.png: "),
    (lambda s: [row(s[0], "bad", rejected="{}")], "line 2: rejected is damaged"),
    (lambda s: [row(s[0], "bad", attributes='{"a": 1}')], "line 2: attributes is damaged"),
    (lambda s: [row(s[0], "bad", box="[1]")], "line 2: box is damaged"),
    (lambda s: [row(s[0], "bad", box='{"x": "0", "y": 0, "width": 1, "height": 1}')], "line 2: box is damaged"),
    (lambda s: [row(s[0], "bad", box='{"x": 0, "y": 0, "width": NaN, "height": 1}')], "line 2: box is damaged"),
    (lambda s: [row(s[0], "bad", attributes='{"a": "\\ud800"}')], "line 2: attributes is damaged"),
    (lambda s: [row(s[0], "bad", photo="a\0b")], "line 2: 'a..00b'"),
    (lambda s: [row(s[0], "bad")[:-1]], "line 2: 8 cells, and the header has 9"),
    (lambda s: [], "has no decisions"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), WRONG, ids=[expected[:50] for _, expected in WRONG])
def test_wrong_decisions_are_refused_with_their_lines(
    place: Path, season: list[Record], tmp_path: Path, rows: Callable[[list[Record]], list[list[str]]], expected: str
) -> None:
    file = table(tmp_path / "d.csv", *rows(season))
    with Catalogue(place) as catalogue:
        before = catalogue.info(), catalogue.individuals()
        with pytest.raises(DataError) as caught:
            catalogue.decide(file)
        assert re.search(expected, "\n".join([str(caught.value), *caught.value.details]))
        assert (catalogue.info(), catalogue.individuals()) == before


def test_a_photo_that_is_enrolled_as_another_is_refused(place: Path, season: list[Record], tmp_path: Path) -> None:
    with Catalogue(place) as catalogue:
        catalogue.decide(table(tmp_path / "d.csv", row(season[0], "same", "Ann")))
        with pytest.raises(DataError) as caught:
            catalogue.decide(table(tmp_path / "d.csv", row(season[1], "same", "Ann"), row(season[0], "same", "Bob")))
        assert list(caught.value.details) == ["line 3: 0.png is Bob (same), and the catalogue has it as Ann"]
        assert catalogue.individuals()["Ann"] == 5


def test_a_changed_file_is_refused(place: Path, season: list[Record], tmp_path: Path) -> None:
    file = table(tmp_path / "d.csv", row(season[0], "same", "Ann"))
    altered(season)
    with Catalogue(place) as catalogue, pytest.raises(DataError) as caught:
        catalogue.decide(file)
    assert "is not the photo that was decided on: its file has changed" in caught.value.details[0]


@pytest.mark.parametrize(
    ("separator", "mark", "end"), [(";", "\ufeff", "\r\n"), ("\t", "", "\n"), (",", "\ufeff", "\n")]
)
def test_a_table_that_a_spreadsheet_has_saved_is_read(
    season: list[Record], tmp_path: Path, separator: str, mark: str, end: str
) -> None:
    name = '\'=Dee; "the" \xe9, 1'
    rows = [row(season[0], "new", name, ("-Ann", "@B")), row(season[4], "bad")]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end).writerows([list(COLUMNS), *rows])
    (tmp_path / "d.csv").write_text(mark + text.getvalue(), "utf-8", newline="")
    first, second = read_decisions(tmp_path / "d.csv")
    assert (first.word, first.record.individual, first.rejected) == ("new", name, ("-Ann", "@B"))
    assert first.record.attributes == {"encounter": "dawn", "site": "=North"}
    assert (second.word, second.record.source) == ("bad", season[4].source)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,2\n", "has no column 'query': expected the decisions that the page"),
        (b"\xff\xfe", "is not UTF-8"),
        (f"{SAVED},individual\n".encode(), "has several columns 'individual'"),
        (SAVED.encode() + b'\n"a', "line 2: unexpected end of data"),
        (b"", "has no column"),
    ],
)
def test_what_is_no_table_of_decisions_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_decisions(tmp_path / "d.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_decisions(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"k": 9}, "k = 9, but 3 individuals"),
        ({"where": "sitte = 'a'"}, "no column 'sitte'"),
        ({"scoring": 0}, "scoring"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_photos_are_read(
    enrolled: Path, season: list[Record], monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], expected: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("photos were read")

    with Catalogue(enrolled) as catalogue:
        monkeypatch.setattr(type(catalogue.model), "embed_records", never)
        monkeypatch.setattr(type(catalogue.model), "embed", never)
        with pytest.raises(UserError, match=expected):
            catalogue.match(season, **asked)
        with pytest.raises(UserError, match=expected):
            catalogue.search([Path(str(season[0].source))], **asked)


def test_a_model_that_changes_while_photos_are_embedded_is_noticed(
    place: Path, telling: Path, season: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(telling, tmp_path / "other"))
    description = (other / "model" / "model.json").read_text("utf-8")
    (other / "model" / "model.json").write_text(description + " ", "utf-8")  # another digest
    with Catalogue(place) as catalogue:
        embed = type(catalogue.model).embed_records

        def meanwhile(self: Any, *arguments: Any) -> Any:
            monkeypatch.undo()
            with Catalogue(place) as elsewhere:
                elsewhere.re_embed(other, Progress())
            return embed(self, *arguments)

        monkeypatch.setattr(type(catalogue.model), "embed_records", meanwhile)
        with pytest.raises(OutputError, match="was moved to another model meanwhile; try again"):
            catalogue.match(season)
        assert len(catalogue.match(season).queries) == 6
