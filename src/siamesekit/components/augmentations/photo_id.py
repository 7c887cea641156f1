"""Augmentation `photo-id`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.augmentations.light import relight
from siamesekit.components.augmentations.patches import erase, random_patches
from siamesekit.components.augmentations.warp import to_bytes, warp
from siamesekit.options import Fraction, NonNegative
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

Degrees = Annotated[float, Ge(0), Le(180)]
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMALLEST_PATCH, LONGEST_PATCH = 0.02, 3.3
"""Least area of an erased patch as a share of the image; largest ratio of its sides."""


def move_photos(images: Tensor, angle: Numbers, right: Numbers, down: Numbers, zoom: Numbers, mirrored: Mask) -> Tensor:
    """Rotate, shift, scale and mirror images float32 `[N, C, S, S]` in one bilinear step.

    Args:
        images: the images.
        angle: `[N]`, rotation in degrees, clockwise about the centre.
        right: `[N]`, shift to the right as a share of the image side, after rotation and scaling.
        down: `[N]`, shift down, likewise.
        zoom: `[N]`, scale factor; above 1 enlarges.
        mirrored: `[N]`, whether the image is first mirrored left to right.
    """
    cos, sin = np.cos(np.deg2rad(angle)) / zoom, np.sin(np.deg2rad(angle)) / zoom
    turned = np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1)  # from the result back to the image
    turned[:, 0] *= np.where(mirrored, -1, 1)[:, None]
    moved = -turned @ np.stack([2 * right, 2 * down], axis=1)[:, :, None]
    return warp(images, np.concatenate([turned, moved], axis=2))


@AUGMENTATIONS.register("photo-id")
class PhotoId:
    """Views for photo identification: geometry, colour and random erasing; uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    Simulates another camera, light and pose, and a covered part. Each photo is rotated, shifted and scaled in one
    bilinear step, with its edge pixels repeated beyond the edge. Brightness, contrast and saturation follow, then a
    patch in the mean colour of the photo (random erasing: Zhong et al. 2020). Mirroring is off by default, since the
    left side of an individual is not its right side.

    Args:
        rotation: largest rotation in degrees, in either direction.
        shift: largest shift as a share of the photo's side, in each direction.
        scale: largest scaling: the factor is between 1 / (1 + scale) and 1 + scale, uniform in its logarithm.
        flip: probability of mirroring left to right.
        brightness: largest change of brightness: the factor is between 1 − brightness and 1 + brightness.
        contrast: likewise, for the difference of each value from the mean grey of the photo.
        saturation: likewise, for the difference of each value from the grey of its pixel.
        erase: probability of covering a patch.
        erase_area: largest area of the patch as a share of the photo; the smallest is 0.02.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        rotation: Degrees = 10.0,
        shift: Fraction = 0.05,
        scale: NonNegative = 0.1,
        flip: Fraction = 0.0,
        brightness: Fraction = 0.2,
        contrast: Fraction = 0.2,
        saturation: Fraction = 0.2,
        erase: Fraction = 0.25,
        erase_area: Fraction = 0.15,
    ) -> None:
        self.rotation, self.shift, self.scale, self.flip = rotation, shift, scale, flip
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.erase, self.erase_area = erase, erase_area

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: angle, right, down, logarithm of the zoom, flip; brightness, contrast, saturation; whether
        a patch is covered, its area, the logarithm of height / width, top and left as shares of the remaining space.
        """

        def on_device(values: Numbers) -> Tensor:
            return torch.from_numpy(values).to(images.device, torch.float32)

        def between(reach: float) -> Numbers:
            return streams.uniform(-reach, reach)

        moved = move_photos(
            images.float(),
            between(self.rotation),
            between(self.shift),
            between(self.shift),
            np.exp(between(np.log1p(self.scale))),
            streams.uniform() < self.flip,
        )
        reaches = (self.brightness, self.contrast, self.saturation)
        lit = relight(moved, *(on_device(1 + between(reach)) for reach in reaches))
        areas = (min(SMALLEST_PATCH, self.erase_area), self.erase_area)
        patches = random_patches(streams, images.shape[-1], self.erase, areas, LONGEST_PATCH)
        return to_bytes(erase(lit.clamp(0, 255), patches))
