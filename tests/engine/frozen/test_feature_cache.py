"""Feature maps on disk: whole and true, or computed again."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from siamesekit.engine.frozen import feature_cache as feature_store
from siamesekit.engine.frozen.feature_cache import HEADER, FeatureStore, Layout

LAYOUTS = [Layout((5, 3, 2, 4), torch.bfloat16), Layout((5, 7), torch.float32)]
VALUES = (torch.arange(120).view(5, 3, 2, 4).bfloat16(), torch.arange(35).view(5, 7).float())
GIB = 2**30


def fill(tensors: Sequence[Tensor]) -> None:
    for tensor, value in zip(tensors, VALUES, strict=True):
        tensor.copy_(value)


def never(tensors: Sequence[Tensor]) -> None:
    raise AssertionError("computed again")


def same(tensors: tuple[Tensor, ...] | None) -> bool:
    return tensors is not None and all(torch.equal(a, b) for a, b in zip(tensors, VALUES, strict=True))


def test_what_was_made_is_loaded_as_it_was_channels_last(tmp_path: Path) -> None:
    made = FeatureStore(tmp_path, GIB).make("k", LAYOUTS, fill)
    loaded = FeatureStore(tmp_path, GIB).load("k")
    assert same(made) and same(loaded)
    assert loaded is not None and loaded[0].is_contiguous(memory_format=torch.channels_last)
    assert sorted(file.name for file in (tmp_path / "k").iterdir()) == ["0.bin", "1.bin", HEADER]
    assert [place.name for place in tmp_path.iterdir()] == ["k"]


def test_another_key_is_not_there(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, GIB)
    store.make("k", LAYOUTS, fill)
    assert store.load("l") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / HEADER).unlink(),
        lambda place: (place / HEADER).write_text("{"),
        lambda place: (place / HEADER).write_text("[]"),
        lambda place: (place / HEADER).write_text(json.dumps({"format": 1, "tensors": [{"shape": [5], "dtype": "x"}]})),
        lambda place: (place / "0.bin").unlink(),
        lambda place: (place / "0.bin").write_bytes((place / "0.bin").read_bytes()[:-1]),
        lambda place: (place / "1.bin").write_bytes(bytes([*(place / "1.bin").read_bytes()[:-1], 7])),
        lambda place: (place / HEADER).write_text((place / HEADER).read_text().replace('"format": 1', '"format": 2')),
    ],
    ids=["no header", "half a header", "a list", "unknown type", "missing", "short", "a changed byte", "format"],
)
def test_a_damaged_set_is_not_loaded_and_is_replaced(tmp_path: Path, damage) -> None:
    store = FeatureStore(tmp_path, GIB)
    store.make("k", LAYOUTS, fill)
    damage(tmp_path / "k")
    assert store.load("k") is None
    assert same(store.make("k", LAYOUTS, fill))
    assert same(store.load("k"))


HOSTILE = (-1, 0, 2**62, 2**63, 10**400, 5.0, 1e308, True, None, "5", [5], {}, "\x1b[2J")


@pytest.mark.medium
@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize(
    "place", ["side", "first side", "shape", "dtype", "sha256", "tensor", "tensors", "format", "header"]
)
def test_whatever_a_header_says_a_set_is_whole_or_computed_again(tmp_path: Path, place: str, value: object) -> None:
    store = FeatureStore(tmp_path, GIB)
    store.make("k", LAYOUTS, fill)
    file = tmp_path / "k" / HEADER
    header = json.loads(file.read_text())
    first = header["tensors"][0]
    match place:
        case "side":
            first["shape"][3] = value
        case "first side":
            first["shape"][0] = value
        case "shape" | "dtype" | "sha256":
            first[place] = value
        case "tensor":
            header["tensors"][1] = value
        case "header":
            header = value
        case _:
            header[place] = value
    file.write_text(json.dumps(header, default=str) if value != 10**400 else "9" * 5000)
    found = store.load("k", LAYOUTS)
    assert found is None or same(found)
    assert same(store.make("k", LAYOUTS, fill))
    assert same(store.load("k", LAYOUTS))


@pytest.mark.parametrize(
    "layouts",
    [
        [Layout((5, 24), torch.bfloat16), LAYOUTS[1]],
        [Layout((5, 2, 3, 4), torch.bfloat16), LAYOUTS[1]],
        [Layout((5, 3, 2, 4), torch.float16), LAYOUTS[1]],
        [LAYOUTS[0], Layout((35,), torch.float32)],
    ],
)
def test_a_header_whose_sizes_fit_but_whose_shapes_are_others_is_not_believed(
    tmp_path: Path, layouts: list[Layout]
) -> None:
    store = FeatureStore(tmp_path, GIB)
    store.make("k", LAYOUTS, fill)
    file = tmp_path / "k" / HEADER
    header = json.loads(file.read_text())
    for described, layout in zip(header["tensors"], layouts, strict=True):
        described |= {"shape": list(layout.shape), "dtype": str(layout.dtype).removeprefix("torch.")}
    file.write_text(json.dumps(header))
    assert store.load("k", LAYOUTS) is None
    header["tensors"].pop()
    file.write_text(json.dumps(header))
    assert store.load("k", LAYOUTS) is None


def test_a_failing_computation_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="computed again"):
        FeatureStore(tmp_path, GIB).make("k", LAYOUTS, never)
    assert list(tmp_path.iterdir()) == []


def test_the_least_recently_used_sets_make_room(tmp_path: Path) -> None:
    FeatureStore(tmp_path, GIB).make("a", LAYOUTS, fill)
    size = sum(file.stat().st_size for file in (tmp_path / "a").iterdir())
    store = FeatureStore(tmp_path, int(2.2 * size))  # room for two sets and not for three
    for number, key in enumerate("ab"):
        store.make(key, LAYOUTS, fill)
        os.utime(tmp_path / key, (number, number))
    assert store.load("a") is not None  # used just now
    store.make("d", LAYOUTS, fill)
    kept = {place.name for place in tmp_path.iterdir()}
    assert "a" in kept and "d" in kept and "b" not in kept


def test_beyond_the_limit_or_without_a_folder_values_are_in_memory(tmp_path: Path) -> None:
    assert same(FeatureStore(tmp_path / "small", 10).make("k", LAYOUTS, fill))
    assert not (tmp_path / "small").exists()
    (tmp_path / "file").write_text("in the way")
    assert same(FeatureStore(tmp_path / "file", GIB).make("k", LAYOUTS, fill))
    assert (tmp_path / "file").read_text() == "in the way"


DIE = """
import os, sys
from pathlib import Path
import torch
from siamesekit.engine.frozen.feature_cache import FeatureStore, Layout
FeatureStore(Path(sys.argv[1]), 2**30).make("k", [Layout((1 << 20,), torch.float32)], lambda tensors: os._exit(9))
"""


@pytest.mark.slow
def test_what_a_process_that_died_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DIE, str(tmp_path)], check=False)
    assert done.returncode == 9
    (tmp_path / ".making-older").mkdir()  # as versions before this one left it, without a lock
    left = [place.name for place in tmp_path.iterdir() if place.is_dir()]
    assert len(left) == 2 and all(name.startswith(".making-") for name in left)
    assert same(FeatureStore(tmp_path, GIB).make("k", LAYOUTS, fill))
    assert [place.name for place in tmp_path.iterdir()] == ["k"]


def test_what_a_living_process_makes_stays_and_counts(tmp_path: Path) -> None:
    FeatureStore(tmp_path, GIB).make("old", LAYOUTS, fill)
    size = sum(file.stat().st_size for file in (tmp_path / "old").iterdir())
    seen: list[set[str]] = []

    def meanwhile(tensors: Sequence[Tensor]) -> None:
        wanted = sum(layout.bytes for layout in LAYOUTS)
        store = FeatureStore(tmp_path, size + wanted * 3 // 2)  # room for the old one and this one, but for the making
        assert same(store.make("other", LAYOUTS, fill))
        seen.append({place.name.partition("-")[0] for place in tmp_path.iterdir() if place.is_dir()})
        fill(tensors)

    assert same(FeatureStore(tmp_path, GIB).make("mine", LAYOUTS, meanwhile))
    assert seen == [{".making", "other"}]
    assert {place.name for place in tmp_path.iterdir()} == {"mine", "other"}
    assert same(FeatureStore(tmp_path, GIB).load("mine"))


def test_where_a_lock_cannot_be_had_values_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: Path) -> int:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(feature_store, "held", refused)
    assert same(FeatureStore(tmp_path, GIB).make("k", LAYOUTS, fill))
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_set_s_stays(tmp_path: Path) -> None:
    """In the place of a set, in a set's folder, and in folders called as those in which sets are made."""
    FeatureStore(tmp_path, GIB).make("k", LAYOUTS, fill)
    mine = ["k/notes.txt", "k/00.bin", "k/0.bin.old", ".making-0123456789abcdef/thesis.tex", ".making-mine/x.bin",
            "photos/0.jpg", "other/header.json.txt"]  # fmt: skip
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "k" / HEADER).write_text("{")  # damaged: another takes its place, if it can
    assert same(FeatureStore(tmp_path, GIB).make("k", LAYOUTS, fill))
    FeatureStore(tmp_path, sum(layout.bytes for layout in LAYOUTS)).make("l", LAYOUTS, fill)  # there is no room
    assert all((tmp_path / name).read_text() == "mine" for name in mine)


def test_a_file_in_the_place_of_a_set_stays(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("mine")
    assert same(FeatureStore(tmp_path, GIB).make("k", LAYOUTS, fill))
    assert (tmp_path / "k").read_text() == "mine"
