"""The figures that a GPU must reach, at small sizes on the CPU: that the script runs when there is a GPU."""

import math
from typing import Any

import pytest

from benchmarks import gpu


def found(name: str) -> dict[str, Any]:
    made: dict[str, Any] = getattr(gpu, name)(**gpu.QUICK[name], device="cpu")
    return made


@pytest.mark.parametrize("name", ["embedding", "batch_all", "neighbours"])
def test_each_figure_can_be_measured(name: str) -> None:
    assert 0 < found(name)["figure"] < math.inf


@pytest.mark.huge
def test_the_share_of_a_run_is_that_of_its_operations() -> None:
    made = found("training")
    assert 0 < made["figure"] < 3, "bf16 products are emulated on most processors, and may be slower than the run"
    assert made["photos"] > 0


def test_every_figure_has_sizes_and_a_wish() -> None:
    assert set(gpu.FULL) == set(gpu.QUICK) == set(gpu.WANTED)
    for name, sizes in gpu.FULL.items():
        assert sizes.keys() == gpu.QUICK[name].keys()
        assert "{" not in gpu.WANTED[name][0].format(**sizes)
