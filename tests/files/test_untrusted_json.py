"""JSON of unknown origin: what is JSON comes back as Python's own reader gives it, and the rest is refused quickly."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.errors import ArtifactError
from siamesekit.files.untrusted import MAX_JSON_DEPTH
from siamesekit.files.untrusted import MAX_TEXT_BYTES as MOST
from siamesekit.files.untrusted_json import parse_json, read_json, read_json_lines

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@pytest.mark.slow
@given(PLAIN, st.booleans())
def test_what_is_json_comes_back(value: Any, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode(), "f") == value


@given(st.binary() | st.text(st.sampled_from('[]{}",:\\ \\ntrue1e.-')).map(str.encode))
def test_any_bytes_give_a_value_or_an_artifact_error(data: bytes) -> None:
    try:
        value = parse_json(data, "f")
    except ArtifactError:
        return
    assert value == json.loads(data)


def nested(depth: int, opened: str = "[", closed: str = "]") -> bytes:
    return (opened * depth + "1" + closed * depth).encode()


def depth_by_counting(data: bytes) -> int:
    """The levels of brackets outside strings, letter by letter."""
    depth = deepest = 0
    in_string = escaped = False
    for letter in data.decode():
        if in_string:
            in_string, escaped = escaped or letter != '"', letter == "\\" and not escaped
        elif letter == '"':
            in_string = True
        elif letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


@pytest.mark.parametrize("depth", [1, MAX_JSON_DEPTH - 1, MAX_JSON_DEPTH, MAX_JSON_DEPTH + 1, 200, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}"), ('[["[",{"a":', "}]]")])
def test_depth_is_counted_before_parsing(depth: int, opened: str, closed: str) -> None:
    data = nested(depth, opened, closed)
    if depth_by_counting(data) <= MAX_JSON_DEPTH:
        assert parse_json(data, "f") == json.loads(data)
    else:
        with pytest.raises(ArtifactError, match=f"f is damaged: it is nested more than {MAX_JSON_DEPTH} deep"):
            parse_json(data, "f")


def test_brackets_inside_strings_do_not_count() -> None:
    for text in ("[" * 1000, '"[' * 100, "\\" * 101 + "[" * 99, '\\"{' * 100):
        assert parse_json(json.dumps([text, {text: text}]).encode(), "f") == [text, {text: text}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "f is damaged: Expecting value"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' appears twice in one table"),
        (b'[{"x": {"k": 1, "k": 1}}]', "the key 'k' appears twice in one table"),
        (b"[NaN]", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e999]", "1e999 is too large a number"),
        (b"[" + b"9" * 21 + b"]", "is too large a number"),
        (b"[-" + b"9" * 5000 + b"]", "is too large a number"),
        (b"[[[[", "brackets do not match"),
        (b"[}", "f is damaged: Expecting value"),
        (b'["\\ud800"]', "it is not UTF-8 text"),
        (b"\xff", "it is not UTF-8 text"),
        ("[1]".encode("utf-16"), "f is damaged"),
        (b"[1] x", "Extra data"),
    ],
)
def test_what_is_no_json_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        parse_json(data, "f")


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"[" * MOST, b'"' * (MOST + 1), b'"' + b'\\"' * (MOST // 2), b"\\" * MOST,
        b"[" + b"9" * MOST, b"[]" * (MOST // 2), b"{" * 40 + b'"a' * (MOST // 2 - 40), b" " * MOST,
    ],
    ids=["open", "quotes", "escaped quotes", "backslashes", "digits", "pairs", "open strings", "spaces"],
)  # fmt: skip
def test_the_largest_hostile_text_is_refused_in_seconds(data: bytes) -> None:
    """Time grows with the length and not with its square: that would be days."""
    began = time.process_time()
    with pytest.raises(ArtifactError):
        parse_json(data, "f")
    assert time.process_time() - began < 10


def test_a_large_file_is_refused_and_not_read(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    file.write_bytes(b'"' + b"x" * 98 + b'"')
    assert read_json(file, most=100) == "x" * 98
    with pytest.raises(ArtifactError, match=r"f\.json has more than 99 bytes"):
        read_json(file, most=99)
    os.truncate(file, 100 << 30)
    with pytest.raises(ArtifactError, match=f"has more than {MOST:,} bytes"):
        read_json(file)


def test_links_pipes_and_nothing_are_named(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "away").symlink_to("/etc/passwd")
    os.mkfifo(inside / "pipe")
    for name, says in (("away", "a link that leads out of"), ("pipe", "not a plain file"), ("none", "No such file")):
        with pytest.raises(ArtifactError, match=f"{name} cannot be read: {says}"):
            read_json(inside / name, inside)


def test_lines_are_tables(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(b'{"a": 1}\r\n\n{"b": "\xe2\x80\xa8\\n"}\n')
    assert read_json_lines(file) == [{"a": 1}, {"b": "\u2028\n"}]
    file.write_bytes(b'{"a": 1}\n{"a": ')
    with pytest.raises(ArtifactError, match=r"f\.jsonl, line 2 is damaged: its brackets do not match"):
        read_json_lines(file)
    file.write_bytes(b'{"a": 1}\n[2]\n')
    with pytest.raises(ArtifactError, match="its value 2 is not a table"):
        read_json_lines(file)
