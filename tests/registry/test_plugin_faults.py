"""A plugin that fails late, in the middle of `check` or `run`, is named by component, method and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.config import Config, load_config
from siamesekit.errors import PluginError, RunError, UserError
from siamesekit.experiment.running import check, run

pytestmark = pytest.mark.usefixtures("no_traces")

CODE = """\
import torch
from siamesekit import ENCODERS, LOSSES, Backbone, LossValue
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        if self.training:
            raise RuntimeError("only for inference")
        return self.body(images).mean((2, 3))

@ENCODERS.register("no-training")
def no_training(*, pretrained: bool = False) -> Backbone:
    return Backbone(Net(), 4, mean=(127.5,) * 3, std=(127.5,) * 3)

@LOSSES.register("late")
class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, embeddings, labels, tuples):
        self.calls += 1
        if self.calls > 1:
            raise IndexError("no such row")
        return embeddings.square().sum()
"""


def config(project: Path, tmp_path: Path, *overrides: str) -> Config:
    """The small config with the plugin."""
    (tmp_path / "mine.py").write_text(CODE)
    text = (project / "config.toml").read_text().replace('"photos"', f'"{project / "photos"}"')
    (tmp_path / "config.toml").write_text(f'plugins = ["mine.py"]\n{text}')
    return load_config(tmp_path / "config.toml", ["train.epochs=1", *overrides])


def test_an_encoder_that_fails_in_training_mode_is_named_by_check(project: Path, tmp_path: Path) -> None:
    given = config(project, tmp_path, "encoder.name=no-training", "encoder.train_from=", "encoder.weights=random")
    with pytest.raises(PluginError) as error:
        check(given, device="cpu", precision="fp32")
    assert str(error.value) == (
        "encoder 'no-training' of mine.py fails in Net.forward at line 12: RuntimeError: only for inference"
    )


def test_a_loss_that_fails_at_its_second_batch_ends_the_run_by_name(project: Path, tmp_path: Path) -> None:
    given = config(project, tmp_path, "loss.name=late")
    with pytest.raises((RunError, UserError)) as error:  # whichever finds it first: a trial, or training
        run(given, tmp_path / "run", device="cpu", precision="fp32")
    assert "loss 'late' of mine.py fails in Late.forward at line 28: IndexError: no such row" in str(error.value)
