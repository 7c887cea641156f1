"""The photos that train, and their mirror images if these train as individuals of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.config import Config
from siamesekit.data.loading import LOADED
from siamesekit.data.pixel_store import GIB, empty_images
from siamesekit.experiment.columns import no_such_column
from siamesekit.experiment.dataset import Dataset


@dataclass(frozen=True)
class TrainingPhotos:
    """The n photos that train, mirrored ones included.

    Attributes:
        images: the photos, as indices into the images of `with_mirrored`, int64 `[n]`.
        labels: their labels 0 … C − 1, int64 `[n]`.
        groups: numbers of their groups, int64 `[n]`; None if the reader gives no groups.
        names: their names, for errors.
    """

    images: Tensor
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    names: tuple[str, ...]

    def counts(self) -> NDArray[np.int64]:
        """The number of photos of each individual, int64 `[C]`."""
        return np.bincount(self.labels).astype(np.int64)


def is_mirrored(config: Config) -> bool:
    """Whether the training photos also train mirrored, as individuals of their own."""
    return config.sampler.mirrored == "individuals"


def training_photos(config: Config, dataset: Dataset) -> TrainingPhotos:
    """The photos that train: those of the split, then the same photos mirrored if the config says so.

    The mirrored photos of the individual with label c have the label C + c; they belong to the group of the photo.

    Raises:
        DataError: no training photo has a column of `sampler.apart`.
    """
    part = list(dataset.split.train)
    labels, groups = _told_apart(dataset.labels_in(part), config, dataset), dataset.groups()
    groups = None if groups is None else groups[part]
    images, names = torch.tensor(part), tuple(dataset.records[photo].name for photo in part)
    if not is_mirrored(config):
        return TrainingPhotos(images, labels, groups, names)
    virtual = len(dataset.images) + torch.arange(len(part))
    return TrainingPhotos(
        torch.cat([images, virtual]),
        np.concatenate([labels, labels + labels.max() + 1]),
        None if groups is None else np.concatenate([groups, groups]),
        (*names, *(f"{name} (mirrored)" for name in names)),
    )


def _told_apart(labels: NDArray[np.int64], config: Config, dataset: Dataset) -> NDArray[np.int64]:
    """Labels `[n]` of the training photos, each individual divided by its photos' values in `sampler.apart`."""
    records = [dataset.records[photo] for photo in dataset.split.train]
    for column in config.sampler.apart:
        values = [record.attributes.get(column, "") for record in records]
        if not any(values):
            raise no_such_column("sampler.apart", column, records, "training photo")
        numbers = np.unique(values, return_inverse=True)[1]
        labels = np.unique(labels * (numbers.max() + 1) + numbers, return_inverse=True)[1].astype(np.int64)
    return labels


def with_mirrored(config: Config, dataset: Dataset) -> Tensor:
    """All N images, then the training photos mirrored left to right if the config says so: uint8 `[N + n, 3, S, S]`.

    Beyond `data.memory_gib`, the result is in a file (`empty_images`).
    """
    if not is_mirrored(config):
        return dataset.images
    images, train = dataset.images, torch.tensor(dataset.split.train)
    budget = int(config.data.memory_gib * GIB)
    both = empty_images(len(images) + len(train), images.shape[-1], budget)
    for chunk in torch.arange(len(images)).split(LOADED):
        both[chunk] = images[chunk]
    for chunk in torch.arange(len(train)).split(LOADED):
        both[len(images) + chunk] = images[train[chunk]].flip(3)
    return both
