"""Training above frozen random layers: refused where the config asks for it, said once where a stand-in leads to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import LoadConfig, Told
from siamesekit.errors import UserError
from siamesekit.experiment.random_layers import refuse_random_layers
from siamesekit.experiment.running import check, run

pytestmark = pytest.mark.usefixtures("plain_charts")


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
    [said] = [text for text in told.said if "If the weights imagenet are missing, a stand-in takes their place" in text]
    assert "The layers before 'layer3' are frozen and random" in said
    assert told.warned == [], "the weights may well be had"


@pytest.mark.slow
def test_a_stand_in_that_is_random_says_so_with_its_name_once(
    small_config: LoadConfig, tmp_path: Path, told: Told
) -> None:
    lacking = (f"encoder.weights={tmp_path / 'none.pth'}", "encoder.stand_in.weights=calibrated", "train.epochs=1")
    run(small_config(*lacking), tmp_path / "run", device="cpu", precision="fp32", progress=told)
    [warning] = told.warned
    assert warning.startswith("STAND-IN weights: ")
    assert warning.endswith("however long they train.")
    assert "Random layers, epoch 1." in (tmp_path / "run" / "report.html").read_text()
