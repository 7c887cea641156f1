"""LoRA against its formula, against the gradient of the full weights, and against the merged network."""

import pytest
import torch
from torch import Tensor, nn

from conftest import FP32, small_encoder
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.lora import (
    Adapted,
    LoraLinear,
    add_lora,
    merge_lora,
    refuse_what_is_not_called,
)
from siamesekit.engine.chunking import why_whole
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.layer_rates import distances_from_head
from siamesekit.errors import UserError
from siamesekit.model import Encoder

ATTENTION = ("qkv", "proj")
IMAGES = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def vit(train_from: str = "blocks.2", dropout: float = 0.0, trained: bool = True) -> Encoder:
    """A small ViT in float64 with LoRA of rank 3; if `trained`, B is not 0."""
    encoder = small_encoder(train_from=train_from, name="timm/test_vit").double()
    add_lora(encoder.backbone, 3, 6.0, dropout, ATTENTION)
    if trained:
        torch.manual_seed(4)
        for name, parameter in encoder.named_parameters():
            if name.endswith("lora_b"):
                nn.init.normal_(parameter, std=0.1)
    return encoder.eval()


def test_the_output_is_that_of_the_formula() -> None:
    torch.manual_seed(2)
    layer = nn.Linear(5, 4).double()
    lora = LoraLinear(layer, 2, 3.0, 0.0)
    nn.init.normal_(lora.lora_b)
    x = torch.randn(6, 7, 5, dtype=torch.float64)
    a, b, w, bias = (value.detach() for value in (lora.lora_a, lora.lora_b, layer.weight, layer.bias))
    for row, found in zip(x.reshape(-1, 5), lora(x).detach().reshape(-1, 4), strict=True):
        beside = [sum(b[k, r] * sum(a[r, j] * row[j] for j in range(5)) for r in range(2)) for k in range(4)]
        expected = [sum(w[k, j] * row[j] for j in range(5)) + bias[k] + 3.0 / 2 * beside[k] for k in range(4)]
        torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


def test_training_starts_from_the_network_as_it_was() -> None:
    plain = small_encoder(name="timm/test_vit").double().eval()
    assert torch.equal(vit(trained=False)(IMAGES), plain(IMAGES))
    assert not torch.allclose(vit()(IMAGES), plain(IMAGES), atol=1e-3)


def test_what_trains_is_the_matrices_from_the_first_block_on_and_the_head() -> None:
    encoder = vit("blocks.4")
    expected = {
        f"backbone.network.blocks.{block}.attn.{layer}.lora_{side}"
        for block in (4, 5) for layer in ATTENTION for side in "ab"
    }  # fmt: skip
    trained = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert {name for name in trained if not name.startswith("head.")} == expected
    assert any(name.startswith("head.") for name in trained)


def test_the_number_of_layers_and_weights_is_told() -> None:
    encoder = small_encoder(name="timm/test_vit")
    adapted = add_lora(encoder.backbone, 8, 16.0, 0.0, ATTENTION)
    assert adapted == Adapted(12, 6 * (8 * (64 + 192) + 8 * (64 + 64)), 8)
    assert str(adapted) == "rank 8 in 12 linear layers, 18,432 weights"
    assert sum(parameter.numel() for parameter in encoder.backbone.parameters() if parameter.requires_grad) == 18_432


def test_gradients_are_those_of_the_full_weight_by_the_chain_rule() -> None:
    """For W' = W + s B A: dA = s Bᵀ dW' and dB = s dW' Aᵀ. The merged network gives dW' by autograd."""
    encoder, merged = vit(), vit()
    merge_lora(merged.backbone.network)
    for parameter in merged.parameters():
        parameter.requires_grad_()
    for each in (encoder, merged):
        (each(IMAGES) * torch.linspace(-1, 1, 16, dtype=torch.float64)).square().sum().backward()
    checked = 0
    for name, module in encoder.named_modules():
        if isinstance(module, LoraLinear):
            full = merged.get_submodule(name).weight.grad
            torch.testing.assert_close(module.lora_a.grad, 2.0 * module.lora_b.T @ full, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(module.lora_b.grad, 2.0 * full @ module.lora_a.T, rtol=1e-9, atol=1e-12)
            assert module.weight.grad is None
            checked += 1
    assert checked == 8


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_merged_network_gives_the_same_embeddings(dtype: torch.dtype, most: float) -> None:
    encoder = vit().to(dtype)
    before = encoder(IMAGES)
    beside = dict(encoder.named_modules())
    merge_lora(encoder.backbone.network)
    assert (encoder(IMAGES) - before).abs().max() <= most
    plain = small_encoder(name="timm/test_vit")
    assert list(encoder.state_dict()) == list(plain.state_dict())
    assert [type(module) for module in encoder.modules()] == [type(module) for module in plain.modules()]
    for name, module in encoder.named_modules():  # graphs that hold the old modules go on with the same outputs
        if isinstance(beside[name], LoraLinear):
            x = torch.randn(2, module.in_features, dtype=dtype)
            assert torch.equal(beside[name](x), module(x))


def test_merging_a_network_without_lora_changes_nothing() -> None:
    encoder = small_encoder(name="timm/test_vit")
    before = encoder.state_dict()
    merge_lora(encoder.backbone.network)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_the_layers_before_the_first_with_lora_are_cached_and_gradients_stay_exact() -> None:
    encoder = vit("blocks.3")
    stored = store(encoder, IMAGES, FP32)
    assert stored.cached
    assert [tuple(tensor.shape) for tensor in stored.tensors] == [(5, 5, 64)], "the input of block 3, once"
    assert why_whole(encoder, stored, FP32) is None
    found = {}
    for way, embed in {
        "cached": lambda: stored.embeddings(torch.arange(5), FP32),
        "plain": lambda: encoder(IMAGES),
    }.items():
        encoder.zero_grad(set_to_none=True)
        encoder.train()
        (embed() * torch.linspace(-1, 1, 16, dtype=torch.float64)).square().sum().backward()
        found[way] = [parameter.grad.clone() for parameter in encoder.trainable()]
    for one, other in zip(found["cached"], found["plain"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    before = stored.embeddings(torch.arange(5), FP32)
    merge_lora(encoder.backbone.network)
    torch.testing.assert_close(stored.embeddings(torch.arange(5), FP32), before, rtol=0, atol=1e-12)


@pytest.mark.medium
def test_dropout_acts_on_the_matrices_alone_and_makes_batches_whole() -> None:
    encoder = vit(dropout=0.5)
    stored = store(encoder, IMAGES, FP32)
    assert why_whole(encoder, stored, FP32) == "the network draws random numbers in training"
    lora = next(module for module in encoder.modules() if isinstance(module, LoraLinear)).train()
    x = torch.randn(1, 64, dtype=torch.float64).expand(20_000, 64)
    torch.manual_seed(0)
    outputs = lora(x) - nn.functional.linear(x[:1], lora.weight, lora.bias)
    expected = lora.eval()(x[:1]) - nn.functional.linear(x[:1], lora.weight, lora.bias)
    assert outputs.std(0).min() > 0
    torch.testing.assert_close(outputs.mean(0), expected[0], rtol=0, atol=float(5 * outputs.std(0).max() / 20_000**0.5))


def test_matrices_are_as_far_from_the_head_as_their_block() -> None:
    """Layer-wise rates treat a block with LoRA as the block it was."""
    plain = distances_from_head(small_encoder(name="timm/test_vit"))
    for name, distance in distances_from_head(vit("")).items():
        layer = name.rpartition(".lora_")[0]
        assert distance == (plain[f"{layer}.weight"] if layer else plain[name])


def test_a_layer_with_two_names_gets_the_same_matrices_at_both() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 12), nn.ReLU())
    network.append(network[1])
    backbone = Backbone(network, 12, [0] * 3, [1] * 3)
    assert add_lora(backbone, 2, 4.0, 0.0, ["1"]).layers == 1
    assert network[1] is network[3]
    refuse_what_is_not_called(backbone, torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    merge_lora(network)
    assert type(network[1]) is nn.Linear
    assert network[1] is network[3]


@pytest.mark.parametrize(
    ("train_from", "rank", "targets", "message"),
    [
        ("blocks.2", 3, ("qvk",), r"is named 'qvk' \(did you mean 'qkv'\?\); choices: fc1, fc2, proj, qkv$"),
        ("blocks.2", 3, ("qkv", "blocks.0.attn.proj"), "no linear layer that trains is named 'blocks.0.attn.proj'"),
        ("blocks.2", 3, ("kv",), "no linear layer that trains is named 'kv'"),
        ("blocks.2", 3, (), "name at least one layer"),
        ("blocks.2", 65, ATTENTION, r"at most 64, the smaller side of layer 'blocks\.2\.attn\.qkv', not 65"),
        ("norm", 3, ATTENTION, "has no linear layers, which LoRA needs: remove encoder.lora"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(train_from: str, rank: int, targets: tuple[str, ...], message: str) -> None:
    encoder = small_encoder(train_from=train_from, name="timm/test_vit")
    with pytest.raises(UserError, match=f"^encoder.lora.*{message}"):
        add_lora(encoder.backbone, rank, 16.0, 0.0, targets)
    assert not any(isinstance(module, LoraLinear) for module in encoder.modules())


class ReadsTheWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 12)
        self.proj = nn.Linear(12, 12)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(nn.functional.linear(images.flatten(1), self.qkv.weight))


def test_a_layer_that_the_network_does_not_call_is_refused() -> None:
    backbone = Backbone(ReadsTheWeight(), 12, [0] * 3, [1] * 3)
    add_lora(backbone, 2, 4.0, 0.0, ATTENTION)
    with pytest.raises(UserError, match="does not call qkv but reads the weight by itself"):
        refuse_what_is_not_called(backbone, torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    proj = Backbone(ReadsTheWeight(), 12, [0] * 3, [1] * 3)
    add_lora(proj, 2, 4.0, 0.0, ["proj"])
    refuse_what_is_not_called(proj, torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
