"""Sampler `shuffled`: each photo once per epoch, in even batches."""

import numpy as np
import pytest

from siamesekit.components.samplers.shuffled import ShuffledSampler


@pytest.mark.parametrize(("photos", "batch_size"), [(10, 3), (12, 4), (1, 8), (33, 32), (5, 1)])
def test_each_photo_is_in_exactly_one_batch_and_batches_are_even(photos: int, batch_size: int) -> None:
    sampler = ShuffledSampler(labels=np.arange(photos), batch_size=batch_size, seed=0)
    batches = [batch.images.tolist() for batch in sampler.epoch(1)]
    assert len(batches) == len(sampler) == int(np.ceil(photos / batch_size))
    assert sorted(photo for batch in batches for photo in batch) == list(range(photos))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_seed_and_epoch_alone_decide_the_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = ShuffledSampler(labels=np.zeros(40, dtype=np.int64), batch_size=7, seed=seed)
        return [photo for batch in sampler.epoch(epoch) for photo in batch.images.tolist()]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (1, 2)}) == 4
