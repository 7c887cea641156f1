"""Augmentations `torchvision/*`: the transforms of torchvision (v2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchvision.transforms import v2

from siamesekit.components.augmentations.photo_by_photo import photo_by_photo
from siamesekit.errors import ComponentError
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS
from siamesekit.registry.adapted.torchvision_transforms import SUPPLIED, class_of
from siamesekit.registry.construction import member_repr


class TorchvisionAugmentation:
    """A transform of torchvision, applied to each photo: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    It draws from torch's global generator, which the stream of each photo seeds (`photo_by_photo`).

    Args:
        transform: class in `torchvision.transforms.v2`.
        options: options of the transform.
    """

    def __init__(self, transform: str, options: Mapping[str, Any]) -> None:
        self.transform = transform
        self.options = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in options.items()
            if value is not None
        }
        if "policy" in self.options:
            self.options["policy"] = v2.AutoAugmentPolicy(self.options["policy"])
        if "interpolation" in self.options:
            self.options["interpolation"] = v2.InterpolationMode(self.options["interpolation"])
        if transform == "Grayscale":
            self.options["num_output_channels"] = 3
        magnitude, bins = (self.options.get(name, 0) for name in ("magnitude", "num_magnitude_bins"))
        if magnitude and magnitude >= bins:  # otherwise the transform fails at the first operation with a magnitude
            raise ComponentError(
                f"torchvision's {transform} refuses these options: magnitude must be less than "
                f"num_magnitude_bins = {bins}"
            )
        self._of_size(32)

    __repr__ = member_repr

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: a seed."""
        transform = self._of_size(images.shape[-1])

        def view(image: Tensor) -> Tensor:
            try:
                viewed: Tensor = transform(image)
            except Exception as error:  # transforms check some options only when they use them
                raise ComponentError(
                    f"torchvision's {self.transform} refuses these options on photos of "
                    f"{images.shape[-1]} pixels: {error}"
                ) from error
            return viewed

        return photo_by_photo(images, streams, view)

    def _of_size(self, size: int) -> Any:
        supplied = dict.fromkeys(SUPPLIED.get(self.transform, ()), size)
        try:
            return getattr(v2, self.transform)(**supplied, **self.options)
        except (ValueError, TypeError) as error:
            raise ComponentError(f"torchvision's {self.transform} refuses these options: {error}") from error


@AUGMENTATIONS.register("torchvision/*", members="siamesekit.registry.adapted.torchvision_transforms:augmentations")
def torchvision_augmentation(*, model: str, options: dict[str, Any]) -> TorchvisionAugmentation:
    """The transforms of torchvision (v2) by name, applied to each photo: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    All transforms are available that change an image and keep its size; crops have the size of the photo.
    """
    return TorchvisionAugmentation(class_of(model), options)
