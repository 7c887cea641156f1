"""What a command may replace: its own output of that kind, known by its content."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siamesekit.artifact.embedding_files import SUFFIXES, check_output, write_embeddings
from siamesekit.config.schema import schema_text
from siamesekit.errors import OutputError
from siamesekit.files.replaceable import is_schema, refuse_what_is_not_ours


def npz(path: Path, **arrays: object) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def parquet(file: Path, **columns: object) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), file)


MINE: dict[str, list[Callable[[Path], object]]] = {
    ".csv": [
        lambda path: path.write_text("photo,individual\na.jpg,x\n"),
        lambda path: path.write_text("path,name\na.jpg,x\n"),
        lambda path: path.write_text("e0,path\n1,x\n"),
        lambda path: path.write_text("notes on path,e0\n"),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.write_bytes(b"x" * (1 << 21)),
    ],
    ".npz": [
        lambda path: npz(path, embedding=np.ones(3)),
        lambda path: npz(path, x=np.ones(3)),
        lambda path: path.write_bytes(b"PK\x03\x04 not a zip"),
        lambda path: path.write_text("mine"),
    ],
    ".parquet": [
        lambda path: parquet(path, path=["a"]),
        lambda path: parquet(path, x=[1]),
        lambda path: path.write_text("mine"),
    ],
}


@pytest.mark.parametrize(("suffix", "make"), [(suffix, make) for suffix, makes in MINE.items() for make in makes])
def test_a_table_of_the_user_s_is_not_replaced_by_embeddings(
    tmp_path: Path, suffix: str, make: Callable[[Path], object]
) -> None:
    file = tmp_path / f"photos{suffix}"
    make(file)
    before = file.read_bytes()
    with pytest.raises(OutputError, match="holds something other than embeddings: it is not replaced"):
        check_output(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_earlier_embeddings_and_an_empty_file_are_replaced(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"e{suffix}"
    file.touch()
    check_output(file)
    write_embeddings(file, [Path("a, b.jpg"), Path("b.jpg")], np.ones((2, 3), dtype=np.float32))
    check_output(file)


def test_links_pipes_and_folders_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("path,e0\n")
    (tmp_path / "link.csv").symlink_to("e.csv")
    (tmp_path / "nowhere.csv").symlink_to("none.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, says in [
        ("link", "is a link"),
        ("nowhere", "is a link"),
        ("pipe", "device or pipe"),
        ("folder", "folder"),
    ]:
        with pytest.raises(OutputError, match=says):
            check_output(tmp_path / f"{name}.csv")
    with pytest.raises(OutputError, match="device or pipe"):
        refuse_what_is_not_ours(Path("/dev/null"), "a config's schema", is_schema)


@pytest.mark.parametrize("text", ["name = 'x'\n", "{}", "[]", "{", '{"title": "siamesekit config"}', '{"$schema": 1}'])
def test_a_config_is_not_replaced_by_a_schema(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(OutputError, match="holds something other than a config's schema"):
        refuse_what_is_not_ours(file, "a config's schema", is_schema)


def test_an_earlier_schema_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "config.schema.json"
    refuse_what_is_not_ours(file, "a config's schema", is_schema)
    file.write_text(schema_text())
    refuse_what_is_not_ours(file, "a config's schema", is_schema)
    file.write_text(json.dumps({**json.loads(schema_text()), "title": "another"}))
    with pytest.raises(OutputError):
        refuse_what_is_not_ours(file, "a config's schema", is_schema)
