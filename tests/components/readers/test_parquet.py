"""Reader `parquet`: values of every type as text, and what is no such table."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import touched, written
from siamesekit.components.readers.parquet import read_parquet
from siamesekit.components.readers.parquet_tables import parquet_table
from siamesekit.data.records import Box
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS


def made(root: Path, **columns: object) -> Path:
    touched(root, "1.jpg", "2.jpg", "3.jpg")
    pq.write_table(pa.table(columns), root / "table.parquet")
    return root / "table.parquet"


PHOTOS = ["1.jpg", "2.jpg", "3.jpg"]


def test_values_of_every_type_are_text(tmp_path: Path) -> None:
    cells = {
        "text": [" 0012 ", None, ""],
        "whole": [12, None, -3],
        "floats": [12.0, None, 0.5],
        "gaps": [7.0, float("nan"), 1e20],
        "truth": [True, None, False],
        "day": pa.array([date(2021, 3, 4), None, None]),
        "nanoseconds": pa.array([1_614_852_930_000_000_001, None, None], pa.timestamp("ns")),
        "zoned": pa.array([datetime(2021, 3, 4, 10, 15, tzinfo=UTC), None, None], pa.timestamp("ns", "UTC")),
        "shared": pa.array(["a", None, "a"]).dictionary_encode(),
        "bytes": [b"left", None, b""],
        "several": [[1.0, 2.5], None, []],
    }
    rows = [row.cells for row in parquet_table(made(tmp_path, **cells)).rows]
    assert rows[0] == ["0012", "12", "12", "7", "True", "2021-03-04", "2021-03-04T10:15:30",
                       "2021-03-04T10:15:00+00:00", "a", "left", "1 2.5"]  # fmt: skip
    assert rows[1] == [""] * 11
    assert rows[2] == ["", "-3", "0.5", "100000000000000000000", "False", "", "", "", "a", "", ""]


def test_individuals_of_numbers_and_boxes_of_lists_and_structs(tmp_path: Path) -> None:
    boxes = [[10, 20, 30, 40], None, [1.5, 2, 3, 4]]
    structs = [{"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4}, None, None]
    days = pa.array([datetime(2021, 3, 4, 10), None, None])
    file = made(tmp_path, photo=PHOTOS, individual=[12.0, None, 7.0], box=boxes, share=structs, date=days)
    records = READERS.build("parquet", {"file": str(file), "box": "box", "margin": 0.5}, seed=0)
    assert [(record.name, record.individual, record.box) for record in records] == [
        ("1.jpg", "12", Box(-5, 0, 60, 80)), ("2.jpg", "", None), ("3.jpg", "7", Box(0, 0, 6, 8)),
    ]  # fmt: skip
    assert dict(records[0].attributes) == {"date": "2021-03-04T10:00:00", "share": "0.1 0.2 0.3 0.4"}
    relative = read_parquet(file, box="share", box_units="relative")
    assert relative[0].box == Box(0.1, 0.2, 0.3, 0.4, relative=True)


def test_rows_are_counted_in_messages_and_columns_may_have_other_names(tmp_path: Path) -> None:
    file = made(tmp_path, path=[*PHOTOS[:2], "4.jpg"], who=["a", "b", "c"], when=["2021-03-04", "May", ""])
    with pytest.raises(DataError) as caught:
        read_parquet(file, photo="path", individual="who", date="when")
    assert str(caught.value).splitlines()[0] == f"2 problems in {file}"
    assert str(caught.value).splitlines()[1].startswith("  row 2: date 'May' is none of the accepted forms")
    assert str(caught.value).splitlines()[2] == "  row 3: no such photo: 4.jpg"
    with pytest.raises(DataError, match=r"no column 'photo' \(option 'photo'\)"):
        read_parquet(file)


def test_what_is_no_parquet_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"x\.parquet is no Parquet table"):
        read_parquet(written(tmp_path, b"photo,individual\n", "x.parquet"))
    whole = made(tmp_path, photo=PHOTOS * 500, individual=PHOTOS * 500).read_bytes()
    damaged = whole[:40] + bytes(60) + whole[100:]
    with pytest.raises(DataError, match=r"y\.parquet (is no Parquet table|cannot be read after row)"):
        read_parquet(written(tmp_path, damaged, "y.parquet"))
    with pytest.raises(MissingDataError, match=r"there is no file .*: put a Parquet table there"):
        read_parquet(tmp_path / "absent.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'siamesekit\[parquet\]'"):
        read_parquet(tmp_path / "table.parquet")
