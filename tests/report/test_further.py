"""Sections of the report on groups, encounters and new individuals: what the evaluation holds, and nothing else."""

from typing import Any

from siamesekit.report.further import figures_by_group, open_set_figures, searched
from siamesekit.report.tables import table


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


MAIN = {"precision_at_1": figure(0.25), "recall_at_5": figure(0.5), "map_at_r": figure(0.125)}
EVALUATION: dict[str, Any] = {
    "queries": 1200,
    "gallery": 3400,
    "searched": "the photos that did not test",
    "exclude": ["encounter", "site"],
    "other_encounters": {"queries": 900, "networks": dict.fromkeys(("trained", "untrained", "raw_pixels"), MAIN)},
    "groups": {"side": {"": {"queries": 7, "individuals": 3, **MAIN}, "<b>": {"queries": 9, "individuals": 4, **MAIN}}},
    "open_set": {
        "auroc": figure(0.8), "baks": figure(0.6), "baus": figure(0.4), "geometric_mean": figure(0.5), "known": 1000,
        "new": 200,
    },
}  # fmt: skip


def test_who_is_searched_is_a_sentence() -> None:
    assert searched(EVALUATION) == (
        "Each of 1,200 test photos is searched among the photos that did not test, except those of the same encounter "
        "and site; the gallery has 3,400 photos."
    )
    assert searched({}) == "", "a run of an earlier version"


def test_groups_and_other_encounters_have_a_table_each() -> None:
    page = figures_by_group(EVALUATION)
    assert page.count("<table>") == 2
    assert "900 queries have a photo to find" in page
    assert "<i>unknown</i>" in page
    assert "&lt;b&gt;" in page and "<b>&lt;" not in page, "names are escaped"
    assert page.count("0.250") == 3 + 2
    assert figures_by_group({}) == figures_by_group({"other_encounters": None, "groups": {}}) == ""


def test_new_individuals_have_their_figures_with_and_without_a_threshold() -> None:
    page = open_set_figures(EVALUATION)
    for shown in ("1,000 queries", "200 show new", "80.0% (70.0%–90.0%)", "60.0%", "40.0%", "50.0%"):
        assert shown in page
    without = EVALUATION["open_set"] | {"baks": None, "baus": None, "geometric_mean": None}
    assert "cannot call a photo new" in open_set_figures({"open_set": without})
    assert open_set_figures({"open_set": None}) == open_set_figures({}) == ""


def test_a_table_escapes_its_headings_and_not_its_cells() -> None:
    assert table(["<"], [["<b>1</b>"]]) == (
        "<div class=wide><table><thead><tr><th>&lt;</th></tr></thead><tbody><tr><td><b>1</b></td></tr></tbody></table>"
        "</div>"
    )
