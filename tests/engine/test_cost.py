"""The cost of an image in training: what autograd holds for it."""

import gc

import pytest
import torch
from torch import Tensor

from conftest import FP32, small_encoder
from siamesekit.engine.cost import measure_cost
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.frozen.stored import Stored
from siamesekit.model import Encoder


def made(batchnorm: str = "inference") -> tuple[Encoder, Stored]:
    encoder = small_encoder(batchnorm)
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
    measure_cost(encoder, stored, FP32)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert torch.equal(random, torch.random.get_rng_state())


@pytest.mark.slow
def test_bytes_are_those_that_a_batch_holds_and_half_as_much_again() -> None:
    encoder, stored = made()
    cost = measure_cost(encoder, stored, FP32)
    assert cost.bytes * 40 == pytest.approx(1.5 * held_bytes(encoder, stored, 40), rel=0.1)
    assert 0 < cost.seconds < 1
