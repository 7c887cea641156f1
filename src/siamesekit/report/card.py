"""A finished run as a notebook shows it below a cell: the report's answer, its figures, and links."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from siamesekit.figures import with_interval
from siamesekit.report.charts import METRICS, NETWORKS
from siamesekit.report.html import answer


def run_card(name: str, folder: Path, report: Path, evaluation: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """HTML without scripts, styles of its own or pictures; names and notes are escaped.

    Args:
        name: the run's.
        folder: the run's.
        report: its report's file.
        evaluation: evaluation.json.
        manifest: manifest.json.
    """
    networks = evaluation["networks"]
    head = "".join(f"<th>{escape(label)}</th>" for label in ("", *METRICS.values()))
    rows = "".join(
        f"<tr><th>{escape(NETWORKS.get(network, network))}</th>"
        + "".join(f"<td>{escape(with_interval(figures[metric]))}</td>" for metric in METRICS)
        + "</tr>"
        for network, figures in networks.items()
    )
    stand_ins = "".join(
        f"<p><strong>Stand-in for the {escape(str(each['what']))}:</strong> {escape(str(each['used']))} in place of "
        f"{escape(str(each['wanted']))}. For the real thing: <code>{escape(str(each['hint']))}</code></p>"
        for each in manifest["stand_ins"]
    )
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in evaluation["notes"])
    return (
        f"<div><p><strong>{escape(name)}</strong></p><p>{answer(evaluation)}</p>{stand_ins}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>In brackets {evaluation['confidence']:.0%} intervals.</p>"
        + (f"<ul>{notes}</ul>" if notes else "")
        + f"<p><a href='{_address(report)}' target='_blank'>report</a>, <a href='{_address(folder)}' "
        f"target='_blank'>folder</a>: <code>{escape(str(folder))}</code></p></div>"
    )


def _address(path: Path) -> str:
    """A link to a file: relative where it lies below the working folder, as a notebook's server reaches it."""
    full, here = path.resolve(), Path.cwd()
    return escape(full.relative_to(here).as_posix() if full.is_relative_to(here) else full.as_uri(), quote=True)
