"""Embeddings that are hard to rank: equal, collapsed, far from zero, or closer than their type tells apart."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)


CASES: dict[str, Callable[[], Tensor]] = {
    "normal": lambda: normal(300, 24),
    "unit": lambda: torch.nn.functional.normalize(normal(300, 64), dim=1),
    "few values": lambda: normal(400, 3).round(),
    "one point": lambda: torch.ones(150, 5),
    "zeros among them": lambda: normal(200, 4).relu(),
    "signs": lambda: normal(300, 12).sign(),
    "far from zero": lambda: normal(300, 16) + 100,
    "clusters closer than bf16 tells apart": lambda: normal(12, 32).repeat(25, 1) + 1e-4 * normal(300, 32, seed=1),
    "clusters closer than float32's products tell apart": lambda: (
        normal(6, 32).repeat(50, 1) + 1e-7 * normal(300, 32, seed=1)
    ),
    "lengths of all orders": lambda: normal(300, 8) * torch.logspace(-6, 6, 300)[:, None],
    "float64 that float32 does not tell apart": lambda: (
        normal(4, 9, dtype=torch.float64).repeat(60, 1) + 1e-10 * normal(240, 9, seed=1, dtype=torch.float64)
    ),
    "one dimension": lambda: normal(300, 1),
}
