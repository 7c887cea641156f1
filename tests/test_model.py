"""The network: one encoder for all three images, and what trains in which mode."""

import io
import pickle
from collections import OrderedDict
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import Head
from siamesekit.model import Architecture, DistanceLayer, Encoder, SiameseNetwork, build

Mode = Literal["inference", "train"]


def encoder(batchnorm: Mode = "inference", train_from: str = "stage2") -> Encoder:
    torch.manual_seed(0)

    def stage(inputs: int, outputs: int) -> nn.Sequential:
        parts = OrderedDict(conv=nn.Conv2d(inputs, outputs, 3), bn=nn.BatchNorm2d(outputs), drop=nn.Dropout(0.5))
        return nn.Sequential(parts)

    network = nn.Sequential(
        OrderedDict(stage1=stage(3, 4), stage2=stage(4, 6), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten())
    )
    backbone = Backbone(network, 6, mean=(127.5,) * 3, std=(127.5,) * 3)
    backbone.freeze_before(train_from)
    return Encoder(backbone, Head(6, [5, 4], last_activation=False), batchnorm)


def photos(seed: int, count: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, 12, 12), dtype=np.uint8))


def training(module: nn.Module) -> set[str]:
    """The leaves in training mode."""
    return {name for name, part in module.named_modules() if part.training and not list(part.children())}


def test_the_siamese_network_is_the_distance_layer_on_three_embeddings() -> None:
    made, distance = encoder().eval(), SquaredEuclidean()
    images = [photos(seed) for seed in range(3)]
    d_ap, d_an = SiameseNetwork(made, distance)(*images)
    a, p, n = (made(image) for image in images)
    layer = DistanceLayer(distance)(a, p, n)
    assert torch.equal(d_ap, layer.d_ap)
    assert torch.equal(d_an, layer.d_an)
    np.testing.assert_allclose(d_ap.detach(), ((a - p) ** 2).sum(1).detach(), rtol=1e-6)
    np.testing.assert_allclose(d_an.detach(), ((a - n) ** 2).sum(1).detach(), rtol=1e-6)
    assert (d_ap - d_an).abs().min() > 0


def test_an_embedding_is_the_head_of_the_backbones_features_and_of_length_one() -> None:
    made = encoder().eval()
    embeddings = made(photos(0))
    assert torch.equal(embeddings, made.head(made.backbone(photos(0))))
    np.testing.assert_allclose(embeddings.norm(dim=1).detach(), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_head_runs_in_its_own_precision_under_autocast(dtype: torch.dtype) -> None:
    made = encoder().eval()
    features = torch.randn(8, 6).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = made.embed_features(features)
    assert embeddings.dtype == torch.float32
    assert torch.equal(embeddings, made.head(features.float()))


def test_frozen_parts_and_batchnorms_stay_in_inference_mode() -> None:
    made = encoder("inference").train()
    assert made.training
    expected = {"backbone.network.stage2.conv", "backbone.network.stage2.drop"}
    assert {name for name in training(made) if "stage" in name} == expected
    assert {name for name in training(made) if name.startswith("head")} == {
        "head.dense1",
        "head.activation1",
        "head.dense2",
        "head.normalize",
    }


def test_batchnorm_train_lets_the_layers_that_train_use_the_batch() -> None:
    made = encoder("train").train()
    assert {name for name in training(made) if "bn" in name or "batchnorm" in name} == {
        "backbone.network.stage2.bn",
        "head.batchnorm1",
    }
    before = {name: value.clone() for name, value in made.state_dict().items() if "running_mean" in name}
    made(photos(0))
    moved = {name for name, value in before.items() if not torch.equal(value, made.state_dict()[name])}
    assert moved == {"backbone.network.stage2.bn.running_mean", "head.batchnorm1.running_mean"}


@pytest.mark.parametrize("batchnorm", ["inference", "train"])
@pytest.mark.parametrize(
    ("train_from", "expected"),
    [
        ("", {"noise", "drop", "plain", "inner", "drop2"}),
        ("stage", {"inner", "drop2"}),
        ("stage.conv2", {"drop2"}),
        ("stage2", set()),
        ("head", set()),
    ],
)
def test_what_has_no_parameters_and_stands_before_what_trains_rests_too(
    train_from: str, expected: set[str], batchnorm: Mode
) -> None:
    """Dropout, and a norm without weights, under a parent that trains in part; else they would change frozen features.

    A dropout with which a block begins that trains as a whole is part of that block.
    """
    parts = OrderedDict(
        noise=nn.Dropout(0.5),
        stem=nn.Conv2d(3, 4, 1),
        drop=nn.Dropout(0.5),
        plain=nn.BatchNorm2d(4, affine=False),
        stage=nn.Sequential(OrderedDict(inner=nn.Dropout(0.5), conv=nn.Conv2d(4, 4, 1), conv2=nn.Conv2d(4, 4, 1))),
        drop2=nn.Dropout(0.5),
        stage2=nn.Conv2d(4, 6, 1),
        flat=nn.Flatten(),
    )
    backbone = Backbone(nn.Sequential(parts), 6, mean=(127.5,) * 3, std=(127.5,) * 3)
    backbone.freeze_before(train_from)
    made = Encoder(backbone, Head(6, [5, 4], dropout=0.5), batchnorm).train()
    wanted = expected - ({"plain"} if batchnorm == "inference" else set())
    prefix = "backbone.network."
    found = {name.removeprefix(prefix).removeprefix("stage.") for name in training(made) if name.startswith(prefix)}
    assert found & {"noise", "drop", "plain", "inner", "drop2"} == wanted
    assert "head.dropout1" in training(made)
    before = {name: value.clone() for name, value in made.state_dict().items() if "running" in name}
    frozen = made.backbone.network[: list(parts).index(train_from) if train_from in parts else 0]
    images = torch.rand(2, 3, 1, 1)
    assert torch.equal(frozen(images), frozen(images))
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in before.items() if "plain" in name)


def test_a_parents_own_parameters_stand_before_its_parts() -> None:
    """Those of a transformer's positions, say: where they train, so does the dropout that follows them."""

    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.position = nn.Parameter(torch.zeros(3))

        def forward(self, images: Tensor) -> Tensor:
            return self.drop(images.mean((2, 3)) + self.position)

    for trains in (True, False):
        made = Encoder(Backbone(Positions(), 3, mean=(0.0,) * 3, std=(1.0,) * 3), Head(3, [2]))
        made.backbone.freeze_before("" if trains else "head")
        assert ("backbone.network.drop" in training(made.train())) == trains


def test_batchnorm_inference_makes_an_embedding_depend_on_its_own_image_alone() -> None:
    inference, train = encoder("inference", ""), encoder("train", "")
    for made in (inference, train):
        for module in made.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0
        made.train()
    first, both = photos(0, 1), torch.cat([photos(0, 1), photos(1, 4)])
    np.testing.assert_allclose(inference(first)[0].detach(), inference(both)[0].detach(), atol=1e-6)
    assert (train(both[:2])[0] - train(both)[0]).abs().max() > 1e-3


def test_eval_mode_leaves_nothing_in_training_mode_and_train_restores_it() -> None:
    made = encoder("train").train()
    before = training(made)
    assert training(made.eval()) == set()
    assert training(made.train()) == before != set()


def test_trainable_are_the_parameters_that_a_step_moves() -> None:
    made = encoder().train()
    SiameseNetwork(made, SquaredEuclidean())(photos(0), photos(1), photos(2)).d_an.sum().backward()
    with_gradient = [parameter for parameter in made.parameters() if parameter.grad is not None]
    assert [id(parameter) for parameter in made.trainable()] == [id(parameter) for parameter in with_gradient]
    assert not any(parameter.requires_grad for parameter in made.backbone.network.stage1.parameters())


@pytest.mark.parametrize("how", ["pickle", "torch.save"])
def test_a_pickled_network_gives_the_same_distances(how: str) -> None:
    network = SiameseNetwork(encoder(), SquaredEuclidean()).eval()
    if how == "pickle":
        copy = pickle.loads(pickle.dumps(network))
    else:
        buffer = io.BytesIO()
        torch.save(network, buffer)
        copy = torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    images = [photos(seed) for seed in range(3)]
    for ours, theirs in zip(network(*images), copy(*images), strict=True):
        assert torch.equal(ours, theirs)
    assert training(copy.train()) == training(network.train())


def test_an_encoder_of_which_nothing_trains_stays_in_inference_mode() -> None:
    encoder = build(Architecture("timm/test_resnet", {}, {"layers": ()}, "train"))
    encoder.requires_grad_(False)
    assert not any(module.training for module in encoder.train().modules())
    assert not any(module.training for module in encoder.eval().modules())
