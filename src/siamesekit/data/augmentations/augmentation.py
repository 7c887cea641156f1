"""What every augmentation component is, and the views of photos that it gives."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from siamesekit.randomness import Streams


class Augmentation(Protocol):
    """Random views of photos: uint8 `[N, 3, S, S]` → new uint8 `[N, 3, S, S]`, on the device of the images.

    All randomness is drawn from `streams`, one for each of the N photos, with as many draws whatever they give; so a
    photo's view depends on its own stream alone and not on the others in the batch.

    A plugin may also register a callable of one photo, such as a transform of torchvision
    (`siamesekit.data.augmentations.accepted`).
    """

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """A view of each photo."""
        ...


def augment(augmentation: Augmentation, images: Tensor, photos: Tensor, epoch: int, view: int, seed: int) -> Tensor:
    """Views of photos, uint8 `[n, 3, S, S]`, on the images' device: each from (seed, epoch, photo, view) alone.

    In which batch or order photos come, on how many workers, and after which resumption, changes no view.

    Args:
        augmentation: the component.
        images: uint8 `[n, 3, S, S]`, the pixels of these photos.
        photos: int64 `[n]`, their numbers in the data set.
        epoch: counted from 1; 0 for views that are cached and serve several epochs.
        view: which of several views of an epoch, from 0.
        seed: the run's.
    """
    return augmentation(images, Streams.of(seed, epoch, photos.cpu().numpy(), view))
