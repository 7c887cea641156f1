"""The mean of terms' losses, with and without terms."""

import torch

from siamesekit.losses.loss import mean_of


def test_mean_and_share_above_zero() -> None:
    losses = torch.tensor([0.0, 1.0, 5.0, 0.0], requires_grad=True)
    value = mean_of(losses)
    value.objective.backward()
    assert [figure.item() for figure in value] == [1.5, 1.5, 0.5]
    assert losses.grad.tolist() == [0.25] * 4
    assert not value.mean.requires_grad
    assert not value.active.requires_grad


def test_no_terms_have_loss_and_gradient_zero() -> None:
    embeddings = torch.ones(3, 2, requires_grad=True)
    value = mean_of(embeddings.sum(1)[:0])
    value.objective.backward()
    assert [figure.item() for figure in value] == [0, 0, 0]
    assert torch.equal(embeddings.grad, torch.zeros(3, 2))
