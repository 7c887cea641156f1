"""Augmentation `random-erasing`."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from siamesekit.components.augmentations.patches import erase, inside, random_patches
from siamesekit.components.augmentations.warp import to_bytes
from siamesekit.errors import ComponentError
from siamesekit.options import Fraction
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

Share = Annotated[float, Gt(0), Le(1)]
Ratio = Annotated[float, Ge(1), Le(100)]


@AUGMENTATIONS.register("random-erasing")
class RandomErasing:
    """A rectangular patch of a photo is covered at random: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    Zhong et al. 2020 (arXiv:1708.04896). A patch that would be longer than the photo is cut to its side.

    Args:
        probability: probability that a photo has a patch.
        smallest: least area of the patch as a share of the photo.
        largest: largest area of the patch as a share of the photo.
        ratio: largest ratio of the sides of the patch, in either direction.
        value: `mean` covers the patch with the mean colour of the photo, `random` with random values, each pixel and
            colour for itself.

    Raises:
        ComponentError: `smallest` is above `largest`.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        probability: Fraction = 0.5,
        smallest: Share = 0.02,
        largest: Share = 0.4,
        ratio: Ratio = 3.3,
        value: Literal["mean", "random"] = "mean",
    ) -> None:
        if smallest > largest:
            raise ComponentError(
                f"augmentation 'random-erasing': smallest = {smallest:g} is above largest = {largest:g}: lower it"
            )
        self.probability = probability
        self.smallest, self.largest = smallest, largest
        self.ratio = ratio
        self.value = value

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: whether there is a patch, its area, the logarithm of height / width, top and left as shares
        of the remaining space; with `random`, a seed of the patch's values.
        """
        size = images.shape[-1]
        patches = random_patches(streams, size, self.probability, (self.smallest, self.largest), self.ratio)
        if self.value == "mean":
            return to_bytes(erase(images.float(), patches))
        views, within = images.clone(), inside(patches, images)
        for number, seed in enumerate(streams.bits()):
            if patches.height[number]:
                values = np.random.default_rng(seed).integers(256, size=(3, size, size), dtype=np.uint8)
                views[number] = torch.where(within[number], torch.from_numpy(values).to(images.device), images[number])
        return views
