"""Augmentation `sequence`."""

from __future__ import annotations

from torch import Tensor

from siamesekit.components.augmentations.augmentation import Augmentation
from siamesekit.options import Augmentations
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("sequence")
class AugmentationSequence:
    """Several augmentations, one after the other: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    ```toml
    [augmentation]
    name = "sequence"
    steps = [{ name = "crop", smallest = 0.8 }, { name = "torchvision/gaussian-blur", kernel_size = 3 }]
    ```

    Args:
        steps: the augmentations, one table each.
    """

    __module__ = "siamesekit"

    def __init__(self, steps: Augmentations) -> None:
        self.steps: list[Augmentation] = steps

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: those of each step, in order."""
        for step in self.steps:
            images = step(images, streams)
        return images
