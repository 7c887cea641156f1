"""Evaluation of finished models: on the run's own data, on a folder, on a table, and against another model."""

import csv
import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from siamesekit import load
from siamesekit.artifact.embedding_files import photos_and_individuals
from siamesekit.cli.app import app
from siamesekit.data import images
from siamesekit.data.decoding import decoded
from siamesekit.data.photo_colours import Pixels
from siamesekit.errors import DataError
from siamesekit.evaluation.calibration import Calibration
from siamesekit.evaluation.retrieval import retrieval_metrics
from siamesekit.experiment.evaluating import evaluate_models, evaluation_config
from siamesekit.experiment.run_result import RunResult
from siamesekit.progress import Progress


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def table(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's photos with queries, a gallery, encounters, and an individual that is not in the gallery."""
    file = tmp_path_factory.mktemp("table") / "photos.csv"
    shutil.copytree(project / "photos", file.parent / "photos")
    rows = []
    for individual in range(8):
        for photo in range(4):
            part = "query" if photo == 0 or individual == 7 else "gallery"
            name = f"striped_{individual}"
            rows.append((f"photos/{name}/{photo}.png", name, part, f"e{photo // 2}", "left" if photo % 2 else "right"))
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([("photo", "individual", "split", "encounter", "side"), *rows])
    return file


def test_a_run_evaluated_on_its_own_data_has_the_figures_of_its_report(finished: RunResult) -> None:
    model = load(finished.folder, "cpu")
    found = evaluate_models(evaluation_config(model, None), model, progress=Progress())
    expected = finished.evaluation
    for figure, interval in expected["networks"]["trained"].items():
        assert found["networks"]["model"][figure] == pytest.approx(interval, abs=1e-9), figure
    for key in ("photos", "individuals", "triplets", "queries", "gallery", "searched"):
        assert found[key] == expected[key]
    assert found["threshold"] == expected["threshold"]
    assert not any("trained the model" in note for note in found["notes"])


def test_on_a_folder_each_photo_is_searched_among_all_others(finished: RunResult, project: Path) -> None:
    model = load(finished.folder, "cpu")
    found = evaluate_models(evaluation_config(model, project / "photos"), model, everything=True, progress=Progress())
    photos = photos_and_individuals([project / "photos"])
    labels = torch.from_numpy(np.unique([name for _, name in photos], return_inverse=True)[1])
    expected = retrieval_metrics(model.embed_files([path for path, _ in photos], Progress()), labels, model.distance)
    assert found["networks"]["model"]["map_at_r"]["value"] == pytest.approx(expected.map_at_r.mean(), abs=1e-12)
    assert (found["queries"], found["gallery"], found["searched"]) == (32, 32, "the other test photos")
    assert "4 of the 8 test individuals have names of individuals that trained the model" in " ".join(found["notes"])


def test_a_table_says_who_is_searched_among_whom(finished: RunResult, table: Path) -> None:
    model = load(finished.folder, "cpu")
    photos = [f"{i}/{photo}.png" for i in range(8) for photo in range(4) if photo == 0 or i == 7]
    embeddings = model.embed_files([table.parent / "photos" / f"striped_{photo}" for photo in photos], Progress())
    distances = {(a, b): float(model.distance(embeddings[a], embeddings[b])) for a, b in combinations(range(11), 2)}
    threshold = float(np.mean(sorted(distances.values())[27:29]))  # between two of them
    model.calibration = Calibration(slope=-10.0, intercept=10 * threshold, threshold=threshold)
    config = evaluation_config(model, table)
    found = evaluate_models(config, model, everything=True, progress=Progress())
    assert (found["photos"], found["queries"], found["gallery"]) == (11, 7, 21)
    assert (found["open_set"]["known"], found["open_set"]["new"]) == (7, 4)
    assert set(found["groups"]["side"]) == {"right"}, "the other queries find nothing"
    accepted: dict[bool, list[bool]] = {True: [], False: []}
    for (a, b), distance in distances.items():
        accepted[photos[a][0] == photos[b][0]].append(distance <= threshold)
    assert found["shipped_threshold"] == {
        "threshold": threshold,
        "same_pairs": 6,
        "different_pairs": 49,
        "false_accept_rate": pytest.approx(np.mean(accepted[False])),
        "false_reject_rate": pytest.approx(1 - np.mean(accepted[True])),
    }
    assert 0 < np.mean(accepted[False]) < 1


def test_each_photo_is_decoded_once(
    finished: RunResult, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # no facts are known from other tests
    decodings = []

    def counted(content: bytes, *arguments: Any) -> Pixels:
        decodings.append(content)
        return decoded(content, *arguments)

    monkeypatch.setattr(images, "decoded", counted)
    model = load(finished.folder, "cpu")
    evaluate_models(evaluation_config(model, project / "photos"), model, everything=True, progress=Progress())
    assert sorted(decodings) == sorted(photo.read_bytes() for photo in (project / "photos").rglob("*.png"))


@pytest.mark.medium
def test_two_models_are_compared_query_by_query(finished: RunResult, project: Path) -> None:
    found = call(
        "evaluate", finished.folder, "--data", project / "photos", "--against", "efficientnet-lite0", "--json",
        "--set", "evaluation.bootstrap=100", "--device", "cpu",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    made = json.loads(found.stdout)
    for figure, difference in made["difference"].items():
        ours, theirs = (made["networks"][name][figure]["value"] for name in ("model", "against"))
        assert difference["value"] == pytest.approx(ours - theirs, abs=1e-12)
        assert difference["low"] <= difference["value"] <= difference["high"]


@pytest.mark.medium
def test_a_model_does_not_differ_from_itself(finished: RunResult, project: Path) -> None:
    found = call("evaluate", finished.folder, "--data", project / "photos", "--against", finished.folder, "--json")
    assert found.exit_code == 0, found.output
    made = json.loads(found.stdout)
    assert all(set(each.values()) == {0} for each in made["difference"].values())
    assert made["networks"]["model"] == made["networks"]["against"]
    shown = call("evaluate", finished.folder, "--data", project / "photos", "--against", finished.folder)
    assert "difference" in shown.output and "+0.000" in shown.output


def test_photos_that_cannot_be_used_are_left_out_if_asked(finished: RunResult, project: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(project / "photos", tmp_path / "photos")
    (photos / "striped_0" / "1.png").write_bytes(b"no photo")
    model = load(finished.folder, "cpu")
    config = evaluation_config(model, photos)
    with pytest.raises(DataError, match="1 of 32 photos cannot be used"):
        evaluate_models(config, model, everything=True, progress=Progress())
    found = evaluate_models(config, model, everything=True, progress=Progress(), skip_bad=True)
    assert found["photos"] == 31
    assert found["left_out"] == ["1 of 32 photos cannot be used and were left out: striped_0/1.png"]
    for photo in photos.rglob("*.png"):
        photo.write_bytes(b"no photo")
    with pytest.raises(DataError, match="32 of 32 photos cannot be used"):
        evaluate_models(config, model, everything=True, progress=Progress(), skip_bad=True)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name a run, or an encoder with --encoder NAME"),
        (("RUN", "--encoder", "timm/test_resnet"), "one of the two"),
        (("RUN", "--size", "64"), "--size is only for an encoder"),
        (("RUN", "--data", "missing"), "missing"),
        (("RUN", "--data", "PROJECT/config.toml"), "expected a folder of photos or a table"),
        (("RUN", "--against", "no-such-encoder"), "no such file: no-such-encoder"),
        (("RUN", "--data", "PROJECT/photos", "--set", 'evaluation.exclude=["encounter"]'), "which no photo has"),
        (("RUN", "--data", "PROJECT/photos", "--reader", "foldr"), "folder"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    finished: RunResult, project: Path, arguments: tuple[str, ...], says: str
) -> None:
    places = {"RUN": str(finished.folder)}
    found = call("evaluate", *(places.get(each, each.replace("PROJECT", str(project))) for each in arguments))
    assert found.exit_code == 2, found.output
    assert says in " ".join(found.output.split())
