"""Tables for the terminal: what stands in which cell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from rich.table import Table

from siamesekit.cli.rich_tables import (
    components_table,
    config_tables_table,
    evaluation_table,
    keys_table,
    options_table,
    plan_table,
)
from siamesekit.cli.shell import Shell
from siamesekit.config.describe.tables import Key, config_table
from siamesekit.experiment.plan import Plan
from siamesekit.options import ADistance, Augmentations, Count, Fraction, Index, NonNegative, OpenFraction, Positive
from siamesekit.registry import LOSSES, Component
from siamesekit.registry.signatures import Parameter


def text(table: Table) -> str:
    """The table, printed as the shell prints it."""
    out = Shell().out
    out.width = 200
    with out.capture() as captured:
        out.print(table)
    return captured.get()


def rows(table: Table) -> list[list[str]]:
    """The table's cells, as printed."""
    lines = text(table).splitlines()
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines if line.strip()]


PLANNED: dict[str, Any] = {
    "individuals": {"train": 45, "validation": 0, "test": 5},
    "photos": {"train": 450, "validation": 0, "test": 50},
    "triplets": 2025,
    "batches": 16,
    "steps": 960,
    "parameters": 22_000_000,
    "trainable": 1_234_567,
    "weights": "/data/[new]/w.pt",
    "stand_ins": (),
    "frozen_part": "cached",
    "cache_bytes": 12_000_000,
    "memory_bytes": 1_550_000_000,
    "seconds": 119.6,
    "device": "cpu, fp32",
}


def test_a_plan_with_a_miner_does_not_know_the_triplets() -> None:
    shown = dict(row for row in rows(plan_table(Plan(**PLANNED | {"triplets": None}))) if len(row) == 2)
    assert shown["triplets an epoch"] == "chosen by the miner, in 16 batches"


def test_a_plan_is_a_line_an_item() -> None:
    shown = dict(row for row in rows(plan_table(Plan(**PLANNED))) if len(row) == 2)
    assert shown == {
        "individuals": "45 train, 0 validation, 5 test",
        "photos": "450 train, 0 validation, 50 test",
        "triplets an epoch": "2025 in 16 batches",
        "steps": "960",
        "parameters": "1,234,567 of 22,000,000 train",
        "weights": "/data/[new]/w.pt",
        "frozen part": "cached (12 MB)",
        "device": "cpu, fp32",
        "memory, about": "1.6 GB",
        "time, about": "120 s",
    }


def test_a_plan_names_who_is_kept_for_the_test() -> None:
    few = rows(plan_table(Plan(**PLANNED | {"test_individuals": ("ann", "b\nob")})))
    assert ["kept for the test", "2: ann, 'b\\nob'"] in few
    many = rows(plan_table(Plan(**PLANNED | {"test_individuals": tuple(f"i{number}" for number in range(12))})))
    assert ["kept for the test", "12: i0, i1, i2, i3, i4 and 7 more"] in many


def test_a_plan_explains_its_words_and_no_size_is_nothing() -> None:
    shown = text(plan_table(Plan(**PLANNED | {"cache_bytes": 4_000, "memory_bytes": 40_000_000})))
    assert "cached (4 kB)" in shown
    assert "40 MB" in shown
    for word in ("an epoch:", "a triplet:", "the frozen part:", "bf16:"):
        assert word in shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (3599, "60 min")])
def test_a_duration_is_in_seconds_below_two_minutes(seconds: float, shown: str) -> None:
    assert ["time, about", shown] in rows(plan_table(Plan(**PLANNED | {"seconds": seconds})))


def test_stand_ins_stand_in_the_plan_as_they_are() -> None:
    shown = rows(plan_table(Plan(**PLANNED | {"stand_ins": ("reader 'flukes'", "[bold]x[/bold]")})))
    assert ["STAND-IN", "reader 'flukes'"] in shown
    assert ["STAND-IN", "[bold]x[/bold]"] in shown


def test_an_evaluation_has_a_row_a_network_with_intervals() -> None:
    known = {"value": 0.5, "low": 0.25, "high": 0.75}
    unknown = {"value": 0.1234, "low": None, "high": None}
    evaluation = {
        "photos": 50,
        "individuals": 5,
        "triplets": 225,
        "confidence": 0.95,
        "networks": {
            "trained": {"triplet_accuracy": known, "precision_at_1": unknown, "map_at_r": known},
            "raw_pixels": {"triplet_accuracy": unknown, "precision_at_1": known, "map_at_r": unknown},
            "other": {"triplet_accuracy": known, "precision_at_1": known, "map_at_r": known},
        },
    }
    title, header, _, *body, caption = rows(evaluation_table(evaluation))
    assert title == ["50 test photos of 5 individuals, 225 triplets"]
    assert header == ["triplet accuracy", "P@1", "MAP@R"]
    with_interval = "0.500 (0.250–0.750)"
    assert body == [
        ["trained network", with_interval, "0.123", with_interval],
        ["raw pixels", "0.123", with_interval, "0.123"],
        ["other", with_interval, with_interval, with_interval],
    ]
    assert caption == ["95% bootstrap intervals over individuals"]


def test_components_are_listed_with_first_line_and_origin() -> None:
    header, _, *body = rows(components_table(LOSSES))
    assert header == ["losses", "what training minimises", "from"]
    triplet = LOSSES.get("triplet")
    assert ["triplet", triplet.summary, "siamesekit.components.losses.triplet"] in body


@pytest.mark.parametrize(
    ("annotation", "default", "shown"),
    [
        (Positive, 1.0, ["float > 0", "1.0"]),
        (NonNegative, 0.0, ["float ≥ 0", "0.0"]),
        (Fraction, 0.5, ["float ≥ 0, ≤ 1", "0.5"]),
        (OpenFraction, 0.5, ["float > 0, < 1", "0.5"]),
        (Count, 3, ["int ≥ 1", "3"]),
        (Index, 0, ["int ≥ 0", "0"]),
        (Annotated[str, "a note"], "x", ["str", "'x'"]),
        (Literal["a", 2], "a", ["'a' | 2", "'a'"]),
        (Path, Path("[x]"), ["Path", repr(Path("[x]"))]),
        (tuple[int, ...], (1, 2), ["tuple[int, …]", "(1, 2)"]),
        (int | None, None, ["int | None", "None"]),
        (Literal["all"] | Count, "all", ["'all' | int ≥ 1", "'all'"]),
        (ADistance | None, None, ["table of a distance | None", "None"]),
        (Augmentations, (), ["tables of augmentations", "()"]),
    ],
)
def test_an_option_is_shown_with_its_type_in_words_and_its_default(
    annotation: Any, default: Any, shown: list[str]
) -> None:
    option = Parameter("x", annotation, "X", default)
    component = Component("loss", "l", (option, Parameter("y", int, "int")), (), "doc", "here")
    header, _, first, second = rows(options_table(component))
    assert header == ["option", "type", "default"]
    assert first == ["x", *shown]
    assert second == ["y", "int", "required"]


def test_keys_of_a_config_are_shown_with_type_default_and_meaning() -> None:
    keys = [Key(Parameter("batch", Count, "Count", 128), "How many."), Key(Parameter("name", str, "str"), "")]
    header, _, first, second = rows(keys_table(keys))
    assert header == ["key", "type", "default"]
    assert first == ["batch", "int ≥ 1", "128", "How many."]
    assert second == ["name", "str", "required"]


def test_tables_of_a_config_are_shown_with_what_holds_where_they_are_left_out() -> None:
    header, _, *body = rows(config_tables_table([config_table("data"), config_table("miner"), config_table("split")]))
    assert header == ["tables", "purpose", "if left out"]
    assert [(row[0], row[-1]) for row in body] == [("[data]", "an error"), ("[miner]", "none"), ("[split]", "defaults")]
