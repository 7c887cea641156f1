"""Runs with LoRA: their plan, their model without LoRA, and how they resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import siamesekit
from conftest import LoadConfig, StopAt, Told, metrics, outcome, run_fp32, small_encoder
from siamesekit.config import Config
from siamesekit.engine.state_files import load_state
from siamesekit.errors import ConfigError, UserError
from siamesekit.experiment.memory_advice import let_batches_be_cut
from siamesekit.experiment.running import check, run
from siamesekit.experiment.stopping import Stopped

pytestmark = pytest.mark.usefixtures("plain_charts")

RANK = 3
PREFIX = "backbone.network."
ADAPTED = [f"blocks.{block}.attn.{layer}.weight" for block in (4, 5) for layer in ("qkv", "proj")]
TRAINED = 2 * RANK * ((64 + 192) + (64 + 64))
"""Weights of the matrices of blocks 4 and 5."""


@pytest.fixture
def with_lora(small_config: LoadConfig, tmp_path: Path) -> Any:
    """Loads the small config with a ViT whose weights are a file, LoRA from block 4 on, and overrides."""
    state = {
        name.removeprefix(PREFIX): value
        for name, value in small_encoder(name="timm/test_vit").state_dict().items()
        if name.startswith(PREFIX)
    }
    save_file(state, tmp_path / "vit.safetensors")
    vit = (
        "encoder.name=timm/test_vit",
        f"encoder.weights={tmp_path / 'vit.safetensors'}",
        "encoder.train_from=blocks.4",
    )
    return lambda *overrides: small_config(*vit, f"encoder.lora.rank={RANK}", *overrides)


@pytest.mark.medium
def test_the_plan_tells_what_trains(with_lora: Any) -> None:
    plan, plain = check(with_lora(), "cpu", "fp32"), check(with_lora("encoder.train_from=blocks.5"), "cpu", "fp32")
    assert ("LoRA", f"rank 3 in 4 linear layers, {TRAINED:,} weights") in plan.rows()
    assert plan.trainable - plain.trainable == plan.parameters - plain.parameters == TRAINED / 2
    assert plan.frozen_part == "the frozen part's output is cached"


@pytest.mark.slow
def test_the_model_has_the_matrices_in_its_weights(with_lora: Any, tmp_path: Path) -> None:
    run_fp32(with_lora("optimizer.lr=0.01", "train.epochs=3"), tmp_path / "run")
    before, after = load_file(tmp_path / "vit.safetensors"), load_file(tmp_path / "run/model/model.safetensors")
    after = {name.removeprefix(PREFIX): value for name, value in after.items() if name.startswith(PREFIX)}
    assert after.keys() == before.keys()
    assert {name for name in after if not torch.equal(after[name], before[name])} == set(ADAPTED)
    for name in ADAPTED:
        values = torch.linalg.svdvals((after[name] - before[name]).double())
        assert values[RANK - 1] > 100 * values[RANK], "a product of rank 3"
    assert metrics(tmp_path / "run")[-1]["train_loss"] < metrics(tmp_path / "run")[0]["train_loss"]
    assert not hasattr(siamesekit.load(tmp_path / "run").encoder.backbone.network.blocks[4].attn.qkv, "lora_a")
    page = (tmp_path / "run/report.html").read_text()
    assert f"trained by LoRA of rank 3 in 4 linear layers, {TRAINED:,} weights" in page
    states = sorted((tmp_path / "run/checkpoints").glob("0*.safetensors"))
    moments = load_state(states[-1])["parts"]["descent"]["optimizers"][0]["state"].values()
    plan = check(with_lora(), "cpu", "fp32")
    assert sum(each["exp_avg"].numel() for each in moments) == plan.trainable


@pytest.mark.slow
def test_stopped_and_resumed_is_bit_equal_to_uninterrupted(with_lora: Any, tmp_path: Path) -> None:
    config = with_lora(
        "encoder.lora.dropout=0.3", "train.accumulate=2", "train.average=0.9", "optimizer.layer_decay=0.5",
        "sampler.batch_size=4", "train.select=validation", "split.validation=0.5", "encoder.batchnorm=train",
    )  # fmt: skip
    run(config, tmp_path / "whole", precision="fp32")
    for resume, steps in ((False, 2), (True, 3)):
        with pytest.raises(Stopped):
            run(config, tmp_path / "cut", resume=resume, precision="fp32", stop=StopAt(steps))
    run(config, tmp_path / "cut", resume=True, precision="fp32")
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "cut")


@pytest.mark.parametrize("overrides", [("encoder.train_from=head",), ("encoder.head.layers=[]", "train.epochs=0")])
def test_lora_without_a_layer_that_trains_is_refused(with_lora: Any, overrides: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.lora: .*no layer gets LoRA: remove this table"):
        with_lora("encoder.train_from=", "projection.name=lda", *overrides)


def test_layers_that_do_not_exist_are_refused_before_the_photos_are_read(
    with_lora: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siamesekit.experiment.running.prepare_dataset", None)
    with pytest.raises(UserError, match="no linear layer that trains is named 'query'"):
        check(with_lora("encoder.lora.targets=['query']"), "cpu", "fp32")


@pytest.mark.medium
def test_random_weights_are_refused_and_calibrated_ones_told(with_lora: Any, told: Told) -> None:
    with pytest.raises(UserError, match=r'encoder\.weights = "random" with encoder\.lora'):
        check(with_lora("encoder.weights=random"), "cpu", "fp32")
    check(with_lora("encoder.weights=calibrated"), "cpu", "fp32", told)
    assert any(text.startswith("The weights of the backbone are frozen and random") for text in told.said)


def test_its_dropout_is_among_what_makes_batches_whole(with_lora: Any) -> None:
    config: Config = with_lora("encoder.lora.dropout=0.1")
    assert let_batches_be_cut(config, "it draws") == "set encoder.lora.dropout = 0.0"
