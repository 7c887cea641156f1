"""A plugin's augmentation: two forms, told by the signature; whatever is amiss with it is told by name."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from siamesekit.components.augmentations.augmentation import Augmentation, augment
from siamesekit.errors import PluginError
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

pytestmark = pytest.mark.usefixtures("no_traces")

SIDE = 20
IMAGES = torch.randint(40, 200, (6, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PHOTOS = torch.tensor([3, 1, 4, 15, 9, 2])


def plugin(made: Any) -> Augmentation:
    """What is built of a component that gives `made`."""

    @AUGMENTATIONS.register("mine")
    def mine() -> Any:
        """Gives it."""
        return made

    del mine
    augmentation: Augmentation = AUGMENTATIONS.build("mine")
    return augmentation


def views(augmentation: Augmentation, chosen: list[int] | None = None, images: Tensor = IMAGES) -> Tensor:
    rows = torch.tensor(chosen if chosen is not None else range(6))
    return augment(augmentation, images[rows], PHOTOS[rows], 1, 0, 5)


class Natural(v2.Transform):
    """As torchvision's documentation writes one."""

    def forward(self, image: Tensor) -> Tensor:
        return image.flip(-1) if torch.rand(()) < 0.5 else image


class Module(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return v2.functional.adjust_brightness(image, random.uniform(0.5, 1.5))


class OfParts(v2.Transform):
    """The newer way: `transform`, while `forward` takes `*inputs`."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return v2.functional.rotate(inpt, float(np.random.uniform(-30, 30)))  # noqa: NPY002


class Ours:
    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        flips = torch.from_numpy(streams.uniform() < 0.5)
        return torch.where(flips[:, None, None, None], images.flip(-1), images)


def of_a_function(image: Tensor, strength: float = 0.5) -> Tensor:
    return v2.functional.adjust_contrast(image, 1 + strength * float(torch.rand(())))


ONE_IMAGE: dict[str, Callable[[], Any]] = {
    "a class with forward": Natural,
    "a module": Module,
    "a class with transform": OfParts,
    "a composition": lambda: v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5), v2.RandomRotation(20)]),
    "a list to choose from": lambda: v2.RandomChoice([v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0)]),
    "a function": lambda: of_a_function,
    "a partial": lambda: functools.partial(of_a_function, strength=0.9),
    "a lambda": lambda: lambda image: image.roll(random.randrange(SIDE), -1),
}
STREAMS: dict[str, Callable[[], Any]] = {
    "a class of ours": Ours,
    "a function of ours": lambda: lambda images, streams: Ours()(images, streams),
    "with an option": lambda: lambda images, streams=None: Ours()(images, streams),
}
FORMS = ONE_IMAGE | STREAMS


@pytest.mark.parametrize("form", FORMS)
def test_a_view_depends_on_the_photo_s_own_stream_alone(form: str) -> None:
    augmentation = plugin(FORMS[form]())
    everything = views(augmentation)
    assert (everything.dtype, everything.shape) == (torch.uint8, IMAGES.shape)
    assert not torch.equal(everything, IMAGES), "it does something"
    for chosen in ([3], [5, 1], [5, 4, 3, 2, 1, 0]):
        assert torch.equal(views(augmentation, chosen), everything[chosen])
    assert not torch.equal(augment(augmentation, IMAGES, PHOTOS, 2, 0, 5), everything)
    channels_last = IMAGES.contiguous(memory_format=torch.channels_last)
    assert torch.equal(views(augmentation, images=channels_last), everything)


@pytest.mark.parametrize("form", FORMS)
def test_the_photos_and_all_global_generators_are_left_as_they_were(form: str) -> None:
    augmentation, before = plugin(FORMS[form]()), IMAGES.clone()
    torch.manual_seed(1), random.seed(2), np.random.seed(3)  # noqa: NPY002
    expected = torch.rand(()), random.random(), np.random.random()  # noqa: NPY002
    torch.manual_seed(1), random.seed(2), np.random.seed(3)  # noqa: NPY002
    views(augmentation)
    assert (torch.rand(()), random.random(), np.random.random()) == expected  # noqa: NPY002
    assert torch.equal(IMAGES, before)


def test_a_transform_of_torchvision_gives_what_the_library_s_own_name_for_it_gives() -> None:
    own: Augmentation = AUGMENTATIONS.build("torchvision/color-jitter", {"brightness": 0.5, "hue": 0.1})
    assert torch.equal(views(plugin(v2.ColorJitter(brightness=0.5, hue=0.1))), views(own))


def test_a_photo_s_random_numbers_are_those_that_its_stream_seeds() -> None:
    """Python's, NumPy's and torch's generators, against a loop."""

    def shift(image: Tensor) -> Tensor:
        across = random.randrange(SIDE), int(np.random.randint(SIDE)), int(torch.randint(SIDE, ()))  # noqa: NPY002
        return image.roll(across, (0, 1, 2))

    expected = []
    for image, photo in zip(IMAGES, PHOTOS.tolist(), strict=True):
        [bits] = Streams.of(5, 1, np.array([photo]), 0).bits().tolist()
        seed = bits // 2
        random.seed(seed), np.random.seed(seed % 2**32), torch.manual_seed(seed)  # noqa: NPY002
        expected.append(shift(image))
    assert torch.equal(views(plugin(shift)), torch.stack(expected))


def test_a_transform_that_changes_its_image_in_place_changes_a_copy() -> None:
    before = IMAGES.clone()
    assert torch.equal(views(plugin(lambda image: image.add_(1))), IMAGES + 1)
    assert torch.equal(IMAGES, before)


def test_plugins_are_steps_of_a_sequence_in_either_form() -> None:
    AUGMENTATIONS.register("one-image")(lambda: Natural())
    AUGMENTATIONS.register("streams")(lambda: Ours())
    both: Augmentation = AUGMENTATIONS.build("sequence", {"steps": [{"name": "streams"}, {"name": "one-image"}]})
    streams = Streams.of(5, 1, PHOTOS.numpy(), 0)
    expected = AUGMENTATIONS.build("one-image")(Ours()(IMAGES, streams), streams)
    assert torch.equal(views(both), expected)


def three(images: Tensor, streams: Streams, labels: Tensor) -> Tensor:
    return images


def by_keyword(image: Tensor, *, strength: float) -> Tensor:
    return image


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (None, "gives None; expected an augmentation: a callable of (images, streams), or of one image"),
        (Natural, "gives the class Natural; expected an augmentation"),
        ([v2.RandomHorizontalFlip()], "gives a list; expected an augmentation"),
        (three, "gives a callable of (images: 'Tensor', streams: 'Streams', labels: 'Tensor') -> 'Tensor'; expected"),
        (lambda: None, "gives a callable of (); expected one of (images, streams), or of one image"),
        (by_keyword, "gives a callable of (image: 'Tensor', *, strength: 'float') -> 'Tensor'; expected one of"),
    ],
)
def test_what_is_no_augmentation_is_refused_when_it_is_built(made: Any, expected: str) -> None:
    with pytest.raises(PluginError) as error:
        plugin(made)
    assert str(error.value).startswith(f"augmentation 'mine' of test_accepted.py {expected}")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (v2.ToDtype(torch.float32, scale=True), "gives a tensor float32 [3, 20, 20] for a tensor uint8 [3, 20, 20]; "
         "expected a uint8 tensor [3, S, S] of the same shape; leave out ToDtype and Normalize"),
        (v2.Resize(10), "gives a tensor uint8 [3, 10, 10] for a tensor uint8 [3, 20, 20]; expected a uint8 tensor "
         "[3, S, S] of the same shape; resize or crop to the photo's own size"),
        (v2.Grayscale(), "gives a tensor uint8 [1, 20, 20] for"),
        (v2.ToPILImage(), "gives a Pillow image for a tensor uint8 [3, 20, 20]; expected a uint8 tensor"),
        (lambda image: image.numpy(), "gives an array uint8 [3, 20, 20] for"),
        (lambda image: None, "gives None for"),
        (lambda image: [image], "gives a list for"),
        (lambda images, streams: images.float(), "gives a tensor float32 [6, 3, 20, 20] for a tensor uint8"),
        (lambda images, streams: images[:2].clone(), "gives a tensor uint8 [2, 3, 20, 20] for"),
        (lambda images, streams: images, "gives the tensor of photos that it received; expected a new tensor"),
        (lambda images, streams: images[:], "gives the tensor of photos that it received"),
        (lambda images, streams: images.to("meta"), "gives views on meta; expected them on the photos' device, cpu"),
        (lambda image: image.no_such_thing(), "fails in <lambda> at line "),
        (lambda images, streams: 1 / 0, "fails in <lambda> at line "),
    ],
)  # fmt: skip
def test_what_an_augmentation_gives_amiss_is_told_by_name(made: Any, expected: str) -> None:
    augmentation = plugin(made)
    with pytest.raises(PluginError) as error:
        views(augmentation)
    assert str(error.value).startswith(f"augmentation 'mine' of test_accepted.py {expected}")
    assert "\n" not in str(error.value)


def test_a_class_s_own_line_and_method_are_named() -> None:
    class Broken(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            raise TypeError("cannot")

    with pytest.raises(PluginError, match=r"fails in .*Broken.forward at line \d+: TypeError: cannot$"):
        views(plugin(Broken()))


def test_autocast_does_not_reach_a_plugin() -> None:
    """A view that is made in a training step is the one that is made before training."""
    seen = []

    def watched(image: Tensor) -> Tensor:
        seen.append(torch.ones(2, 2) @ torch.ones(2, 2))
        return image

    with torch.autocast("cpu", dtype=torch.bfloat16):
        views(plugin(watched), [0])
    assert seen[0].dtype == torch.float32
