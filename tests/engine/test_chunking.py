"""Chunks of a batch: what is encoded and held stays within the memory that is given."""

import pytest
import torch

from conftest import FP32, small_encoder
from siamesekit.data.pixel_store import GIB
from siamesekit.engine import chunking as module
from siamesekit.engine.chunked_encoding import TRAINED_CHUNK, Chunking
from siamesekit.engine.chunking import chunking, memory_budget, why_whole
from siamesekit.engine.cost import Cost
from siamesekit.engine.frozen.prefix import store
from siamesekit.errors import UserError


@pytest.mark.parametrize(("images", "budget"), [(10, 10), (100, 9), (100, 50), (300, 200), (5, 2)])
def test_what_is_held_and_encoded_stays_within_the_budget(images: int, budget: int) -> None:
    cut = chunking(Cost(0.1, 1000), images, budget * 1000 + 999, None)
    if images <= budget:
        assert cut == Chunking()
    else:
        assert cut.held + cut.size == budget
        assert 1 <= cut.size <= TRAINED_CHUNK


def test_batches_that_cannot_be_cut_up_are_refused_with_the_reason_and_what_helps() -> None:
    encoder = small_encoder("train")
    images = torch.randint(0, 256, (40, 3, 64, 64), dtype=torch.uint8)
    reason = why_whole(encoder, store(encoder, images, FP32), FP32)
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
