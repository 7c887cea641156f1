"""The check of a config and of a folder, and what a run tells of its photos."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import INDIVIDUALS, Told, embeddings, manifest, run_fp32, write_photos
from siamesekit.artifact.loading import load
from siamesekit.audit.copies import Copies
from siamesekit.config import Config, load_config
from siamesekit.errors import DataError
from siamesekit.evaluation.retrieval import retrieval_metrics
from siamesekit.experiment.audited import once
from siamesekit.experiment.checking import check_config, check_folder
from siamesekit.experiment.evaluating import evaluate_models, evaluation_config
from siamesekit.registry import DISTANCES

CONFIG = """\
[data]
reader = "folder"
root = "photos"
size = 32

[split]
test = ["w4", "w5", "w6", "w7"]

[encoder]
name = "timm/test_resnet"
weights = "calibrated"
train_from = "layer4"

[encoder.head]
layers = [16]

[sampler]
photos = 4

[train]
epochs = 1

[evaluation]
bootstrap = 100
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_photos(tmp_path / "photos", [f"w{number}" for number in range(INDIVIDUALS)])
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path / "config.toml"


def loaded(config: Path, *overrides: str) -> Config:
    return load_config(config, overrides)


def copy(config: Path, first: str, second: str) -> None:
    shutil.copy(config.parent / "photos" / first, config.parent / "photos" / second)


def test_a_check_of_sound_photos_has_a_plan_and_no_findings(config: Path, told: Told) -> None:
    found = check_config(loaded(config), "cpu", "fp32", told)
    assert found.refusal is None and found.plan is not None
    assert found.audit.findings == ()
    assert len(found.records) == 32


def test_unreadable_photos_make_the_run_impossible_and_all_others_are_audited(config: Path, told: Told) -> None:
    (config.parent / "photos" / "w0" / "0.png").write_bytes(b"")
    copy(config, "w5/0.png", "w5/9.png")
    found = check_config(loaded(config), "cpu", "fp32", told)
    assert found.plan is None and isinstance(found.refusal, DataError)
    assert found.audit.counts() == {"unreadable": 1, "exact_copy": 1}
    skipped = check_config(loaded(config), "cpu", "fp32", told, skip_bad=True)
    assert skipped.refusal is None and skipped.plan is not None


def test_a_split_that_is_refused_leaves_an_audit(config: Path, told: Told) -> None:
    copy(config, "w5/0.png", "w5/9.png")
    found = check_config(loaded(config, 'split.test=["nobody"]'), "cpu", "fp32", told)
    assert "nobody" in str(found.refusal)
    assert found.audit.counts() == {"exact_copy": 1}


def test_a_folder_alone_is_audited(config: Path, told: Told) -> None:
    copy(config, "w5/0.png", "w4/9.png")
    (config.parent / "photos" / "w4" / "note.nef").write_bytes(b"x")
    found = check_folder(config.parent / "photos", None, told)
    counts = found.audit.counts()
    assert counts["copy_of_another_individual"] == 2 and counts["skipped_files"] == 1
    assert found.plan is None and found.refusal is None


@pytest.mark.medium
def test_a_copy_across_the_split_is_named_as_such(config: Path, told: Told) -> None:
    options = ("split.test=[]", "split.by=photo", "split.train=0.5")
    records = check_config(loaded(config, *options), "cpu", "fp32", told)
    assert records.audit.findings == ()
    copy(config, "w5/0.png", "w5/0 (1).png")
    found = check_config(loaded(config, *options, "seed=1"), "cpu", "fp32", told).audit
    assert set(found.counts()) <= {"copy_across_split", "exact_copy"} and len(found.findings) == 1


@pytest.mark.slow
def test_photos_in_quarantine_are_left_out_counted_and_in_the_manifest(
    config: Path, told: Told, tmp_path: Path
) -> None:
    copy(config, "w5/0.png", "w5/9.png")
    (config.parent / "list.txt").write_text("# copies\nw5/9.png\ngone.png\n")
    config.write_text(config.read_text().replace("size = 32", 'size = 32\nquarantine = "list.txt"'))
    result = run_fp32(loaded(config), tmp_path / "run", progress=told)
    written = manifest(result.folder)
    assert written["data"]["left_out"] == [{"photo": "w5/9.png", "reason": "is in quarantine"}]
    assert written["data"]["photos"] == 32 and written["audit"]["found"] == {}
    assert "1 photos in quarantine were left out: w5/9.png" in told.said
    assert result.evaluation["without_copies"] is None
    with pytest.raises(DataError, match="cannot be read"):
        check_config(loaded(config, "data.quarantine=none.txt"), "cpu", "fp32", told)


@pytest.mark.slow
def test_a_run_tells_what_was_found_and_its_figure_without_copies(config: Path, told: Told, tmp_path: Path) -> None:
    """The figure is that of the same network when the copies are not there."""
    for individual in range(4, 8):
        copy(config, f"w{individual}/0.png", f"w{individual}/z.png")
    result = run_fp32(loaded(config), tmp_path / "run", progress=told)
    found = result.evaluation["without_copies"]
    assert found["copies"] == 4 and found["queries"] == 16
    assert manifest(result.folder)["audit"] == {"photos": 36, "found": {"exact_copy": 4}, "accepted": {}}
    assert any(line.startswith("4 warnings in 36 photos") for line in told.said)
    assert found["sentence"].startswith("4 of 20 test photos are copies of other photos: without them, P@1 is 0.")
    assert found["sentence"] in (result.folder / "report.html").read_text()
    model = load(result.folder, "cpu")
    again = evaluate_models(evaluation_config(model, None), model, progress=told)["without_copies"]
    assert {key: again[key] for key in ("copies", "queries", "sentence")} == {
        key: found[key] for key in ("copies", "queries", "sentence")
    }
    for figure, interval in found["networks"]["trained"].items():
        assert again["networks"]["model"][figure] == pytest.approx(interval, abs=1e-9)
    photos = [config.parent / "photos" / f"w{who}" / f"{photo}.png" for who in range(4, 8) for photo in range(4)]
    expected = retrieval_metrics(model.embed_files(photos), torch.arange(16) // 4, model.distance)
    assert found["networks"]["trained"]["precision_at_1"]["value"] == pytest.approx(expected.precision_at_1.mean())
    assert found["networks"]["trained"]["map_at_r"]["value"] == pytest.approx(expected.map_at_r.mean())
    with_copies = result.evaluation["networks"]["trained"]["precision_at_1"]["value"]
    assert with_copies > found["networks"]["trained"]["precision_at_1"]["value"]


def test_of_copies_one_stays_and_none_that_has_been_learnt() -> None:
    names = ["a", "a2", "b", "c", "d", "g", "g2"]
    copies = Copies((("a", "a2"), ("t", "b"), ("g", "g2", "d")), (True, True, False), {})
    assert once(names, 5, copies, outside={"t", "g", "g2"}).tolist() == [True, False, False, True, False, True, False]


@pytest.mark.slow
def test_noise_with_a_copy_of_each_photo_finds_nobody_without_them(tmp_path: Path, told: Told) -> None:
    """Nothing tells these individuals apart but the copies."""
    rng = np.random.default_rng(0)
    for individual in range(8):
        folder = tmp_path / "photos" / f"w{individual}"
        folder.mkdir(parents=True)
        for photo in range(3):
            image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype="uint8"))
            image.save(folder / f"IMG_{photo}.png")
            image.save(folder / f"IMG_{photo} (1).png")
    (tmp_path / "config.toml").write_text(CONFIG)
    evaluation = run_fp32(loaded(tmp_path / "config.toml"), tmp_path / "run", progress=told).evaluation
    assert evaluation["networks"]["raw_pixels"]["precision_at_1"]["value"] == 1.0
    assert evaluation["without_copies"]["copies"] == 12
    assert evaluation["without_copies"]["networks"]["raw_pixels"]["precision_at_1"]["value"] < 0.5


def test_a_model_suspects_labels_and_says_what_it_is_worth(told: Told, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [f"w{number}" for number in range(8)], photos=6)
    truth = np.arange(48) // 6

    class Known:
        distance = DISTANCES.build("cosine")

        def embed_records(self, records, progress):  # type: ignore[no-untyped-def]
            return embeddings(truth, noise=0.1)

    shutil.move(tmp_path / "photos" / "w0" / "0.png", tmp_path / "photos" / "w7" / "6.png")
    truth = np.array([0] * 5 + [n for n in range(1, 8) for _ in range(6)] + [0])
    found = check_folder(tmp_path / "photos", None, told, Known())  # type: ignore[arg-type]
    suspected = [each.file for each in found.audit.findings if each.kind == "mislabelled"]
    assert suspected == ["w7/6.png"]
    assert "the photo nearest by the model shows the same individual for 94% of 48 photos" in told.said


def _table_with_copy(tmp_path: Path, words: tuple[str, str]) -> Path:
    """A table of photos of two individuals; a photo of the first part lies in the second part once more."""
    write_photos(tmp_path / "photos", ["a", "b"])
    photos = sorted((tmp_path / "photos").rglob("*.*"))
    shutil.copy(photos[0], photos[0].with_name("copy.png"))
    rows = [f"{photos[0].with_name('copy.png').relative_to(tmp_path)},a,{words[1]}"]
    rows += [f"{photo.relative_to(tmp_path)},{photo.parent.name},{words[0]}" for photo in photos]
    (tmp_path / "table.csv").write_text("photo,individual,split\n" + "\n".join(rows) + "\n")
    return tmp_path / "table.csv"


def test_a_column_of_parts_makes_a_copy_one_across_the_split(tmp_path: Path, told: Told) -> None:
    found = check_folder(_table_with_copy(tmp_path, ("train", "Query")), None, told).audit
    (copy,) = (each for each in found.findings if each.kind == "copy_across_split")
    assert copy.file.endswith("copy.png") and copy.what.endswith("the parts of the split: test, train")
    assert any("1 test" in line for line in told.said)


def test_other_words_in_that_column_are_no_parts(tmp_path: Path, told: Told) -> None:
    found = check_folder(_table_with_copy(tmp_path, ("train", "north")), None, told).audit
    assert found.counts()["exact_copy"] == 1 and "copy_across_split" not in found.counts()
