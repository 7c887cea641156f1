"""The most memory a process has held, for tests; a child process gets it as text before its own code.

It is Linux's VmHWM and not `ru_maxrss`, which a process inherits from the one that started it.
"""

import re
from pathlib import Path


def peak_memory() -> int:
    """Bytes of memory that this process has held at the most."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def forget_peak() -> None:
    """From here on, the peak is that of what follows."""
    Path("/proc/self/clear_refs").write_text("5")
