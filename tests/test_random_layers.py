"""Training above frozen random layers: refused where the config asks for it, said once where a stand-in leads to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Told
from siamesekit.config import Config
from siamesekit.errors import UserError
from siamesekit.experiment import check, run
from siamesekit.random_layers import above_random_layers, refuse_random_layers

LoadConfig = Callable[..., Config]


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        (("encoder.weights=random",), True),
        (("encoder.weights=random", "encoder.train_from="), False),
        (("encoder.weights=random", "encoder.train_from=head"), False),
        ((), False),
    ],
)
def test_training_above_layers_that_the_config_makes_random_is_refused(
    small_config: LoadConfig, overrides: tuple[str, ...], refused: bool
) -> None:
    config = small_config(*overrides)
    if not refused:
        refuse_random_layers(config)
        return
    with pytest.raises(UserError, match=r'train_from = "layer3".*set encoder.train_from = "" .* or encoder.weights'):
        refuse_random_layers(config)


def test_layers_that_are_frozen_and_random_are_a_finding() -> None:
    for weights in ("random", "random, BatchNorm-calibrated"):
        found = above_random_layers(weights, "layer4", 30)
        assert found is not None
        assert (found.name, found.first, found.last) == ("random-layers", 1, 30)
        assert "'layer4'" in found.meaning
        assert above_random_layers(weights, "", 30) is None, "all layers train"
    for weights in ("imagenet", "/photos/random.safetensors"):
        assert above_random_layers(weights, "layer4", 30) is None


@pytest.mark.parametrize("command", [check, run])
def test_it_is_refused_before_anything_is_read(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., object]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="frozen without ever having been trained"):
        command(small_config("encoder.weights=random", "data.root=/nowhere"), device="cpu")
    assert not (tmp_path / "runs" / "small").exists()


def test_a_check_says_what_a_stand_in_would_mean(small_config: LoadConfig, told: Told) -> None:
    check(small_config("encoder.weights=imagenet", "encoder.stand_in.weights=calibrated"), "cpu", "fp32", told)
    [said] = [text for text in told.said if "cannot be had" in text]
    assert "The layers before 'layer3' are frozen and random" in said
    assert not any("frozen and random" in text for text in told.warned), "the weights may well be had"
