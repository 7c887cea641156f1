"""Settings of the C library's allocator, and the limit on the memory of a component."""

from __future__ import annotations

import ctypes
import sys

from siamesekit.errors import ComponentError

MOST_NUMBERS = 1 << 28
"""Maximum number of values that a component may hold: 1 GiB in float32, 4 GiB with gradient and optimizer moments."""
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""glibc's numbers for `mallopt`, from malloc.h."""


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next allocation; return whether the C library supports it (glibc).

    The activations of a network are blocks of many megabytes. By default glibc returns each freed block to the system
    and requests the next one anew, and the system clears all its pages: up to half of the time of a forward pass on a
    CPU. With this setting the memory of the process stays at its peak, so only the command line uses it, not the
    library.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def return_freed_memory() -> bool:
    """Return freed memory of this process to the system; return whether the C library supports it (glibc).

    Batches of varying composition need blocks of varying sizes, which leave gaps that add up over a long run.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


def refuse_too_many_numbers(numbers: int, component: str, options: str) -> None:
    """Refuse a component that would hold more than `MOST_NUMBERS` values, before it allocates them.

    Args:
        numbers: number of values that the component would hold.
        component: kind and name of the component.
        options: options to lower.

    Raises:
        ComponentError: `numbers` exceeds the limit.
    """
    if numbers > MOST_NUMBERS:
        raise ComponentError(
            f"{component} would hold {numbers:,} numbers, more than the limit of {MOST_NUMBERS:,}: lower {options}"
        )
