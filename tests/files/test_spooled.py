"""A long sequence lies on the disk, and is read as it was."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from siamesekit.errors import OutputError
from siamesekit.files import spooled
from siamesekit.files.spooled import Spooled


def filled(count: int) -> Spooled[tuple[int, str]]:
    items: Spooled[tuple[int, str]] = Spooled()
    for number in range(count):
        items.append((number, "é" * number))
    return items


@pytest.mark.parametrize("in_memory", [1 << 24, 500])
def test_it_is_read_as_any_sequence(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(spooled, "IN_MEMORY", in_memory)
    items, wanted = filled(50), [(number, "é" * number) for number in range(50)]
    assert (items._file._rolled) is (in_memory == 500)  # type: ignore[attr-defined]
    assert len(items) == 50 and bool(items) and list(items) == wanted
    assert (items[0], items[-1], items[7]) == (wanted[0], wanted[-1], wanted[7])
    assert list(items[40:3:-9]) == wanted[40:3:-9] and list(items[60:]) == []
    items.append((50, ""))  # after it was read
    assert items[50] == (50, "") and items[49] == wanted[49]
    assert wanted[3] in items and items.index(wanted[3]) == 3
    for beyond in (51, -52):
        with pytest.raises(IndexError):
            items[beyond]


def test_an_empty_one_is_false() -> None:
    assert not Spooled() and list(Spooled()) == []


def test_two_may_read_it_by_turns_and_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled, "IN_MEMORY", 500)
    items = filled(200)
    assert all(a == b for a, b in zip(items, items, strict=True))
    order = np.random.default_rng(0).integers(0, 200, 4000).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert [found[0] for found in pool.map(items.__getitem__, order)] == order


def test_a_full_disk_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    items = filled(3)

    def full(_: bytes) -> Any:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(items._file, "write", full)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device; free some space, .*TMPDIR"):
        items.append((3, ""))
    assert len(items) == 3 and items[2] == (2, "éé")
