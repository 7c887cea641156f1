"""The depth of PyTorch's sums against trees that are known, and against rounding errors."""

import numpy as np
import pytest
import torch

from siamesekit.components.distances import summation as module
from siamesekit.components.distances.summation import summation_depth


def test_of_rows_too_long_to_be_tried_it_is_that_of_the_worst_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [summation_depth(size) for size in (0, 1, 2)] == [0, 0, 1]
    monkeypatch.setattr(module, "MOST", 10)
    assert summation_depth(11) == 10


def test_of_a_sum_in_the_order_of_the_row_it_is_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method itself, on sums in a known order: one after the other, and in pairs."""
    summation_depth.cache_clear()

    def in_order(rows: torch.Tensor, dim: int) -> torch.Tensor:
        total = rows[:, 0].clone()
        for column in rows.T[1:]:
            total += column
        return total

    def in_pairs(rows: torch.Tensor, dim: int) -> torch.Tensor:
        while rows.shape[1] > 1:
            rows = rows[:, ::2] + rows[:, 1::2]
        return rows[:, 0]

    for sum_, expected in ((in_order, 15), (in_pairs, 4)):
        summation_depth.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "sum", sum_)
            found = summation_depth(16)
        summation_depth.cache_clear()
        assert found == expected


@pytest.mark.parametrize("size", [3, 40, 128, 300])
def test_it_bounds_the_rounding_error(size: int) -> None:
    rows = torch.from_numpy(np.random.default_rng(size).uniform(0, 1, (500, size))).float()
    exact = rows.double().sum(dim=-1)
    error = float(((rows.sum(dim=-1).double() - exact).abs() / exact).max())
    assert 0 < error <= summation_depth(size) * 2.0**-24 * 1.01
    assert np.log2(size) <= summation_depth(size) < size
