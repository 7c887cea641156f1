"""Charts of the verdicts, of the gallery's size and of groups; drawn like those of `charts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from siamesekit.report.charts import BLUE, GREY, NARROW, ORANGE, styled, svg_of
from siamesekit.wording import with_interval

GROUP_FIGURES = {"precision_at_1": "Nearest photo right (P@1)", "map_at_r": "MAP@R"}
LONGEST_LABEL = 24
"""Most characters of a group's name on a chart."""


def verdict_chart(roc: Mapping[str, Any], reliability: Mapping[str, Any] | None, narrow: bool = False) -> str:
    """Draw the ROC curve with the threshold, and beside it, or below if `narrow`, the reliability of the similarity.

    Without reliability, the curve is alone.
    """
    count = 1 if reliability is None else 2
    with styled(narrow) as figure:
        panels = figure.subplots(*((count, 1) if narrow else (1, 2)), squeeze=False).ravel()
        draw_roc(panels[0], roc)
        if reliability is not None:
            draw_reliability(panels[1], reliability)
        elif not narrow:
            panels[1].set_visible(False)
        return svg_of(figure, *((NARROW, 3.9 * count) if narrow else (8.4, 4.2)))


def gallery_chart(right: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], narrow: bool = False) -> str:
    """Draw the share of right answers, and the probability of "new", by the number of individuals searched.

    Args:
        right: share of right answers with its interval, by size.
        new: probabilities for known and new individuals, by size; empty if they are unknown.
        narrow: whether the panels are below each other.
    """
    count = 2 if new else 1
    with styled(narrow) as figure:
        panels = figure.subplots(*((count, 1) if narrow else (1, 2)), squeeze=False).ravel()
        _band(panels[0], right, [each["individuals"] for each in right], BLUE, "right individual nearest", "-")
        panels[0].set_title("Right individual nearest", size=10)
        if new:
            sizes = [each["individuals"] for each in new]
            _band(panels[1], [each["new"] for each in new], sizes, ORANGE, "individual not in the gallery", "-")
            _band(panels[1], [each["known"] for each in new], sizes, BLUE, "individual in the gallery", "--")
            panels[1].set_title("Mean probability of “new”", size=10)
            panels[1].legend(frameon=False, fontsize=8.5)
        elif not narrow:
            panels[1].set_visible(False)
        for panel in panels[:count]:
            _sizes(panel, sorted({each["individuals"] for each in (*right, *new)}))
        return svg_of(figure, *((NARROW, 2.9 * count) if narrow else (8.4, 2.9)))


def group_chart(groups: Mapping[str, Mapping[str, Any]], narrow: bool = False) -> str:
    """Draw P@1 and MAP@R of each group as dots with intervals, one row per group."""
    rows = range(len(groups))
    height = 0.9 + 0.32 * len(groups)
    with styled(narrow) as figure:
        panels = figure.subplots(*((2, 1) if narrow else (1, 2)), sharey=True, sharex=True)
        for panel, (key, title) in zip(panels, GROUP_FIGURES.items(), strict=True):
            for row, group in enumerate(groups.values()):
                _dot(panel, group[key], row)
            panel.set(
                xlim=(-0.04, 1.06),
                ylim=(len(groups) - 0.4, -0.6),
                yticks=rows,
                yticklabels=[_short(name) for name in groups],
                xticks=(0, 0.25, 0.5, 0.75, 1),
                xticklabels=("0", "", "0.5", "", "1"),
            )
            panel.set_title(title, size=10)
            panel.grid(axis="x", alpha=0.25)
            panel.tick_params(axis="y", length=0)
        return svg_of(figure, *((NARROW, 2 * height) if narrow else (8.4, height)))


def draw_roc(panel: Axes, roc: Mapping[str, Any]) -> None:
    """Draw the ROC curve, its equal error rate, and the threshold of the model."""
    curve, point, error = roc["curve"], roc["at_threshold"], roc["equal_error_rate"]["value"]
    panel.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":", label="guessing")
    area = f"AUC {with_interval(roc['auc'])}"
    panel.plot(curve["false_accept_rate"], curve["true_accept_rate"], color=BLUE, lw=1.8, label=area)
    panel.plot(error, 1 - error, "s", color=BLUE, ms=5, label=f"equal error rate {error:.1%}")
    if point is not None:
        place = (point["false_accept_rate"], point["true_accept_rate"])
        panel.plot(*place, "o", color=ORANGE, ms=8, label="threshold of the model")
    _square(panel, "different pairs called same", "same pairs called same", "ROC curve")
    panel.legend(frameon=False, fontsize=8.5, loc="lower right")


def draw_reliability(panel: Axes, reliability: Mapping[str, Any]) -> None:
    """Draw the share of same pairs at each similarity, with intervals."""
    panel.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":", label="as it should be")
    for each in reliability["bins"]:
        share = each["same_share"]
        if share["low"] is not None:
            panel.plot([each["similarity"]] * 2, [share["low"], share["high"]], color=BLUE, lw=3, alpha=0.45)
    shares = [each["same_share"]["value"] for each in reliability["bins"]]
    error = f"calibration error {reliability['expected_calibration_error']:.3f}"
    panel.plot([each["similarity"] for each in reliability["bins"]], shares, "o", color=BLUE, ms=6, label=error)
    _square(panel, "similarity", "share of same pairs", "Reliability")
    panel.legend(frameon=False, fontsize=8.5, loc="upper left")


def _square(panel: Axes, x: str, y: str, title: str) -> None:
    ticks = (0, 0.25, 0.5, 0.75, 1)
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks, xlabel=x, ylabel=y, aspect="equal")
    panel.set_title(title, size=10)
    panel.grid(alpha=0.2)


def _band(
    panel: Axes, intervals: Sequence[Mapping[str, Any]], sizes: Sequence[int], colour: str, label: str, style: str
) -> None:
    """A curve of figures with the band of their intervals."""
    known = [(size, each) for size, each in zip(sizes, intervals, strict=True) if each["low"] is not None]
    if known:
        low, high = ([each[end] for _, each in known] for end in ("low", "high"))
        panel.fill_between([size for size, _ in known], low, high, color=colour, alpha=0.2, lw=0)
    panel.plot(sizes, [each["value"] for each in intervals], style, color=colour, lw=1.8, marker="o", ms=4, label=label)


def _sizes(panel: Axes, sizes: Sequence[int]) -> None:
    """Logarithmic axis of the number of individuals, with the smallest and the largest among its ticks."""
    panel.set(xscale="log", ylim=(-0.03, 1.03), xlabel="individuals searched")
    shown = [size for size in sizes[:-1] if size * 1.5 < sizes[-1]] + [sizes[-1]]
    shown = [size for place, size in enumerate(shown) if str(size)[0] in "15" or place in (0, len(shown) - 1)]
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(shown)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.grid(alpha=0.2)


def _dot(panel: Axes, interval: Mapping[str, Any], row: int) -> None:
    if interval["low"] is not None:
        panel.plot([interval["low"], interval["high"]], [row, row], color=BLUE, lw=3, alpha=0.45)
    panel.plot(interval["value"], row, "o", color=BLUE, ms=7)


def _short(name: str) -> str:
    name = name or "unknown"
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
