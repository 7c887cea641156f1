"""The examples' configs: each loads, says what it is, and can be planned where its data are drawn."""

from pathlib import Path

import pytest

from siamesekit.config import load_config
from siamesekit.experiment.running import check

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIGS = sorted(file for file in EXAMPLES.rglob("*.toml") if "plugin" not in file.parts)  # those need the package


def test_there_are_examples() -> None:
    assert {config.parent.name for config in CONFIGS} >= {"whales", "digits"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_an_example_loads_and_reloads_from_what_it_writes(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert config.name.startswith(path.parent.name)
    assert all(plugin.path.parent == path.parent for plugin in config.plugins)
    (tmp_path / "written.toml").write_text(config.to_toml(plugins=[]))
    again = load_config(tmp_path / "written.toml")
    assert (again.name, again.seed, again.tables()) == (config.name, config.seed, config.tables())


@pytest.mark.slow
def test_the_whales_are_the_recipe(tmp_path: Path) -> None:
    overrides = [f"data.root={tmp_path / 'none'}", "data.size=71", "data.stand_in.difficulty=0"]
    plan = check(load_config(EXAMPLES / "whales" / "config.toml", overrides), "cpu", "fp32")
    assert plan.individuals == {"train": 45, "test": 5}
    assert plan.photos == {"train": 450, "test": 50}
    assert (plan.triplets, plan.batches, plan.steps) == (2025, 16, 960)
    assert plan.trainable == 9_583_800
    assert plan.stand_ins == ("reader 'flukes'",)
    assert "cached" in plan.frozen_part


def test_the_digits_page_shows_the_table_as_it_was_written() -> None:
    table = (EXAMPLES / "digits" / "table.md").read_text(encoding="utf-8")
    assert table in (EXAMPLES / "digits" / "README.md").read_text(encoding="utf-8")
    assert table.count("\n") == 2 + 18 + 2  # header, combinations, what they are compared with
