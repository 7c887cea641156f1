"""Memory: how much this process may take, and what an error says where there is none left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

UNKNOWN = 8 << 30
"""Bytes that a machine is taken to have which does not tell."""


def machine_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may take: the machine's, or less where it is in a container that has a limit.

    Args:
        root: below it `proc/self/cgroup` and `sys/fs/cgroup` are looked for.
    """
    physical = _physical()
    limits = [limit for limit in _limits(root) if limit > 0]
    return min([physical or UNKNOWN, *limits])


def _physical() -> int | None:
    """The machine's memory, as its system tells; None where it does not."""
    if sys.platform == "win32":
        return _physical_on_windows()
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    return found if found > 0 else None


def _physical_on_windows() -> int | None:
    """`GlobalMemoryStatusEx`: two 32-bit and seven 64-bit numbers, of which the total is the first."""
    import ctypes

    status = (ctypes.c_uint64 * 8)()
    status[0] = ctypes.sizeof(status)  # the low half is the structure's size
    windows = getattr(ctypes, "windll", None)
    if windows is None or not windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status[1])


def _limits(root: Path) -> list[int]:
    """The limits of the process's control groups (Linux), version 2 and 1, from its own group up to the root's."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2) if line.count(":") > 1 else ("", "?", "")
        if controllers == "":
            place, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            place, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        # in a container the group may be named as the host sees it, and not be there
        for depth in range(len(parts) + 1):
            try:
                found.append(int(place.joinpath(*parts[:depth], file).read_text()))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return found
