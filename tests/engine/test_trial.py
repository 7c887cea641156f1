"""What an image costs, and how batches are cut up for a given memory."""

import gc

import pytest
import torch
from torch import Tensor

from siamesekit.artifact import Architecture, build
from siamesekit.data.pixel_store import GIB
from siamesekit.engine import trial as module
from siamesekit.engine.frozen_prefix import Stored, store
from siamesekit.engine.precision import choose_precision
from siamesekit.engine.steps import CHUNK, Chunking, why_whole
from siamesekit.engine.trial import Cost, chunking, memory_budget, trial
from siamesekit.errors import UserError
from siamesekit.model import Encoder

FP32 = choose_precision("cpu", "fp32")


def made(batchnorm: str = "inference") -> tuple[Encoder, Stored]:
    torch.manual_seed(0)
    encoder = build(Architecture("timm/test_resnet", {}, {"layers": [24, 16]}, batchnorm))
    images = torch.randint(0, 256, (40, 3, 64, 64), dtype=torch.uint8)
    return encoder, store(encoder, images, FP32)


def held_bytes(encoder: Encoder, stored: Stored, images: int) -> int:
    """Bytes of distinct storages that autograd saved for a batch, parameters aside."""
    found: dict[int, int] = {}
    own = {parameter.data_ptr() for parameter in encoder.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    encoder.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        embeddings = stored.embeddings(torch.arange(images), FP32)
    del embeddings
    gc.collect()
    return sum(found.values())


def test_the_cost_leaves_the_encoder_as_it_was() -> None:
    encoder, stored = made("train")
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    random = torch.random.get_rng_state()
    trial(encoder, stored, FP32)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert torch.equal(random, torch.random.get_rng_state())


@pytest.mark.slow
def test_bytes_are_those_that_a_batch_holds_and_half_as_much_again() -> None:
    encoder, stored = made()
    cost = trial(encoder, stored, FP32)
    assert cost.bytes * 40 == pytest.approx(1.5 * held_bytes(encoder, stored, 40), rel=0.1)
    assert 0 < cost.seconds < 1


@pytest.mark.parametrize(("images", "budget"), [(10, 10), (100, 9), (100, 50), (300, 200), (5, 2)])
def test_what_is_held_and_encoded_stays_within_the_budget(images: int, budget: int) -> None:
    cut = chunking(Cost(0.1, 1000), images, budget * 1000 + 999, None)
    if images <= budget:
        assert cut == Chunking()
    else:
        assert cut.held + cut.size == budget
        assert 1 <= cut.size <= CHUNK


def test_batches_that_cannot_be_cut_up_are_refused_with_the_reason_and_what_helps() -> None:
    encoder, stored = made("train")
    reason = why_whole(encoder, stored, FP32)
    assert chunking(Cost(0.1, 1000), 10, 10_000, reason) == Chunking()
    with pytest.raises(UserError, match=r"batch of 11 photos.*BatchNorm .* uses the batch's statistics: lower this"):
        chunking(Cost(0.1, 1000), 11, 10_000, reason, "lower this")
    with pytest.raises(UserError, match=r"about 10.5 MiB of activations, and train.memory_gib allows 9.54 MiB"):
        chunking(Cost(0.1, 1_000_000), 11, 10_000_000, reason)
    with pytest.raises(UserError, match=r"one photo takes about 1 GiB.*allows 1.5 GiB"):
        chunking(Cost(0.1, GIB), 11, int(1.5 * GIB), None)


def test_the_budget_is_what_was_asked_or_half_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_budget(1.5, FP32) == 3 * GIB // 2
    monkeypatch.setattr(module, "machine_memory", lambda: 4096 * 1000)
    assert memory_budget(0, FP32) == 4096 * 500
