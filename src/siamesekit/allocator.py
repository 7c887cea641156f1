"""How the C library hands memory out and back, what says that there is none, and how much a component may ask for."""

from __future__ import annotations

import ctypes
import sys

from siamesekit.errors import ComponentError

MOST_NUMBERS = 1 << 28
"""A component holds no more: a GiB in float32, four with a gradient and the two moments of an optimizer."""
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""glibc's numbers for `mallopt`, from malloc.h."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for its next allocation; whether the C library can (glibc).

    A network's activations are blocks of many megabytes. By default glibc returns each to the system when it is freed
    and asks for the next anew, and the system clears every page of it: up to half of the time of a forward pass on a
    CPU. The process's memory stays at its peak. For a process of one's own: the command line, not a library's user.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def return_freed_memory() -> bool:
    """Give memory that is free but still held by this process back to the system; whether the C library can (glibc).

    Blocks of ever new sizes, as batches of ever new make-up need them, leave gaps that add up over a long run.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


def refuse_too_many_numbers(numbers: int, component: str, options: str) -> None:
    """Refuse a component that would hold more than `MOST_NUMBERS`, before it allocates them.

    Args:
        numbers: that it would hold.
        component: its kind and name.
        options: what to lower.

    Raises:
        ComponentError: they are more.
    """
    if numbers > MOST_NUMBERS:
        raise ComponentError(f"{component} would hold {numbers:,} numbers, and {MOST_NUMBERS:,} are the most: lower "
                             f"{options}")  # fmt: skip
