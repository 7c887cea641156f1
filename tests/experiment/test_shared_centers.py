"""Which runs share the centres of the loss among their processes, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from conftest import FP32
from siamesekit.components.losses.cosface import CosFaceLoss
from siamesekit.components.losses.loss import LossValue
from siamesekit.config import Config
from siamesekit.errors import ComponentError
from siamesekit.experiment.compatibility import refuse_what_does_not_fit
from siamesekit.experiment.shared_centers import deal_centers, refuse_undivided, shares_centers

SHARED, COSINE = "train.shard_centers=true", "distance={name='cosine'}"


@pytest.mark.parametrize(("loss", "optimizer"), [("arcface", "adam"), ("cosface", "sgd"), ("cosface", "torch/rmsprop")])
def test_margin_losses_with_the_usual_optimizers_fit(
    small_config: Callable[..., Config], loss: str, optimizer: str
) -> None:
    refuse_what_does_not_fit(small_config(SHARED, COSINE, f"loss={{name='{loss}', optimizer={{name='{optimizer}'}}}}"))


@pytest.mark.parametrize(
    "loss",
    [
        "name='circle-classes'",
        "name='proxy-anchor'",
        "name='triplet'",
        "terms=[{name='arcface'}, {name='triplet'}]",
        pytest.param("name='pml/arcface'", marks=pytest.mark.slow),
    ],
)
def test_other_losses_are_refused_by_name(small_config: Callable[..., Config], loss: str) -> None:
    refuse_what_does_not_fit(small_config(COSINE, f"loss={{{loss}}}"))
    with pytest.raises(ComponentError, match=r"^train\.shard_centers: loss '.*' cannot be divided among processes, on"):
        refuse_what_does_not_fit(small_config(SHARED, COSINE, f"loss={{{loss}}}"))


@pytest.mark.parametrize(
    ("of_all", "of_loss", "fits"),
    [("adam", "torch/adafactor", False), ("torch/adafactor", "adam", True), ("torch/adafactor", None, False)],
)
def test_an_optimizer_that_mixes_the_centres_is_refused(
    small_config: Callable[..., Config], of_all: str, of_loss: str | None, fits: bool
) -> None:
    own = "" if of_loss is None else f", optimizer={{name='{of_loss}'}}"
    given = COSINE, f"loss={{name='arcface'{own}}}", f"optimizer={{name='{of_all}'}}"
    refuse_what_does_not_fit(small_config(*given))
    if fits:
        refuse_what_does_not_fit(small_config(SHARED, *given))
        return
    with pytest.raises(ComponentError, match=r"optimizer 'torch/adafactor' does not move each centre by itself"):
        refuse_what_does_not_fit(small_config(SHARED, *given))


class OwnForward(CosFaceLoss):
    """As a plugin may derive it: more than a margin softmax."""

    def forward(self, *given: Any) -> LossValue:
        return super().forward(*given)


class OwnParameter(CosFaceLoss):
    """A factor that trains, beside the centres."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.factor = nn.Parameter(torch.ones(()))


class OwnMargin(CosFaceLoss):
    """Another margin: all else is as in every margin softmax."""

    @staticmethod
    def with_margin(cosine: Any, margin: Any) -> Any:
        return cosine - margin * cosine.square()


def test_a_plugins_loss_may_have_another_margin_and_nothing_more(small_config: Callable[..., Config]) -> None:
    config = small_config(SHARED)
    refuse_undivided(config, OwnMargin(embedding_dim=2, num_classes=2))
    for kind in (OwnForward, OwnParameter):
        refuse_undivided(small_config(), kind(embedding_dim=2, num_classes=2))
        with pytest.raises(ComponentError, match="cannot be divided among processes"):
            refuse_undivided(config, kind(embedding_dim=2, num_classes=2))


def test_one_process_holds_all_centres(small_config: Callable[..., Config]) -> None:
    config, loss = small_config(SHARED), CosFaceLoss(embedding_dim=2, num_classes=2)
    two: Any = replace(FP32, ranks=SimpleNamespace(size=2))  # type: ignore[arg-type]  # only its size is asked for
    one: Any = replace(FP32, ranks=SimpleNamespace(size=1))  # type: ignore[arg-type]
    assert shares_centers(config, two) and not shares_centers(small_config(), two)
    for compute in (one, FP32):
        assert not shares_centers(config, compute)
        assert deal_centers(config, loss, compute) is None
    assert loss.centers.shape == (2, 2)
