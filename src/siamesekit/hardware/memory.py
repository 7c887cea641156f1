"""Memory: how much this process may use, and the error when it runs out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamesekit.errors import UserError, out_of_memory

UNKNOWN = 8 << 30
"""Assumed memory in bytes of a machine that does not report it."""


def machine_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: those of the machine, or the smaller limit of its container.

    Args:
        root: folder that contains `proc/self/cgroup` and `sys/fs/cgroup`.
    """
    physical = _physical()
    limits = [limit for limit in _limits(root) if limit > 0]
    return min([physical or UNKNOWN, *limits])


@contextmanager
def memory_for(what: str, advice: str) -> Iterator[None]:
    """Context that turns running out of memory into a `UserError`, for work whose size the config decides.

    Args:
        what: name of the work, for the message.
        advice: what to change.

    Raises:
        UserError: the work runs out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise UserError(f"{what} does not fit into memory: {advice} ({error})") from error


def _physical() -> int | None:
    """Memory of the machine in bytes; None if the system does not report it."""
    if sys.platform == "win32":
        return _physical_on_windows()
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    return found if found > 0 else None


def _physical_on_windows() -> int | None:
    """Memory by `GlobalMemoryStatusEx`: two 32-bit and seven 64-bit numbers; the first 64-bit number is the total."""
    import ctypes

    status = (ctypes.c_uint64 * 8)()
    status[0] = ctypes.sizeof(status)  # the low half is the structure's size
    windows = getattr(ctypes, "windll", None)
    if windows is None or not windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status[1])


def _limits(root: Path) -> list[int]:
    """Limits of the process's control groups (Linux, versions 2 and 1), from its own group up to the root group."""
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
        # in a container the group may have its name on the host, and not exist here
        for depth in range(len(parts) + 1):
            try:
                found.append(int(place.joinpath(*parts[:depth], file).read_text()))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return found
