"""Options of a split that have no meaning with the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.config import Config, load_config
from siamesekit.errors import ConfigError


def load(folder: Path, *lines: str) -> Config:
    text = '[data]\nreader = "folder"\nroot = "x"\n[encoder]\nname = "xception"\n[split]\n'
    (folder / "c.toml").write_text(text + "\n".join(lines))
    return load_config(folder / "c.toml")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (['column = "set"'], 'split.column: needs split.by = "column"'),
        (['by = "photo"', 'time = "2020-01-01"'], 'split.time: needs split.by = "time"'),
        (['by = "photo"', "unseen = 0.3"], 'split.unseen: needs split.by = "open-set"'),
        (['by = "encounter"', 'unmatched = "new"'], 'split.unmatched: needs split.by = "column" or "time"'),
        (['by = "time"', 'time = "1/2/2020"'], "split.time: must be a date of one of the forms 2021-03-04"),
        (['by = "similarity"'], 'split.by: "similarity" needs embeddings of the photos: set split.embeddings'),
        (["similarity = 0.8"], "split.similarity: needs split.embeddings"),
        (["fold = 2"], "split.fold: needs split.folds, the number of folds"),
        (["folds = 1"], "split.folds: must be 0, for none, or at least 2"),
        (["folds = 3", "fold = 4"], "split.fold: must be from 1 to split.folds = 3, not 4"),
        (["folds = 3", 'test = ["a"]'], "split.folds: the folds take the place of split.test"),
        (['by = "time"', "folds = 3", 'time = "2020-01-01"'], "split.folds: the folds take the place of the date"),
        (['by = "open-set"', "folds = 8"], "split.unseen: with 8 folds at most 0.125, a share for each fold"),
    ],
)
def test_an_option_without_a_meaning_is_named(tmp_path: Path, lines: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, *lines)
    assert len(caught.value.problems) == 1 and problem in caught.value.problems[0]


@pytest.mark.parametrize(
    "lines",
    [
        ['by = "column"', 'column = "set"', 'unmatched = "leave-out"'],
        ['by = "time"', 'time = "2020-01-01 10:00"', 'unmatched = "new"'],
        ['encounter = "seen"', "gap_seconds = 60.0"],
        ['by = "open-set"', "unseen = 0.2", "folds = 5", "fold = 5"],
        ['by = "similarity"', 'embeddings = "e.npz"', "similarity = 0.9"],
    ],
)
def test_options_of_a_kind_are_kept_and_repeat_the_run(tmp_path: Path, lines: list[str]) -> None:
    config = load(tmp_path, *lines)
    (tmp_path / "again.toml").write_text(config.to_toml(relative_to=tmp_path))
    assert load_config(tmp_path / "again.toml").split == config.split


def test_the_file_of_embeddings_is_beside_the_config(tmp_path: Path) -> None:
    assert load(tmp_path, 'by = "similarity"', 'embeddings = "e.npz"').split.embeddings == tmp_path / "e.npz"


def test_a_column_may_hold_the_validation_photos_that_select_the_epoch(tmp_path: Path) -> None:
    config = load(tmp_path, 'by = "column"', "[train]", 'select = "validation"')
    assert (config.split.validation, config.train.select) == (0.0, "validation")
