"""Memory: what a fake machine's files say of its containers, and which errors are want of it."""

import os
from pathlib import Path

import pytest
import torch

from siamesekit.errors import out_of_memory
from siamesekit.hardware import memory
from siamesekit.hardware.memory import UNKNOWN, machine_memory

PHYSICAL = 4096 * 1000
HUGE = 9223372036854771712
"""What version 1 says where there is no limit."""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__, raising=False)


def limited(root: Path, groups: str, **limits: object) -> int:
    """`limits` are files below /sys/fs/cgroup, `__` standing for a slash and `_dot_` for a dot."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, limit in limits.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return machine_memory(root)


def test_without_control_groups_it_is_the_machine_s(tmp_path: Path) -> None:
    assert machine_memory(tmp_path) == PHYSICAL


def test_version_2_in_a_container_stands_at_the_root(tmp_path: Path) -> None:
    assert limited(tmp_path, "0::/\n", memory_dot_max=123_000) == 123_000


def test_version_2_takes_the_least_of_all_groups_above(tmp_path: Path) -> None:
    found = limited(tmp_path, "0::/a/b\n", a__b__memory_dot_max="max", a__memory_dot_max=77_000, memory_dot_max=99_000)
    assert found == 77_000


def test_version_1_may_name_a_group_that_is_not_there(tmp_path: Path) -> None:
    groups = "12:cpu,cpuacct:/docker/f00\n4:memory:/docker/f00\n1:name=systemd:/\n"
    assert limited(tmp_path, groups, memory__memory_dot_limit_in_bytes=55_000) == 55_000


@pytest.mark.parametrize(("groups", "limit"), [("0::/\n", "max"), ("4:memory:/\n", HUGE), ("0::/\n", "?"), ("x", 1)])
def test_no_limit_is_none(tmp_path: Path, groups: str, limit: object) -> None:
    assert limited(tmp_path, groups, memory_dot_max=limit, memory__memory_dot_limit_in_bytes=limit) == PHYSICAL


@pytest.mark.parametrize("error", [AttributeError, ValueError, OSError])
def test_a_system_that_does_not_tell_has_a_usual_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[Exception]
) -> None:
    def unknown(name: str) -> int:
        raise error(name)

    monkeypatch.setattr(memory.os, "sysconf", unknown)
    assert machine_memory(tmp_path) == UNKNOWN
    assert limited(tmp_path, "0::/\n", memory_dot_max=123_000) == 123_000
    monkeypatch.delattr(os, "sysconf")  # as on Windows
    assert machine_memory(tmp_path / "elsewhere") == UNKNOWN


@pytest.mark.parametrize(
    ("error", "wants"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes. Buy new RAM!"), True),
        (RuntimeError("Storage size calculation overflowed with sizes=[4611686018427387904, 3, 3, 3]"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
    ids=str,
)
def test_what_an_error_says_of_memory(error: Exception, wants: bool) -> None:
    assert out_of_memory(error) == wants
