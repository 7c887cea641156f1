"""Mirroring: no pixel changes its value."""

import numpy as np
import pytest
import torch

from siamesekit.components.augmentations.flip import Flip, flip
from siamesekit.randomness import Streams

IMAGES = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_marked_pictures_are_mirrored() -> None:
    found = flip(IMAGES, np.array([False, True, False, True]), np.array([False, False, True, True])).numpy()
    for number, turn in enumerate([lambda p: p, np.fliplr, np.flipud, lambda p: np.rot90(p, 2)]):
        np.testing.assert_array_equal(found[number].transpose(1, 2, 0), turn(IMAGES[number].permute(1, 2, 0).numpy()))


@pytest.mark.parametrize(("horizontal", "vertical"), [(0.5, 0.0), (0.2, 0.7), (1.0, 0.0), (0.0, 1.0)])
def test_it_happens_as_often_as_told(horizontal: float, vertical: float) -> None:
    corner = torch.zeros(4000, 3, 2, 2, dtype=torch.uint8)
    corner[:, :, 0, 0] = 1
    found = Flip(horizontal, vertical)(corner, Streams.of(1, np.arange(4000)))[:, 0].double().mean(0)
    across, down = found[:, 1].sum().item(), found[1].sum().item()
    assert across == pytest.approx(horizontal, abs=0.03)
    assert down == pytest.approx(vertical, abs=0.03)
    assert found[1, 1].item() == pytest.approx(horizontal * vertical, abs=0.03)
