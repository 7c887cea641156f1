"""Augmentations `torchvision/*`: the transforms of torchvision (v2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchvision.transforms import v2

from siamesekit.adapted.torchvision_transforms import SUPPLIED, class_of
from siamesekit.construction import member_repr
from siamesekit.data.augmentations.photo_by_photo import photo_by_photo
from siamesekit.errors import ComponentError
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS


class TorchvisionAugmentation:
    """A transform of torchvision, photo by photo: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    Its random numbers come from torch's generator, which each photo's own stream seeds (`photo_by_photo`).

    Args:
        transform: class in `torchvision.transforms.v2`.
        options: its options.
    """

    def __init__(self, transform: str, options: Mapping[str, Any]) -> None:
        self.transform = transform
        self.options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
                        if value is not None}  # fmt: skip
        if "policy" in self.options:
            self.options["policy"] = v2.AutoAugmentPolicy(self.options["policy"])
        if "interpolation" in self.options:
            self.options["interpolation"] = v2.InterpolationMode(self.options["interpolation"])
        if transform == "Grayscale":
            self.options["num_output_channels"] = 3
        magnitude, bins = (self.options.get(name, 0) for name in ("magnitude", "num_magnitude_bins"))
        if magnitude and magnitude >= bins:  # theirs fails on the photo that first draws an operation with magnitudes
            raise ComponentError(f"torchvision's {transform} refuses these options: magnitude must be less than "
                                 f"num_magnitude_bins = {bins}")  # fmt: skip
        self._of_size(32)

    __repr__ = member_repr

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """Draws: a seed."""
        transform = self._of_size(images.shape[-1])

        def view(image: Tensor) -> Tensor:
            try:
                made: Tensor = transform(image)
            except Exception as error:  # theirs check some options only when they draw by them
                raise ComponentError(f"torchvision's {self.transform} refuses these options on photos of "
                                     f"{images.shape[-1]} pixels: {error}") from error  # fmt: skip
            return made

        return photo_by_photo(images, streams, view)

    def _of_size(self, size: int) -> Any:
        supplied = dict.fromkeys(SUPPLIED.get(self.transform, ()), size)
        try:
            return getattr(v2, self.transform)(**supplied, **self.options)
        except (ValueError, TypeError) as error:
            raise ComponentError(f"torchvision's {self.transform} refuses these options: {error}") from error


@AUGMENTATIONS.register("torchvision/*", members="siamesekit.adapted.torchvision_transforms:augmentations")
def torchvision_augmentation(*, model: str, options: dict[str, Any]) -> TorchvisionAugmentation:
    """The transforms of torchvision (v2) by name: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`, each photo by itself.

    Those that change a picture and keep its size; a crop's size is the photo's.
    """
    return TorchvisionAugmentation(class_of(model), options)
