"""Runs with a projection: fitted in closed form, without training or before it."""

import json
from pathlib import Path

import pytest
import torch

from conftest import FP32, LoadConfig, metrics, run_fp32, weights
from siamesekit import ConfigError, DataError, LinearDiscriminantAnalysis, Progress, check, load, load_config
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.experiment.prepared_encoder import prepare_encoder

pytestmark = pytest.mark.usefixtures("plain_charts")

CLOSED = ("projection.name=lda", "train.epochs=0", "train.select=last", "encoder.train_from=head")
"""Overrides of the small config, whose head has layers."""


@pytest.fixture
def closed_config(project: Path) -> LoadConfig:
    """Loads the small config without layers in the head, with a projection and without training."""
    text = (project / "config.toml").read_text().replace("[encoder.head]\nlayers = [32, 16]\n", "")
    (project / "closed.toml").write_text(text)
    return lambda *overrides: load_config(project / "closed.toml", (*CLOSED, *overrides))


@pytest.mark.medium
def test_a_run_without_epochs_is_the_closed_form(closed_config: LoadConfig, tmp_path: Path) -> None:
    config = closed_config()
    result = run_fp32(config, tmp_path / "run")
    data = prepare_dataset(config, Progress())
    train, test = list(data.split.train), list(data.split.test)
    prepared = prepare_encoder(config, data.images, FP32, Progress(), training=train, individuals=4)
    with torch.no_grad():
        features = prepared.encoder.backbone(data.images).double()
    features = features / features.norm(dim=1, keepdim=True)
    labels = torch.from_numpy(data.labels_in(train))
    expected = LinearDiscriminantAnalysis()(features[train], labels)(features[test])
    model = load(tmp_path / "run")
    found = model.embed(data.images[test]).double()
    torch.testing.assert_close(found, expected / expected.norm(dim=1, keepdim=True), atol=2e-4, rtol=0)
    assert model.encoder.head.embedding_dim == 3
    assert metrics(tmp_path / "run") == []
    assert result.manifest["complete"]
    assert result.manifest["kept_epoch"] == 0
    assert "train.epochs is 0" in (tmp_path / "run" / "report.html").read_text()
    untrained = features[test] @ features[test].T
    untrained.fill_diagonal_(-2)
    right = (data.labels[test][untrained.argmax(1)] == data.labels[test]).mean()
    assert result.evaluation["networks"]["untrained"]["precision_at_1"]["value"] == pytest.approx(right)


def test_the_written_config_repeats_the_run(closed_config: LoadConfig) -> None:
    config = closed_config()
    assert config.encoder.head.layers == ()
    written = config.source.with_name("again.toml")
    written.write_text(config.to_toml(relative_to=written.parent))
    assert load_config(written).tables() == config.tables()


def test_a_plan_needs_no_fit(closed_config: LoadConfig) -> None:
    planned = check(closed_config(), "cpu", "fp32", Progress())
    assert planned.steps == 0
    assert planned.seconds < 10


@pytest.mark.slow
def test_training_starts_from_the_fit_and_resumes_to_the_same_weights(small_config: LoadConfig, tmp_path: Path) -> None:
    options = ("projection.name=wccn", "projection.dimensions=8", "encoder.head.layers=[6]", "train.epochs=2")
    run_fp32(small_config(*options), tmp_path / "whole")
    run_fp32(small_config(*options, "train.epochs=1"), tmp_path / "parts")
    run_fp32(small_config(*options), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    description = json.loads((tmp_path / "whole" / "model" / "model.json").read_text())
    assert (description["encoder"]["head"]["projection"], description["encoder"]["head"]["layers"]) == (8, [6])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("train.epochs=0",), r"\[projection\] with a name"),
        ((*CLOSED, "encoder.head.layers=[4]"), "these layers would stay random"),
        ((*CLOSED, "miner.name=batch-hard"), "has no effect with train.epochs = 0"),
        ((*CLOSED, "schedule.name=step"), "has no effect with train.epochs = 0"),
        ((*CLOSED, "augmentation.name=flip"), "has no effect with train.epochs = 0"),
        ((*CLOSED, "train.select=validation", "split.validation=0.2"), "no epochs to choose from"),
        (("projection.name=ldaa",), "unknown projection 'ldaa'.*choices: lda, wccn, whitening"),
        (("projection.name=lda", "projection.shrinkage=2"), "shrinkage"),
        (("train.epochs=-1",), "greater than or equal to 0"),
    ],
)
def test_a_config_without_a_meaning_is_refused(
    small_config: LoadConfig, overrides: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){expected}"):
        small_config(*overrides)


def test_a_fit_that_fails_leaves_no_run(closed_config: LoadConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"vary in 12 of the \d+ directions .*projection\.shrinkage above 0"):
        run_fp32(closed_config("projection.shrinkage=0.0"), tmp_path / "run")
    assert not (tmp_path / "run" / "config.toml").exists()


@pytest.mark.slow
def test_a_run_with_views_is_judged_and_saved_with_them(closed_config: LoadConfig, tmp_path: Path) -> None:
    config = closed_config('evaluation.tta=["mirror"]')
    result = run_fp32(config, tmp_path / "run")
    data = prepare_dataset(config, Progress())
    test = list(data.split.test)
    model = load(tmp_path / "run", device="cpu")
    assert model.tta == ("mirror",)
    embeddings = model.embed(data.images[test])
    torch.testing.assert_close(embeddings, model.embed(data.images[test].flip(-1)), atol=1e-5, rtol=0)
    alike = embeddings @ embeddings.T
    alike.fill_diagonal_(-2)
    right = (data.labels[test][alike.argmax(1)] == data.labels[test]).mean()
    assert result.evaluation["networks"]["trained"]["precision_at_1"]["value"] == pytest.approx(right)
