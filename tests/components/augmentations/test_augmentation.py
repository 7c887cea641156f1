"""Views of photos: what they depend on, and what they do not."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from siamesekit.components.augmentations.augmentation import Augmentation, augment
from siamesekit.registry import AUGMENTATIONS

NAMES = [name for name in AUGMENTATIONS.names() if not name.endswith("/*")]
OPTIONS = {
    "photo-id": {"erase": 0.5, "flip": 0.5},
    "flip": {"vertical": 0.5},
    "sequence": {"steps": [{"name": "crop"}, {"name": "torchvision/color-jitter", "brightness": 0.5}]},
}
IMAGES = torch.randint(0, 256, (10, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PHOTOS = torch.tensor([3, 1, 4, 15, 9, 2, 6, 5, 35, 8])


@pytest.fixture(params=NAMES)
def augmentation(request: pytest.FixtureRequest) -> Augmentation:
    return AUGMENTATIONS.build(request.param, OPTIONS.get(request.param, {}))


def views(augmentation: Augmentation, chosen: Tensor, epoch: int = 1, view: int = 0, seed: int = 5) -> Tensor:
    return augment(augmentation, IMAGES[chosen], PHOTOS[chosen], epoch, view, seed)


def test_a_photo_has_the_same_view_in_every_batch_and_order(augmentation: Augmentation) -> None:
    everything = views(augmentation, torch.arange(10))
    for chosen in ([0], [9], [3, 7], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [2, 2, 5, 2]):
        assert torch.equal(views(augmentation, torch.tensor(chosen)), everything[chosen])


@pytest.mark.parametrize("change", [{"epoch": 2}, {"view": 1}, {"seed": 6}])
def test_views_change_with_epoch_view_and_seed(augmentation: Augmentation, change: dict[str, int]) -> None:
    chosen = torch.arange(10)
    differ = (views(augmentation, chosen) != views(augmentation, chosen, **change)).flatten(1).any(1)
    assert differ.sum() >= 3


def test_epoch_and_view_are_not_mixed_up(augmentation: Augmentation) -> None:
    chosen = torch.arange(10)
    assert not torch.equal(views(augmentation, chosen, 1, 2), views(augmentation, chosen, 2, 1))


def test_two_photos_of_the_same_pixels_have_different_views(augmentation: Augmentation) -> None:
    same = IMAGES[:1].expand(10, 3, 16, 16)
    found = augment(augmentation, same, PHOTOS, 1, 0, 5)
    assert len({view.numpy().tobytes() for view in found}) >= 2


def test_torch_s_random_state_and_the_photos_are_left_alone(augmentation: Augmentation) -> None:
    state, before = torch.get_rng_state(), IMAGES.clone()
    views(augmentation, torch.arange(10))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format])
def test_the_memory_format_changes_nothing(augmentation: Augmentation, form: torch.memory_format) -> None:
    given = IMAGES.contiguous(memory_format=form)
    found = augment(augmentation, given, PHOTOS, 1, 0, 5)
    difference = found.int() - views(augmentation, torch.arange(10)).int()
    assert difference.abs().max() <= 1, "to rounding"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_views_on_a_gpu_are_those_of_the_cpu_to_rounding(augmentation: Augmentation) -> None:
    found = augment(augmentation, IMAGES.cuda(), PHOTOS.cuda(), 1, 0, 5)
    assert found.device.type == "cuda"
    difference = found.cpu().int() - views(augmentation, torch.arange(10)).int()
    assert (difference.abs() <= 1).double().mean() > 0.999


def test_every_component_has_a_test_file() -> None:
    here = {file.stem for file in Path(__file__).parent.glob("test_*.py")}
    assert {f"test_{name.replace('-', '_')}" for name in NAMES} <= here
