"""A step by several processes: loss, gradients and embeddings are those of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import FP32
from followers import IMAGES, encoder_of, followers, images, views_of
from siamesekit.components.encoders.lora import merge_lora
from siamesekit.components.encoders.views import photo_views
from siamesekit.engine.batch_loss import BatchLoss
from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.frozen import stored as stored_images
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.ranks import leading
from siamesekit.engine.steps import Stepper
from siamesekit.engine.test_time import embed_test
from siamesekit.engine.training import embed_stored
from siamesekit.hardware.ranks import Ranks
from siamesekit.model import Encoder
from siamesekit.registry import LOSSES, MINERS

JOB: dict[str, Any] = {
    "batchnorm": "inference",
    "train_from": "layer3",
    "name": "timm/test_resnet",
    "options": {},
    "neck": "none",
    "views": 0,
    "dropout": 0.0,
    "lora": None,
    "side": 32,
    "sharded": False,
    "checkpoint": False,
    "factor": 0.0,
}
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4])
ALL = torch.arange(IMAGES).flip(0)
OWN = [name for name in LOSSES.names() if "*" not in name and name not in ("sum", "cross-batch-memory")]
NESTED = {
    "sum": {"terms": [{"name": "triplet"}, {"name": "arcface", "weight": 0.5}]},
    "cross-batch-memory": {"loss": "contrastive", "size": 32},
}
ADAPTED: dict[str, dict[str, Any]] = {name: {} for name in LOSSES.family("pml").members()} | {
    "cross-batch-memory": {"loss": {"name": "pml/contrastive"}},
    "multiple": {"losses": [{"name": "pml/nt-xent"}, {"name": "pml/contrastive"}]},
    "ranked-list": {"margin": 0.4, "Tn": 10},
    "self-supervised": {"loss": {"name": "pml/nt-xent"}},
}
Loss = Callable[[Tensor], BatchLoss]


@pytest.fixture(
    scope="module", params=[2, pytest.param(3, marks=pytest.mark.huge), pytest.param(4, marks=pytest.mark.slow)]
)
def ranks(request: pytest.FixtureRequest) -> Iterator[Ranks]:
    with followers(request.param) as connection:
        yield connection


def loss_of(name: str = "triplet", miner: str = "", **options: Any) -> Loss:
    """A loss with parameters of its own, as a function of the batch of which it is the loss."""
    torch.manual_seed(1)
    counts = np.bincount(LABELS)
    given = {"distance": "euclidean", "embedding_dim": 16, "num_classes": 5, "class_counts": counts, "seed": 3}
    loss = LOSSES.build_for_run(name, options, **given)
    if isinstance(loss, nn.Module):
        loss.double().train()
    selected = MINERS.build_for_run(miner, {}, distance="euclidean", seed=3) if miner else None
    return lambda batch: BatchLoss(loss, selected, LABELS[batch], None)


def steps(
    ranks: Ranks | None,
    loss: Loss,
    batches: list[Tensor],
    chunking: Chunking | None = None,
    epoch: int = 0,
    **job: Any,
) -> tuple[list[Tensor], Encoder]:
    """Loss, embeddings and all gradients of each step, and at last embeddings in inference; and the encoder."""
    wanted = {**JOB, **job}
    if ranks is not None:
        ranks.order("job", wanted)
    encoder = encoder_of(wanted)
    stored = store(encoder, images(wanted["side"]), replace(FP32, ranks=ranks), views=views_of(wanted))
    stepper = Stepper(encoder, stored, FP32, chunking)
    found: list[Tensor] = []
    optimizer = torch.optim.SGD(encoder.trainable(), 0.05, momentum=0.9, fused=True)
    for batch in batches:
        encoder.train()
        optimizer.zero_grad()
        of_batch = loss(batch)
        value, embeddings = stepper(images=batch, loss=of_batch, epoch=epoch)
        own = of_batch.loss
        trained = [*encoder.trainable(), *(own.parameters() if isinstance(own, nn.Module) else [])]
        found += [value.objective.detach(), embeddings]
        found += [torch.zeros(()) if each.grad is None else each.grad.clone() for each in trained]
        optimizer.step()
    if wanted["lora"]:
        if stored.team is not None:
            stored.team.merge_lora()
        merge_lora(encoder.backbone.network)
    found.append(embed_stored(encoder, stored, ALL, FP32))
    found += [buffer.detach().double() for buffer in encoder.buffers()]
    if ranks is not None:
        ranks.end()
    return found, encoder


def same(
    ranks: Ranks, of: str = "triplet", batches: list[Tensor] | None = None, within: float = 1e-12, **more: Any
) -> list[Tensor]:
    """What several processes find, which is what one process finds."""
    options = more.pop("loss", {})
    batches = [ALL] if batches is None else batches
    alone, _ = steps(None, loss_of(of, **options), batches, **more)
    together, _ = steps(ranks, loss_of(of, **options), batches, **more)
    assert len(together) == len(alone) > 10
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.shape == theirs.shape
        difference = (ours - theirs).abs().max().item() if ours.numel() else 0.0
        limit = within if ours.dtype == torch.float64 else 1e-5  # embeddings in inference are given in float32
        assert difference <= limit * max(1.0, theirs.abs().max().item())
    return together


@pytest.mark.medium
@pytest.mark.parametrize("name", [*OWN, *NESTED])
def test_every_loss_has_the_gradients_of_one_process(ranks: Ranks, name: str) -> None:
    found = same(ranks, name, loss=NESTED.get(name, {}))
    assert any(bool(each.abs().max() > 0) for each in found[2:6])


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTED)
def test_every_loss_of_pytorch_metric_learning_has_the_gradients_of_one_process(ranks: Ranks, name: str) -> None:
    if ranks.size > 2:
        pytest.skip("the loss is computed by one process, however many encode")
    batch = torch.arange(9) if name == "smooth-ap" else ALL  # as many individuals as photos of each
    same(ranks, f"pml/{name}", [batch], loss=ADAPTED[name])


@pytest.mark.medium
@pytest.mark.parametrize("miner", [name for name in MINERS.names() if "*" not in name])
def test_every_miner_selects_what_it_selects_in_one_process(ranks: Ranks, miner: str) -> None:
    same(ranks, loss={"miner": miner})


@pytest.mark.medium
@pytest.mark.parametrize("batch", [13, 5, 2, 1])
@pytest.mark.parametrize("batchnorm", ["inference", "train"])
def test_batches_of_any_size_are_shared(ranks: Ranks, batch: int, batchnorm: str) -> None:
    """A process may have no image of a batch; statistics of BatchNorm are those of the whole batch."""
    if batch == 1 and batchnorm == "train":
        pytest.skip("PyTorch refuses a single image")
    same(ranks, "arcface", [ALL[:batch]], batchnorm=batchnorm, within=1e-11)


@pytest.mark.medium
@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/test_efficientnet"])
def test_batchnorm_that_trains_has_the_statistics_of_the_whole_batch(ranks: Ranks, name: str) -> None:
    start = {"timm/test_resnet": "layer3", "timm/test_efficientnet": "blocks.3"}[name]
    same(ranks, "arcface", [ALL, ALL[:6]], name=name, train_from=start, batchnorm="train", within=1e-10)


@pytest.mark.medium
@pytest.mark.parametrize("start", ["", "layer4", "head"])
def test_any_part_may_train(ranks: Ranks, start: str) -> None:
    """From the first layer on, images are stored; from the head on, the leader's head alone trains."""
    same(ranks, train_from=start)


@pytest.mark.medium
def test_each_step_has_the_weights_of_the_last(ranks: Ranks) -> None:
    """Also after a fused optimizer, which does not tell PyTorch that the weights have changed."""
    same(ranks, batches=[ALL, ALL[:6], ALL[4:]], within=1e-10)


@pytest.mark.medium
@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("start", ["layer3", ""])
def test_views_are_those_of_one_process(ranks: Ranks, epoch: int, start: str) -> None:
    same(ranks, batches=[torch.arange(0, IMAGES, 2)], epoch=epoch, train_from=start, views=2)


@pytest.mark.medium
@pytest.mark.parametrize("chunking", [Chunking(3, 4), Chunking(1, 0)])
def test_shares_are_encoded_in_chunks(ranks: Ranks, chunking: Chunking) -> None:
    same(ranks, chunking=chunking, batches=[ALL, ALL[:9]], within=1e-10)


@pytest.mark.medium
def test_lora_trains_and_is_merged(ranks: Ranks) -> None:
    """The last step's matrices are merged on every process."""
    lora = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": ["qkv", "fc1"]}
    options = {"name": "timm/test_vit", "train_from": "blocks.4", "lora": lora, "side": 160}
    same(ranks, batches=[ALL, ALL[:9]], within=1e-10, **options)


def test_the_neck_sees_the_whole_batch(ranks: Ranks) -> None:
    same(ranks, "arcface", neck="batchnorm", within=1e-11)


@pytest.mark.medium
def test_random_numbers_of_the_backbone_repeat(ranks: Ranks) -> None:
    """Dropout draws in each process, so a run differs from that of one process by chance, but repeats."""
    once, _ = steps(ranks, loss_of(), [ALL, ALL], dropout=0.5, train_from="")
    again, _ = steps(ranks, loss_of(), [ALL, ALL], dropout=0.5, train_from="")
    alone, _ = steps(None, loss_of(), [ALL, ALL], dropout=0.5, train_from="")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(once, again, strict=True))
    assert not torch.allclose(once[0], alone[0])


@pytest.mark.medium
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize(("tta", "count"), [(["mirror"], 14), (["mirror", "crops"], 5), (["crops"], 1)])
def test_views_of_test_photos_are_encoded_together(
    ranks: Ranks, sharded: bool, tta: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights as they are, also if a process has no photo, and if photos come in several parts."""
    monkeypatch.setattr(leading, "ROUND", 1)
    monkeypatch.setattr(stored_images, "EMBEDDED_CHUNK", 2)
    job = {**JOB, "sharded": sharded, "train_from": ""}
    ranks.order("job", job)
    encoder, photos = encoder_of(job), ALL[:count]
    stored = store(encoder, images(), replace(FP32, ranks=ranks))
    with torch.no_grad():
        for parameter in encoder.trainable():
            parameter *= 1.01
    assert isinstance(stored.team, leading.LeadingTeam)
    encoded: list[int] = []
    encoder.eval().backbone.register_forward_hook(lambda _, images, features: encoded.append(len(features)))
    features = torch.cat(list(stored.team.view_features(photos, tta)))
    ours = embed_test(encoder, stored, images(), photos, FP32, tta)
    shared = sum(encoded)
    ranks.end()
    theirs = embed_test(encoder, replace(stored, team=None), images(), photos, FP32, tta)
    views = torch.stack([encoder.backbone(view) for view in photo_views(images()[photos], tta)], 1)
    assert features.shape == views.shape and features.dtype == torch.float64
    assert (features - views).abs().max() <= 1e-12 * views.abs().max()
    assert ours.shape == (count, 16) and torch.allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    if not sharded:  # where it is, another network encodes
        assert shared == 2 * len(photos[:: ranks.size]) * views.shape[1]
