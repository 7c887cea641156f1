"""Loss `proxy-anchor` against a loop over proxies and against pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import ProxyAnchorLoss as TheirProxyAnchorLoss
from torch import Tensor

from helpers import assert_same_gradients
from siamesekit.components.losses.proxy_anchor import ProxyAnchorLoss
from siamesekit.errors import ComponentError

LABELS = torch.tensor([4, 1, 4, 0, 1, 4, 1])
"""Of five individuals: two are not in the batch."""


def batch(seed: int = 0) -> tuple[ProxyAnchorLoss, Tensor]:
    """The loss of five individuals in float64, and a batch."""
    torch.manual_seed(seed)
    loss = ProxyAnchorLoss(0.1, 8.0, embedding_dim=3, num_classes=5).double()
    return loss, torch.randn(len(LABELS), 3, dtype=torch.float64, requires_grad=True)


def by_loop(embeddings: Tensor, proxies: Tensor) -> Tensor:
    """Equation 4 of the paper, with the margin 0.1 and alpha 8."""
    pull, push, with_photos = 0.0, 0.0, 0
    for individual, proxy in enumerate(proxies):
        own, others = [], []
        for x, label in zip(embeddings, LABELS.tolist(), strict=True):
            cosine = (x @ proxy) / (x.norm() * proxy.norm())
            if label == individual:
                own.append(torch.exp(-8 * (cosine - 0.1)))
            else:
                others.append(torch.exp(8 * (cosine + 0.1)))
        if own:
            with_photos += 1
            pull = pull + torch.log(1 + sum(own))
        push = push + torch.log(1 + sum(others))
    return pull / with_photos + push / len(proxies)


def test_equals_the_loop_and_its_gradients() -> None:
    loss, embeddings = batch()
    value, expected = loss(embeddings, LABELS, None), by_loop(embeddings, loss.proxies)
    assert value.objective.item() == pytest.approx(expected.item(), rel=1e-12)
    assert value.mean.item() == value.objective.item()
    assert not value.mean.requires_grad
    assert value.active.item() == 1
    assert_same_gradients(value.objective, expected, [embeddings, loss.proxies], above=0.01, rtol=1e-10, atol=1e-10)


def test_equals_pytorch_metric_learning() -> None:
    loss, embeddings = batch(1)
    reference = TheirProxyAnchorLoss(num_classes=5, embedding_size=3, margin=0.1, alpha=8)
    reference.proxies.data = loss.proxies.detach().clone()
    found, expected = loss(embeddings, LABELS, None).objective, reference(embeddings, LABELS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    ours = torch.autograd.grad(found, [embeddings, loss.proxies])
    theirs = torch.autograd.grad(expected, [embeddings, reference.proxies])
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_without_a_photo_loss_and_gradients_are_zero() -> None:
    loss, _ = batch()
    nothing = torch.zeros(0, 3, dtype=torch.float64, requires_grad=True)
    value = loss(nothing, torch.zeros(0, dtype=torch.int64), None)
    value.objective.backward()
    assert [figure.item() for figure in value] == [0, 0, 0]
    assert torch.equal(loss.proxies.grad, torch.zeros_like(loss.proxies))


def test_steps_bring_photos_to_their_proxies() -> None:
    torch.manual_seed(0)
    loss, embeddings = ProxyAnchorLoss(embedding_dim=8, num_classes=5), torch.randn(7, 8)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss(embeddings, LABELS, None).objective.backward()
        optimizer.step()
    cosines = torch.nn.functional.cosine_similarity(embeddings[:, None], loss.proxies[None], dim=2)
    assert cosines.argmax(1).tolist() == LABELS.tolist()


def test_proxies_begin_with_the_authors_variance_from_the_seeded_generator() -> None:
    torch.manual_seed(5)
    first = ProxyAnchorLoss(embedding_dim=400, num_classes=50).proxies
    torch.manual_seed(5)
    again = ProxyAnchorLoss(embedding_dim=400, num_classes=50).proxies
    assert torch.equal(first, again)
    assert first.std().item() == pytest.approx(math.sqrt(2 / 50), rel=0.03)


@pytest.mark.parametrize("label", [-1, 5])
def test_an_individual_that_did_not_train_has_no_loss(label: int) -> None:
    loss, embeddings = batch()
    with pytest.raises(ComponentError, match=rf"labels must be 0 … 4, .*not {label}$"):
        loss(embeddings, torch.full((7,), label), None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_the_loss_is_in_the_embeddings_type_or_float32(given: torch.dtype, expected: torch.dtype) -> None:
    _, embeddings = batch()
    loss = ProxyAnchorLoss(embedding_dim=3, num_classes=5)
    low = embeddings.detach().to(given)
    found = loss(low, LABELS, None).objective
    assert found.dtype == expected
    assert found.item() == pytest.approx(loss(low.double(), LABELS, None).objective.item(), rel=1e-5)


def test_what_it_cannot_be_combined_with() -> None:
    assert ProxyAnchorLoss.by_class
    assert ProxyAnchorLoss.measures_by == "cosine"
