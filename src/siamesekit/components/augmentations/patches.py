"""Random patches of photos, which erasing covers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.randomness import Streams

Numbers = NDArray[np.float64]


class Patches(NamedTuple):
    """A patch of each of N square images, in whole pixels, each float `[N]`.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows; 0 for no patch.
        width: number of columns.
    """

    top: Numbers
    left: Numbers
    height: Numbers
    width: Numbers


def random_patches(
    streams: Streams, size: int, probability: float, areas: tuple[float, float], longest: float
) -> Patches:
    """Random patches of images of side `size`.

    Draws: whether there is a patch, its area, the logarithm of height / width, top and left as shares of the remaining
    space.

    Args:
        streams: one stream per image.
        size: side of the images in pixels.
        probability: probability of a patch.
        areas: least and largest area as shares of the image.
        longest: largest ratio of the sides.
    """
    covered = streams.uniform() < probability
    area = streams.uniform(*areas)
    ratio = np.exp(streams.uniform(-np.log(longest), np.log(longest)))
    height = np.minimum(np.rint(size * np.sqrt(area * ratio)), size) * covered
    width = np.minimum(np.rint(size * np.sqrt(area / ratio)), size)
    top = np.floor(streams.uniform() * (size - height + 1))
    left = np.floor(streams.uniform() * (size - width + 1))
    return Patches(top, left, height, width)


def inside(patches: Patches, images: Tensor) -> Tensor:
    """The pixels of the patches of images `[N, C, S, S]`: bool `[N, 1, S, S]`."""
    top, left, height, width = (torch.from_numpy(each).to(images.device, torch.float32) for each in patches)
    at = torch.arange(images.shape[-1], device=images.device)
    rows = (at >= top[:, None]) & (at < (top + height)[:, None])
    columns = (at >= left[:, None]) & (at < (left + width)[:, None])
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def erase(images: Tensor, patches: Patches) -> Tensor:
    """Cover the patches of images float `[N, 3, S, S]` with the mean colour of each image."""
    return torch.where(inside(patches, images), images.mean((2, 3), keepdim=True), images)
