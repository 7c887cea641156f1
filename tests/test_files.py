"""Files: there whole or not at all."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from siamesekit.files import fingerprint, write_atomic, write_json

NEW = "zwei\n\u2028ü\r\n"


@pytest.mark.parametrize(
    "write", [NEW, NEW.encode(), lambda path: path.write_bytes(NEW.encode())], ids=["text", "bytes", "function"]
)
def test_a_file_is_replaced_by_exactly_what_is_given(tmp_path: Path, write: object) -> None:
    file = tmp_path / "f.txt"
    file.write_text("one")
    write_atomic(file, write)
    assert file.read_bytes() == b"zwei\n\xe2\x80\xa8\xc3\xbc\r\n"
    assert list(tmp_path.iterdir()) == [file]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    seen = []

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        seen.append((temporary.parent, file.read_text()))

    write_atomic(file, write)
    assert seen == [(tmp_path, "old")]
    assert file.read_text() == "new"


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_atomic(file, write)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("flush"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (steps.append("rename"), replace(self, to))[1])
    write_atomic(tmp_path / "f", b"x")
    assert steps == ["flush", "rename", "flush"]


def test_json_is_read_back_and_readable(tmp_path: Path) -> None:
    value = {"naïve": [1, 2.5, None, True], "inner": {"x": "→"}}
    write_json(tmp_path / "f.json", value)
    text = (tmp_path / "f.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert '  "naïve": [\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    file = tmp_path / "f.json"
    write_json(file, 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(file, {"a": 1, "b": value})
    assert file.read_text() == "1\n"


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 21) + 17])
def test_fingerprint_is_the_sha256_of_the_content(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "f").write_bytes(content)
    assert fingerprint(tmp_path / "f") == hashlib.sha256(content).hexdigest()
