"""The split of a run: photos left out, embeddings from a file, and leaks in the plan, the manifest and split.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import LoadConfig, Told, write_photos
from siamesekit.data import reading
from siamesekit.data.records import Record, Records
from siamesekit.errors import DataError
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.experiment.running import check
from siamesekit.experiment.split_file import split_of
from siamesekit.progress import Progress

WORDS = ["train", "train", "val", "test"]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """Attributes that the reader gives to photos, by the end of their names."""
    given: dict[str, dict[str, str]] = {}
    build = reading.READERS.build

    def with_columns(*args: object, **kwargs: object) -> Records:
        found = []
        for record in build(*args, **kwargs):  # type: ignore[arg-type]
            said = {key: value for end, row in given.items() if record.name.endswith(end) for key, value in row.items()}
            found.append(Record(record.name, record.individual, record.source, attributes=said))
        return Records(found)

    monkeypatch.setattr(reading.READERS, "build", with_columns)
    return given


@pytest.fixture
def config(small_config: LoadConfig, tmp_path: Path) -> LoadConfig:
    root = write_photos(tmp_path / "photos", [f"i{number}" for number in range(4)])
    return lambda *overrides: small_config(f"data.root={root}", *overrides)


Columns = dict[str, dict[str, str]]


def test_a_column_of_the_records_makes_the_parts(config: LoadConfig, columns: Columns) -> None:
    columns |= {f"/{number}.png": {"set": word} for number, word in enumerate(WORDS)}
    data = prepare_dataset(config("split.by=column", "split.column=set"), Progress())
    for part, numbers in {"train": "01", "validation": "2", "test": "3"}.items():
        assert {data.records[i].name[-5] for i in data.split.parts()[part]} == {*numbers}


def test_queries_that_nothing_could_match_are_left_out_and_listed(
    config: LoadConfig, columns: Columns, told: Told
) -> None:
    columns |= {f"/{number}.png": {"split": word} for number, word in enumerate(WORDS)}
    columns |= {f"i3/{number}.png": {"split": "test"} for number in range(4)}
    with pytest.raises(DataError, match="4 of 7 test photos show 1 individuals without a photo outside the test part"):
        prepare_dataset(config("split.by=column"), Progress())
    asked = config("split.by=column", "split.unmatched=leave-out")
    data = prepare_dataset(asked, told)
    note = "4 test photos without a photo of their individual to be found were left out: i3/0.png, i3/1.png, i3/2.png"
    assert any(line.startswith(note) for line in data.notes)
    assert (len(data.records), len(data.images), data.individuals) == (12, 12, ("i0", "i1", "i2"))
    assert [data.records[i].name for i in data.split.test] == ["i0/3.png", "i1/3.png", "i2/3.png"]
    whole = split_of(asked, data)
    assert [each["photo"] for each in whole["left_out"]] == [f"i3/{number}.png" for number in range(4)]
    assert whole["options"]["unmatched"] == "leave-out"


@pytest.mark.parametrize("words", [WORDS, ["train", "train", "train", "test"]])
def test_selecting_by_validation_photos_without_a_pair_is_refused(
    config: LoadConfig, columns: Columns, words: list[str]
) -> None:
    columns |= {f"/{number}.png": {"split": word} for number, word in enumerate(words)}
    photos = 4 * words.count("val")
    with pytest.raises(
        DataError, match=f"two photos of one of them, and the split gives {photos} photos of {photos} ind"
    ):
        prepare_dataset(config("split.by=column", "train.select=validation"), Progress())


def test_the_plan_says_what_leaks(config: LoadConfig, columns: Columns, tmp_path: Path) -> None:
    columns |= {f"/{number}.png": {"encounter": "12"[number // 2]} for number in range(4)}
    columns |= {f"i0/{number}.png": {"encounter": f"0{number}"} for number in range(4)}
    photos = tmp_path / "photos"
    (photos / "i0" / "1.png").write_bytes((photos / "i0" / "0.png").read_bytes())
    asked = config("split.by=photo", "split.folds=2")
    plan = check(asked, "cpu", "fp32")
    rows = [text for label, text in plan.rows() if label == "leak"]
    data = prepare_dataset(asked, Progress())
    outside = {data.records[i].name for i in data.split.searched()}
    apart = len({"i0/0.png", "i0/1.png"} & outside) == 1
    assert rows[0] == "6 of 8 test photos share an encounter with a training photo"
    assert rows[1:] == (["1 of 8 test photos have the same pixels as a training photo"] if apart else [])


def test_a_plan_without_columns_says_nothing_of_leaks(small_config: LoadConfig) -> None:
    assert check(small_config(), "cpu", "fp32").leaks == ()


def test_near_duplicates_by_a_file_of_embeddings_are_counted_and_kept_together(
    config: LoadConfig, tmp_path: Path
) -> None:
    names = [f"i{i}/{photo}.png" for i in range(4) for photo in range(4)]
    vectors = np.eye(8, dtype=np.float32)[[photo // 2 for photo in range(16)]]  # pairs of neighbours
    np.savez(tmp_path / "e.npz", path=np.array([f"p/{name}" for name in names]), embedding=vectors)
    given = f"split.embeddings={tmp_path / 'e.npz'}"
    data = prepare_dataset(config("split.by=similarity", given, "split.train=0.5"), Progress())
    assert data.leaks is not None and (data.leaks.near_duplicates, data.leaks.test) == (0, 8)
    mixed = prepare_dataset(config("split.by=photo", given, "split.folds=2"), Progress())
    assert mixed.leaks is not None
    pair_of = {i: names.index(record.name) // 2 for i, record in enumerate(mixed.records)}
    outside = {pair_of[i] for i in mixed.split.searched()}
    assert mixed.leaks.near_duplicates == sum(pair_of[i] in outside for i in mixed.split.test)
