"""`siamesekit cluster`, as a person uses it: a catalogue, unlabelled photos, answers, and what is refused."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conftest import write_photos
from siamesekit.cli.app import app


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(*arguments: object) -> Any:
    """The JSON of a command that went well."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos of five individuals, four of each."""
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", ["Ann", "Bob", "Cy", "Dee", "Eve"])


@pytest.fixture(scope="module")
def catalogue(telling: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of them; not to be written to."""
    place = tmp_path_factory.mktemp("catalogues") / "c"
    assert call("enrol", telling, photos, "-o", place, "--device", "cpu").exit_code == 0
    return place


def answer(file: Path) -> int:
    """Fill in all answers of a table, as a person who knows the individuals; return their number."""
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        for row in rows:
            same = row["photo"].split("/")[-2] == row["other"].split("/")[-2]
            writer.writerow({**row, "same": "yes" if same else "no"})
    return len(rows)


@pytest.mark.medium
def test_a_person_clusters_a_catalogue_answers_and_gets_the_number(catalogue: Path, tmp_path: Path) -> None:
    out, pairs = tmp_path / "out", tmp_path / "out" / "pairs.csv"
    first = call("cluster", catalogue, "-o", out, "--device", "cpu")
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("20 photos in ") and "clusters have the photos of 5 labelled individ" in first.stdout
    assert "adjusted Rand index" in first.stdout and "show one individual?" in first.stdout
    assert f"fill in yes or no in {pairs}, then add --answers {pairs}" in " ".join(first.stdout.split("\n"))
    asked = answer(pairs)
    lost = call("cluster", catalogue, "-o", out, "--device", "cpu")
    assert (lost.exit_code, lost.stdout) == (2, "") and f"{asked} answers that would be lost" in lost.stderr
    facts = document("cluster", catalogue, "-o", out, "--answers", pairs, "--device", "cpu")
    assert facts["answers"] == asked and facts["adjusted_rand_index"]["value"] > 0.7
    assert facts["count"]["low"] <= 5 <= facts["count"]["high"] and facts["left_out"] == []
    told = call("cluster", catalogue, "-o", out, "--answers", pairs, "--device", "cpu").stdout
    assert "95% interval) from " in told


def test_unlabelled_photos_need_a_model_and_no_names(telling: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused = call("cluster", photos, "-o", out)
    assert refused.exit_code == 2 and "is no catalogue, so a model is needed: siamesekit cluster" in refused.stderr
    facts = document("cluster", photos, "--model", telling, "-o", out, "--device", "cpu", "--questions", 5)
    assert facts["photos"] == 20 and facts["adjusted_rand_index"] is None and facts["individuals"]["labelled"] == 0
    with (out / "clusters.csv").open(newline="") as file:
        assert {row["photo"].split("/")[0] for row in csv.DictReader(file)} == {"Ann", "Bob", "Cy", "Dee", "Eve"}
    named = document("cluster", photos, "--model", telling, "-o", out, "--device", "cpu", "--reader", "folder")
    assert named["individuals"]["labelled"] == 5 and named["clusters"] == facts["clusters"]


@pytest.mark.medium
def test_photos_that_cannot_be_read_are_named_and_left_out(telling: Path, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    copied = write_photos(tmp_path / "more", ["Ann", "Bob"])
    names = [str(file.relative_to(tmp_path)) for file in sorted(copied.rglob("*.*"))]
    table.write_text("photo\n" + "\n".join([*names, "bad.jpg"]) + "\n")
    command = ["cluster", table, "--model", telling, "-o", tmp_path / "out", "--device", "cpu"]
    refused = call(*command)
    assert refused.exit_code == 2 and not (tmp_path / "out").exists() and "--skip-bad" in refused.stderr
    result = call(*command, "--skip-bad")
    assert result.exit_code == 0 and "left out: bad.jpg" in result.stderr
    assert result.stderr.splitlines()[-1] == f"1 of {len(names) + 1} photos cannot be used and were left out"
    assert result.stdout.startswith(f"{len(names)} photos in ")
    table.write_text("photo\nbad.jpg\nbad.jpg\n")
    refused = call("cluster", table, "--model", telling, "-o", tmp_path / "new", "--device", "cpu")
    assert refused.exit_code == 2 and "Traceback" not in refused.output and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "RUN"], "which has its model and its photos: leave out --model"),
        (["--reader", "folder"], "which has its model and its photos: leave out --reader"),
        (["--where", "side = 'left'"], "no column 'side'"),
        (["--method", "k-means"], "'k-means' is not one of 'average', 'hdbscan'"),
        (["--questions", "-1"], "greater than or equal to 0"),
        (["--answers", "no.csv"], "no such file: no.csv"),
    ],
)
def test_bad_arguments_are_refused(
    catalogue: Path, telling: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    arguments = [str(telling) if each == "RUN" else each for each in arguments]
    refused = call("cluster", catalogue, "-o", tmp_path / "out", "--device", "cpu", *arguments)
    assert refused.exit_code == 2 and message in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_contradicting_answers_are_refused_with_their_lines(catalogue: Path, tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("photo,other,same\nAnn/0.png,Ann/1.png,yes\nAnn/1.png,Ann/0.png,no\n")
    refused = call("cluster", catalogue, "-o", tmp_path / "out", "--answers", file, "--device", "cpu")
    assert refused.exit_code == 2 and not (tmp_path / "out").exists()
    told = "answers.csv, line 3: Ann/1.png and Ann/0.png are different, and the same by answers.csv, line 2"
    assert told in " ".join(refused.stderr.split())


def test_without_scikit_learn_hdbscan_names_the_command(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    refused = call("cluster", catalogue, "-o", tmp_path / "out", "--method", "hdbscan", "--device", "cpu")
    assert refused.exit_code == 2 and "pip install 'siamesekit[cluster]'" in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_condition_that_meets_one_photo_is_too_few(catalogue: Path, tmp_path: Path) -> None:
    refused = call("cluster", catalogue, "-o", tmp_path / "out", "--where", "photo = 'Ann/0.png'", "--device", "cpu")
    assert refused.exit_code == 2 and "clusters need at least 2 photos, not 1" in refused.stderr
