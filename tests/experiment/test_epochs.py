"""Training a run: what the doctor says of real ones, losses and samplers with a state, schedules and averages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import LoadConfig, Told, metrics, run_fp32, weights
from helpers import Crash
from siamesekit.artifact.loading import load
from siamesekit.config import load_config
from siamesekit.engine.random_state import random_state
from siamesekit.engine.state_files import load_state
from siamesekit.errors import ArtifactError, ComponentError, ConfigError, UserError
from siamesekit.experiment import assembly, epochs, run_log
from siamesekit.experiment.checkpoint_form import problem_of
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.experiment.prepared_encoder import prepare_encoder
from siamesekit.experiment.running import check
from siamesekit.experiment.setup import Setup
from siamesekit.hardware.compute import choose_compute
from siamesekit.progress import Progress
from siamesekit.registry import SAMPLERS

pytestmark = pytest.mark.usefixtures("plain_charts")

BY_CLASS = (
    "loss.name=proxy-anchor",
    "distance.name=cosine",
    "sampler.name=p-by-k",
    "sampler.photos=3",
    "sampler.individuals=2",
)


def newest(folder: Path) -> dict[str, Any]:
    """The states of what trains in the newest checkpoint."""
    return load_state(max((folder / "checkpoints").glob("*.safetensors")))["parts"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("collapse", ("optimizer.lr=1.0", "train.epochs=8")),
        ("dead-miner", ("sampler.name=p-by-k", "miner.name=semi-hard", "loss.margin=1e-6", "train.epochs=6")),
        ("exploding", ("encoder.head.normalize=false", "optimizer.lr=0.3", "train.epochs=3")),
    ],
)
def test_the_doctor_warns_once_of_a_real_training_and_the_report_says_so(
    small_config: LoadConfig, tmp_path: Path, told: Told, name: str, overrides: tuple[str, ...]
) -> None:
    run_fp32(small_config(*overrides), tmp_path / "run", progress=told)
    assert [warning.partition(" ")[0] for warning in told.warned] == [name]
    report = (tmp_path / "run" / "report.html").read_text()
    assert f"<strong>{name.replace('-', ' ').capitalize()}, epoch" in report
    told.warned.clear()
    longer = small_config(*overrides, f"train.epochs={len(metrics(tmp_path / 'run')) + 1}")
    run_fp32(longer, tmp_path / "run", resume=True, progress=told)
    assert name not in {warning.partition(" ")[0] for warning in told.warned}, "it is known"


@pytest.mark.slow
def test_a_training_that_goes_well_is_not_warned_of(small_config: LoadConfig, tmp_path: Path, told: Told) -> None:
    run_fp32(small_config("train.epochs=12"), tmp_path / "run", progress=told)
    assert told.warned == []
    lines = metrics(tmp_path / "run")
    assert lines[-1]["train_loss"] < 0.5 * lines[0]["train_loss"]


@pytest.mark.slow
def test_a_loss_by_class_has_no_test_loss_where_the_individuals_did_not_train(
    small_config: LoadConfig, tmp_path: Path, told: Told
) -> None:
    run_fp32(small_config(*BY_CLASS, "train.epochs=3"), tmp_path / "identity", progress=told)
    lines = metrics(tmp_path / "identity")
    assert [line["test_loss"] for line in lines] == [None] * 3
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert not any("test loss" in said for said in told.said)
    assert "There is no test loss" in (tmp_path / "identity" / "report.html").read_text()
    run_fp32(small_config(*BY_CLASS, 'split.by="photo"', "train.epochs=3"), tmp_path / "photo")
    assert all(line["test_loss"] > 0 for line in metrics(tmp_path / "photo"))


@pytest.mark.slow
def test_the_loss_s_own_optimizer_moves_its_proxies(small_config: LoadConfig, tmp_path: Path) -> None:
    def proxies(*overrides: str) -> torch.Tensor:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        run_fp32(small_config(*BY_CLASS, "train.epochs=1", *overrides), folder)
        return newest(folder)["loss"]["proxies"]

    still = proxies("loss.optimizer.name=sgd", "loss.optimizer.lr=1e-30")
    assert still.shape == (4, 16)
    assert torch.equal(still, proxies("loss.optimizer.name=sgd", "loss.optimizer.lr=1e-30", "optimizer.lr=0.01"))
    run_s_own = proxies()
    assert (run_s_own - still).abs().max() == pytest.approx(1e-3 * 2, rel=0.2), "Adam's steps, two of them"
    assert not torch.equal(still, proxies("loss.optimizer.name=sgd", "loss.optimizer.lr=1e-30", "seed=6"))


def test_an_optimizer_for_a_loss_without_parameters_is_refused(small_config: LoadConfig, tmp_path: Path) -> None:
    config = small_config("loss.optimizer.name=sgd")
    for refused in (lambda: check(config, "cpu", "fp32"), lambda: run_fp32(config, tmp_path / "run")):
        with pytest.raises(UserError, match=r"^loss\.optimizer: loss 'triplet' has no parameters to train"):
            refused()
    assert not (tmp_path / "run").exists()


def test_what_moves_the_weights_is_in_the_config_and_comes_back(small_config: LoadConfig, tmp_path: Path) -> None:
    assert (small_config().schedule, small_config().loss.optimizer) == (None, None)
    config = small_config(
        *BY_CLASS,
        "loss.optimizer.name=sgd",
        "loss.optimizer.momentum=0.5",
        "schedule.name=warmup-linear",
        "optimizer.layer_decay=0.25",
        "optimizer.clip_norm=3.0",
        "train.average=0.5",
    )
    (tmp_path / "config.toml").write_text(config.to_toml())
    again = load_config(tmp_path / "config.toml")
    assert again.tables() == config.tables()
    assert again.tables()["loss"]["optimizer"]["momentum"] == 0.5
    assert again.tables()["schedule"] == {"name": "warmup-linear", "warmup": 0.05, "final": 0.0}


@pytest.mark.parametrize(
    "wrong", ["optimizer.layer_decay=0.0", "optimizer.layer_decay=1.5", "optimizer.clip_norm=-1.0", "train.average=1.0",
              "loss.optimizer.layer_decay=0.5", "loss.optimizer.name=sgdd", "schedule.warmup=0.1"]
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(small_config: LoadConfig, wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"--set {wrong.partition('=')[0]}: |schedule\.name: is required"):
        small_config(wrong)


PLUGIN = """
import torch
from siamesekit import MINERS, SAMPLERS
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.tuples import Triplets

@SAMPLERS.register("test-mined")
class Mined:
    def __init__(self, *, labels):
        self.labels = torch.from_numpy(labels)
        self.seen = torch.zeros(len(labels))

    def __len__(self):
        return 2

    def mine(self, epoch, embed):
        self.seen = 0.5 * self.seen + embed().square()[:, 0]  # what is remembered decides, and grows

    def epoch(self, epoch):
        for part in self.seen.argsort().chunk(2):
            yield Batch(part, None)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]

@MINERS.register("test-chance")
class Chance:
    def __init__(self, found: bool = True):
        self.found = found

    def __call__(self, embeddings, labels):
        same = labels[:, None] == labels
        rows = [(a, p, n) for a, p in same.fill_diagonal_(False).nonzero().tolist()
                for n in (labels != labels[a]).nonzero()[:, 0].tolist()]
        table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
        return Triplets(*table[torch.rand(len(table)) < (0.3 if self.found else 0)].T)
"""


@pytest.fixture
def plugged(project: Path, tmp_path: Path) -> LoadConfig:
    (tmp_path / "mined.py").write_text(f"# of {tmp_path}\n{PLUGIN}")  # a file of known content is not loaded again
    text = (project / "config.toml").read_text().replace('"photos"', f'"{project / "photos"}"')
    text = text.replace("seed = 5", 'seed = 5\nplugins = ["mined.py"]')
    text = text.replace("[sampler]\nphotos = 4\nbatch_size = 10", '[sampler]\nname = "test-mined"')
    (tmp_path / "config.toml").write_text(text)
    return lambda *overrides: load_config(tmp_path / "config.toml", overrides)


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
def test_a_loss_with_proxies_a_mined_sampler_a_schedule_and_an_average_resume_exactly(
    plugged: LoadConfig, tmp_path: Path
) -> None:
    options = ("train.epochs=4", "train.average=0.9", "schedule.name=step", "schedule.every=2", *BY_CLASS[:2])
    run_fp32(plugged(*options), tmp_path / "whole")
    run_fp32(plugged(*options, "train.epochs=1"), tmp_path / "parts")
    for more in (3, 4):
        run_fp32(plugged(*options, f"train.epochs={more}"), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    states = [newest(tmp_path / name) for name in ("whole", "parts")]
    assert set(states[0]) == {"encoder", "descent", "loss", "sampler"}
    for part, name in (("loss", "proxies"), ("sampler", "seen")):
        assert torch.equal(states[0][part][name], states[1][part][name])
    assert states[0]["sampler"]["seen"].any()
    assert [line["lr"] for line in metrics(tmp_path / "whole")] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
def test_a_miner_that_draws_resumes_exactly_and_one_that_finds_nothing_is_found_dead(
    plugged: LoadConfig, tmp_path: Path, told: Told
) -> None:
    run_fp32(plugged("miner.name=test-chance"), tmp_path / "whole")
    run_fp32(plugged("miner.name=test-chance", "train.epochs=1"), tmp_path / "parts")
    run_fp32(plugged("miner.name=test-chance"), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    run_fp32(plugged("miner.name=test-chance", "miner.found=false", "train.epochs=3"), tmp_path / "dead", progress=told)
    lines = metrics(tmp_path / "dead")
    assert [(line["train_loss"], line["empty_batches"]) for line in lines] == [(None, 1.0)] * 3
    assert [warning.partition(" ")[0] for warning in told.warned] == ["dead-miner"]


@pytest.mark.slow
def test_the_artifact_and_the_figures_are_the_average_s(small_config: LoadConfig, tmp_path: Path) -> None:
    averaged, plain = tmp_path / "averaged", tmp_path / "plain"
    run_fp32(small_config("train.average=0.9"), averaged)
    run_fp32(small_config(), plain)
    state = newest(averaged)
    raw, kept = state["encoder"], load_file(averaged / "model" / "model.safetensors")
    weight = "head.dense1.weight"
    assert torch.equal(raw[weight], load_file(plain / "model" / "model.safetensors")[weight]), "training is the same"
    assert any(torch.equal(kept[weight], average) for average in state["descent"]["average"]["average"])
    assert not torch.equal(kept[weight], raw[weight])
    pairs = list(zip(metrics(averaged), metrics(plain), strict=True))
    assert all(one["train_loss"] == two["train_loss"] for one, two in pairs)
    assert all(one["test_loss"] != two["test_loss"] for one, two in pairs)


VALIDATED = ("train.select=validation", "split.train=0.6", "split.validation=0.5", "train.epochs=4")


def best_files(folder: Path) -> set[str]:
    return {file.name for file in (folder / "checkpoints").glob("best*")}


def scored(patch: pytest.MonkeyPatch, *scores: float) -> None:
    """The epochs that come get these scores, whatever they are worth."""
    left = list(scores)
    patch.setattr(epochs, "_validation_score", lambda data, training: left.pop(0))


@pytest.mark.slow
def test_a_best_epoch_that_does_not_repeat_itself_after_a_break_costs_no_run(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the best weights and the checkpoint that names them, as on a device that rounds otherwise."""
    real = run_log.save_checkpoint

    def dies(folder: Path, parts: Any, state: dict[str, Any]) -> None:
        if len(state["lines"]) == 2:
            raise Crash
        real(folder, parts, state)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        scored(patch, 0.5, 0.9)
        patch.setattr(run_log, "save_checkpoint", dies)
        run_fp32(small_config(*VALIDATED), tmp_path / "run")
    assert len(best_files(tmp_path / "run")) == 2
    with monkeypatch.context() as patch:
        scored(patch, 0.1, 0.2, 0.3)
        went_on = run_fp32(small_config(*VALIDATED), tmp_path / "run", resume=True)
    assert went_on.manifest["kept_epoch"] == 1
    one = run_fp32(small_config(*VALIDATED, "train.select=last", "train.epochs=1"), tmp_path / "one")
    assert weights(went_on.folder) == weights(one.folder)
    assert len(best_files(went_on.folder)) == 1


@pytest.mark.slow
def test_a_checkpoint_of_an_older_version_is_refused_in_words(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = run_log.save_checkpoint

    def older(folder: Path, parts: Any, state: dict[str, Any]) -> None:
        real(folder, parts, {key: value for key, value in state.items() if key not in ("spent", "best_epoch")})

    with monkeypatch.context() as patch:
        patch.setattr(run_log, "save_checkpoint", older)
        run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    with pytest.raises(ArtifactError, match=r"of another version of siamesekit \(it lacks best_epoch, spent\)"):
        run_fp32(small_config("train.epochs=2"), tmp_path / "run", resume=True)


FORGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "lines that are no list": lambda state: state | {"lines": "no"},
    "a line without figures": lambda state: state | {"lines": [{"epoch": 1}]},
    "a line of text": lambda state: state | {"lines": [dict.fromkeys(state["lines"][0], "x")]},
    "another epoch": lambda state: state | {"lines": [state["lines"][0] | {"epoch": 7}]},
    "a score of text": lambda state: state | {"best": "high"},
    "an epoch to come": lambda state: state | {"best_epoch": 9},
    "a path for a digest": lambda state: state | {"best_sha256": "../../x"},
    "seconds of text": lambda state: state | {"spent": {"training": "long"}},
    "photos of another run": lambda state: state | {"expected": torch.ones(1, dtype=torch.bool)},
    "no tensor": lambda state: state | {"expected": 3},
    "midway of other keys": lambda state: state | {"midway": {"epoch": 2, "x": 1}},
    "midway elsewhere": lambda state: state | {"midway": MIDWAY | {"epoch": 5, "random": random_state()}},
    "rows that were not": lambda state: state | {"midway": MIDWAY | {"batches": 3, "random": random_state()}},
    "random states that are none": lambda state: state | {"midway": MIDWAY | {"random": {"torch": 3}}},
}
MIDWAY: dict[str, Any] = {"epoch": 2, "batches": 0, "rows": [], "images_asked": 0, "empty": 0, "any_loss": False,
                          "any_triplet": False, "seconds": 0.0}  # fmt: skip


@pytest.mark.slow
def test_a_forged_checkpoint_is_refused_in_words(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose digest is right, and whose contents no run has written."""
    states: list[dict[str, Any]] = []
    real = run_log.save_checkpoint

    def kept(folder: Path, parts: Any, state: dict[str, Any]) -> None:
        states.append(state)
        real(folder, parts, state)

    with monkeypatch.context() as patch:
        patch.setattr(run_log, "save_checkpoint", kept)
        run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    true = states[-1]
    expected = true["expected"]
    assert problem_of(true, expected) == ""
    assert problem_of(true | {"midway": MIDWAY | {"random": random_state()}}, expected) == ""
    for name, forge in FORGED.items():
        assert problem_of(forge(true), expected), name

    def forged(folder: Path, parts: Any, state: dict[str, Any]) -> None:
        real(folder, parts, FORGED["a score of text"](state))

    with monkeypatch.context() as patch:
        patch.setattr(run_log, "save_checkpoint", forged)
        run_fp32(small_config("train.epochs=1"), tmp_path / "forged")
    with pytest.raises(ArtifactError, match=r"was not written by a run \(best: .*--overwrite"):
        run_fp32(small_config("train.epochs=2"), tmp_path / "forged", resume=True)


@pytest.mark.slow
def test_the_best_weights_of_the_two_newest_checkpoints_are_kept_and_no_others(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the newest checkpoint is damaged, the one before it finds its own."""
    with monkeypatch.context() as patch:
        scored(patch, 0.1, 0.2, 0.3, 0.4)
        run_fp32(small_config(*VALIDATED), tmp_path / "run")
    assert len(best_files(tmp_path / "run")) == 2
    newest = max((tmp_path / "run" / "checkpoints").glob("0*.safetensors"))
    newest.write_bytes(b"?")
    with monkeypatch.context() as patch:
        scored(patch, 0.0)
        again = run_fp32(small_config(*VALIDATED), tmp_path / "run", resume=True)
    assert again.manifest["kept_epoch"] == 3
    three = run_fp32(small_config(*VALIDATED, "train.select=last", "train.epochs=3"), tmp_path / "three")
    assert weights(again.folder) == weights(three.folder)


@pytest.mark.slow
def test_the_test_loss_of_all_pairs_is_over_batches_dealt_as_in_training(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    config = small_config("loss.name=info-nce", "loss.temperature=0.5", "sampler.name=p-by-k", "sampler.photos=3",
                          "sampler.individuals=3", "train.epochs=1")  # fmt: skip
    found = metrics(run_fp32(config, tmp_path / "run").folder)[-1]["test_loss"]
    data, model = prepare_dataset(config, Progress()), load(tmp_path / "run", "cpu")
    test = list(data.split.test)
    labels = np.unique(data.labels[test], return_inverse=True)[1]
    sampler = SAMPLERS.build("p-by-k", {"photos": 3, "individuals": 3}, labels=labels, seed=config.seed)
    embedded, means = model.embed(data.images[test]).double(), []
    for batch in sampler.epoch(1):
        rows, own = embedded[batch.images], labels[batch.images.numpy()]
        logits = -torch.cdist(rows, rows).square() / 0.5
        same, other = own[:, None] == own, own[:, None] != own
        terms = [
            (torch.cat([logits[a, p][None], logits[a][other[a]]]).logsumexp(0) - logits[a, p]).item()
            for a in range(len(own))
            for p in range(len(own))
            if a != p and same[a, p]
        ]
        means.append(sum(terms) / len(terms))
    assert len(means) == 2
    assert found == pytest.approx(sum(means) / len(means), rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "batched"),
    [
        ((), False),
        (("miner.name=batch-hard", "sampler.name=p-by-k"), True),
        (("sampler.name=p-by-k",), True),
        (("miner.name=batch-hard",), True),
        (BY_CLASS, False),
    ],
    ids=str,
)
def test_test_photos_are_dealt_where_training_makes_more_of_a_batch_than_given_triplets(
    small_config: LoadConfig, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...], batched: bool
) -> None:
    config = small_config(*overrides)
    data, chosen = prepare_dataset(config, Progress()), choose_compute("cpu", "fp32")
    prepared = prepare_encoder(config, data.images, chosen, Progress(), training=data.split.train)
    setup = Setup(config, data, prepared, chosen)
    recipe = assembly.build_recipe(setup)
    test = assembly.build_test_set(setup, recipe)
    assert (test.batches is not None) == batched
    for batch in test.batches or ():
        assert int(batch.images.max()) < len(data.split.test)
    if batched:

        def refused(*given: object) -> None:
            raise ComponentError("sampler 'x' needs groups")

        monkeypatch.setattr(assembly, "build_sampler", refused)
        assert assembly.build_test_set(setup, recipe).batches == (), "there is no test loss then"
