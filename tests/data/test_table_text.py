"""Encodings and delimiters of tables, as spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.data.table_text import as_utf8, lines_of_cells
from siamesekit.errors import DataError

TEXT = "photo;individual\r\n1.jpg;Zoë\r\n"
FILE = Path("t.csv")


def cells(content: bytes) -> list[list[str]]:
    return [row for _, row in lines_of_cells(as_utf8(content, FILE)[0])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_spreadsheets_give_the_same_cells(encoding: str) -> None:
    assert cells(TEXT.encode(encoding)) == [["photo", "individual"], ["1.jpg", "Zoë"]]


def test_big_endian_utf_16_is_read_too() -> None:
    assert cells(b"\xfe\xff" + TEXT.encode("utf-16-be"))[1] == ["1.jpg", "Zoë"]


def test_only_windows_1252_is_told_because_it_is_a_guess() -> None:
    for encoding in ("utf-8", "utf-16"):
        assert as_utf8(TEXT.encode(encoding), FILE)[1] == []
    (note,) = as_utf8(TEXT.encode("cp1252"), FILE)[1]
    assert note == "t.csv is not UTF-8 and was read as Windows-1252: line 2 is '1.jpg;Zoë'; if wrong, save it as UTF-8"


@pytest.mark.parametrize(
    "content", [b"a\nZo\xeb \xc3\xab\n", b"a\n\x81\n", b"\xff\xfea"], ids=["mixed", "none", "half"]
)
def test_other_encodings_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="UTF-8"):
        as_utf8(content, FILE)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\n", ["a", "b"]),
        ("a;b,c;d\n", ["a", "b,c", "d"]),
        ("a\tb\n", ["a", "b"]),
        ("a|b|c\n", ["a", "b", "c"]),
        ('"a;b;c",d\n', ["a;b;c", "d"]),
        ("a\n", ["a"]),
        ("sep=;\na;b\n", ["a", "b"]),
        ('"sep=,"\r\na,b\r\n', ["a", "b"]),
        ("\ufeffsep=;\na;b\n", ["a", "b"]),
    ],
)
def test_the_delimiter_is_found(text: str, header: list[str]) -> None:
    assert cells(text.encode())[0] == header


def test_lines_are_counted_with_the_line_that_names_the_delimiter() -> None:
    assert list(lines_of_cells(b"sep=;\na;b\n\nc;d\n")) == [(2, ["a", "b"]), (4, ["c", "d"])]
