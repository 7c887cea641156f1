"""Global pooling against loops over maps, against timm's own layers, and within whole networks."""

import json
import math
from collections import OrderedDict
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from conftest import FP32
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.pooling import (
    GEM_START,
    GlobalPooling,
    Pooling,
    gem,
    learnt_by_pooling,
    set_pooling,
)
from siamesekit.components.encoders.weights import load_weights
from siamesekit.config.tables import EncoderTable
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.layer_rates import distances_from_head
from siamesekit.errors import UserError
from siamesekit.model import Architecture, Encoder, build

KINDS = ("avg", "max", "avg+max", "gem")


def by_loop(maps: Tensor, kind: str, p: float = GEM_START) -> list[list[float]]:
    """Each map pooled by Python's own arithmetic."""
    rows = []
    for image in maps.tolist():
        values = [[value for row in channel for value in row] for channel in image]
        means = [sum(each) / len(each) for each in values]
        highest = [max(each) for each in values]
        powers = [(sum(max(value, 1e-6) ** p for value in each) / len(each)) ** (1 / p) for each in values]
        rows.append({"avg": means, "max": highest, "avg+max": means + highest, "gem": powers}[kind])
    return rows


def maps(seed: int = 0) -> Tensor:
    return torch.randn(3, 4, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_loop_in_either_layout(kind: str) -> None:
    expected = by_loop(maps(), kind)
    np.testing.assert_allclose(GlobalPooling(kind).double()(maps()).detach(), expected, rtol=1e-12)
    last = GlobalPooling(kind, flat=False, channels_last=True).double()(maps().permute(0, 2, 3, 1)).detach()
    assert last.shape == (3, 1, 1, len(expected[0]))
    np.testing.assert_allclose(last[:, 0, 0], expected, rtol=1e-12)
    assert GlobalPooling(kind, flat=False)(maps()).shape == (3, len(expected[0]), 1, 1)


@pytest.mark.parametrize("p", [0.5, 1.0, 3.0, 6.5])
def test_gem_and_its_gradients_are_those_of_the_formula(p: float) -> None:
    values, exponent = maps(1).requires_grad_(), torch.tensor([p], dtype=torch.float64, requires_grad=True)
    plain = values.clamp_min(1e-6).pow(exponent).mean((2, 3)).pow(1 / exponent)
    found = gem(values, exponent)
    np.testing.assert_allclose(found.detach(), plain.detach(), rtol=1e-12)
    weights = torch.randn(plain.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad((found * weights).sum(), [values, exponent])
    theirs = torch.autograd.grad((plain * weights).sum(), [values, exponent])
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_gem_is_the_mean_at_one_and_nears_the_maximum() -> None:
    values = maps().abs()
    np.testing.assert_allclose(gem(values, torch.ones(1)), values.mean((2, 3)), rtol=1e-12)
    np.testing.assert_allclose(gem(values, torch.full((1,), 2000.0)), values.amax((2, 3)), rtol=2e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_gem_of_large_and_of_no_values_is_finite_in_every_precision(dtype: torch.dtype) -> None:
    values = torch.tensor([60000.0, 1.0, 0.0, -7.0], dtype=dtype).view(1, 1, 2, 2).repeat(1, 2, 1, 1)
    values[:, 1] = -1
    values.requires_grad_()
    p = torch.full((1,), 12.0, requires_grad=True)
    found = gem(values, p)
    found.float().sum().backward()
    assert found.dtype == dtype
    assert found[0, 0].detach().item() == pytest.approx(float(values[0, 0, 0, 0].detach()) * 0.25 ** (1 / 12), rel=1e-2)
    assert torch.isfinite(found).all()
    assert torch.isfinite(values.grad).all()
    assert torch.isfinite(p.grad).all()


def test_the_kinds_are_those_of_the_config() -> None:
    assert get_args(get_type_hints(EncoderTable)["pooling"]) == get_args(Pooling) == ("default", *KINDS)


def encoder(pooling: Pooling, name: str = "timm/test_resnet", train_from: str = "") -> Encoder:
    torch.manual_seed(0)
    made = build(Architecture(name, {}, {"layers": [8]}, "inference", pooling))
    made.backbone.freeze_before(train_from)
    return made.eval()


def images(size: int = 32) -> Tensor:
    return torch.randint(256, (3, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.medium
@pytest.mark.parametrize(
    "name",
    [
        "timm/test_resnet",
        "timm/test_convnext",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("timm/mobilenetv3_small_050", "torchvision/squeezenet1_1", "xception")
        ),
    ],
)
def test_the_average_is_what_the_network_does_itself(name: str) -> None:
    default, average, kinds = encoder("default", name), encoder("avg", name), set()
    assert [*average.state_dict()] == [*default.state_dict()]
    with torch.no_grad():
        torch.testing.assert_close(average(images(71)), default(images(71)), rtol=1e-5, atol=1e-6)
        for pooling in ("default", "max", "gem"):
            kinds.add(encoder(pooling, name).backbone(images(71)).sum().item())
    assert len(kinds) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_the_networks_maps_pooled(kind: Pooling) -> None:
    made = encoder(kind)
    unpooled = timm.create_model("test_resnet", num_classes=0)
    unpooled.load_state_dict(made.backbone.network.state_dict(), strict=False)
    with torch.no_grad():
        last = unpooled.eval().forward_features(made.backbone.scale(images()))
        np.testing.assert_allclose(made.backbone(images()), by_loop(last, kind), rtol=1e-4, atol=1e-6)
    assert made.backbone.num_features == made.head.dense1.in_features == (192 if kind == "avg+max" else 96)


@pytest.mark.slow
def test_maps_with_channels_last_are_pooled_by_channel() -> None:
    name = "timm/swin_tiny_patch4_window7_224"
    with torch.device("meta"):
        made = build(Architecture(name, {}, {"layers": []}, "inference", "avg+max"))
    assert made.backbone.num_features == 2 * 768
    assert made.backbone.network.head.global_pool.channels_last


@pytest.mark.parametrize(
    ("name", "pooling", "reason"),
    [
        ("timm/test_vit", "gem", r"encoder 'timm/test_vit' has no such layer: set encoder.pooling = \"default\""),
        ("torchvision/alexnet", "avg", "encoder 'torchvision/alexnet' has no such layer"),
        ("timm/test_convnext", "avg+max", r"pooling = \"avg\+max\" in place of its layer head.global_pool \(Runtime"),
    ],
)
def test_a_network_that_cannot_be_pooled_so_is_refused_by_name(name: str, pooling: Pooling, reason: str) -> None:
    with torch.device("meta"), pytest.raises(UserError, match=reason):
        build(Architecture(name, {}, {"layers": [8]}, "inference", pooling))


def plugin(*pools: nn.Module) -> Backbone:
    parts = OrderedDict(
        conv=nn.Conv2d(3, 4, 3), **{f"pool{n}": pool for n, pool in enumerate(pools)}, flat=nn.Flatten()
    )
    return Backbone(nn.Sequential(parts), 4, mean=(0.0,) * 3, std=(1.0,) * 3)


def test_a_plugins_layer_is_found_unless_there_are_several() -> None:
    backbone = plugin(nn.AdaptiveAvgPool2d(1))
    set_pooling(backbone, "avg+max", "mine")
    assert backbone(images()).shape == (3, 8) == (3, backbone.num_features)
    with pytest.raises(UserError, match="'mine' has 2 layers that may be it: pool0, pool1"):
        set_pooling(plugin(nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((1, 1))), "max", "mine")
    with pytest.raises(UserError, match="'mine' has no such layer"):
        set_pooling(plugin(nn.AdaptiveAvgPool2d(2)), "max", "mine")


def test_features_of_another_shape_are_refused() -> None:
    backbone = plugin(nn.AdaptiveAvgPool2d(1))
    backbone.network.flat = nn.Identity()
    with pytest.raises(UserError, match=r"the features of two images are \[2, 4, 1, 1\], not \[2, 4\]"):
        set_pooling(backbone, "max", "mine")


@pytest.mark.medium
@pytest.mark.parametrize(
    ("train_from", "trains", "cached"),
    [("head", False, [96]), ("global_pool", True, [96, 2, 2]), ("layer4", True, None), ("", True, None)],
)
def test_the_exponent_trains_with_its_layer_and_maps_are_cached_before_it(
    train_from: str, trains: bool, cached: list[int] | None
) -> None:
    made = encoder("gem", train_from=train_from)
    assert made.backbone.blocks()[-2:] == ["layer4", "global_pool"]
    stored = store(made, images(64), FP32)
    assert stored.cached == (train_from != "")
    if cached is not None:
        assert [list(tensor.shape[1:]) for tensor in stored.tensors] == [cached]
    made.train()
    stored.embeddings(torch.arange(3), FP32)[:, 0].sum().backward()
    exponent = made.backbone.network.global_pool.p
    found = None if exponent.grad is None else exponent.grad.clone()
    exponent.grad = None
    made(images(64))[:, 0].sum().backward()
    assert (found is not None) == trains
    if found is not None:
        torch.testing.assert_close(found, exponent.grad, rtol=1e-3, atol=1e-7)


def test_the_exponent_has_the_learning_rate_of_the_head() -> None:
    found, default = distances_from_head(encoder("gem")), distances_from_head(encoder("default"))
    assert found.pop("backbone.network.global_pool.p") == 0
    assert found == default
    within = distances_from_head(encoder("gem", "timm/test_convnext"))
    assert within["backbone.network.head.global_pool.p"] == within["backbone.network.head.norm.weight"] == 1


def test_pretrained_weights_have_no_exponent_and_saved_ones_do(tmp_path: Path) -> None:
    plain, made, file = encoder("default"), encoder("gem"), tmp_path / "weights.safetensors"
    save_file(plain.backbone.network.state_dict(), file)
    load_weights(made.backbone, file)
    assert made.backbone.network.global_pool.p.item() == GEM_START
    assert learnt_by_pooling(made.backbone.network) == {"global_pool.p"}
    with torch.no_grad():
        made.backbone.network.global_pool.p.fill_(4.5)
    save_file(made.backbone.network.state_dict(), file)
    again = encoder("gem")
    load_weights(again.backbone, file)
    assert again.backbone.network.global_pool.p.item() == 4.5


def test_random_weights_of_a_seed_are_the_same_under_every_pooling_of_one_width() -> None:
    default, made = encoder("default").state_dict(), encoder("gem").state_dict()
    assert made.pop("backbone.network.global_pool.p").item() == GEM_START
    assert made.keys() == default.keys()
    assert all(torch.equal(value, default[name]) for name, value in made.items())


def test_a_saved_model_keeps_its_pooling_and_one_without_the_key_has_none(tmp_path: Path) -> None:
    from siamesekit.artifact.loading import load
    from siamesekit.artifact.saving import Preprocessing, save_model

    for pooling in ("gem", "default"):
        architecture = Architecture("timm/test_resnet", {}, {"layers": [8]}, "inference", pooling)
        made = build(architecture).eval()
        if pooling == "gem":
            with torch.no_grad():
                made.backbone.network.global_pool.p.fill_(2.5)
        folder, square = tmp_path / pooling / "model", Preprocessing(32, "squash")
        save_model(folder, made, architecture, square, {"name": "cosine", "options": {}}, None, {})
        description = json.loads((folder / "model.json").read_text())
        assert description["encoder"].pop("pooling") == pooling
        loaded = load(tmp_path / pooling, device="cpu")
        with torch.no_grad():
            torch.testing.assert_close(loaded.encoder(images()), made(images()), rtol=1e-4, atol=1e-5)
        if pooling == "default":
            (folder / "model.json").write_text(json.dumps(description))
            assert math.isfinite(load(tmp_path / pooling, device="cpu").encoder(images()).sum().item())
