"""Where a key may stand."""

from __future__ import annotations

import pytest

from siamesekit.config.key_places import component_in, every_key, key_places, keys_of


@pytest.mark.parametrize(
    ("word", "places"),
    [
        ("epochs", ["train.epochs"]),
        ("--epochs", ["train.epochs"]),
        ("epoch", ["train.epochs"]),
        ("batch-size", ["sampler.batch_size"]),
        ("learning-rate", ["optimizer.lr"]),
        ("lr", ["optimizer.lr", "loss.optimizer.lr"]),
        ("seed", ["seed"]),
        ("loss", ["loss.name"]),
        ("loss.margin", ["loss.margin"]),
        ("train.epoch", ["train.epochs"]),
        ("frobnicate", []),
    ],
)
def test_a_word_is_taken_for_the_keys_it_may_mean(word: str, places: list[str]) -> None:
    assert key_places(word) == places


def test_a_table_s_keys_are_its_own_and_its_component_s() -> None:
    assert keys_of("save") == ["save.pickle", "save.every_seconds"]
    assert "loss.margin" in keys_of("loss", "triplet")
    assert "loss.margin" not in keys_of("loss", "proxy-anchor") or "loss.alpha" in keys_of("loss", "proxy-anchor")
    assert "encoder.head" not in every_key()


def test_a_config_names_the_component_or_takes_the_default() -> None:
    assert component_in({"loss": {"name": "arcface"}}, "loss") == "arcface"
    assert component_in({}, "loss") == "triplet"
    assert component_in({"loss": 3}, "loss") == "triplet"
    assert component_in({}, "train") is None
