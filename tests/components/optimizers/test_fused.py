"""Which parameters PyTorch's fused kernels take."""

import pytest
import torch
from torch import nn

from siamesekit.components.optimizers.fused import fused_where_possible


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [(torch.ones(2), True), (torch.ones(2, dtype=torch.float64), True), (torch.ones(2, dtype=torch.complex64), None)],
    ids=["float32", "float64", "complex"],
)
def test_the_fused_kernel_takes_floats_only(parameter: torch.Tensor, expected: bool | None) -> None:
    assert fused_where_possible([nn.Parameter(parameter)]) is expected
    assert fused_where_possible([nn.Parameter(torch.ones(1)), nn.Parameter(parameter)]) is expected
    groups = [{"params": [nn.Parameter(torch.ones(1))]}, {"params": [nn.Parameter(parameter)], "lr": 0.1}]
    assert fused_where_possible(groups) is expected
