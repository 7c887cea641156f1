"""Memory that is freed stays with the process."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from siamesekit.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):  # 64 MiB each, and freed; the first ones make the process as large as it will be
    torch.ones(2**24)
before = faults()
for _ in range(20):
    torch.ones(2**24)
print(faults() - before)
"""


def faults(how: str) -> int:
    """Page faults of twenty allocations of 64 MiB, one after the other."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    assert faults("keep") < 200
    assert faults("leave") > 2000, "or the first would show nothing"
