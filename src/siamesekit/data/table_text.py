"""Text of tables as programs for spreadsheets write it: its encoding, and what divides its cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from siamesekit.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(rb"(?:\xef\xbb\xbf)?\"?sep=([,;\t|])\"?\r?(?:\n|$)", re.IGNORECASE)
"""First line by which Excel names the delimiter."""
_LONGEST_HEADER = 1 << 16
"""Bytes after whose line the delimiter is no longer looked for."""
_SHOWN = 60
"""Maximum number of characters of a line that are shown."""


def as_utf8(content: bytes, file: Path) -> tuple[bytes, list[str]]:
    """The content of a table in UTF-8, and messages on how it was read.

    Content with a byte order mark of UTF-16 is UTF-16. Content that is not UTF-8 is Windows-1252, unless parts of it
    are letters in UTF-8: then two encodings are mixed, and one of them would be read wrongly.

    Args:
        content: the content.
        file: path of the file, for messages.

    Raises:
        DataError: the content is in no such encoding; the message names the line.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16").encode(), []
        except UnicodeDecodeError:
            raise DataError(f"{file} begins like UTF-16, and is not: save the table as UTF-8") from None
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        text = _windows_1252(content)
        if text is None:
            raise DataError(f"{file}, line {line}: not UTF-8; save the table as UTF-8") from None
        shown = text.splitlines()[line - 1].strip()[:_SHOWN]
        note = f"{file} is not UTF-8 and was read as Windows-1252: line {line} is {shown!r}; if wrong, save it as UTF-8"
        return text.encode(), [note]
    return content, []


def _windows_1252(content: bytes) -> str | None:
    """The text of content in Windows-1252; None if it is not, or has letters in UTF-8 as well."""
    if re.search("[^\x00-\x7f\ufffd]", content.decode(errors="replace")):
        return None
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return None


def lines_of_cells(content: bytes, delimiter: str = "auto") -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that are not empty, each with the number of its first line; the header comes first.

    A first line `sep=;`, as Excel writes it, is no row, but names the delimiter.

    Args:
        content: the content in UTF-8, with or without a byte order mark.
        delimiter: what divides cells; `auto`: what divides the header into most columns, a comma if nothing does.

    Raises:
        ValueError: quotes are unbalanced; its arguments are the line and the reason.
    """
    named = _SEPARATOR_LINE.match(content)
    if named is not None:
        delimiter = named[1].decode()
    rows = _rows(content, _divider(content) if delimiter == "auto" else delimiter)
    if named is not None:
        next(rows, None)
    return rows


def _divider(content: bytes) -> str:
    end = content.find(b"\n", _LONGEST_HEADER)
    start = content if end < 0 else content[: end + 1]
    counts = {}
    for delimiter in DELIMITERS:
        try:
            header = next(_rows(start, delimiter), None)
        except ValueError:  # a quote that another delimiter does not open
            header = None
        counts[delimiter] = 1 if header is None else len(header[1])
    return max(DELIMITERS, key=counts.__getitem__)


def _rows(content: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")  # a StringIO takes four times the memory
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield line, stripped
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(line, str(error)) from None
