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


GAPS = """
from siamesekit.allocator import return_freed_memory


def resident() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


blocks = [bytearray(60_000) for _ in range(4000)]
full = resident()
kept = blocks[1::40]
del blocks
before = resident()
print(return_freed_memory(), full, before, resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_memory_in_gaps_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, timeout=60, check=True)
    answer, full, before, after = done.stdout.split()
    assert answer == "True"
    assert int(after) < int(before) - 100 < int(full)
