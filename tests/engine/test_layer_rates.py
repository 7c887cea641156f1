"""Layer-wise learning rates against the blocks' names, read by eye, and against two optimizers of one rate each."""

import pytest
import torch

from conftest import small_encoder
from siamesekit.engine.layer_rates import distances_from_head, layer_groups
from siamesekit.engine.optimization import Optimization
from siamesekit.model import Encoder
from siamesekit.registry import OPTIMIZERS

FAR = {"head": 0, "layer4": 1, "layer3": 2, "layer2": 3, "layer1": 4}


def made(train_from: str, name: str = "timm/test_resnet") -> Encoder:
    return small_encoder(train_from=train_from, name=name, layers=(8,))


def test_distances_follow_the_blocks() -> None:
    encoder = made("layer2")
    assert encoder.backbone.blocks()[-4:] == ["layer1", "layer2", "layer3", "layer4"]
    found = distances_from_head(encoder)
    assert set(found) == {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    for name, distance in found.items():
        [block] = [block for block in FAR if f".{block}." in f".{name}"]
        assert distance == FAR[block], name
    assert set(found.values()) == {0, 1, 2, 3}


def far(first: int, *names: str) -> dict[str, int]:
    """Names and how far they are, the last one `first`."""
    return {name: first + number for number, name in enumerate(reversed(names))}


BY_EYE = {
    "timm/test_vit": far(
        1, "patch_embed", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5", "norm"
    ) | {"cls_token": 8, "pos_embed": 8},
    "torchvision/vit_b_16": far(
        1, "conv_proj", *(f"encoder.layers.encoder_layer_{n}" for n in range(12)), "encoder.ln"
    ) | {"class_token": 14, "encoder.pos_embedding": 14},
    "timm/test_efficientnet": far(
        1, "conv_stem", "bn1", "blocks.0.0", "blocks.1.0", "blocks.2.0", "blocks.3.0", "blocks.4.0",
        "conv_head", "bn2",
    ),
    "timm/test_convnext": far(
        1, "stem", "stages.0.blocks.0", "stages.1.downsample", "stages.1.blocks.0", "stages.1.blocks.1",
        "stages.2.downsample", "stages.2.blocks.0", "stages.2.blocks.1", "stages.2.blocks.2", "stages.2.blocks.3",
        "stages.3.downsample", "stages.3.blocks.0", "stages.3.blocks.1", "head",
    ),
    "torchvision/mobilenet_v3_small": far(1, *(f"features.{n}" for n in range(13)), "classifier"),
    "xception": far(
        1, "conv1", "bn1", "conv2", "bn2", *(f"block{n}" for n in range(1, 13)), "conv3", "bn3", "conv4", "bn4"
    ),
}  # fmt: skip
"""Written down by hand from the networks' printed structure."""


@pytest.mark.medium
@pytest.mark.parametrize("name", BY_EYE)
def test_every_block_of_a_list_is_a_layer_of_its_own(name: str) -> None:
    encoder = made("", name)
    expected = BY_EYE[name]
    for parameter, distance in distances_from_head(encoder).items():
        if parameter.startswith("head."):
            assert distance == 0
            continue
        inside = parameter.removeprefix("backbone.network.")
        [block] = [block for block in expected if f"{inside}.".startswith(f"{block}.")]
        assert distance == expected[block], parameter


@pytest.mark.medium
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "keras-adam", "sgd"])
def test_each_block_moves_as_with_an_optimizer_of_its_own_rate(optimizer: str) -> None:
    ours = made("layer3")
    groups, rates = layer_groups(ours, 0.5)
    assert rates == [1.0, 0.5, 0.25]
    trained = {id(parameter) for parameter in ours.trainable()}
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(trained)
    theirs = made("layer3")
    optimization = Optimization(OPTIMIZERS.build(optimizer, {"lr": 0.2}, params=groups), rates=rates)
    alone = {
        distance: OPTIMIZERS.build(
            optimizer,
            {"lr": 0.2 * 0.5**distance},
            params=[p for name, p in theirs.named_parameters() if distances_from_head(theirs).get(name) == distance],
        )
        for distance in (0, 1, 2)
    }
    for step in range(3):
        for encoder in (ours, theirs):
            for number, parameter in enumerate(encoder.trainable()):
                parameter.grad = torch.full_like(parameter, 0.1 * (number % 5 - 2) + 0.01 * step)
        optimization.step(step)
        for each in alone.values():
            each.step()
    assert optimization.lr == 0.2
    before = made("layer3").state_dict()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-6, atol=1e-7)
    assert not torch.equal(theirs.state_dict()["head.dense1.weight"], before["head.dense1.weight"])
