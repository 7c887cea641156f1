"""The report's charts: matplotlib figures as inline SVG, in colours that read on light and on dark."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from siamesekit.wording import apart

BLUE, ORANGE, GREY = "#3b82c4", "#d9822b", "#8a8f98"
"""Colours that colour-blind readers can tell apart."""
STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "siamesekit",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
}
NETWORKS = {"trained": "trained", "untrained": "untrained", "raw_pixels": "raw pixels"}
METRICS = {"triplet_accuracy": "Triplet accuracy", "precision_at_1": "Nearest photo right (P@1)", "map_at_r": "MAP@R"}
VALIDATION = "validation_map_at_r"
NARROW = 3.7
"""Width in inches of a chart on a phone; text of 10 points is then as large as on a wide screen."""
Curve = tuple[str, str] | tuple[str, str, str]
"""Label and colour of a curve, and its line style if it is dashed."""


def comparison_chart(networks: Mapping[str, Any], narrow: bool = False) -> str:
    """Draw the figures of the three networks as dots with intervals, one panel per metric, stacked if `narrow`."""
    with styled(narrow) as figure:
        panels = figure.subplots(*_grid(narrow), sharey=True, sharex=True)
        for panel, (metric, title) in zip(panels, METRICS.items(), strict=True):
            if metric not in networks["trained"]:
                panel.set_visible(False)  # no triplets
                continue
            for row, name in enumerate(NETWORKS):
                interval = networks[name][metric]
                colour = BLUE if name == "trained" else GREY
                if interval["low"] is not None:
                    panel.plot([interval["low"], interval["high"]], [row, row], color=colour, lw=3, alpha=0.45)
                panel.plot(interval["value"], row, "o", color=colour, ms=8)
                panel.annotate(
                    f"{interval['value']:.2f}",
                    (interval["value"], row),
                    (0, 9),
                    ha="center",
                    textcoords="offset points",
                    color=colour,
                )
            panel.set(
                title=title,
                xlim=(-0.04, 1.06),
                ylim=(2.5, -0.7),
                yticks=range(3),
                yticklabels=NETWORKS.values(),
                xticks=(0, 0.25, 0.5, 0.75, 1),
                xticklabels=("0", "", "0.5", "", "1"),
            )
            panel.title.set_size(10)
            panel.grid(axis="x", alpha=0.25)
            panel.tick_params(axis="y", length=0)
        return svg_of(figure, *((NARROW, 5.2) if narrow else (8.4, 2.3)))


CURVES: dict[str, tuple[str, dict[str, Curve]]] = {
    "loss": ("Mean loss", {"train_loss": ("train", BLUE), "test_loss": ("test", ORANGE)}),
    "accuracy": (
        "Share of triplets",
        {
            "train_accuracy": ("train", BLUE),
            "test_accuracy": ("test", ORANGE),
            "active_triplets": ("active", GREY),
            VALIDATION: ("validation MAP@R", GREY, "--"),
        },
    ),
    "distance": (
        "Mean distance, training",
        {"d_ap_mean": ("same individual", BLUE), "d_an_mean": ("different", ORANGE)},
    ),
}
"""Title and curves of each panel of the training chart."""


def training_chart(epochs: Sequence[Mapping[str, Any]], narrow: bool = False) -> str:
    """Draw loss, accuracy with validation MAP@R, and mean distances over the epochs."""
    with styled(narrow) as figure:
        for panel, what in zip(figure.subplots(*_grid(narrow)), CURVES, strict=True):
            draw_curves(panel, epochs, what)
        return svg_of(figure, *((NARROW, 7.2) if narrow else (8.4, 2.9)))


def distance_chart(
    same: NDArray[np.float32],
    different: NDArray[np.float32],
    threshold: Mapping[str, Any] | None,
    narrow: bool = False,
) -> str:
    """Draw histograms of the distances of same `[P]` and different `[Q]` pairs, with threshold and similarity curve.

    NaN and infinite distances are left out.
    """
    with styled(narrow) as figure:
        handles, labels = draw_distances(figure.subplots(), same, different, threshold)
        figure.legend(handles, labels, loc="outside upper center", ncols=1 if narrow else 2, frameon=False)
        return svg_of(figure, *((NARROW, 4.0) if narrow else (8.4, 3.6)))


def draw_distances(
    panel: Axes, same: NDArray[np.float32], different: NDArray[np.float32], threshold: Mapping[str, Any] | None
) -> tuple[list[Any], list[str]]:
    """Draw the distances of same `[P]` and different `[Q]` pairs as `distance_chart` does.

    Returns:
        What a legend shows, and its labels.
    """
    same, different = same[np.isfinite(same)], different[np.isfinite(different)]
    bottom = float(min(same.min(initial=0), different.min(initial=0)))  # below 0 only for `dot`
    top = float(max(same.max(initial=bottom), different.max(initial=bottom)))
    top = top if top > bottom else bottom + 1.0
    bins = np.linspace(bottom, top, 41)
    for values, label, colour in ((different, "different individuals", ORANGE), (same, "same individual", BLUE)):
        if len(values) > 0:
            share = np.full(len(values), 1 / len(values))
            counted = f"{label} ({len(values):,} pairs)"
            panel.hist(values, bins.tolist(), weights=share, color=colour, alpha=0.55, label=counted)
    panel.set(xlabel="distance", ylabel="share of pairs", xlim=(bottom, top))
    handles, labels = panel.get_legend_handles_labels()
    if threshold is not None:
        handles.append(panel.axvline(threshold["threshold"], color=GREY, lw=1.6, ls="--"))
        labels.append(f"threshold {apart(threshold['threshold'], decimals=3)[0]}")
        twin = panel.twinx()
        x = np.linspace(bottom, top, 200)
        exponent = np.clip(threshold["slope"] * x + threshold["intercept"], -60, 60)
        handles += twin.plot(x, 1 / (1 + np.exp(exponent)), color=GREY, lw=1.6)
        labels.append("similarity (right axis)")
        twin.set(ylim=(0, 1.02), ylabel="similarity")
        twin.spines["right"].set_visible(True)
    return handles, labels


def draw_curves(panel: Axes, epochs: Sequence[Mapping[str, Any]], what: str) -> None:
    """Draw the curves of a panel of the training chart, a key of `CURVES`."""
    title, keys = CURVES[what]
    if any(line.get(VALIDATION) is not None for line in epochs) and VALIDATION in keys:
        title += ", MAP@R"
    x = [line["epoch"] for line in epochs]
    for key, (label, colour, *dashes) in keys.items():
        y = np.array([np.nan if line.get(key) is None else line[key] for line in epochs], dtype=float)
        y[~np.isfinite(y)] = np.nan
        if np.isnan(y).all():
            continue
        style = dashes[0] if dashes else "-"
        panel.plot(x, y, color=colour, lw=1.8, ls=style, marker="o" if len(x) < 5 else None, label=label)
    panel.set(xlabel="epoch")
    panel.set_title(title, size=10)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.grid(alpha=0.2)
    if what == "accuracy":
        panel.set_ylim(-0.03, 1.03)
    if panel.lines:
        panel.legend(frameon=False, fontsize=8.5)


def _grid(narrow: bool) -> tuple[int, int]:
    """Numbers of rows and columns for three panels."""
    return (3, 1) if narrow else (1, 3)


class styled:  # noqa: N801 - used like a function
    """Context manager: a figure in the report's style, without pyplot's global state."""

    def __init__(self, narrow: bool) -> None:
        # The page has both forms of a chart and hides one. Their ids must differ: browsers ignore hidden clip paths.
        self.style = STYLE | {"svg.hashsalt": "siamesekit narrow"} if narrow else STYLE

    def __enter__(self) -> Figure:
        import matplotlib

        self.context = matplotlib.rc_context(self.style)  # type: ignore[arg-type]
        self.context.__enter__()
        return Figure(layout="constrained")

    def __exit__(self, *error: object) -> None:
        self.context.__exit__(None, None, None)


def svg_of(figure: Figure, width: float, height: float) -> str:
    """Return the figure as an `<svg>` element that scales with the page; width and height are in inches."""
    figure.set_size_inches(width, height)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
