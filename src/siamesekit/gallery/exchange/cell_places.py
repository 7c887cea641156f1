"""Places of the cells of a CSV file, so that single cells can be replaced and every other byte stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Place = tuple[int, int]
"""Where the text of a cell begins and ends, with its quotes."""


def rows_of_places(text: str, delimiter: str = ",") -> Iterator[list[Place]]:
    """The places of the cells of each row; an empty line is a row of one empty cell.

    A quote opens a cell only at its beginning, after spaces at most, and two quotes in a quoted cell are one.

    Args:
        text: the whole table, with the ends of lines as they are.
        delimiter: what divides cells.

    >>> list(rows_of_places('a,"b,c"\\n1,2'))
    [[(0, 1), (2, 7)], [(8, 9), (10, 11)]]
    """
    row: list[Place] = []
    start = place = 0
    while place <= len(text):
        if text[place : place + 1] == '"' and not text[start:place].strip(" "):
            place = _after_quotes(text, place)
        if place < len(text) and text[place] not in (delimiter, "\r", "\n"):
            place += 1
            continue
        row.append((start, place))
        if place < len(text) and text[place] == delimiter:
            place += 1
        else:
            if row != [(place, place)] or place < len(text):
                yield row
            row = []
            place += 2 if text[place : place + 2] == "\r\n" else 1
        start = place


def _after_quotes(text: str, place: int) -> int:
    """The place after a quoted text that begins here."""
    place += 1
    while place < len(text):
        if text[place] == '"':
            if text[place + 1 : place + 2] != '"':
                return place + 1
            place += 1
        place += 1
    return place


def replaced(text: str, cells: Mapping[Place, str]) -> str:
    """A table with new texts for some cells, quoted where they must be.

    >>> replaced("a,b\\n1,\\n", {(6, 6): "x, y"})
    'a,b\\n1,"x, y"\\n'
    """
    parts, end = [], 0
    for (start, stop), cell in sorted(cells.items()):
        quoted = '"' + cell.replace('"', '""') + '"' if set(cell) & set(',;\t|"\r\n') else cell
        parts += [text[end:start], quoted]
        end = stop
    return "".join([*parts, text[end:]])
