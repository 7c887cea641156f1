"""Figures of what the files of a run have: curves of the evaluation and of the training."""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from siamesekit.errors import UserError
from siamesekit.files.run_files import METRICS_FILE
from siamesekit.files.untrusted import MAX_TABLE_BYTES
from siamesekit.files.untrusted_json import read_json_lines
from siamesekit.plot.axes import Run, axes_of, evaluation_of, folder_of, name_of
from siamesekit.report.charts import BLUE, CURVES, GREY, NETWORKS, ORANGE, draw_curves
from siamesekit.report.evaluation_charts import draw_reliability, draw_roc

NETWORK_COLOURS = {"trained": BLUE, "untrained": GREY, "raw_pixels": ORANGE}


def roc(run: Run, ax: Axes | None = None) -> Axes:
    """Draw the ROC curve of the verdicts on test pairs, with the equal error rate and the threshold of the model.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.

    Raises:
        UserError: there is no such run, or its test photos have no curve.
    """
    found = evaluation_of(run)["roc"]
    if found is None:
        raise UserError(f"{name_of(run)} has no ROC curve: its test photos have no pairs of both kinds")
    panel = axes_of(ax)
    draw_roc(panel, found)
    return panel


def reliability(run: Run, ax: Axes | None = None) -> Axes:
    """Draw how often pairs of a similarity show the same individual: the nearer to the diagonal, the better.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.

    Raises:
        UserError: there is no such run, or its model has no similarity.
    """
    found = evaluation_of(run)["reliability"]
    if found is None:
        raise UserError(f"{name_of(run)} has no similarity, so it has no reliability; its report says why")
    panel = axes_of(ax)
    draw_reliability(panel, found)
    return panel


def cmc(run: Run, ax: Axes | None = None) -> Axes:
    """Draw the match curves (CMC): the share of test photos with a right photo among the k nearest, k = 1 … 20.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.

    Raises:
        UserError: there is no such run, or its match curves are unknown.
    """
    curves = evaluation_of(run)["match_curve"]
    if not curves:
        raise UserError(f"{name_of(run)} has no match curves: they are unknown for so many photos")
    panel = axes_of(ax)
    for name, label in NETWORKS.items():
        shares = curves.get(name, [])
        panel.plot(range(1, len(shares) + 1), shares, color=NETWORK_COLOURS[name], marker="o", ms=3, label=label)
    return _of_ranks(panel, "Match curve (CMC)", "right individual among the k nearest")


def precision_at_k(run: Run, ax: Axes | None = None) -> Axes:
    """Draw the precision at 1, 5 and 10: the share of right photos among the k nearest, with intervals.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.

    Raises:
        UserError: there is no such run.
    """
    networks, panel = evaluation_of(run)["networks"], axes_of(ax)
    for name, label in NETWORKS.items():
        known = [(k, networks[name][f"precision_at_{k}"]) for k in (1, 5, 10) if f"precision_at_{k}" in networks[name]]
        colour, shares = NETWORK_COLOURS[name], [each["value"] for _, each in known]
        panel.plot([k for k, _ in known], shares, color=colour, marker="o", label=label)
        bounded = [(k, each) for k, each in known if each["low"] is not None]
        low, high = ([each[end] for _, each in bounded] for end in ("low", "high"))
        panel.fill_between([k for k, _ in bounded], low, high, color=colour, alpha=0.15, lw=0)
    return _of_ranks(panel, "Precision at k", "share of right photos among the k nearest")


def learning_curve(run: Run, ax: Axes | None = None, what: Literal["loss", "accuracy", "distance"] = "loss") -> Axes:
    """Draw a figure of training and test over the epochs. The run need not be finished.

    Args:
        run: the run.
        ax: axes to draw on; None: those of a new figure.
        what: the mean `loss`; the `accuracy`, with the share of active triplets, and MAP@R on the validation
            individuals if the run has some; or the mean `distance` of training pairs.

    Raises:
        UserError: there is no such run, `what` is something else, or no epoch is complete.
    """
    if what not in CURVES:
        raise UserError(f"what must be one of {', '.join(CURVES)}, not {what!r}")
    folder = folder_of(run)
    file = folder / METRICS_FILE
    lines = read_json_lines(file, most=MAX_TABLE_BYTES) if file.is_file() else []
    if not lines:
        raise UserError(f"{name_of(run)} has no complete epoch in {METRICS_FILE}: is it the folder of a run?")
    panel = axes_of(ax)
    draw_curves(panel, lines, what)
    return panel


def _of_ranks(panel: Axes, title: str, label: str) -> Axes:
    panel.set_title(title, size=10)
    panel.set(xlabel="k", ylabel=label, ylim=(-0.02, 1.02))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.grid(alpha=0.2)
    panel.legend(frameon=False)
    return panel
