"""Tables of answered pairs: read back as written, and refused with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.errors import DataError
from siamesekit.gallery.links import Links
from siamesekit.gallery.pair_answers import PairAnswer, linked, read_answers, table_of

PHOTOS = {"a.jpg": 0, "b.jpg": 1, "c.jpg": 2, "d.jpg": 3, "=e.jpg": 4}


def written(folder: Path, text: str) -> Path:
    file = folder / "pairs.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_answers_are_read_back_as_they_are_written(tmp_path: Path) -> None:
    rows = [("a.jpg", "=e.jpg", 0.25, 7, True), ("b.jpg", "c.jpg", None, None, False), ("c.jpg", "d.jpg", 0.5, 2, None)]
    text = table_of(rows)
    assert text.splitlines()[1:] == ["a.jpg,'=e.jpg,0.2500,7,yes", "b.jpg,c.jpg,,,no", "c.jpg,d.jpg,0.5000,2,"]
    first, second = read_answers(written(tmp_path, text))
    assert first == PairAnswer("a.jpg", "=e.jpg", True, 7, "pairs.csv, line 2")
    assert second == PairAnswer("b.jpg", "c.jpg", False, None, "pairs.csv, line 3")


def test_three_columns_and_any_spelling_of_yes_and_no_are_enough(tmp_path: Path) -> None:
    file = written(tmp_path, "same,other,photo\n YES ,b.jpg,a.jpg\n\nNo,c.jpg,a.jpg\n")
    assert [(each.photo, each.other, each.same) for each in read_answers(file)] == [
        ("a.jpg", "b.jpg", True),
        ("a.jpg", "c.jpg", False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo;other;same\na;b;yes\n", "has no column 'photo': expected photo,other,same"),
        ("photo,other,same\na.jpg,b.jpg,maybe\n", "line 2: same is 'maybe'; expected yes, no, or nothing"),
        ("photo,other,same\na.jpg,b.jpg,yess\n", r"line 2: same is 'yess' \(did you mean 'yes'\?\)"),
        ("photo,other,same\na.jpg,yes\n", "line 2: 2 cells, and the header has 3"),
        ("photo,other,same\n,b.jpg,yes\n", "line 2: a photo is missing"),
        ("photo,other,same,draw\na.jpg,b.jpg,yes,-3\n", "line 2: draw is '-3'"),
        ('photo,other,same\n"a.jpg,b.jpg,yes\n', "unexpected end of data; save it as CSV again"),
    ],
)
def test_wrong_tables_are_refused_with_their_lines(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_answers(written(tmp_path, text))


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    with pytest.raises(DataError, match="cannot be read"):
        read_answers(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_answers(file)


def answer(photo: str, other: str, same: bool, line: int) -> PairAnswer:
    return PairAnswer(photo, other, same, None, f"line {line}")


def test_answers_become_links_beside_those_of_the_catalogue() -> None:
    known = Links(5, must=((0, 1),), cannot=((0, 4),))
    links = linked(PHOTOS, known, [answer("b.jpg", "c.jpg", True, 2), answer("c.jpg", "d.jpg", False, 3)])
    assert links.same(0, 2) is True and links.same(0, 3) is False and links.same(2, 4) is False


def test_contradictions_are_refused_with_the_lines_that_cause_them() -> None:
    answers = [
        answer("a.jpg", "b.jpg", True, 2),
        answer("c.jpg", "d.jpg", False, 3),
        answer("b.jpg", "c.jpg", True, 4),
        answer("c.jpg", "a.jpg", False, 5),
    ]
    with pytest.raises(DataError) as caught:
        linked(PHOTOS, Links(5), answers)
    assert caught.value.message == "1 answers contradict others; nothing was written:"
    assert caught.value.details == ("line 5: c.jpg and a.jpg are different, and the same by line 2; line 4",)
    with pytest.raises(DataError, match=r"line 2: a.jpg and b.jpg are different, and the same by decisions in the cat"):
        linked(PHOTOS, Links(5, must=((0, 1),)), [answer("a.jpg", "b.jpg", False, 2)])
    with pytest.raises(
        DataError, match=r"decisions in the catalogue: a.jpg and b.jpg are different, and the same by l"
    ):
        linked(PHOTOS, Links(5, cannot=((0, 1),)), [answer("a.jpg", "b.jpg", True, 2)])


def test_photos_that_are_not_there_are_named() -> None:
    with pytest.raises(DataError) as caught:
        linked(PHOTOS, Links(5), [answer("a.jpg", "zzzz", True, 2), answer("c.jpg", "c.jpg", True, 3)])
    assert caught.value.details == (
        "line 2: there is no photo 'zzzz'",
        "line 3: both photos are c.jpg",
    )
