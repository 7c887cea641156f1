"""A step's loss and gradient, however the batch is cut up: those of the whole batch."""

import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import FP32, small_encoder
from oracles import triplet_losses
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import calibrate_batchnorm
from siamesekit.components.losses.arcface import ArcFaceLoss
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.losses.sum import SumOfLosses
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.components.tuples import Triplets
from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.chunking import why_whole
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.steps import Stepper
from siamesekit.errors import RunError
from siamesekit.model import Architecture, Encoder, build

IMAGES = 14
TRIPLETS = Triplets(torch.tensor([0, 0, 3, 5, 8]), torch.tensor([3, 5, 1, 0, 10]), torch.tensor([1, 2, 4, 6, 9]))


def images() -> Tensor:
    blotches = torch.randint(0, 256, (IMAGES, 3, 6, 6), generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(blotches.double(), 32, mode="bilinear").to(torch.uint8)


def made(batchnorm: str = "inference", train_from: str = "layer3") -> tuple[Encoder, Stored]:
    encoder = small_encoder(batchnorm, train_from)
    calibrate_batchnorm(encoder.backbone.network, iter([encoder.backbone.scale(images())]))
    encoder.double()
    stored = store(encoder, images(), FP32)
    return encoder.train(), stored


def triplet_loss(embeddings: Tensor, margin: float = 0.4) -> LossValue:
    loss = TripletLoss(margin, "sum", distance=SquaredEuclidean())
    return loss(embeddings, [0] * len(embeddings), TRIPLETS)


def gradients(encoder: Encoder) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in encoder.trainable() if parameter.grad is not None]


def plain(encoder: Encoder, stored: Stored) -> tuple[float, list[Tensor]]:
    """The loss of the whole batch and its gradients, by autograd alone."""
    encoder.zero_grad(set_to_none=True)
    value = triplet_loss(stored.embeddings(torch.arange(IMAGES), FP32))
    value.objective.backward()
    return value.objective.item(), gradients(encoder)


@pytest.mark.slow
@pytest.mark.parametrize("train_from", ["layer3", "head", ""])
@pytest.mark.parametrize("expected", ["all", "none", "some", "wrong"])
@pytest.mark.parametrize(("size", "held"), [(100, 100), (4, 100), (3, 5), (1, 0), (5, 1)])
def test_loss_and_gradient_do_not_depend_on_the_cut(size: int, held: int, expected: str, train_from: str) -> None:
    encoder, stored = made(train_from=train_from)
    loss, grads = plain(encoder, stored)
    stepper = Stepper(encoder, stored, FP32, Chunking(size, held))
    assert stepper.whole is None
    if expected != "all":
        stepper.expected[:] = False
    if expected == "some":
        stepper.expected[::3] = True
    if expected == "wrong":  # images without a triplet
        stepper.expected[11:] = True
    encoder.zero_grad(set_to_none=True)
    value, embeddings = stepper(torch.arange(IMAGES), triplet_loss)
    assert value.objective.item() == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(embeddings, stored.embeddings(torch.arange(IMAGES), FP32).detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(encoder), grads, rtol=1e-10, atol=1e-13)


@pytest.mark.medium
@pytest.mark.parametrize(("size", "held"), [(4, 100), (3, 0)])
def test_a_sum_of_losses_over_several_chunks_has_the_gradients_of_the_whole_batch(size: int, held: int) -> None:
    """Gradient accumulation by chunks is exact, also for losses that compare all photos of the batch."""
    encoder, stored = made()
    classes = ArcFaceLoss(0.3, 8.0, embedding_dim=encoder.head.embedding_dim, num_classes=5).double()
    total, labels = SumOfLosses([classes, (TripletLoss(0.4), 0.5)]), torch.arange(IMAGES) % 5

    def gradients_with(chunking: Chunking) -> list[Tensor]:
        encoder.zero_grad(set_to_none=True)
        classes.zero_grad(set_to_none=True)
        value, _ = Stepper(encoder, stored, FP32, chunking)(torch.arange(IMAGES), lambda e: total(e, labels))
        assert classes.centers.grad is not None
        return [value.objective.detach(), classes.centers.grad.clone(), *gradients(encoder)]

    whole = gradients_with(Chunking())
    assert len(whole) > 4
    torch.testing.assert_close(gradients_with(Chunking(size, held)), whole, rtol=1e-10, atol=1e-13)


def test_only_images_with_a_gradient_are_expected_next_time() -> None:
    encoder, stored = made()
    stepper = Stepper(encoder, stored, FP32)
    value, _ = stepper(torch.arange(IMAGES), triplet_loss)
    d = stored.embeddings(torch.arange(IMAGES), FP32).detach()
    active = torch.stack(triplet_losses(d, TRIPLETS, margin=0.4)) > 0
    assert 0 < active.sum() < len(active), "the case must have both kinds"
    wanted = torch.zeros(IMAGES, dtype=torch.bool)
    for index in TRIPLETS:
        wanted[index[active]] = True
    assert torch.equal(stepper.expected, wanted)
    assert value.active.item() == pytest.approx(active.double().mean().item())


def test_images_without_a_gradient_are_not_gone_through_backwards() -> None:
    encoder, stored = made()
    counted: list[int] = []

    def embed(tensors: object) -> Tensor:
        out = stored.embed(tensors)  # type: ignore[arg-type]
        if out.requires_grad:
            out.register_hook(lambda gradient: counted.append(len(gradient)))
        return out

    watched = Stored(stored.tensors, embed, stored.why, stored.cached, stored.images)
    stepper = Stepper(encoder, watched, FP32)
    stepper(torch.arange(IMAGES), triplet_loss)
    needed = int(stepper.expected.sum())
    counted.clear()
    stepper(torch.arange(IMAGES), triplet_loss)
    assert sum(counted) == needed < IMAGES


def test_where_no_triplet_is_active_the_gradient_is_zero_and_not_missing() -> None:
    encoder, stored = made()
    stepper = Stepper(encoder, stored, FP32)
    value, _ = stepper(torch.arange(IMAGES), lambda embeddings: triplet_loss(embeddings, margin=0.0))
    encoder.zero_grad(set_to_none=True)
    value, _ = stepper(torch.arange(IMAGES), lambda e: LossValue((e * 0).sum(), e.sum() * 0, e.sum() * 0))
    assert value.objective.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in encoder.trainable())


def test_a_loss_that_is_not_finite_gives_no_gradient() -> None:
    encoder, stored = made()
    value, _ = Stepper(encoder, stored, FP32)(
        torch.arange(IMAGES), lambda e: LossValue(e.sum() * torch.nan, e.sum(), e.sum())
    )
    assert torch.isnan(value.objective)
    assert all(parameter.grad is None for parameter in encoder.trainable())


def test_batches_are_encoded_whole_where_embeddings_depend_on_the_batch_or_on_chance() -> None:
    encoder, stored = made("train")
    reason = why_whole(encoder)
    assert reason is not None and "uses the batch's statistics" in reason
    loss, grads = plain(encoder, stored)
    encoder, stored = made("train")
    value, _ = Stepper(encoder, stored, FP32, Chunking(3, 4))(torch.arange(IMAGES), triplet_loss)
    assert value.objective.item() == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(gradients(encoder), grads, rtol=1e-10, atol=1e-13)

    encoder, _ = made()
    assert why_whole(encoder) is None
    encoder.head.add_module("dropout", nn.Dropout(0.1))
    assert why_whole(encoder) == "Dropout head.dropout is random"
    encoder.head.dropout.p = 0.0
    assert why_whole(encoder) is None


def test_a_loss_that_depends_on_nothing_gives_no_gradient() -> None:
    for batchnorm in ("inference", "train"):
        encoder, stored = made(batchnorm)
        value, embeddings = Stepper(encoder, stored, FP32)(
            torch.arange(IMAGES), lambda e: LossValue(e.new_zeros(()), e.new_zeros(()), e.new_zeros(()))
        )
        assert value.objective.item() == 0
        assert embeddings.shape == (IMAGES, 16)
        assert all(parameter.grad is None for parameter in encoder.trainable())


@pytest.mark.medium
@pytest.mark.parametrize(("size", "held"), [(100, 100), (4, 100), (3, 5), (1, 0)])
def test_the_gradient_of_a_loss_s_own_parameters_does_not_depend_on_the_cut(size: int, held: int) -> None:
    encoder, stored = made()
    start = torch.linspace(-1, 1, 5 * 16, dtype=torch.float64).reshape(5, 16)
    individuals = torch.arange(IMAGES) % 5

    def gradient(proxies: nn.Parameter, run: Callable[[Callable[[Tensor], LossValue]], object]) -> list[Tensor]:
        def loss(embeddings: Tensor) -> LossValue:
            logits = -(embeddings[:, None] - proxies).square().sum(-1)
            objective = nn.functional.cross_entropy(logits, individuals)
            return LossValue(objective, objective.detach(), objective.detach())

        encoder.zero_grad(set_to_none=True)
        run(loss)
        return [proxies.grad, *gradients(encoder)]

    def whole(loss: Callable[[Tensor], LossValue]) -> None:
        loss(stored.embeddings(torch.arange(IMAGES), FP32)).objective.backward()

    stepper = Stepper(encoder, stored, FP32, Chunking(size, held))
    ours = gradient(nn.Parameter(start.clone()), lambda loss: stepper(torch.arange(IMAGES), loss))
    expected = gradient(nn.Parameter(start.clone()), whole)
    assert expected[0].abs().max() > 1e-3
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-13)


class Scarce:
    """Stored images whose encoding takes memory: more photos at a time than there is room for fail, as torch does it.

    With `backward` the backward pass fails too, once the room is taken.
    """

    def __init__(self, stored: Stored, room: int, backward: int = 0) -> None:
        self.stored, self.room, self.backward = stored, room, backward
        self.images, self.by_mode, self.team = stored.images, stored.by_mode, None

    def embeddings(self, images: Tensor, precision: object, epoch: int = 0) -> Tensor:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        embeddings = self.stored.embeddings(images, FP32, epoch)
        if embeddings.requires_grad and self.backward:
            embeddings.register_hook(self._fail)
        return embeddings

    def _fail(self, gradient: Tensor) -> Tensor:
        if self.backward:
            self.backward -= 1
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        return gradient


@pytest.mark.slow
@pytest.mark.parametrize(("room", "backward"), [(3, 0), (1, 0), (100, 1), (100, 2), (5, 1)])
def test_where_memory_does_not_suffice_chunks_halve_and_the_step_is_the_same(room: int, backward: int) -> None:
    encoder, stored = made()
    loss, grads = plain(encoder, stored)
    told: list[str] = []
    calls = 0

    def counted(embeddings: Tensor) -> LossValue:
        nonlocal calls
        calls += 1
        return triplet_loss(embeddings)

    stepper = Stepper(encoder, Scarce(stored, room, backward), FP32, Chunking(8, 100), told.append)  # type: ignore[arg-type]
    encoder.zero_grad(set_to_none=True)
    value, _ = stepper(torch.arange(IMAGES), counted)
    assert value.objective.item() == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(gradients(encoder), grads, rtol=1e-10, atol=1e-13)
    assert calls == 1, "a loss with a memory must not see a batch twice"
    assert stepper.chunking.size <= room
    halvings = len(told)
    assert told == [
        f"out of memory with chunks of {8 >> n} photos; continuing with {8 >> (n + 1)}" for n in range(halvings)
    ]
    assert halvings == {3: 2, 1: 3, 100: backward, 5: 2}[room]
    stepper(torch.arange(IMAGES), triplet_loss)
    assert len(told) == halvings, "each size is given up once"


def test_where_memory_does_not_suffice_for_one_photo_or_a_whole_batch_it_is_an_error() -> None:
    encoder, stored = made()
    stepper = Stepper(encoder, Scarce(stored, 0), FP32)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="out of memory with a single photo"):
        stepper(torch.arange(IMAGES), triplet_loss)
    whole, its_stored = made(batchnorm="train")
    stepper = Stepper(whole, Scarce(its_stored, 3), FP32)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"a batch of 14 photos, which cannot be split into chunks, because BatchNorm"):
        stepper(torch.arange(IMAGES), triplet_loss)


def test_other_errors_are_let_through() -> None:
    encoder, stored = made()

    def broken(_: Tensor) -> LossValue:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Stepper(encoder, stored, FP32)(torch.arange(IMAGES), broken)


def test_memory_is_given_back_before_a_step_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an error is handled its traceback holds the activations, and a GPU's cache gives nothing back."""
    encoder, stored = made()
    alive: list[weakref.ref[Tensor]] = []

    class Holding(Scarce):
        def embeddings(self, images: Tensor, precision: object, epoch: int = 0) -> Tensor:
            held = torch.zeros(1000)
            alive.append(weakref.ref(held))
            embeddings = super().embeddings(images, precision, epoch)
            del held
            return embeddings

    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(sum(ref() is not None for ref in alive)))
    stepper = Stepper(encoder, Holding(stored, 100), FP32, Chunking(8, 100))  # type: ignore[arg-type]
    stepper.stored.room = 3  # type: ignore[attr-defined]
    stepper._chunked.device = torch.device("cuda")
    stepper(torch.arange(IMAGES), triplet_loss)
    assert emptied == [0, 0]


@pytest.mark.medium
@pytest.mark.parametrize("name", ["timm/test_efficientnet", "timm/mobilenetv3_small_050"])
def test_batchnorm_with_an_activation_in_it_is_batchnorm(name: str) -> None:
    """timm's `BatchNormAct2d` has modules in it: a batch cut up would be normalised by each part's own statistics."""
    torch.manual_seed(0)
    encoder = build(Architecture(name, {}, {"layers": [16]}, "train"))
    encoder.backbone.freeze_before("blocks.3")
    stored = store(encoder.double(), images(), FP32)
    reason = why_whole(encoder)
    assert reason is not None and reason.startswith("BatchNorm backbone.network.blocks.3")
    expected = plain(encoder.train(), stored)
    encoder.zero_grad(set_to_none=True)
    value, _ = Stepper(encoder, stored, FP32, Chunking(3, 4))(torch.arange(IMAGES), triplet_loss)
    assert value.objective.item() == pytest.approx(expected[0], rel=1e-10)
    torch.testing.assert_close(gradients(encoder), expected[1], rtol=1e-8, atol=1e-12)


class OwnDropout(nn.Module):
    """A network whose own code drops, by one generator or another."""

    def __init__(self, way: str, traceable: bool = True) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3 * 32 * 32, 12), nn.Linear(12, 8)
        self.way, self.traceable = way, traceable

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        if not self.traceable and x.sum() > 1e9:
            return x
        if self.training:
            match self.way:
                case "torch":
                    x = nn.functional.dropout(x, 0.5, self.training)
                case "numpy":
                    x = x * float(np.random.random())  # noqa: NPY002
                case "batch":
                    x = nn.functional.batch_norm(x, None, None, training=True)
        return self.second(x)


@pytest.mark.parametrize(
    ("way", "traceable", "says"),
    [
        ("torch", True, "the network runs different code in training, as with a functional dropout"),
        ("torch", False, "the network draws random numbers in training"),
        ("numpy", True, "the network draws random numbers in training"),
        ("batch", True, "the network runs different code in training, as with a functional dropout"),
        ("none", True, None),
        ("none", False, None),
    ],
)
def test_a_network_whose_own_code_draws_or_looks_at_the_batch_is_given_whole_batches(
    way: str, traceable: bool, says: str | None
) -> None:
    torch.manual_seed(0)
    encoder = Encoder(Backbone(OwnDropout(way, traceable), 8, (0,) * 3, (255,) * 3), nn.Identity())
    stored = store(encoder, images(), FP32)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert why_whole(encoder.train(), stored, FP32) == says
    assert Stepper(encoder, stored, FP32, Chunking(3, 4)).whole == says
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    together, again = (stored.embeddings(torch.arange(IMAGES), FP32) for _ in range(2))
    assert torch.equal(together, again) == (way in ("none", "batch"))
    encoder.eval()
    torch.testing.assert_close(stored.embeddings(torch.arange(IMAGES), FP32), encoder(images()))
