"""Memory that is freed stays with the process; what takes too much is refused."""

import platform
import subprocess
import sys
from typing import Any

import pytest

from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.errors import ComponentError
from siamesekit.registry import LOSSES

SCRIPT = """
import resource, sys, torch
from siamesekit.hardware.allocator import keep_freed_memory
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


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    assert faults("keep") < 200
    assert faults("leave") > 2000, "or the first would show nothing"


GAPS = """
from siamesekit.hardware.allocator import return_freed_memory


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


@pytest.mark.parametrize("many", [40_000, 2_000_000])
def test_options_that_would_take_the_machine_down_are_refused_before_anything_is_allocated(many: int) -> None:
    supplied = {"embedding_dim": 8, "num_classes": many, "distance": None}
    with pytest.raises(ComponentError, match=f"loss 'arcface' would hold {many * 8000:,} numbers.*lower sub_centers"):
        LOSSES.build("arcface", {"sub_centers": 1000}, **supplied)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pml/sub-center-arcface", {"sub_centers": 1_000_000}),
        ("pml/soft-triple", {"centers_per_class": 1_000_000}),
        ("pml/cross-batch-memory", {"memory_size": 1_000_000, "loss": {"name": "pml/contrastive"}}),
        ("cross-batch-memory", {"size": 1_000_000, "loss": {"name": "triplet"}}),
        (
            "pml/soft-triple",
            {"centers_per_class": 500, "weight_regularizer": {"name": "pml/sparse-centers", "centers_per_class": 500}},
        ),
    ],
)
def test_many_rows_of_wide_embeddings_are_refused_too(name: str, options: dict[str, Any]) -> None:
    supplied = {"embedding_dim": 4096, "num_classes": 100, "distance": Euclidean()}
    if "weight_regularizer" in options:
        supplied["embedding_dim"] = 8
    with pytest.raises(ComponentError, match="numbers, more than the limit of 268,435,456"):
        LOSSES.build(name, options, **supplied)
