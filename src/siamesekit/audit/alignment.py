"""How alike two pictures are after one is shifted and stretched onto the other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FIRST, MORE = 3, 7
"""Steps of the alignment after which hopeless pairs are given up, and further steps for the others."""
HOPELESS = 0.6
"""Correlation after the first steps below which a pair is given up."""
FARTHEST = 0.25
"""Largest shift, as a share of half the picture, and largest stretching."""
_RIDGE = 1e-5
_TINY = 1e-6
TOGETHER = 128
"""Pairs that are aligned together."""


def aligned_correlation(first: Tensor, second: Tensor, enough: float) -> Tensor:
    """Correlation of grey pictures `[P, n, n]` and `[P, n, n]`, pair by pair, after an alignment: `[P]`, −1 … 1.

    The second picture is shifted and stretched along both axes so that it fits the first one, by Gauss–Newton steps
    (Lucas & Kanade 1981; gain and offset of the brightness are fitted too). The result is the largest correlation of
    all steps, over the part that both show.

    Args:
        first: pictures, values 0 … 1.
        second: pictures to be aligned with them.
        enough: correlation from which a pair needs no alignment.
    """
    parts = [
        _aligned(a, b, enough) for a, b in zip(first.split(TOGETHER), second.split(TOGETHER), strict=True) if len(a)
    ]
    return torch.cat(parts) if parts else torch.zeros(0)


def correlation(first: Tensor, second: Tensor, weight: Tensor | None = None) -> Tensor:
    """Pearson correlation of pictures `[P, n, n]`, pair by pair: `[P]`; 0 for a picture of one grey.

    Args:
        first: pictures.
        second: pictures.
        weight: weight of each pixel, `[P, n, n]`; None: all alike.
    """
    weight = torch.ones_like(first) if weight is None else weight
    total = weight.sum((1, 2)).clamp_min(1)
    first, second = ((each - ((each * weight).sum((1, 2)) / total)[:, None, None]) * weight for each in (first, second))
    norms = first.flatten(1).norm(dim=1) * second.flatten(1).norm(dim=1)
    alike: Tensor = (first * second).sum((1, 2)) / norms.clamp_min(_TINY)
    return alike


def _aligned(first: Tensor, second: Tensor, enough: float) -> Tensor:
    best = correlation(first, second)
    change = first.new_zeros(len(first), 4)
    for steps, hopeless in ((FIRST, -1.0), (MORE, HOPELESS)):
        open_ = ((best < enough) & (best > hopeless)).nonzero()[:, 0]
        if not len(open_):
            break
        found, change[open_] = _fit(first[open_], second[open_], change[open_], steps)
        best[open_] = torch.maximum(best[open_], found)
    return best


def _fit(first: Tensor, second: Tensor, change: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The best correlation of some steps, and the change `[P, 4]` (stretching x and y, shift x and y) after them."""
    side = first.shape[1]
    place = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(place, place, indexing="ij")
    best = first.new_full((len(first),), -1.0)
    for _ in range(steps):
        warped, inside = _warped(second, change)
        across, down = torch.zeros_like(warped), torch.zeros_like(warped)
        across[:, :, 1:-1] = (warped[:, :, 2:] - warped[:, :, :-2]) * (side / 4)
        down[:, 1:-1] = (warped[:, 2:] - warped[:, :-2]) * (side / 4)
        columns = torch.stack([across * x, down * y, across, down, warped, torch.ones_like(warped)], -1)
        columns = (columns * inside[..., None]).flatten(1, 2)
        wanted = ((first - warped) * inside).flatten(1)[..., None]
        normal = columns.mT @ columns
        ridge = normal.diagonal(dim1=1, dim2=2).mean(1) * _RIDGE + _TINY
        step = torch.linalg.solve(normal + torch.eye(6) * ridge[:, None, None], columns.mT @ wanted)
        change = (change + step[:, :4, 0]).clamp(-FARTHEST, FARTHEST)
        best = torch.maximum(best, correlation(first, *_warped(second, change)))
    return best, change


def _warped(pictures: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures after a change, and 1 where they show something of the original, else 0: `[P, n, n]` each."""
    matrix = torch.zeros(len(pictures), 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = 1 + change[:, 0], 1 + change[:, 1]
    matrix[:, :, 2] = change[:, 2:]
    grid = functional.affine_grid(matrix, [len(pictures), 1, *pictures.shape[1:]], align_corners=False)
    warped = functional.grid_sample(pictures[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    return warped, (grid.abs() <= 1).all(-1).to(pictures.dtype)
