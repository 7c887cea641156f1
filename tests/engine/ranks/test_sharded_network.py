"""A network whose weights are divided among processes: loss, gradients and embeddings are those of one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import timm
import torch
from test_team import ALL, JOB, loss_of, same, steps
from torch.distributed.tensor import DTensor

from conftest import FP32
from followers import IMAGES, encoder_of, followers, images
from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.ranks.leading import LeadingTeam
from siamesekit.engine.ranks.sharded_share import ShardedShare
from siamesekit.hardware.ranks import Ranks

LORA = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": ["qkv", "fc1"]}
VIT = {"name": "timm/test_vit", "side": 160}


@pytest.fixture(
    scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.huge)]
)
def ranks(request: pytest.FixtureRequest) -> Iterator[Ranks]:
    with followers(request.param) as connection:
        yield connection


def sharded(ranks: Ranks, *args: Any, **more: Any) -> None:
    same(ranks, *args, sharded=True, **{"within": 1e-10, **more})


@pytest.mark.medium
@pytest.mark.parametrize("start", ["", "layer3", "head"])
def test_any_part_may_train(ranks: Ranks, start: str) -> None:
    sharded(ranks, train_from=start, batches=[ALL, ALL[:9], ALL[4:]])


@pytest.mark.medium
@pytest.mark.parametrize("loss", ["arcface", "multi-similarity"])
def test_a_vit_has_the_gradients_of_one_process(ranks: Ranks, loss: str) -> None:
    sharded(ranks, loss, train_from="", batches=[ALL, ALL[:9]], **VIT)


@pytest.mark.medium
@pytest.mark.parametrize("batch", [5, 1])
@pytest.mark.parametrize("batchnorm", ["inference", "train"])
def test_batches_of_any_size_are_shared(ranks: Ranks, batch: int, batchnorm: str) -> None:
    """A process without an image runs the network, too; what it encodes does not count, also not in BatchNorm."""
    if batch == 1 and batchnorm == "train":
        pytest.skip("PyTorch refuses a single image")
    sharded(ranks, "arcface", batches=[ALL[:batch]], batchnorm=batchnorm)


@pytest.mark.medium
@pytest.mark.parametrize("chunking", [Chunking(3, 4), Chunking(1, 0)])
def test_shares_are_encoded_in_rounds(ranks: Ranks, chunking: Chunking) -> None:
    sharded(ranks, chunking=chunking, batches=[ALL, ALL[:9]])


@pytest.mark.medium
def test_rounds_without_a_gradient_are_left_out(ranks: Ranks) -> None:
    """Also if no photo has a gradient: the parameters then get gradients of 0, as with one process."""
    sharded(ranks, loss={"margin": 1e-9}, chunking=Chunking(1, 0), batches=[ALL, ALL[:9]])


def test_views_are_those_of_one_process_that_stores_images(ranks: Ranks) -> None:
    sharded(ranks, batches=[torch.arange(0, IMAGES, 2)], epoch=1, train_from="", views=2)


@pytest.mark.medium
def test_lora_trains_and_stays_beside_the_weights(ranks: Ranks) -> None:
    sharded(ranks, batches=[ALL, ALL[:9]], train_from="blocks.4", lora=LORA, **VIT)


@pytest.mark.medium
def test_activations_are_computed_again(ranks: Ranks) -> None:
    sharded(ranks, train_from="blocks.2", batches=[ALL, ALL[:9]], checkpoint=True, **VIT)


@pytest.mark.medium
def test_random_numbers_repeat(ranks: Ranks) -> None:
    once, _ = steps(ranks, loss_of(), [ALL, ALL], dropout=0.5, train_from="", sharded=True)
    again, _ = steps(ranks, loss_of(), [ALL, ALL], dropout=0.5, train_from="", sharded=True)
    alone, _ = steps(None, loss_of(), [ALL, ALL], dropout=0.5, train_from="")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(once, again, strict=True))
    assert not torch.allclose(once[0], alone[0])


@pytest.mark.medium
def test_a_single_image_has_the_right_gradient(ranks: Ranks) -> None:
    """Of three images one is alone in its process: FSDP2 gives BatchNorm a view of it, with strides of its own."""
    sharded(ranks, "arcface", name="timm/test_efficientnet", train_from="", side=64, batches=[ALL[:3]])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*timm.list_models("test_*")} - {"test_resnet", "test_vit", "test_vit_relpos"}))
def test_small_networks_have_the_gradients_of_one_process(ranks: Ranks, name: str) -> None:
    """All but one, whose positions have a dropout, and two of the tests above."""
    if ranks.size > 2:
        pytest.skip("tried with two processes")
    sharded(ranks, name=f"timm/{name}", train_from="", side=160, batches=[ALL[:5], ALL[:3]], within=1e-8)


@pytest.mark.medium
def test_a_number_as_a_parameter_is_held_by_each_process(ranks: Ranks) -> None:
    """FSDP2 divides tensors with a dimension only."""
    sharded(ranks, "arcface", train_from="", factor=1.5, batches=[ALL, ALL[:9]])


@pytest.mark.medium
def test_each_process_holds_its_part(ranks: Ranks) -> None:
    job = {**JOB, "sharded": True, "train_from": ""}
    ranks.order("job", job)
    encoder = encoder_of(job)
    team = store(encoder, images(), replace(FP32, ranks=ranks)).team
    assert isinstance(team, LeadingTeam) and isinstance(team.share, ShardedShare)
    network = team.share.network
    parts = [cast(DTensor, parameter).to_local().numel() for parameter in network.backbone.parameters()]
    wholes = [parameter.numel() for parameter in encoder.backbone.parameters()]
    assert network.blocks > 5
    assert sum(parts) < 1.1 * sum(wholes) / ranks.size
    ranks.end()
