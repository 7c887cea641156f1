"""Activation checkpointing: the same bits as without, in less memory."""

import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from conftest import FP32, LoadConfig, run_fp32, weights
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import Head
from siamesekit.components.encoders.lora import add_lora
from siamesekit.engine.cost import measure_cost
from siamesekit.engine.frozen.prefix import Stored, store
from siamesekit.errors import UserError
from siamesekit.experiment.run_result import RunResult
from siamesekit.model import Architecture, Encoder, build


def images(count: int, size: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def made(
    name: str, recompute: bool, train_from: str = "", lora: bool = False, size: int = 32, count: int = 4,
    batchnorm: str = "inference", dropout: float = 0.0,
) -> tuple[Encoder, Stored]:  # fmt: skip
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = build(Architecture(name, {}, {"layers": [8]}, batchnorm))
    encoder.backbone.freeze_before(train_from)
    if lora:
        add_lora(encoder.backbone, 2, 4.0, 0.1, ["qkv", "fc1"])
    for module in encoder.backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    encoder.checkpoint_activations = recompute
    return encoder, store(encoder, images(count, size), FP32)


def step(encoder: Encoder, stored: Stored) -> tuple[Tensor, list[Tensor]]:
    """Embeddings and gradients of a batch."""
    torch.manual_seed(7)
    encoder.train()
    embeddings = stored.embeddings(torch.arange(stored.images), FP32)
    (embeddings * torch.linspace(-1, 1, 8)).square().sum().backward()
    gradients = [parameter.grad for parameter in encoder.trainable()]
    assert all(gradient is not None for gradient in gradients)
    return embeddings.detach(), gradients


CASES = {
    "vit": {"name": "timm/test_vit"},
    "vit, cached frozen part": {"name": "timm/test_vit", "train_from": "blocks.2"},
    "vit, lora with dropout": {"name": "timm/test_vit", "train_from": "blocks.2", "lora": True},
    "vit, dropout": {"name": "timm/test_vit", "dropout": 0.3},
    "resnet, folded": {"name": "timm/test_resnet"},
    "convnext": {"name": "timm/test_convnext"},
}


@pytest.mark.medium
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_embeddings_and_gradients_are_the_same_to_the_bit(case: dict[str, object]) -> None:
    plain, recomputing = made(recompute=False, **case), made(recompute=True, **case)
    assert recomputing[1].segments is not None
    assert len(recomputing[1].segments._segments) >= 4
    assert recomputing[1].cached == plain[1].cached == ("train_from" in case)
    (expected, gradients), (found, same) = step(*plain), step(*recomputing)
    assert torch.equal(found, expected)
    assert all(torch.equal(one, other) for one, other in zip(same, gradients, strict=True))
    for encoder, stored in (plain, recomputing):
        encoder.eval()
        with torch.no_grad():
            resting = stored.embeddings(torch.arange(2), FP32)
        torch.testing.assert_close(resting, encoder(images(4, 32)[:2]))


@pytest.mark.medium
@pytest.mark.parametrize("recompute", [False, True])
def test_blocks_run_twice_in_training_and_once_without_gradient(recompute: bool) -> None:
    encoder, stored = made("timm/test_vit", recompute)
    calls = Counter()
    for name, module in encoder.named_modules():
        if name.endswith("mlp.fc1"):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    stored.embeddings(torch.arange(1), FP32)  # with a trial of the photos' size
    calls.clear()
    step(encoder, stored)
    assert list(calls.values()) == [2 if recompute else 1] * 6
    calls.clear()
    with torch.no_grad():
        stored.embeddings(torch.arange(4), FP32)
    assert list(calls.values()) == [1] * 6


class Peak(TorchDispatchMode):
    """Most bytes of the tensors that operations made and that are alive at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        for each in tree_leaves(found):
            if isinstance(each, Tensor):
                storage = each.untyped_storage()
                self.made[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.made = {key: kept for key, kept in self.made.items() if not kept[0].expired()}
        self.bytes = max(self.bytes, sum(size for _, size in self.made.values()))
        return found


@pytest.mark.slow
def test_less_memory_is_held_and_the_cost_tells_how_much() -> None:
    peaks, costs = {}, {}
    for recompute in (False, True):
        encoder, stored = made("timm/test_vit", recompute, size=160, count=8)
        costs[recompute] = measure_cost(encoder, stored, FP32).bytes * 8
        with Peak() as peak:
            step(encoder, stored)
        peaks[recompute] = peak.bytes
    assert peaks[True] < 0.5 * peaks[False]
    for recompute in (False, True):
        assert 0.7 * peaks[recompute] < costs[recompute] < 1.6 * peaks[recompute]


def test_batchnorm_that_trains_is_refused() -> None:
    with pytest.raises(UserError, match=r"BatchNorm .* would count the statistics of each batch twice"):
        made("timm/test_resnet", True, batchnorm="train")
    made("timm/test_vit", True, batchnorm="train")


class Chain(nn.Module):
    """Two blocks, of which the second changes its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.third = nn.Linear(12, 8), nn.Linear(8, 8)
        self.second = nn.Sequential(nn.SiLU(inplace=True), nn.Linear(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x.flatten(1))))


class ByValue(Chain):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        return self.third(x if x.sum() > 0 else -x)


@pytest.mark.parametrize(
    ("network", "message"),
    [(ByValue, "cannot be traced"), (Chain, "the network changes the input of a block in place")],
)
def test_networks_that_cannot_be_computed_again_are_refused(network: type[nn.Module], message: str) -> None:
    encoder = Encoder(Backbone(network(), 8, [0] * 3, [1] * 3), Head(8, layers=(8,)))
    encoder.checkpoint_activations = True
    with pytest.raises(UserError, match=rf"^train.checkpoint_activations: .*{message}.*: remove this option$"):
        step(encoder, store(encoder, images(3, 2), FP32))


@pytest.mark.slow
def test_a_run_ends_in_the_same_bytes(small_config: LoadConfig, finished: RunResult, tmp_path: Path) -> None:
    run_fp32(small_config("train.checkpoint_activations=true"), tmp_path / "run")
    assert weights(tmp_path / "run") == weights(finished.folder)
