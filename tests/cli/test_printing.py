"""What the commands print of their results, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from siamesekit.artifact.comparison import Comparison
from siamesekit.cli.printing import print_comparison, print_evaluation
from siamesekit.cli.shell import Shell

Captured = pytest.CaptureFixture[str]


def describe(cross_fit: dict[str, Any] | None) -> dict[str, Any]:
    """What of an artifact's description a comparison is printed with."""
    stand_in = {"used": "random weights", "wanted": "imagenet weights"}
    return {"operating_point": {"cross_fit": cross_fit, "individuals": 4}, "stand_ins": [stand_in]}


def test_a_comparison_says_what_its_verdict_is_worth(capsys: Captured) -> None:
    worth = {
        "different_pairs": 96,
        "false_accept_rate": {"value": 0.125},
        "same_pairs": 24,
        "false_reject_rate": {"value": 0.25},
    }
    print_comparison(Shell(), Comparison(1.25, 0.0625, 0.5, False), describe(worth))
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "distance    1.2500",
        "similarity  0.062",
        "verdict     different individuals (threshold 0.5000)",
        "at this threshold, of 96 different pairs 12.5% are called same, and of 24 same pairs 25.0% different "
        "(cross-fitted on 4 individuals that did not train)",
    ]
    assert err == "trained with a stand-in: random weights in place of imagenet weights\n"


def test_a_comparison_without_a_threshold_gives_the_distance_alone(capsys: Captured) -> None:
    print_comparison(Shell(), Comparison(1.25, None, None, None), {"stand_ins": []})
    assert capsys.readouterr().out.splitlines() == [
        "distance    1.2500",
        "similarity  unknown: this model ships no threshold (its evaluation.json says why)",
    ]


def test_an_evaluation_says_its_threshold_notes_and_stand_ins(capsys: Captured) -> None:
    figure = {"value": 0.5, "low": None, "high": None}
    networks = {"trained": dict.fromkeys(["triplet_accuracy", "precision_at_1", "map_at_r"], figure)}
    evaluation = {"photos": 8, "individuals": 2, "triplets": 12, "confidence": 0.95, "networks": networks,
                  "threshold": {"threshold": 0.25, "criterion": "equal"}, "notes": ["Few [x] photos."]}  # fmt: skip
    stand_in = {"used": "drawn", "wanted": "photos", "hint": "get them"}
    print_evaluation(Shell(), evaluation, "runs/r", {"stand_ins": [stand_in], "seconds": {"total": 90}})
    out, err = capsys.readouterr()
    assert out.splitlines()[-3:] == [
        "threshold 0.2500 (equal)",
        "Few [x] photos.",
        "1.5 min; report: runs/r/report.html",
    ]
    assert err == "These figures are of a stand-in: drawn in place of photos. For the real thing: get them\n"


@pytest.mark.parametrize(("distance", "threshold"), [(1.3e-6, 1.2e-6), (0.50001, 0.5), (3.0, 3.0), (0.0, 2.5e-12)])
def test_a_distance_and_a_threshold_differ_in_print_as_they_do(
    capsys: Captured, distance: float, threshold: float
) -> None:
    print_comparison(Shell(), Comparison(distance, 0.5, threshold, distance <= threshold), describe(None))
    lines = capsys.readouterr().out.splitlines()
    shown, limit = float(lines[0].split()[1]), float(lines[2].rpartition("threshold ")[2].rstrip(")"))
    assert (shown <= limit) == (distance <= threshold)
    assert (shown == limit) == (distance == threshold)


def test_a_verdict_of_unknown_worth_says_so(capsys: Captured) -> None:
    print_comparison(Shell(), Comparison(1.25, 0.0625, 0.5, False), describe(None))
    assert (
        "the error rates of such verdicts are unknown: 4 test individuals set the threshold, too few to measure its "
        "errors as well"
    ) in capsys.readouterr().out.splitlines()


def test_why_there_is_no_verdict_is_said(capsys: Captured) -> None:
    told = describe(None) | {"operating_point": None, "no_threshold": "No threshold: it may be guessing [x]."}
    print_comparison(Shell(), Comparison(1.25, None, None, None), told)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "distance    1.2500",
        "similarity  unknown: this model ships no threshold",
        "No threshold: it may be guessing [x].",
    ]
    assert err.startswith("trained with a stand-in"), "with a verdict or without"


def test_that_a_model_is_no_better_than_pixels_is_said_before_the_table(capsys: Captured) -> None:
    figure = {"value": 0.5, "low": None, "high": None}
    networks = {"trained": dict.fromkeys(["triplet_accuracy", "precision_at_1", "map_at_r"], figure)}
    training = {"helped": 0, "comparisons": 6, "no_better_than": ["raw_pixels"], "sentence": "No better. Try: x."}
    evaluation = {"photos": 8, "individuals": 2, "triplets": 12, "confidence": 0.95, "networks": networks,
                  "threshold": None, "notes": [], "training": training}  # fmt: skip
    print_evaluation(Shell(), evaluation, "runs/r", {"stand_ins": [], "seconds": {"total": 90}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "No better. Try: x."
    assert "training helped in 0 of 6 comparisons with the untrained network and with plain pixels" in lines
