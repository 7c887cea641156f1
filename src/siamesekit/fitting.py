"""From a config and what has been prepared to what trains: stored feature maps, the sampler, the stepper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.config import Config
from siamesekit.data.augmentations.augmentation import Augmentation, augment
from siamesekit.data.pixel_store import GIB, cache_folder
from siamesekit.data.samplers.batch import Batch, Sampler
from siamesekit.engine.feature_store import FeatureStore
from siamesekit.engine.frozen_prefix import Stored, Views, store
from siamesekit.engine.precision import Precision
from siamesekit.engine.steps import Stepper
from siamesekit.engine.trial import chunking, memory_budget, trial
from siamesekit.model import Encoder
from siamesekit.preparation import Built, Data
from siamesekit.progress import Progress
from siamesekit.registry import AUGMENTATIONS, SAMPLERS

FROZEN = "frozen"
"""The cache folder's part for feature maps."""


def build_sampler(config: Config, labels: NDArray[np.int64]) -> Sampler:
    """The sampler over the training photos, of individuals `[N]`."""
    sampler: Sampler = SAMPLERS.build(
        config.sampler.component,
        config.sampler.options,
        labels=labels,
        batch_size=config.sampler.batch_size,
        seed=config.seed,
    )
    return sampler


def keep(config: Config, data: Data, built: Built, precision: Precision, progress: Progress) -> Stored:
    """What the encoder's frozen part makes of the photos, from an earlier run where that left it."""
    limit = int(config.encoder.cache_gib * GIB)
    features = FeatureStore(cache_folder() / FROZEN, limit)
    return store(built.encoder, data.images, precision, progress, views_of(config, data), features, limit)


def make_stepper(
    config: Config, batches: Sequence[Batch], encoder: Encoder, stored: Stored, precision: Precision
) -> Stepper:
    """What computes losses and gradients, its batches cut up so that they fit into memory.

    Raises:
        UserError: they do not fit and cannot be cut up.
    """
    largest = max(len(batch.images) for batch in batches)
    budget = memory_budget(config.train.memory_gib, precision)
    return Stepper(encoder, stored, precision, chunking(encoder, trial(encoder, stored, precision), largest, budget))


def views_of(config: Config, data: Data) -> Views | None:
    """The views that the config's augmentation makes of the training photos."""
    if config.augmentation is None:
        return None
    table = config.augmentation
    augmentation: Augmentation = AUGMENTATIONS.build(table.component, table.options)

    def make(images: Tensor, photos: Tensor, epoch: int, view: int) -> Tensor:
        return augment(augmentation, images, photos, epoch, view, config.seed)

    return Views(torch.tensor(data.split.train), table.views, make)
