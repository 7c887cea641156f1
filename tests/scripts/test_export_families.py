"""The table of the families: one row for each export, also for those that were refused, took too long or died."""

import csv
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import export_families
from export_families import Tried, exports, smallest_of_families, tried
from siamesekit.errors import RunError

TINY = "timm/test_vit"


def test_each_family_is_tried_once_by_its_smallest_member() -> None:
    smallest: dict[tuple[str, str], int] = {}
    parameters: dict[str, tuple[tuple[str, str], int]] = {}
    lines = export_families.FIGURES.read_text(encoding="utf-8").splitlines()
    for line in lines[2:]:
        name, family, count, *_ = line.split(",")
        key = name.split("/")[0], family
        smallest[key] = min(smallest.get(key, int(count)), int(count))
        parameters[name] = key, int(count)
    found = [parameters[name] for name in smallest_of_families()]
    assert dict(found) == smallest
    assert len(found) == len(smallest) > 100


@pytest.mark.slow
def test_an_encoder_is_exported_in_float32_and_in_int8() -> None:
    float32, int8 = exports(TINY, "onnx")
    assert [(each.name, each.format, each.size, each.outcome, each.why) for each in (float32, int8)] == [
        (TINY, "onnx", 32, "exported", ""), (TINY, "int8", 32, "exported", "")
    ]  # fmt: skip
    assert float32.apart is not None and float32.apart < 1e-5 and float32.photos_apart is None
    assert int8.apart is not None and int8.photos_apart is not None
    assert float32.apart < int8.apart < 0.1  # 8 bits are coarser than 24, and still the same network
    assert 1e-6 < int8.photos_apart < 1  # the network tells the drawn photos apart


@pytest.mark.slow
def test_the_table_has_the_rows_of_an_export_with_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "found.csv"
    monkeypatch.setattr(sys, "argv", ["export_families.py", "torch-export", str(file), TINY])
    export_families.main()
    (row,) = csv.DictReader(file.open(encoding="utf-8"))
    assert (row["name"], row["format"], row["outcome"], row["why"]) == (TINY, "torch-export", "exported", "")
    assert float(row["apart"]) < 1e-5


def replaced(monkeypatch: pytest.MonkeyPatch, exporter: object) -> None:
    monkeypatch.setattr(export_families, "exports", exporter)


@pytest.mark.slow
def test_an_encoder_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(name: str, format: str) -> Iterator[Tried]:
        while True:
            yield from ()

    replaced(monkeypatch, forever)
    (row,) = tried([TINY], "torch-export", 1)
    assert row == Tried(TINY, "torch-export", 0, 0, "failed", why="took more than 1 seconds of processor time")


def test_an_encoder_that_hangs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def waiting(name: str, format: str) -> Iterator[Tried]:
        time.sleep(3600)  # needs no processor time
        yield from ()

    replaced(monkeypatch, waiting)
    monkeypatch.setattr(export_families, "HANGING", 0)
    (row,) = tried([TINY], "onnx", 600)
    assert (row.format, row.outcome, row.why) == ("onnx", "failed", "no result in 0 seconds")


def test_an_encoder_that_dies_in_int8_fails_there_and_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(name: str, format: str) -> Iterator[Tried]:
        yield Tried(name, format, 32, 0.0, "exported", 1e-7)
        if name == "first":
            os.kill(os.getpid(), signal.SIGKILL)
        yield Tried(name, "int8", 32, 0.0, "exported", 1e-3, 0.5)

    replaced(monkeypatch, dying)
    rows = [(row.name, row.format, row.outcome, row.why) for row in tried(["first", "second"], "onnx", 600)]
    assert rows == [
        ("first", "onnx", "exported", ""),
        ("first", "int8", "failed", "the process died with -9"),
        ("second", "onnx", "exported", ""),
        ("second", "int8", "exported", ""),
    ]


@pytest.mark.parametrize(
    ("error", "outcome", "why"),
    [
        (RunError("cannot be exported"), "refused", "cannot be exported"),
        (ValueError("no such\noperator"), "failed", "ValueError: no such operator"),
    ],
)
def test_an_error_is_a_row_and_nothing_is_tried_in_int8(
    error: Exception, outcome: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object) -> object:
        raise error

    monkeypatch.setattr(export_families, "random_model", lambda _: SimpleNamespace(size=32))
    monkeypatch.setitem(export_families.EXPORTERS, "onnx", refusing)
    (row,) = exports(TINY, "onnx")
    assert (row.format, row.outcome, row.why) == ("onnx", outcome, why)


def test_an_error_in_int8_leaves_the_row_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(_: object, file: Path) -> SimpleNamespace:
        file.write_bytes(b"network")
        return SimpleNamespace(file=file, largest_difference=1e-7)

    def refusing(content: bytes, _: object) -> bytes:
        raise RunError(f"cannot be quantized: {content.decode()}")

    monkeypatch.setattr(export_families, "random_model", lambda _: SimpleNamespace(size=32))
    monkeypatch.setitem(export_families.EXPORTERS, "onnx", written)
    monkeypatch.setattr(export_families, "int8_graph", refusing)
    rows = [(row.format, row.outcome, row.apart, row.why) for row in exports(TINY, "onnx")]
    assert rows == [("onnx", "exported", 1e-7, ""), ("int8", "refused", None, "cannot be quantized: network")]
