"""The protocol `Augmentation` of augmentation components, and the views of photos."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from siamesekit.randomness import Streams


class Augmentation(Protocol):
    """Random views of photos: uint8 `[N, 3, S, S]` → new uint8 `[N, 3, S, S]`, on the device of the images.

    All random numbers are drawn from `streams`, one stream per photo, and the number of draws must not depend on their
    results. The view of a photo then depends on its own stream alone, not on other photos of the batch.

    A plugin may also register a callable of one photo, such as a transform of torchvision
    (`siamesekit.components.augmentations.accepted`).
    """

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """A view of each photo."""
        ...


Augmentation.__module__ = "siamesekit"


def augment(augmentation: Augmentation, images: Tensor, photos: Tensor, epoch: int, view: int, seed: int) -> Tensor:
    """Views of photos, uint8 `[n, 3, S, S]`, on the device of the images.

    Each view depends on (seed, epoch, photo, view) alone, not on batches, order, workers or resumption.

    Args:
        augmentation: the augmentation.
        images: uint8 `[n, 3, S, S]`, pixels of the photos.
        photos: int64 `[n]`, numbers of the photos in the data set.
        epoch: counted from 1; 0 for cached views that serve several epochs.
        view: number of the view within the epoch, from 0.
        seed: seed of the run.
    """
    return augmentation(images, Streams.of(seed, epoch, photos.cpu().numpy(), view))
