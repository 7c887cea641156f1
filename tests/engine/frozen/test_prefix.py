"""The frozen part, run once per image, and each distinct image once: exactly the plain network of three images."""

import warnings
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor, nn

from conftest import FP32, small_encoder
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.weights import calibrate_batchnorm
from siamesekit.components.losses.triplet import TripletLoss
from siamesekit.components.samplers.batch import batch_of
from siamesekit.components.tuples import Triplets
from siamesekit.engine.frozen import cache_key as prefix_key
from siamesekit.engine.frozen.cutting import CannotCutError, cut
from siamesekit.engine.frozen.feature_cache import FeatureStore
from siamesekit.engine.frozen.prefix import CacheLimit, store
from siamesekit.engine.frozen.stored import EMBEDDED_CHUNK, Stored, Views, pixel_chunk
from siamesekit.hardware.compute import choose_compute
from siamesekit.model import Architecture, Encoder, SiameseNetwork, build

TRIPLETS = Triplets(torch.tensor([0, 0, 3, 5]), torch.tensor([1, 2, 4, 4]), torch.tensor([3, 5, 1, 0]))
NETWORKS = [
    ("timm/test_resnet", "layer3", 32),
    ("timm/test_resnet", "layer3.0.conv2", 32),
    ("timm/test_resnet", "", 32),
    ("timm/test_resnet", "head", 32),
    ("timm/resnet18", "layer3", 64),
    ("timm/efficientnet_b0", "blocks.4", 64),
    ("timm/mobilenetv3_small_050", "blocks.3", 64),
    ("timm/densenet121", "features.denseblock4.denselayer3", 64),
    ("timm/test_convnext", "stages.2", 64),
    ("timm/test_vit", "blocks.3", 160),
    ("timm/test_vit", "head", 160),
    ("xception", "block11", 96),
    ("xception", "block11.rep.4", 71),
]
IN_FLOAT32 = [case for case in NETWORKS if case[0] in ("timm/test_resnet", "timm/resnet18", "timm/test_vit")]
IN_FLOAT32.append(("timm/test_convnext", "stages.2", 64))  # xception: in the parity test, with well-conditioned weights


def drawn_images(count: int, size: int, seed: int = 1) -> Tensor:
    """Coarse blotches: after several layers still different from each other."""
    blotches = torch.randint(0, 256, (count, 3, 6, 6), generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(blotches.double(), size, mode="bilinear").to(torch.uint8)


def made(name: str, train_from: str, size: int, batchnorm: str = "inference") -> Encoder:
    """An encoder with BatchNorm statistics of the images: with random ones all images would look alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = small_encoder(batchnorm, train_from, name)
    calibrate_batchnorm(encoder.backbone.network, iter([encoder.backbone.scale(drawn_images(6, size))]))
    return encoder.eval()


def gradients(encoder: Encoder, objective: Tensor) -> dict[str, Tensor]:
    encoder.zero_grad(set_to_none=True)
    objective.backward()
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def differences(encoder: Encoder, images: Tensor, cached: bool) -> tuple[float, dict[str, float]]:
    """How far the loss and each gradient of the engine are from those of three images, relative to their size."""
    distance = SquaredEuclidean()
    stored = store(encoder, images, FP32)
    assert stored.cached == cached
    encoder.train()
    d_ap, d_an = SiameseNetwork(encoder, distance)(*(images[index] for index in TRIPLETS))
    plain = (d_ap - d_an + 1.0).clamp_min(0).sum()
    expected = gradients(encoder, plain)

    batch = batch_of(TRIPLETS)
    value = TripletLoss(1.0, "sum", distance=distance)(stored.embeddings(batch.images, FP32), [0] * 6, batch.triplets)
    found = gradients(encoder, value.objective)
    assert found.keys() == expected.keys() == {name for name, p in encoder.named_parameters() if p.requires_grad}
    whole = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    return relative(value.objective.detach(), plain.detach()), {
        name: float((found[name] - gradient).norm() / (gradient.norm() + 0.1 * whole))
        for name, gradient in expected.items()  # one that is 0 but for rounding is measured on the whole
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "train_from", "size"), NETWORKS)
def test_loss_and_every_gradient_are_those_of_three_images(name: str, train_from: str, size: int) -> None:
    loss, each = differences(made(name, train_from, size).double(), drawn_images(6, size), train_from != "")
    assert loss < 1e-10
    assert max(each.values()) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(("name", "train_from", "size"), IN_FLOAT32)
def test_and_in_float32_to_rounding(name: str, train_from: str, size: int) -> None:
    """The median of five draws: in one of them rounding may take a value across a ReLU's kink, where gradients jump."""
    encoder = made(name, train_from, size)
    losses, several = zip(
        *(differences(encoder, drawn_images(6, size, seed), train_from != "") for seed in range(1, 6)), strict=True
    )
    assert max(losses) < 1e-5
    assert max(median(draw[parameter] for draw in several) for parameter in several[0]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "train_from", "size"),
    [("timm/test_resnet", "layer3", 32), ("timm/test_efficientnet", "blocks.3", 64), ("xception", "block12", 71)],
)
def test_batchnorm_that_trains_sees_the_batch_and_moves_alike(name: str, train_from: str, size: int) -> None:
    images = drawn_images(6, size)
    plain, cached = (made(name, train_from, size, "train").double() for _ in range(2))
    stored = store(cached, images, FP32)
    assert stored.cached
    plain.train()
    cached.train()
    before = {name: value.clone() for name, value in cached.named_buffers()}
    ours = stored.embeddings(torch.arange(6), FP32)
    assert relative(ours.detach(), plain(images).detach()) < 1e-10
    moved = [name for name, value in cached.named_buffers() if not torch.equal(value, before[name])]
    assert any("running_mean" in name and "network" in name for name in moved)
    for name, value in plain.named_buffers():
        torch.testing.assert_close(cached.get_buffer(name), value, rtol=1e-9, atol=1e-12)


class Dropping(nn.Module):
    """Stochastic depth as timm has it: a module of Python that looks whether it trains."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0 if self.training else x


class Branching(nn.Module):
    """A value that the frozen and the trained part both use, an in-place ReLU, an optional argument, a dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.dropping = Dropping()

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        x = self.first(x.flatten(1))
        if scale is not None:
            raise AssertionError("the default was not used")
        y = torch.relu(x)
        deeper = torch.relu_(self.second(y))
        return (self.dropping(self.third(deeper)) + y) * x


def branching() -> Branching:
    torch.manual_seed(3)
    network = Branching()
    for parameter in (*network.first.parameters(), *network.second.parameters()):
        parameter.requires_grad_(False)
    return network.double()


def test_what_both_parts_use_crosses_the_cut() -> None:
    network, x = branching().eval(), torch.randn(5, 3, 2, 2, dtype=torch.float64)
    prefix, tail = cut(network)
    torch.testing.assert_close(tail(*prefix(x)), network(x), rtol=1e-12, atol=0)


def test_dropout_still_knows_whether_it_trains() -> None:
    encoder = Encoder(Backbone(branching(), 8, (0,) * 3, (255,) * 3).double(), nn.Identity())
    images = drawn_images(5, 2)
    stored = store(encoder, images, FP32)
    assert stored.cached
    found = []
    for mode in (True, False):
        encoder.train(mode)
        found.append(stored.embeddings(torch.arange(5), FP32))
        torch.testing.assert_close(found[-1], encoder(images), rtol=1e-12, atol=0)
    assert not torch.equal(*found)


@pytest.mark.medium
def test_a_relu_is_done_again_where_that_saves_a_tensor() -> None:
    encoder = made("xception", "block11", 71)
    stored = store(encoder, drawn_images(2, 71), FP32)
    assert [tensor.shape for tensor in stored.tensors] == [(2, 728, 5, 5)]
    assert stored.bytes == 2 * 728 * 5 * 5 * 4


def test_more_images_than_a_chunk_keep_their_order() -> None:
    encoder, images = made("timm/test_resnet", "layer3", 32), drawn_images(EMBEDDED_CHUNK + 3, 32)
    stored = store(encoder, images, FP32)
    chosen = torch.tensor([EMBEDDED_CHUNK + 2, 0, EMBEDDED_CHUNK, 7])
    torch.testing.assert_close(stored.embeddings(chosen, FP32), encoder(images[chosen]), rtol=1e-5, atol=1e-6)


class Untraceable(nn.Module):
    """Decides by a value, which a graph cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        return self.second(x if x.sum() > 0 else -x)


def test_a_network_that_cannot_be_traced_runs_whole_and_says_why() -> None:
    network = Untraceable()
    for parameter in network.first.parameters():
        parameter.requires_grad_(False)
    encoder, images = Encoder(Backbone(network, 8, (0,) * 3, (255,) * 3), nn.Identity()), drawn_images(3, 2)
    stored = store(encoder, images, FP32)
    assert (stored.cached, "cannot be traced" in stored.why) == (False, True)
    torch.testing.assert_close(stored.embeddings(torch.arange(3), FP32), encoder(images))


def test_nothing_frozen_is_nothing_to_cut() -> None:
    with pytest.raises(CannotCutError, match="trains from its first layer on"):
        cut(made("timm/test_resnet", "", 32).backbone.network)


def test_bf16_stores_the_frozen_part_in_bf16() -> None:
    encoder, images = made("timm/test_resnet", "layer3", 32), drawn_images(4, 32)
    stored = store(encoder, images, choose_compute("cpu", "bf16"))
    assert stored.tensors[0].dtype == torch.bfloat16
    assert stored.bytes * 2 == store(encoder, images, FP32).bytes


def brighter(images: Tensor, photos: Tensor, epoch: int, view: int) -> Tensor:
    """A view that tells which one it is."""
    shift = 7 * (view + 1) + 40 * epoch
    return (images.int() + shift + photos.to(images.device)[:, None, None, None]).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("train_from", ["layer3", ""])
def test_an_epoch_takes_its_own_view_of_each_photo(train_from: str) -> None:
    encoder, images = made("timm/test_resnet", train_from, 32).double(), drawn_images(6, 32)
    views = Views(torch.tensor([1, 4, 5]), 2, brighter)
    stored = store(encoder, images, FP32, views=views)
    assert stored.cached == (train_from != "")
    chosen = torch.tensor([5, 1])
    for epoch in (1, 2, 3):
        number, made_in = ((epoch - 1) % 2, 0) if stored.cached else (0, epoch)
        expected = encoder(brighter(images[chosen], chosen, made_in, number))
        assert relative(stored.embeddings(chosen, FP32, epoch).detach(), expected.detach()) < 1e-10
    assert relative(stored.embeddings(chosen, FP32).detach(), encoder(images[chosen]).detach()) < 1e-10


def test_a_second_run_takes_what_the_first_left_bit_for_bit(tmp_path: Path) -> None:
    features, images = FeatureStore(tmp_path, 2**30), drawn_images(6, 32)
    first = store(made("timm/test_resnet", "layer3", 32), images, FP32, features=features)
    second = store(made("timm/test_resnet", "layer3", 32), images, FP32, features=features)
    assert "from an earlier run" not in first.why and "from an earlier run" in second.why
    assert all(torch.equal(a, b) for a, b in zip(first.tensors, second.tensors, strict=True))


def changed(what: str) -> Stored:
    """What `store` gives after one thing has changed."""
    images = drawn_images(6, 32)
    encoder = made("timm/test_resnet", "layer2" if what == "cut" else "layer3", 32)
    precision = choose_compute("cpu", "bf16" if what == "precision" else "fp32")
    views = None
    if what == "a pixel":
        images[3, 1, 4, 5] ^= 1
    if what == "order":
        images = images.flip(0)
    if what == "a frozen weight":
        with torch.no_grad():
            next(encoder.backbone.network.parameters()).view(-1)[0] += 1e-6
    if what == "a statistic":
        next(m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)).running_mean[0] += 1e-6
    if what == "epsilon":
        next(m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)).eps *= 2
    if what == "scaling":
        encoder.backbone.mean += 1
    if what == "views":
        views = Views(torch.tensor([0]), 1, brighter)
    if what == "a trained weight":
        with torch.no_grad():
            list(encoder.backbone.network.parameters())[-1].view(-1)[0] += 1
    return store(encoder, images, precision, views=views, features=FeatureStore(FOLDER, 2**30))


FOLDER = Path()


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    ["a pixel", "order", "a frozen weight", "a statistic", "epsilon", "scaling", "precision", "cut", "views", "threads",
     "a version", "own code"],
)  # fmt: skip
def test_what_is_stale_is_computed_again(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "FOLDER", tmp_path)
    changed("nothing")
    assert "earlier run" in changed("nothing").why
    assert "earlier run" in changed("a trained weight").why, "what trains has no part in it"
    if what == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    if what == "a version":
        monkeypatch.setattr(prefix_key, "version", lambda library: "0.0")
    if what == "own code":
        monkeypatch.setattr(prefix_key, "_own_code", lambda: "other")
    assert "earlier run" not in changed(what).why


def test_over_the_limit_nothing_is_cached_and_results_are_the_same() -> None:
    encoder, images = made("timm/test_resnet", "layer3", 32).double(), drawn_images(6, 32)
    size = store(encoder, images, FP32).bytes
    limited = store(encoder, images, FP32, limit=CacheLimit(size - 1))
    assert not limited.cached and "more than the limit" in limited.why
    assert store(encoder, images, FP32, limit=CacheLimit(size)).cached
    found = limited.embeddings(torch.arange(6), FP32).detach()
    assert relative(found, encoder(images).detach()) < 1e-10


class Early(nn.Module):
    """A part without parameters that is made after what trains, so that it trains too, and used before it."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.part = nn.Linear(12, 8).requires_grad_(False), nn.Linear(8, 8), part

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.part(self.first(x.flatten(1))))


def early(part: nn.Module, batchnorm: str = "inference") -> Encoder:
    torch.manual_seed(0)
    return Encoder(Backbone(Early(part), 8, (0,) * 3, (255,) * 3), nn.Identity(), batchnorm)  # type: ignore[arg-type]


def test_dropout_in_the_frozen_part_is_named_and_nothing_is_cached() -> None:
    encoder, images = early(nn.Dropout(0.5)), drawn_images(6, 2)
    stored = store(encoder, images, FP32)
    assert not stored.cached
    assert stored.why == "Dropout network.part in the frozen part is random, so nothing is cached"
    encoder.backbone.network.part.p = 0.0
    assert store(encoder, images, FP32).cached


def test_dropout_in_a_frozen_block_stands_still_and_is_cached() -> None:
    """A block none of whose parameters trains runs in inference mode, its dropout too."""
    encoder, images = made("timm/test_resnet", "layer3", 32).double(), drawn_images(6, 32)
    encoder.backbone.network.layer1.add_module("drop", nn.Dropout(0.5))
    stored = store(encoder, images, FP32)
    assert stored.cached
    encoder.train()
    torch.testing.assert_close(stored.embeddings(torch.arange(6), FP32), encoder(images), rtol=1e-10, atol=1e-12)


class Functional(nn.Module):
    """A network whose dropouts are functions of `training`: one in the frozen part, one in what trains."""

    def __init__(self, frozen_rate: float, trained_rate: float) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(12, 64), nn.Linear(64, 64), nn.Linear(64, 8)
        self.rates = frozen_rate, trained_rate
        for parameter in (*self.first.parameters(), *self.second.parameters()):
            parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        if self.rates[0] > 0:
            x = nn.functional.dropout(x, self.rates[0], self.training)
        x = torch.relu(self.second(x))
        return nn.functional.dropout(self.third(x), self.rates[1], training=self.training)


def functional(frozen_rate: float, trained_rate: float) -> Encoder:
    torch.manual_seed(1)
    return Encoder(Backbone(Functional(frozen_rate, trained_rate), 8, (0,) * 3, (255,) * 3), nn.Identity())


class Keeping(nn.Module):
    """A network that keeps what it computes once, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 8), nn.Linear(8, 8)
        self.first.requires_grad_(False)
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.kept:
            self.kept.append(self.first.weight.sum(1))
        return self.second(self.first(x.flatten(1)) + self.kept[0])


def test_a_network_that_keeps_values_of_a_pass_is_not_cut_by_another_pass_s() -> None:
    network = Keeping()
    cut(network)
    with pytest.raises(CannotCutError, match="keeps values from an earlier pass, so nothing is cached"):
        cut(network)


def drawn(work, seed: int = 7) -> Tensor:
    torch.manual_seed(seed)
    return work().detach()


@pytest.mark.parametrize(("frozen_rate", "cached"), [(0.0, True), (0.4, False)])
@pytest.mark.parametrize("limit", [None, 0])
def test_a_dropout_that_is_a_function_drops_in_training_and_rests_in_inference(
    frozen_rate: float, cached: bool, limit: int | None
) -> None:
    encoder, images, chosen = functional(frozen_rate, 0.5), drawn_images(6, 2), torch.arange(6)
    stored = store(encoder, images, FP32, limit=None if limit is None else CacheLimit(limit))
    assert stored.cached == (cached and limit is None) and stored.by_mode
    if not cached:
        assert stored.why == "the frozen part runs different code in training, so nothing is cached"
    for mode in (True, False, True):
        encoder.train(mode)
        ours = drawn(lambda: stored.embeddings(chosen, FP32))
        torch.testing.assert_close(ours, drawn(lambda: encoder(images)), rtol=1e-5, atol=1e-6)
        assert bool((ours == 0).any()) == mode


def test_attention_whose_dropout_is_an_argument_drops_in_training() -> None:
    """timm's attention hands its rate to `scaled_dot_product_attention`, 0 while it does not train."""
    torch.manual_seed(0)
    encoder = build(Architecture("timm/test_vit", {}, {"layers": [16]}, "inference"))
    encoder.backbone.freeze_before("blocks.3")
    for block in encoder.backbone.network.blocks:
        block.attn.attn_drop.p = 0.5
    images = drawn_images(4, 160)
    stored = store(encoder, images, FP32)
    assert stored.cached and stored.by_mode
    encoder.train()
    ours, again = (drawn(lambda: stored.embeddings(torch.arange(4), FP32), seed) for seed in (7, 8))
    assert not torch.equal(ours, again)
    torch.testing.assert_close(ours, drawn(lambda: encoder(images)), rtol=1e-4, atol=1e-5)


class Noise(nn.Module):
    """Without parameters and under a name that says nothing; while it trains it draws."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) if self.training else x


def test_a_module_of_one_s_own_that_draws_in_the_frozen_part_is_found() -> None:
    encoder, images = early(Noise()), drawn_images(6, 2)
    stored = store(encoder, images, FP32)
    assert (stored.cached, stored.why) == (
        False,
        "the frozen part draws random numbers in training, so nothing is cached",
    )
    encoder.train()
    assert not torch.equal(*(stored.embeddings(torch.arange(6), FP32) for _ in range(2)))


class Shaken(nn.Module):
    """Draws in its own code, of a shape that tracing knows: a graph would hold the numbers themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 8).requires_grad_(False), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flatten(1)) + torch.randn(8))


def test_numbers_drawn_while_tracing_are_no_constants() -> None:
    encoder, images = Encoder(Backbone(Shaken(), 8, (0,) * 3, (255,) * 3), nn.Identity()), drawn_images(3, 2)
    stored = store(encoder, images, FP32)
    assert (stored.cached, stored.why) == (False, "the network's code draws random numbers, so nothing is cached")
    assert not torch.equal(*(stored.embeddings(torch.arange(3), FP32) for _ in range(2)))


def test_batchnorm_without_parameters_in_the_frozen_part_is_not_frozen() -> None:
    """Nothing in it can be frozen: with `batchnorm = "train"` it takes each batch's own statistics."""
    images, reason = drawn_images(6, 2), "uses the batch's statistics, so nothing is cached"
    found = store(early(nn.BatchNorm1d(8, affine=False), "train"), images, FP32)
    assert (found.cached, found.why) == (False, f"BatchNorm1d network.part in the frozen part {reason}")
    assert store(early(nn.BatchNorm1d(8, affine=False)), images, FP32).cached
    without = early(nn.BatchNorm1d(8, affine=False, track_running_stats=False))
    assert not store(without, images, FP32).cached, "nor has it others in inference"


@pytest.mark.slow
def test_a_network_of_two_codes_gives_in_each_mode_what_it_gives_itself() -> None:
    """LeViT keeps its attention's biases while it does not train, and computes them anew while it does."""
    encoder, images = made("timm/levit_128s", "stages.2", 224), drawn_images(2, 224)
    for _ in range(2):
        stored = store(encoder, images, FP32)
        assert stored.by_mode
        for mode in (True, False):
            encoder.train(mode)
            torch.testing.assert_close(stored.embeddings(torch.arange(2), FP32), encoder(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("side", "chunk"), [(32, 64), (224, 64), (256, 49), (448, 16), (2000, 1)])
def test_as_many_pixels_are_encoded_at_a_time_of_large_images(side: int, chunk: int) -> None:
    assert pixel_chunk(torch.empty(1, 3, side, side, device="meta")) == chunk
