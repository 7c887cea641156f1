"""Cells of tables that no spreadsheet takes for formulas, and their texts again."""

from __future__ import annotations

import re

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""First characters of cells that a spreadsheet would not show literally."""
_DIVIDED = re.compile(r"([;\t])(?=[=+\-@\t\r\n'])")
"""A semicolon or tab at which some spreadsheets divide cells, before the first character of a formula."""
_DIVIDED_SAFELY = re.compile(r"([;\t])'(?=[=+\-@\t\r\n'])")
_ESCAPED = re.compile(r"\A'(?=[=+\-@\t\r\n'])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def spreadsheet_cell(text: str) -> str:
    """Escape a text so that no spreadsheet takes its cell for a formula.

    A text that begins with `=`, `+`, `-`, `@`, a tab, a line break or an apostrophe gets an apostrophe in front
    (OWASP, "CSV Injection"). So does what follows a semicolon or a tab and begins so: spreadsheets of many countries
    divide cells there. `text_of_cell` removes the apostrophes again.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("a;=1+1"), spreadsheet_cell("a;b")
    ("'=1+1", "a;'=1+1", 'a;b')
    """
    return ("'" if text.startswith(FORMULA_STARTS) else "") + _DIVIDED.sub(r"\1'", text)


def text_of_cell(cell: str) -> str:
    """Undo `spreadsheet_cell`: remove one apostrophe in front, and one after each semicolon or tab that needed it."""
    return _DIVIDED_SAFELY.sub(r"\1", cell.removeprefix("'"))


def shared_cell(text: str) -> str:
    """The cell of a table that other programs read: as `spreadsheet_cell`, and numbers stay as they are.

    >>> shared_cell("-34.5"), shared_cell("-A1"), shared_cell("0012")
    ('-34.5', "'-A1", '0012')
    """
    return text if _NUMBER.fullmatch(text) else spreadsheet_cell(text)


def text_of_shared_cell(cell: str) -> str:
    """Undo `shared_cell`, in a table that another program may have written as well.

    Only apostrophes in front of the first character of a formula are removed: no other has been added.

    >>> text_of_shared_cell("'=1+1"), text_of_shared_cell("'Aina"), text_of_shared_cell("''Aina")
    ('=1+1', "'Aina", "'Aina")
    """
    return _DIVIDED_SAFELY.sub(r"\1", _ESCAPED.sub("", cell))
