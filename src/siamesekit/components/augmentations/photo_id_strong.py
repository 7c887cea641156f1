"""Augmentation `photo-id-strong`."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.augmentations.light import blur, relight
from siamesekit.components.augmentations.patches import erase, random_patches
from siamesekit.components.augmentations.warp import to_bytes, warp
from siamesekit.options import Fraction
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

Share = Annotated[float, Gt(0), Le(1)]
Angle = Annotated[float, Ge(0), Lt(90)]
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]

OPERATIONS = ("brightness", "contrast", "saturation", "white balance", "grey", "blur", "noise", "posterize")
"""Operations on light and sharpness, in the order in which they are applied."""
ASPECT = 4 / 3
"""Largest ratio of the sides of a crop, in either direction."""
SMALLEST_PATCH, LONGEST_PATCH = 0.02, 3.3
"""Least area of an erased patch as a share of the image; largest ratio of its sides."""
MOST_LIGHT, MOST_SATURATION, MOST_BALANCE = 0.6, 0.9, 0.4
"""Change of the factors of brightness and contrast, of saturation, and of the logarithm of a colour's gain, at full
magnitude."""
MOST_BLUR, MOST_NOISE, MOST_STEP = 0.015, 30.0, 63.0
"""Standard deviation of blur as a share of the image side, of noise in pixel values, and width of the steps of
posterizing in pixel values beyond 1, at full magnitude."""


class Geometry:
    """Where the crops of N photos lie and how they are turned, each `[N]`.

    Args:
        streams: one stream per photo. Draws: area, logarithm of width / height, left and top as shares of the remaining
            space, angle, shear, mirroring.
        smallest: least area of the crop as a share of the photo.
        rotation: largest rotation in degrees, in either direction.
        shear: largest shear in degrees, in either direction.
        mirror: probability of mirroring left to right.
    """

    def __init__(self, streams: Streams, smallest: float, rotation: float, shear: float, mirror: float) -> None:
        area = streams.uniform(smallest, 1)
        ratio = np.exp(streams.uniform(-np.log(ASPECT), np.log(ASPECT)))
        self.width, self.height = (np.minimum(np.sqrt(area * each), 1) for each in (ratio, 1 / ratio))
        self.left, self.top = (streams.uniform() * (1 - side) for side in (self.width, self.height))
        self.angle, self.shear = (np.deg2rad(streams.uniform(-reach, reach)) for reach in (rotation, shear))
        self.mirrored: Mask = streams.uniform() < mirror

    def matrices(self) -> Numbers:
        """Affine maps `[N, 2, 3]` from a position in the view to one in the photo, for `warp`.

        A position in the view is mirrored, scaled to the crop, sheared along x, turned, and moved to the crop's centre.
        """
        cos, sin, slope = np.cos(self.angle), np.sin(self.angle), np.tan(self.shear)
        across = np.where(self.mirrored, -self.width, self.width)
        matrices = np.empty((len(cos), 2, 3))
        matrices[:, 0, 0], matrices[:, 1, 0] = cos * across, sin * across
        matrices[:, 0, 1] = (cos * slope - sin) * self.height
        matrices[:, 1, 1] = (sin * slope + cos) * self.height
        matrices[:, 0, 2] = 2 * self.left + self.width - 1
        matrices[:, 1, 2] = 2 * self.top + self.height - 1
        return matrices


@AUGMENTATIONS.register("photo-id-strong")
class PhotoIdStrong:
    """Strong views for photo identification: crops, random operations, erasing; uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    A crop of random area and shape is turned, sheared and enlarged to the photo's size in one bilinear step, with the
    photo's edge pixels repeated beyond its edge. Then `operations` of eight operations on light and sharpness, chosen
    at random for each photo, change it by random magnitudes: brightness, contrast, saturation, white balance (gains of
    red and blue), grey, blur, noise, and posterizing. At last a patch may be covered with the mean colour. The choice
    of a few operations under one strength is that of RandAugment (Cubuk et al. 2020, arXiv:1909.13719); those that
    would change what an individual is known by are left out: mirroring is off by default, since the left side of an
    individual is not its right side.

    Args:
        smallest: least area of the crop as a share of the photo; the largest crop is the whole photo.
        rotation: largest rotation in degrees, in either direction.
        shear: largest shear in degrees, in either direction.
        mirror: probability of mirroring left to right.
        operations: number of operations on light and sharpness for each photo.
        strength: largest magnitude of an operation, as a share of its full magnitude.
        erase: probability of covering a patch.
        erase_area: largest area of the patch as a share of the photo; the smallest is 0.02.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        smallest: Share = 0.5,
        rotation: Angle = 15.0,
        shear: Angle = 8.0,
        mirror: Fraction = 0.0,
        operations: Annotated[int, Ge(0), Le(8)] = 3,
        strength: Fraction = 0.7,
        erase: Fraction = 0.4,
        erase_area: Fraction = 0.25,
    ) -> None:
        self.smallest, self.rotation, self.shear, self.mirror = smallest, rotation, shear, mirror
        self.operations, self.strength = operations, strength
        self.erase, self.erase_area = erase, erase_area

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: those of `Geometry`; for each operation, its rank in the choice and its magnitude from −1
        to 1; the magnitude of the gain of blue; a seed of the noise; those of `random_patches`.
        """
        geometry = Geometry(streams, self.smallest, self.rotation, self.shear, self.mirror)
        views = warp(images.float(), geometry.matrices())
        ranks = np.stack([streams.uniform() for _ in OPERATIONS])
        chosen = ranks.argsort(0, kind="stable").argsort(0, kind="stable") < self.operations
        magnitudes = np.stack([streams.uniform(-self.strength, self.strength) for _ in OPERATIONS])
        size_of = dict(zip(OPERATIONS, magnitudes * chosen, strict=True))
        blue, seeds = streams.uniform(-self.strength, self.strength) * chosen[3], streams.bits()

        def on_device(values: Numbers) -> Tensor:
            return torch.from_numpy(values).to(images.device, torch.float32)

        saturation = (1 + MOST_SATURATION * size_of["saturation"]) * ~chosen[4]  # grey has no saturation
        factors = (1 + MOST_LIGHT * size_of["brightness"], 1 + MOST_LIGHT * size_of["contrast"], saturation)
        balance = np.stack([size_of["white balance"], np.zeros(len(blue)), blue], axis=1)
        views = views * on_device(np.exp(MOST_BALANCE * balance))[:, :, None, None]
        views = relight(views, *map(on_device, factors)).clamp(0, 255)
        size = images.shape[-1]
        sigma = MOST_BLUR * size * np.abs(size_of["blur"])
        if len(some := np.flatnonzero(sigma > 0)):
            reach = max(1, math.ceil(3 * MOST_BLUR * size * self.strength))  # the same whatever the other photos are
            views[some] = blur(views[some], on_device(sigma[some]), reach)
        noise = MOST_NOISE * np.abs(size_of["noise"])
        for number in np.flatnonzero(noise > 0):
            drawn = np.random.default_rng(seeds[number]).standard_normal((3, size, size), dtype=np.float32)
            views[number] += torch.from_numpy(drawn * np.float32(noise[number])).to(images.device)
        step = on_device(1 + MOST_STEP * np.abs(size_of["posterize"]))[:, None, None, None]
        views = torch.where(step > 1, (views / step).round() * step, views).clamp(0, 255)
        areas = (min(SMALLEST_PATCH, self.erase_area), self.erase_area)
        return to_bytes(erase(views, random_patches(streams, size, self.erase, areas, LONGEST_PATCH)))
