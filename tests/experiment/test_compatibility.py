"""What cannot be combined is refused by name, and the trial leaves everything as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamesekit.components.losses.loss import LossValue
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import Triplets
from siamesekit.config import Config, load_config
from siamesekit.errors import ComponentError, UserError
from siamesekit.experiment.compatibility import (
    margins_out_of_reach,
    refuse_what_does_not_fit,
    try_on_a_batch,
    try_on_batches,
)
from siamesekit.registry import DISTANCES, LOSSES, MINERS
from siamesekit.registry.plugin_files import load_plugin_file

DIMENSIONS, CLASSES = 8, 4
LABELS = torch.arange(16) % CLASSES


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Config]:
    """A config of a loss, and what else is told, as TOML values by table."""

    def config(loss: str, miner: str = "", distance: str = "squared-euclidean", normalize: bool = True) -> Config:
        text = (
            f'[data]\nreader = "folder"\nroot = "x"\n[encoder]\nname = "xception"\n[encoder.head]\n'
            f'normalize = {str(normalize).lower()}\n[distance]\nname = "{distance}"\n[loss]\n{loss}\n'
        )
        if miner:
            text += f'[miner]\nname = "{miner}"\n'
        (tmp_path / "c.toml").write_text(text)
        return load_config(tmp_path / "c.toml")

    return config


def made(config: Config) -> tuple[Any, Any, Any]:
    """The loss, the miner and the distance of a config."""
    distance = DISTANCES.build(config.distance.component, config.distance.options)
    loss = LOSSES.build_for_run(
        config.loss.component, config.loss.options, distance=distance, embedding_dim=DIMENSIONS, num_classes=CLASSES
    )
    miner = None
    if config.miner is not None:
        miner = MINERS.build_for_run(config.miner.component, config.miner.options, distance=distance, seed=0)
    return loss, miner, distance


def refuse(config: Config) -> None:

    refuse_what_does_not_fit(config)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["proxy-anchor", "arcface", "pml/proxy-nca", "pml/cosface"])
@pytest.mark.parametrize("miner", ["batch-hard", "pml/multi-similarity"])
def test_a_loss_of_classes_takes_no_miner(config: Callable[..., Config], loss: str, miner: str) -> None:
    with pytest.raises(ComponentError) as error:
        refuse(config(f'name = "{loss}"', miner, distance="cosine"))
    assert str(error.value) == (
        f"loss {loss!r} compares embeddings with classes and takes no triplets or pairs from a miner: "
        f"remove [miner] (name = {miner!r})"
    )
    refuse(config(f'name = "{loss}"', distance="cosine"))


def test_a_loss_over_the_whole_batch_takes_no_miner(config: Callable[..., Config]) -> None:
    with pytest.raises(ComponentError, match=r"loss 'pml/pnp' uses the whole batch and takes no triplets or pairs"):
        refuse(config('name = "pml/pnp"', "semi-hard"))
    nested = 'name = "pml/multiple"\nlosses = [{ name = "pml/contrastive" }, { name = "pml/proxy-anchor" }]'
    with pytest.raises(ComponentError, match=r"loss 'pml/multiple' compares embeddings with classes"):
        refuse(config(nested, "semi-hard"))


@pytest.mark.medium
@pytest.mark.parametrize("loss", ["triplet", "contrastive", "pml/triplet-margin", "pml/smooth-ap", "pml/margin"])
@pytest.mark.parametrize("miner", ["batch-hard", "pml/multi-similarity"])
def test_a_loss_of_tuples_takes_a_miner(config: Callable[..., Config], loss: str, miner: str) -> None:
    refuse(config(f'name = "{loss}"', miner))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("distance", "normalize", "fits"),
    [
        ("cosine", True, True),
        ("cosine", False, True),
        ("euclidean", True, True),
        ("squared-euclidean", True, True),
        ("pml/cosine-similarity", False, True),
        ("pml/lp", False, True),  # it scales embeddings to length 1 itself
        ("euclidean", False, False),
        ("squared-euclidean", False, False),
        ("manhattan", True, False),
        ("manhattan", False, False),
        ("pml/snr", True, False),
    ],
)
@pytest.mark.parametrize("loss", ["proxy-anchor", "arcface"])
def test_a_loss_that_measures_by_the_cosine_wants_a_distance_that_ranks_so(
    config: Callable[..., Config], loss: str, distance: str, normalize: bool, fits: bool
) -> None:
    told = config(f'name = "{loss}"', distance=distance, normalize=normalize)
    if fits:
        refuse(told)
        return
    with pytest.raises(ComponentError) as error:
        refuse(told)
    assert str(error.value) == (
        f"loss {loss!r} measures by the cosine, but distance {distance!r} ranks differently: "
        'set distance.name = "cosine"'
    )


@pytest.mark.parametrize("distance", ["manhattan", "euclidean"])
def test_a_loss_that_takes_the_run_s_distance_takes_any(config: Callable[..., Config], distance: str) -> None:
    refuse(config('name = "triplet"', distance=distance, normalize=False))


def test_a_measure_that_a_loss_refuses_is_refused_when_it_is_built(config: Callable[..., Config]) -> None:
    told = config('name = "pml/angular"\n[loss.distance]\nname = "pml/cosine-similarity"')
    with pytest.raises(ComponentError, match=r"^pml/angular refuses these options: .*LpDistance"):
        made(told)


def batch(*photos: int, triplets: Triplets | None = None) -> Batch:
    return Batch(torch.tensor(photos), triplets)


WHOLE = batch(*range(16))


def test_losses_that_want_equal_classes_are_refused_on_others(config: Callable[..., Config]) -> None:
    told = config('name = "pml/smooth-ap"')
    loss, _, _ = made(told)
    try_on_a_batch(told, loss, None, WHOLE, LABELS, DIMENSIONS)
    with pytest.raises(UserError) as error:
        try_on_a_batch(told, loss, None, batch(0, 1, 4, 5, 8), LABELS, DIMENSIONS)
    assert str(error.value).startswith(
        "loss 'pml/smooth-ap', sampler 'all-pairs' do not work together on a batch of 5 photos: ComponentError: "
    )


def test_the_miner_is_named_too(config: Callable[..., Config]) -> None:
    class Broken:
        def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
            raise IndexError("out of range")

    told = config('name = "triplet"', "batch-hard")
    loss, _, _ = made(told)
    with pytest.raises(UserError) as error:
        try_on_a_batch(told, loss, Broken(), WHOLE, LABELS, DIMENSIONS)
    assert str(error.value) == (
        "loss 'triplet', miner 'batch-hard', sampler 'all-pairs' do not work together on a batch of 16 photos: "
        "IndexError: out of range"
    )
    assert isinstance(error.value.__cause__, IndexError)


def frozen(state: dict[str, Any]) -> dict[str, Any]:
    return {
        key: frozen(value) if isinstance(value, dict) else value.tolist() if isinstance(value, Tensor) else value
        for key, value in state.items()
    }


@pytest.mark.parametrize(
    "loss",
    [
        'name = "pml/cross-batch-memory"\nmemory_size = 32\nloss = { name = "pml/contrastive" }',
        'name = "cross-batch-memory"\nloss = { name = "contrastive" }',
        'name = "pml/dynamic-soft-margin"',
        'name = "pml/p2s-grad"',
        'name = "proxy-anchor"',
    ],
    ids=["pml memory", "memory", "running figure", "rescaled weights", "proxies"],
)
def test_the_trial_leaves_the_loss_and_the_generators_as_they_were(config: Callable[..., Config], loss: str) -> None:
    told = config(loss, distance="cosine")
    made_loss, _, _ = made(told)
    before = copy.deepcopy(frozen(made_loss.state_dict()))
    np.random.seed(0)  # noqa: NPY002
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    try_on_batches(told, made_loss, None, [WHOLE], LABELS, DIMENSIONS)
    assert frozen(made_loss.state_dict()) == before
    assert all(parameter.grad is None for parameter in made_loss.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert np.random.get_state()[1].tolist() == numbers  # noqa: NPY002
    if "p2s" not in loss and "proxy" not in loss:
        made_loss(torch.randn(16, DIMENSIONS), LABELS, None)
        assert frozen(made_loss.state_dict()) != before, "a call that is no trial shows"


class Watching(nn.Module):
    """Writes down what it is given; the copy that is tried writes into the same list."""

    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen = seen

    def __deepcopy__(self, memo: dict[int, Any]) -> Watching:
        return Watching(self.seen)

    def forward(self, embeddings: Tensor, labels: Tensor, tuples: Any) -> LossValue:
        self.seen.append((embeddings, labels, tuples))
        objective = self.weight * embeddings.square().sum()
        objective.register_hook(lambda _: self.seen.append("backward"))
        return LossValue(objective, objective.detach(), objective.detach())


def test_the_trial_is_on_unit_embeddings_of_the_batch_s_individuals_with_its_tuples(
    config: Callable[..., Config],
) -> None:
    """Forward and backward, with the sampler's triplets, or the miner's in their place."""
    seen: list[Any] = []
    triplets = Triplets(*torch.tensor([[0], [2], [1]]))
    one = batch(1, 2, 5, triplets=triplets)
    try_on_a_batch(config('name = "triplet"'), Watching(seen), None, one, LABELS, DIMENSIONS)
    [(embeddings, labels, tuples), end] = seen
    assert end == "backward"
    assert embeddings.shape == (3, DIMENSIONS)
    np.testing.assert_allclose(embeddings.detach().norm(dim=1), 1, rtol=1e-6)
    assert labels.tolist() == [1, 2, 1]
    assert [index.tolist() for index in tuples] == [[0], [2], [1]]
    told = config('name = "triplet"', "all")
    _, miner, _ = made(told)
    try_on_a_batch(told, Watching(seen), miner, one, LABELS, DIMENSIONS)
    assert sorted(zip(*(index.tolist() for index in seen[2][2]), strict=True)) == [(0, 2, 1), (2, 0, 1)]


def test_a_failing_backward_is_found(config: Callable[..., Config]) -> None:
    class NoGradient:
        def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Any) -> LossValue:
            value = embeddings.detach().sum()
            return LossValue(value, value, value)

    with pytest.raises(UserError, match="RuntimeError: element 0 of tensors does not require grad"):
        try_on_a_batch(config('name = "triplet"'), NoGradient(), None, WHOLE, LABELS, DIMENSIONS)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('[augmentation]\nname = "torchvision/random-rotation"\ndegrees = [2.0, 1.0]',
         "torchvision's RandomRotation refuses these options on photos of 128 pixels: "),
        ('[schedule]\nname = "torch/exponential"\ngamma = 1e300',
         "schedule ExponentialLR of PyTorch is invalid at its step 2: the factor is inf, but must be finite and at "
         "least 0; change the options"),
        ('[schedule]\nname = "torch/one-cycle"\nmax_lr = 0.1\ntotal_steps = 3',
         "schedule 'torch/one-cycle': total_steps = 3 is less than the run's 60 epochs"),
        ('[optimizer]\nname = "torch/sgd"\nnesterov = true', "torch/sgd refuses these options: Nesterov"),
    ],
)  # fmt: skip
def test_what_fails_only_when_it_is_used_is_tried_before_training(
    config: Callable[..., Config], more: str, expected: str
) -> None:
    with pytest.raises(ComponentError) as error:
        refuse(config(f'name = "triplet"\n{more}'))
    assert str(error.value).startswith(expected)


def test_an_optimizer_that_cannot_make_a_step_is_refused(
    config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflow(*_: object) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(torch.optim.SGD, "step", overflow)
    with pytest.raises(ComponentError) as error:
        refuse(config('name = "triplet"\n[optimizer]\nname = "sgd"'))
    assert str(error.value) == "optimizer 'sgd' cannot make a step with these options: OverflowError: too large"


def test_the_trials_leave_the_random_numbers_alone(config: Callable[..., Config]) -> None:
    text = 'name = "triplet"\n[augmentation]\nname = "torchvision/rand-augment"\n[schedule]\nname = "torch/cyclic"\n'
    before = torch.random.get_rng_state()
    refuse(config(text + "base_lr = 0.1\nmax_lr = 0.2"))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_memory_s_miner_that_wants_the_seed_is_given_it(config: Callable[..., Config], no_traces: None) -> None:
    seeds: list[int] = []

    @MINERS.register("test-seeded")
    class Seeded:
        def __init__(self, *, seed: int) -> None:
            seeds.append(seed)

    del Seeded
    refuse(config('name = "cross-batch-memory"\nloss = { name = "triplet" }\nminer = { name = "test-seeded" }'))
    assert seeds == [0]


@pytest.mark.usefixtures("no_traces")
def test_a_distance_that_would_have_to_be_trained_is_refused(config: Callable[..., Config]) -> None:
    """Its tensors would be neither moved to the device nor saved; one without any is a distance like others."""

    class Weighted(nn.Module):
        def __init__(self, dim: int = DIMENSIONS) -> None:
            super().__init__()
            if dim:
                self.weight = nn.Parameter(torch.ones(dim))

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return (a - b).square().sum(-1)

    DISTANCES.register("weighted")(Weighted)
    with pytest.raises(ComponentError, match=r"distance 'weighted' holds tensors of its own \(weight\), which a run"):
        refuse(config('name = "triplet"', distance="weighted"))
    refuse(config('name = "triplet"', distance='weighted"\ndim = 0 # "'))


IMPURE = {
    "counts its calls": (
        "def mine():\n    calls = iter(range(999))\n    return lambda image: image.roll(next(calls), -1)\n",
        "gives different views of the same photos when it is called again, so a run could not be resumed: "
        "draw a number",
    ),
    "its own generator": (
        "def mine():\n    own = random.Random(1)\n    return lambda image: image.roll(own.randrange(9), -1)\n",
        "gives different views of the same photos when it is called again",
    ),
    "looks at the batch": (
        "def mine():\n    return lambda images, streams: images.flip(0)\n",
        "gives a photo a different view when it is called with other photos: draw a number for each photo from streams",
    ),
    "changes the photos": (
        "def mine():\n    return lambda images, streams: images.fill_(9).clone()\n",
        "changes the photos that it is given: work on a copy, images.clone()",
    ),
    "draws for the batch": (
        "def mine():\n    return lambda images, streams: (images * torch.rand(())).to(images.dtype)\n",
        "gives different views of the same photos when it is called again",
    ),
}


@pytest.mark.usefixtures("no_traces")
@pytest.mark.parametrize("how", IMPURE)
def test_a_plugin_s_views_that_depend_on_more_than_the_photo_are_refused(
    config: Callable[..., Config], tmp_path: Path, how: str
) -> None:
    code, expected = IMPURE[how]
    (tmp_path / "mine.py").write_text(
        f"import random, torch\nfrom siamesekit import AUGMENTATIONS\n@AUGMENTATIONS.register('mine')\n{code}"
    )
    load_plugin_file(tmp_path / "mine.py")
    torch.manual_seed(0)  # two draws of the global generator, from which a plugin draws, may be alike by chance
    with pytest.raises(UserError) as error:
        refuse(config('name = "triplet"\n[augmentation]\nname = "mine"'))
    assert str(error.value).startswith(f"augmentation 'mine' of mine.py {expected}")


@pytest.mark.usefixtures("no_traces")
def test_a_class_of_torchvision_s_form_is_an_augmentation_as_it_stands(
    config: Callable[..., Config], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom siamesekit import AUGMENTATIONS\nfrom torchvision.transforms import v2\n"
        "@AUGMENTATIONS.register('my-views')\nclass MyViews(torch.nn.Module):\n"
        "    def forward(self, image):\n        return v2.functional.invert(image) if torch.rand(()) < 0.5 else image\n"
    )
    load_plugin_file(tmp_path / "mine.py")
    refuse(config('name = "triplet"\n[augmentation]\nname = "my-views"'))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("encoder.train_from=stem", r"encoder\.train_from: the network has no block 'stem'.*choices: "),
        ("encoder.name=torchvision/vit_b_16", r"data\.size: the encoder takes photos of 224 × 224 pixels only"),
        ("encoder.name=timm/resnet18.nope", r"has no weights 'nope'"),
    ],
)
def test_what_the_encoder_refuses_is_refused_before_any_photo_is_read(
    tmp_path: Path, override: str, expected: str
) -> None:
    text = '[data]\nreader = "folder"\nroot = "gone"\nsize = 32\n[encoder]\nname = "timm/test_resnet"\n'
    (tmp_path / "c.toml").write_text(text)
    refuse_what_does_not_fit(load_config(tmp_path / "c.toml"))
    with pytest.raises(UserError, match=expected):
        refuse_what_does_not_fit(load_config(tmp_path / "c.toml", [override]))


@pytest.mark.parametrize("sub_centers", [1001, 2_000_000_000, 2**62])
def test_a_number_of_centres_without_bound_is_refused(tmp_path: Path, sub_centers: int) -> None:
    text = (
        f'[data]\nreader = "folder"\nroot = "x"\n[encoder]\nname = "xception"\n[loss]\nname = "arcface"\n'
        f"sub_centers = {sub_centers}\n"
    )
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError, match=r"loss\.sub_centers: must be less than or equal to 1000"):
        load_config(tmp_path / "c.toml")


HUNGRY = """\
import torch
from siamesekit import LOSSES

@LOSSES.register("hungry")
def hungry(size: int):
    \"\"\"Takes what there is not.\"\"\"
    return torch.empty(size)
"""


def test_a_component_that_takes_more_memory_than_there_is_is_named(tmp_path: Path, no_traces: None) -> None:
    (tmp_path / "p.py").write_text(HUNGRY)
    text = (
        'plugins = ["p.py"]\n[data]\nreader = "folder"\nroot = "x"\n[encoder]\nname = "xception"\n'
        f'[loss]\nname = "hungry"\nsize = {2**60}\n'
    )
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError, match="loss 'hungry' does not fit into memory: lower its options"):
        refuse_what_does_not_fit(load_config(tmp_path / "c.toml"))


@pytest.mark.parametrize(
    ("loss", "distance", "says"),
    [
        ('name = "triplet"\nmargin = 2.5', "cosine", "margin = 2.5 is above 2: every triplet has a loss"),
        ('name = "triplet"\nmargin = 2.0', "cosine", None),
        ('name = "triplet"\nmargin = 5.0\nhinge = "soft"', "cosine", None),
        ('name = "contrastive"\nnegative_margin = 5.0', "cosine", "negative_margin = 5 is above 2: every negative"),
        ('name = "contrastive"\nnegative_margin = 1.0', "dot", None),
        ('name = "multi-similarity"\nbase = 1.5', "cosine", "base = 1.5 is not a similarity, which is from -1 to 1"),
        ('name = "triplet"\nmargin = 99.0', "manhattan", None),
    ],
)
def test_a_margin_that_no_distance_reaches_is_told(
    config: Callable[..., Config], loss: str, distance: str, says: str | None
) -> None:
    told = config(loss, distance=distance)
    refuse(told)
    built, _, measure = made(told)
    found = margins_out_of_reach(told, built, measure)
    assert (found is None) == (says is None)
    assert says is None or (found is not None and says in found)


def test_a_default_margin_of_unit_embeddings_is_refused_for_others(config: Callable[..., Config]) -> None:
    with pytest.raises(ComponentError, match=r"set loss\.positive_margin, or encoder\.head\.normalize = true"):
        refuse(config('name = "contrastive"', distance="dot", normalize=False))
    refuse(config('name = "contrastive"\npositive_margin = -9.0', distance="dot", normalize=False))
    refuse(config('name = "contrastive"', distance="euclidean", normalize=False))
    refuse(config('name = "contrastive"', distance="dot"))
