"""Cosines between embeddings and what a loss holds for each training individual."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def class_cosines(embeddings: Tensor, weights: Tensor) -> Tensor:
    """cos of the angles between rows: `[N, D]`, `[C, D]` → `[N, C]`, −1 … 1 but for rounding; a zero row is at 0.

    In the embeddings' float type, float32 or better: autocast does not reach in here.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        if embeddings.dtype in (torch.bfloat16, torch.float16):
            embeddings = embeddings.float()
        return F.normalize(embeddings, dim=1) @ F.normalize(weights.to(embeddings.dtype), dim=1).T
