"""The experiment: a run's folder, its figures, stand-ins, reruns, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from conftest import FP32, LoadConfig, Told, content, manifest, metrics, run_fp32, weights, write_photos
from oracles import ranked_right, retrieval_figures, squared_distances
from siamesekit.artifact.loading import load
from siamesekit.config import Config, load_config
from siamesekit.engine.test_set import TestSet
from siamesekit.errors import (
    ArtifactError,
    MissingDataError,
    MissingWeightsError,
    OutputError,
    RunError,
    UserError,
    WeightsError,
)
from siamesekit.evaluation import pixel_baseline
from siamesekit.experiment import running as experiment
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.experiment.prepared_encoder import prepare_encoder
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.running import check
from siamesekit.progress import Progress
from siamesekit.registry.plugin_files import PluginFile

pytestmark = pytest.mark.usefixtures("plain_charts")

KEYS = ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "d_ap_mean", "d_an_mean",
        "active_triplets", "empty_batches", "embedding_variance", "gradient_norm", "lr", "images_per_second",
        "seconds"]  # fmt: skip


def plain_figures(embeddings: NDArray[np.float64], labels: list[int], triplets: list[tuple[int, ...]]) -> list[float]:
    """Triplet accuracy, precision at 1 and MAP@R by their definitions, photo by photo."""
    distances = squared_distances(embeddings)
    figures = [retrieval_figures(distances, labels, query)[:2] for query in range(len(labels))]
    first, average = zip(*figures, strict=True)
    return [float(np.mean(values)) for values in (ranked_right(distances, triplets), first, average)]


def test_a_run_leaves_every_file(finished: RunResult) -> None:
    there = {file.relative_to(finished.folder).as_posix() for file in finished.folder.rglob("*") if file.is_file()}
    assert there == {"config.toml", "manifest.json", "metrics.jsonl", "evaluation.json", "report.html", "network.pkl",
                     "split.json", "model/model.safetensors", "model/model.json", "checkpoints/000001.json",
                     "checkpoints/000001.safetensors", "checkpoints/000002.json",
                     "checkpoints/000002.safetensors"}  # fmt: skip
    lines = metrics(finished.folder)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(list(line) == KEYS for line in lines)
    assert json.loads((finished.folder / "evaluation.json").read_text()) == finished.evaluation
    assert manifest(finished.folder) == finished.manifest
    assert finished.manifest["complete"]
    assert finished.manifest["stand_ins"] == []
    assert finished.manifest["kept_epoch"] == 2
    networks = finished.evaluation["networks"]
    assert list(networks) == ["trained", "untrained", "raw_pixels"]
    assert all(
        list(figures)[:3] == ["triplet_accuracy", "precision_at_1", "map_at_r"] and len(figures) == 13
        for figures in networks.values()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [(), ("miner.name=batch-hard",), ("miner.name=semi-hard", "loss.hinge=squared")], ids=str
)
def test_a_run_of_p_by_k_resumes_to_the_same_weights(
    small_config: LoadConfig, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    by_k = ("sampler.name=p-by-k", "sampler.individuals=2", "sampler.photos=3", *overrides)
    run_fp32(small_config(*by_k), tmp_path / "whole")
    run_fp32(small_config(*by_k, "train.epochs=1"), tmp_path / "parts")
    run_fp32(small_config(*by_k), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    lines = metrics(tmp_path / "whole")
    assert [list(line) for line in lines] == [KEYS, KEYS]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    again = load_config(tmp_path / "whole" / "config.toml")
    assert (again.miner is None) == (not overrides)


@pytest.mark.parametrize("network", ["trained", "untrained", "raw_pixels"])
def test_figures_are_those_computed_by_hand(finished: RunResult, small_config: LoadConfig, network: str) -> None:
    config = small_config()
    data = prepare_dataset(config, Progress())
    test = TestSet.of(data.labels, data.split, config.seed)
    files = [data.records[i].source for i in data.split.test]
    if network == "trained":
        embeddings = load(finished.folder).embed(files)
    elif network == "untrained":
        built = prepare_encoder(config, data.images[list(data.split.train)], FP32, Progress())
        embeddings = built.encoder(data.images[list(data.split.test)]).detach()
    else:
        squares = [Image.open(file).resize((32, 32), Image.Resampling.BILINEAR) for file in files]
        embeddings = torch.from_numpy(np.stack([np.asarray(square) for square in squares]) / 255).flatten(1)
    individuals = [file.parent.name for file in files]
    triplets = list(zip(*(index.tolist() for index in test.triplets), strict=True))
    assert all(individuals[a] == individuals[p] != individuals[n] and a != p for a, p, n in triplets)
    expected = plain_figures(
        embeddings.double().numpy(), [sorted(set(individuals)).index(i) for i in individuals], triplets
    )
    figures = finished.evaluation["networks"][network]
    assert [figures[name]["value"] for name in ("triplet_accuracy", "precision_at_1", "map_at_r")] == pytest.approx(
        expected
    )
    if network == "trained":
        last = metrics(finished.folder)[-1]
        a, p, n = (embeddings[index] for index in test.triplets)
        loss = ((a - p).square().sum(1) - (a - n).square().sum(1) + 1).clamp_min(0).mean().item()
        assert last["test_accuracy"] == pytest.approx(expected[0])
        assert last["test_loss"] == pytest.approx(loss, rel=1e-5)


def test_test_individuals_are_not_trained_on(small_config: LoadConfig) -> None:
    data = prepare_dataset(small_config(), Progress())
    train, test = ({data.records[i].individual for i in part} for part in (data.split.train, data.split.test))
    assert (len(train), len(test), train & test) == (4, 4, set())


@pytest.mark.slow
def test_two_runs_have_equal_weights_byte_for_byte(
    finished: RunResult, small_config: LoadConfig, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    again = run_fp32(small_config(), tmp_path / "again")
    assert weights(again.folder) == weights(finished.folder)
    assert again.evaluation == finished.evaluation
    other = run_fp32(small_config("seed=6"), tmp_path / "other")
    assert weights(other.folder) != weights(finished.folder)


def rerun(config: Path, out: Path) -> None:
    """Run a config in a fresh process."""
    command = [sys.executable, "-m", "siamesekit", "run", str(config), "--out", str(out), "--precision", "fp32",
               "--device", "cpu"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_written_config_reruns_the_run_in_a_fresh_process(finished: RunResult, tmp_path: Path) -> None:
    rerun(finished.folder / "config.toml", tmp_path / "again")
    assert weights(tmp_path / "again") == weights(finished.folder)


PLUGIN = """
import numpy as np
from siamesekit import READERS, Record

@READERS.register("test-blots")
def blots(individuals: int = 4, *, seed: int) -> list[Record]:
    def draw(who, photo):
        rng = np.random.default_rng([seed, who, photo])
        return (rng.integers(0, 128, (20, 20, 3)) + 30 * who).astype(np.uint8)
    return [Record(f"{w}/{p}", f"b{w}", lambda w=w, p=p: draw(w, p)) for w in range(individuals) for p in range(3)]
"""


@pytest.mark.slow
def test_a_run_carries_its_plugins_with_it(project: Path, tmp_path: Path) -> None:
    (tmp_path / "blots.py").write_text(PLUGIN)
    text = (project / "config.toml").read_text().replace('"folder"\nroot = "photos"', '"test-blots"')
    (tmp_path / "config.toml").write_text(text.replace("seed = 5", 'seed = 5\nplugins = ["blots.py"]'))
    first = run_fp32(load_config(tmp_path / "config.toml"), tmp_path / "run")
    (tmp_path / "blots.py").unlink()
    moved = first.folder.rename(tmp_path / "elsewhere")
    rerun(moved / "config.toml", tmp_path / "again")
    assert weights(tmp_path / "again") == weights(moved)
    assert manifest(tmp_path / "again")["plugins"] == {"blots.py": sha256(PLUGIN.encode()).hexdigest()}


def test_a_loss_out_of_range_stops_the_run_and_leaves_no_model(small_config: LoadConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"the loss is nan in epoch 1.*lower optimizer\.lr"):
        run_fp32(small_config("optimizer.lr=1e30"), tmp_path / "run")
    assert not manifest(tmp_path / "run")["complete"]
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.slow
def test_the_pickle_opens_by_pickle_alone_and_measures_like_the_artifact(finished: RunResult, project: Path) -> None:
    model = load(finished.folder)
    photos = [project / "photos" / name for name in ("striped_0/0.png", "striped_0/1.png", "striped_3/0.png")]
    images = torch.stack([model.prepare(photo) for photo in photos])
    code = (
        "import pickle, sys, torch\n"
        f"network = pickle.load(open({str(finished.folder / 'network.pkl')!r}, 'rb'))\n"
        f"images = torch.tensor({images.tolist()}, dtype=torch.uint8)\n"
        "with torch.no_grad():\n    d_ap, d_an = network(*images[:, None])\n"
        "print(type(network).__name__, network.training, float(d_ap), float(d_an))\n"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    name, training, d_ap, d_an = done.stdout.split()
    assert (name, training) == ("SiameseNetwork", "False")
    anchor, positive, negative = photos
    expected = [model.compare(anchor, positive).distance, model.compare(anchor, negative).distance]
    assert [float(d_ap), float(d_an)] == pytest.approx(expected, rel=1e-4)


def test_without_stand_in_a_missing_thing_is_refused_before_anything_is_written(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    lacking = small_config(f"data.root={tmp_path / 'none'}")
    with pytest.raises(MissingDataError, match="there is no folder"):
        run_fp32(lacking, tmp_path / "run")
    with pytest.raises(MissingWeightsError, match="no such weights file"):
        run_fp32(small_config(f"encoder.weights={tmp_path / 'none.safetensors'}"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_check_refuses_weights_that_run_would_refuse(small_config: LoadConfig, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError):
        check(small_config(f"encoder.weights={tmp_path / 'none.safetensors'}"))
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="another network's weights"):
        check(small_config(f"encoder.weights={tmp_path / 'other.safetensors'}"))


@pytest.mark.slow
def test_stand_ins_are_named_everywhere_and_give_way_to_the_real_thing(
    small_config: LoadConfig, project: Path, finished: RunResult, tmp_path: Path, told: Told
) -> None:
    root, file = tmp_path / "real", tmp_path / "real.safetensors"
    config = small_config(
        f"data.root={root}",
        "data.stand_in.reader=folder",
        f"data.stand_in.root={project / 'photos'}",
        "data.stand_in.hint=ask the museum",
        f"encoder.weights={file}",
        "encoder.stand_in.weights=calibrated",
        "encoder.stand_in.hint=ask the library",
    )
    first = run_fp32(config, tmp_path / "first", progress=told)
    assert weights(first.folder) == weights(finished.folder)
    named = [(stand_in["what"], stand_in["hint"]) for stand_in in manifest(first.folder)["stand_ins"]]
    assert named == [("data", "ask the museum"), ("weights", "ask the library")]
    assert [warning.split(":")[0] for warning in told.warned] == ["STAND-IN data", "STAND-IN weights"]
    report = (first.folder / "report.html").read_text()
    head = report[: report.index("Did training help?")]
    for text in ("Stand-in for the data", "Stand-in for the weights", "ask the museum", "ask the library"):
        assert text in head
    assert [each["what"] for each in load(first.folder).description["stand_ins"]] == ["data", "weights"]

    write_photos(root, [f"new_{number}" for number in range(6)])
    save_file({k: v + 0.01 for k, v in backbone_state(finished.folder).items() if v.is_floating_point()}, file)
    told.warned.clear()
    second = run_fp32(config, tmp_path / "second", progress=told)
    assert (told.warned, second.manifest["stand_ins"]) == ([], [])
    assert second.manifest["data"]["individuals"] == 6
    assert second.manifest["weights"]["source"] == str(file)
    frozen = "conv1.0.weight"
    assert torch.equal(backbone_state(second.folder)[frozen], load_file(file)[frozen])
    assert not torch.equal(backbone_state(second.folder)[frozen], backbone_state(first.folder)[frozen])
    assert "Stand-in" not in (second.folder / "report.html").read_text()


def backbone_state(folder: Path) -> dict[str, torch.Tensor]:
    prefix = "backbone.network."
    state = load_file(folder / "model" / "model.safetensors")
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def test_a_folder_that_exists_is_refused_and_stays(small_config: LoadConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            run_fp32(small_config(), tmp_path, overwrite=overwrite)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def break_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the lights went out")

    monkeypatch.setattr(experiment, "judge", broken)


@pytest.mark.slow
@pytest.mark.parametrize("then", ["overwrite", "resume"])
def test_overwrite_keeps_the_old_run_until_the_new_one_is_complete(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    out, aside = tmp_path / "run", tmp_path / ".run.replaced"
    run_fp32(small_config("train.epochs=1"), out)
    old, new = weights(out), small_config("seed=7")
    for _ in range(2):  # a second failure must not take the old run either
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the lights went out"):
            break_in_the_middle(patch)
            run_fp32(new, out, overwrite=True)
        assert weights(aside) == old
        assert manifest(aside)["complete"]
        assert not manifest(out)["complete"]
    run_fp32(new, out, **{then: True})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert manifest(out)["complete"]
    assert weights(out) != old


@pytest.mark.slow
def test_overwrite_with_a_config_that_cannot_run_leaves_the_old_run_in_place(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    before = manifest(tmp_path / "run")
    with pytest.raises(MissingDataError):
        run_fp32(small_config(f"data.root={tmp_path / 'none'}"), tmp_path / "run", overwrite=True)
    assert manifest(tmp_path / "run") == before


@pytest.mark.slow
def test_resume_names_the_keys_that_changed(small_config: LoadConfig, tmp_path: Path) -> None:
    run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    changed = small_config("train.epochs=3", "optimizer.lr=0.5", "encoder.head.layers=[32, 8]")
    with pytest.raises(OutputError, match=r"changed: encoder\.head\.layers, optimizer\.lr;"):
        run_fp32(changed, tmp_path / "run", resume=True)


@pytest.mark.slow
def test_resume_with_more_epochs_goes_on(
    finished: RunResult, small_config: LoadConfig, tmp_path: Path, told: Told
) -> None:
    run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    run_fp32(small_config("train.epochs=2"), tmp_path / "run", resume=True, progress=told)
    assert "Continuing after epoch 1" in told.said
    assert weights(tmp_path / "run") == weights(finished.folder)


@pytest.mark.slow
def test_resume_with_fewer_epochs_than_done_is_refused_and_changes_nothing(
    small_config: LoadConfig, tmp_path: Path
) -> None:
    run_fp32(small_config("train.epochs=2"), tmp_path / "run")
    before = content(tmp_path / "run")
    with pytest.raises(OutputError, match="2 epochs are done"):
        run_fp32(small_config("train.epochs=1"), tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == before


@pytest.mark.slow
def test_resume_with_checkpoints_that_cannot_be_read_changes_nothing(small_config: LoadConfig, tmp_path: Path) -> None:
    run_fp32(small_config("train.epochs=1"), tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoints").glob("*.safetensors"):
        file.write_bytes(b"?")
    before = content(tmp_path / "run")
    with pytest.raises(ArtifactError, match="are damaged; start again with --overwrite"):
        run_fp32(small_config("train.epochs=2"), tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == before


@pytest.mark.slow
def test_a_run_goes_on_with_the_plugins_it_began_with(small_config: LoadConfig, project: Path, tmp_path: Path) -> None:
    def config(text: bytes) -> Config:
        return replace(small_config("train.epochs=1"), plugins=(PluginFile(project / "own.py", text),))

    first = run_fp32(config(b"# one"), tmp_path / "run")
    assert first.manifest["plugins"] == {"own.py": sha256(b"# one").hexdigest()}
    before = content(tmp_path / "run")
    with pytest.raises(OutputError, match="--resume: the plugin files have changed since the run in "):
        run_fp32(config(b"# two"), tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == before
    run_fp32(config(b"# one"), tmp_path / "run", resume=True)


@pytest.mark.slow
def test_times_are_of_all_sessions(small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_fp32(small_config("train.epochs=1"), tmp_path / "run").manifest["seconds"]
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the lights went out"):
        break_in_the_middle(patch)
        run_fp32(small_config("train.epochs=2"), tmp_path / "run", resume=True)
    assert manifest(tmp_path / "run")["seconds"] == {}
    last = run_fp32(small_config("train.epochs=3"), tmp_path / "run", resume=True).manifest["seconds"]
    assert list(last) == ["preparation", "frozen_part", "training", "evaluation", "total"] == list(first)
    trained = sum(line["seconds"] for line in metrics(tmp_path / "run"))
    assert len(metrics(tmp_path / "run")) == 3
    assert last["training"] > trained
    assert last["preparation"] > first["preparation"] and last["frozen_part"] > first["frozen_part"]
    assert last["total"] == pytest.approx(sum(last[stage] for stage in list(last)[:4]))


@pytest.mark.slow
def test_the_model_is_there_whatever_becomes_of_what_it_is_compared_with(
    small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*given: object) -> None:
        raise MemoryError

    config = small_config("train.epochs=1", "save.pickle=network.pkl")
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(experiment, "raw_pixels", too_much)
        run_fp32(config, tmp_path / "run")
    saved = weights(tmp_path / "run")
    why = load(tmp_path / "run").description["no_threshold"]
    assert why.startswith("No threshold: ")
    assert (tmp_path / "run" / "network.pkl").is_file()
    assert not (tmp_path / "run" / "evaluation.json").exists()
    whole = run_fp32(config, tmp_path / "run", resume=True)
    assert weights(whole.folder) == saved
    assert why in whole.evaluation["notes"]


@pytest.mark.slow
def test_many_photos_are_compared_by_pixels_of_their_own_averages(
    finished: RunResult, small_config: LoadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_baseline, "PIXEL_PHOTOS", 15)
    monkeypatch.setattr(pixel_baseline, "PIXEL_SIDE", 8)
    found = run_fp32(small_config(), tmp_path / "run").evaluation
    assert found["notes"] == [
        *finished.evaluation["notes"],
        "Raw pixels were compared at 8 × 8, averaged down from 32 × 32, because there are 16 test photos.",
    ]
    figures, theirs = found["networks"], finished.evaluation["networks"]
    assert figures["raw_pixels"] != theirs["raw_pixels"]
    assert figures["trained"] == theirs["trained"]


SELECTING = (
    "train.epochs=5",
    "train.select=validation",
    "split.train=0.6",
    "split.validation=0.5",
    "optimizer.lr=0.01",
)


@pytest.mark.slow
def test_selection_keeps_the_epoch_that_is_best_on_validation(small_config: LoadConfig, tmp_path: Path) -> None:
    selected = run_fp32(small_config(*SELECTING), tmp_path / "selected")
    scores = [line["validation_map_at_r"] for line in metrics(selected.folder)]
    best = int(np.argmax(scores)) + 1
    assert best < 5, "the last epoch is not the best, or this would show nothing"
    shorter = run_fp32(small_config(*SELECTING, "train.select=last", f"train.epochs={best}"), tmp_path / "shorter")
    assert weights(selected.folder) == weights(shorter.folder)
    data = prepare_dataset(small_config(*SELECTING), Progress())
    model, chosen = load(selected.folder), list(data.split.validation)
    labels = data.labels[chosen].tolist()
    _, _, map_at_r = plain_figures(model.embed(data.images[chosen]).double().numpy(), labels, [(0, 1, 2)])
    assert max(scores) == pytest.approx(map_at_r)
    assert selected.manifest["kept_epoch"] == best
    assert shorter.manifest["kept_epoch"] == best, "it is its last"
    report = (selected.folder / "report.html").read_text()
    assert f"The model has the weights of epoch {best}, the best on the validation individuals" in report
    assert "The model has the weights" not in (shorter.folder / "report.html").read_text()


@pytest.mark.slow
def test_neither_training_nor_selection_sees_the_test_part(small_config: LoadConfig, tmp_path: Path) -> None:
    names = [f"striped_{number}" for number in range(8)]
    config = small_config(*SELECTING, f"data.root={tmp_path / 'photos'}")
    write_photos(tmp_path / "photos", names)
    first = run_fp32(config, tmp_path / "first")
    data = prepare_dataset(config, Progress())
    for i in data.split.test:
        Image.new("RGB", (40, 40), (i, 7 * i % 256, 90)).save(data.records[i].source)
    second = run_fp32(config, tmp_path / "second")
    assert weights(first.folder) == weights(second.folder)
    assert first.evaluation["networks"] != second.evaluation["networks"]


def tensors(run: Path) -> dict[str, Tensor]:
    return load_file(run / "model" / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("change", ["train.memory_gib=0.001", "encoder.cache_gib=0"])
def test_memory_changes_only_the_rounding(
    finished: RunResult, small_config: LoadConfig, tmp_path: Path, change: str
) -> None:
    run_fp32(small_config(change), tmp_path / "run")
    for name, value in tensors(tmp_path / "run").items():
        expected = tensors(finished.folder)[name]
        # a twentieth of one of Adam's steps: where a gradient is as good as 0, rounding decides its sign
        assert torch.allclose(value, expected, rtol=1e-4, atol=5e-5), name


def test_a_batch_that_cannot_be_cut_up_and_does_not_fit_is_refused(small_config: LoadConfig, tmp_path: Path) -> None:
    config = small_config("encoder.batchnorm=train", "train.memory_gib=0.0001")
    with pytest.raises(UserError, match=r"raise train\.memory_gib"):
        check(config, "cpu", "fp32")
    with pytest.raises(UserError, match=r"raise train\.memory_gib"):
        run_fp32(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("cached", [True, False])
def test_augmented_training_is_repeatable_and_differs_from_plain(
    finished: RunResult, small_config: LoadConfig, tmp_path: Path, cached: bool
) -> None:
    options = ["augmentation.name=photo-id", "augmentation.views=2", f"encoder.cache_gib={1.0 if cached else 0.0}"]
    first = run_fp32(small_config(*options), tmp_path / "first")
    second = run_fp32(small_config(*options), tmp_path / "second")
    assert weights(first.folder) == weights(second.folder)
    assert weights(first.folder) != weights(finished.folder)
    assert first.evaluation["networks"]["untrained"] == finished.evaluation["networks"]["untrained"]
    run_fp32(small_config(*options, "train.epochs=1"), tmp_path / "parts")
    run_fp32(small_config(*options), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(first.folder)
