"""The BatchNorm neck against its formula, in training and inference, and in a step of the engine."""

import pytest
import torch
from torch import Tensor, nn

from conftest import FP32
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import BatchNormNeck, Head
from siamesekit.components.losses.loss import LossValue
from siamesekit.engine.batch_loss import BatchLoss
from siamesekit.engine.chunked_encoding import Chunking
from siamesekit.engine.chunking import why_whole
from siamesekit.engine.frozen.prefix import store
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.steps import Stepper
from siamesekit.engine.training import embed_stored
from siamesekit.engine.weight_average import WeightAverage
from siamesekit.errors import UserError
from siamesekit.model import Encoder

IMAGES = 9


class Flat(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def made(normalize: bool = True, batchnorm: str = "inference", dropout: float = 0.0) -> Encoder:
    """A linear network of 4 × 4 images in float64, whose head has a neck."""
    torch.manual_seed(0)
    network = nn.Sequential(Flat(), nn.Linear(48, 6))
    head = Head(6, [5, 4], "tanh", False, normalize=normalize, dropout=dropout, neck="batchnorm")
    nn.init.uniform_(head.neck.weight, 0.5, 2)
    backbone = Backbone(network, 6, (127.5,) * 3, (127.5,) * 3)
    return Encoder(backbone, head, batchnorm).double()  # type: ignore[arg-type]


def images() -> Tensor:
    return torch.randint(256, (IMAGES, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def by_formula(encoder: Encoder, training: bool, running: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Outputs of the layers, and γ (x − μ) / √(σ² + ε) of them, by the batch's or the running statistics."""
    head = encoder.head
    hidden = torch.tanh(head.dense1(encoder.backbone(images())))
    norm = head.batchnorm1
    hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    outputs = head.dense2(hidden)
    mean, variance = (outputs.mean(0), outputs.var(0, unbiased=False)) if training else (0, 1)
    if running is not None:
        mean, variance = running
    embeddings = head.neck.weight * (outputs - mean) / (variance + 1e-5) ** 0.5
    if hasattr(head, "normalize"):
        outputs, embeddings = (x / x.norm(dim=1, keepdim=True) for x in (outputs, embeddings))
    return outputs, embeddings


@pytest.mark.parametrize("normalize", [True, False])
def test_training_uses_the_batch_and_inference_the_running_statistics(normalize: bool) -> None:
    encoder = made(normalize)
    outputs, embeddings = by_formula(encoder, training=True)
    torch.testing.assert_close(encoder.train()(images()), embeddings, rtol=1e-10, atol=1e-12)
    raw = encoder.before_neck(encoder.backbone(images()))
    torch.testing.assert_close(encoder.head.scaled(raw), outputs, rtol=1e-10, atol=1e-12)
    running = 0.1 * raw.mean(0), 0.9 + 0.1 * raw.var(0)
    torch.testing.assert_close(encoder.head.neck.running_mean, running[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(encoder.head.neck.running_var, running[1], rtol=1e-10, atol=1e-12)
    _, embeddings = by_formula(encoder, training=False, running=running)
    torch.testing.assert_close(encoder.eval()(images()), embeddings, rtol=1e-10, atol=1e-12)


def test_only_the_neck_trains_by_the_batch_and_it_has_no_shift() -> None:
    encoder = made().train()
    assert encoder.head.neck.training
    assert not encoder.head.batchnorm1.training
    assert not encoder.head.neck.bias.requires_grad
    assert not encoder.head.neck.bias.any()
    assert "head.neck.weight" in {name for name, p in encoder.named_parameters() if p.requires_grad}
    encoder.requires_grad_(False).train()
    assert not encoder.head.neck.training


def test_a_head_without_a_neck_is_all_before_it() -> None:
    head, features = Head(6, [5, 4]).eval(), torch.randn(3, 6)
    assert not head.has_neck
    assert torch.equal(head.before_neck(features), head(features))
    assert torch.equal(head.after_neck(features), features)
    assert [*Head(6, [5], neck="none").state_dict()] == [*Head(6, [5]).state_dict()]
    assert [name for name, _ in Head(6, [5], neck="batchnorm").named_children()][-2:] == ["neck", "normalize"]


def objective(embeddings: Tensor, before: Tensor) -> LossValue:
    """A loss that compares all photos with each other, before and after the neck."""
    value = (embeddings @ embeddings.T).square().sum() + (before @ before.T).exp().sum()
    return LossValue(value, value.detach(), value.detach())


def prepared(**options: object) -> tuple[Encoder, Stored]:
    encoder = made(**options)  # type: ignore[arg-type]
    return encoder, store(encoder, images(), FP32)


@pytest.mark.medium
@pytest.mark.parametrize("train_from", ["", "head"])
@pytest.mark.parametrize(("size", "held"), [(100, 100), (4, 100), (2, 3), (1, 0)])
def test_loss_and_gradients_in_chunks_are_those_of_the_formula(size: int, held: int, train_from: str) -> None:
    plain, (encoder, _) = made(), prepared()
    for each in (plain, encoder):
        each.backbone.freeze_before(train_from)
    stored = store(encoder, images(), FP32)
    outputs, embeddings = by_formula(plain, training=True)
    expected = objective(embeddings, outputs)
    expected.backward()
    assert why_whole(encoder) is None
    stepper = Stepper(encoder.train(), stored, FP32, Chunking(size, held))
    assert stepper.whole is None
    value, found = stepper(torch.arange(IMAGES), objective)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(found, embeddings.detach(), rtol=1e-10, atol=1e-12)
    grads = {name: p.grad for name, p in plain.named_parameters() if p.requires_grad}
    assert grads
    for name, p in encoder.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p.grad, grads[name], rtol=1e-9, atol=1e-12)
    raw = encoder.before_neck(encoder.backbone(images()))
    torch.testing.assert_close(encoder.head.neck.running_mean, 0.1 * raw.mean(0), rtol=1e-10, atol=1e-12)
    assert encoder.head.neck.num_batches_tracked == 1


def test_a_batch_that_is_encoded_whole_for_another_reason_is_the_same() -> None:
    (plain, _), (encoder, stored) = prepared(batchnorm="train"), prepared(batchnorm="train")
    stepper = Stepper(encoder.train(), stored, FP32)
    assert "batchnorm1" in str(stepper.whole)
    value, _ = stepper(torch.arange(IMAGES), objective)
    before = plain.train().before_neck(plain.backbone(images()))
    expected = objective(plain.after_neck(before), plain.head.scaled(before))
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)


def test_stored_photos_are_embedded_by_the_running_statistics() -> None:
    encoder, stored = prepared()
    Stepper(encoder.train(), stored, FP32)(torch.arange(IMAGES), objective)
    found = embed_stored(encoder, stored, torch.arange(IMAGES), FP32)
    torch.testing.assert_close(found, encoder.eval()(images()).detach().float(), rtol=1e-6, atol=1e-7)


def test_a_loss_gets_the_embeddings_before_the_neck_if_it_takes_them() -> None:
    class Takes:
        takes_before_neck = True

        def __call__(self, embeddings: Tensor, labels: Tensor, tuples: object, before_neck: Tensor) -> Tensor:
            return objective(embeddings, before_neck).objective

    encoder, stored = prepared()
    outputs, embeddings = by_formula(encoder, training=True)
    batch_loss = BatchLoss(Takes(), None, torch.zeros(IMAGES, dtype=torch.int64), None)  # type: ignore[arg-type]
    value, _ = Stepper(encoder.train(), stored, FP32)(torch.arange(IMAGES), batch_loss)
    assert value.item() == pytest.approx(objective(embeddings, outputs).item(), rel=1e-12)


def test_the_average_of_the_weights_covers_the_neck_s_statistics() -> None:
    encoder = made().train()
    averaged = {id(tensor) for tensor in WeightAverage([encoder], 0.9).weights}
    assert id(encoder.head.neck.running_mean) in averaged
    assert id(encoder.head.batchnorm1.running_mean) not in averaged
    assert id(encoder.head.neck.bias) not in averaged


def test_a_batch_of_one_photo_is_refused_in_training_only() -> None:
    neck = BatchNormNeck(3)
    with pytest.raises(UserError, match=r'encoder\.head\.neck = "batchnorm" needs at least two photos in a batch'):
        neck(torch.randn(1, 3))
    assert neck.eval()(torch.randn(1, 3)).shape == (1, 3)
