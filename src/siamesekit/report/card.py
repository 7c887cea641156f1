"""Short form of the report for a notebook: the answer, the figures, and links."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from siamesekit.report.charts import METRICS, NETWORKS
from siamesekit.report.html import answer
from siamesekit.wording import for_the_real_thing, in_place_of, with_interval


def run_card(name: str, folder: Path, report: Path, evaluation: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Return a finished run as HTML without scripts, style sheets or pictures; names and notes are escaped.

    Args:
        name: name of the run.
        folder: folder of the run.
        report: file of the report.
        evaluation: content of evaluation.json.
        manifest: content of manifest.json.
    """
    networks = evaluation["networks"]
    metrics = [metric for metric in METRICS if metric in networks["trained"]]
    head = "".join(f"<th>{escape(label)}</th>" for label in ("", *(METRICS[metric] for metric in metrics)))
    rows = "".join(
        f"<tr><th>{escape(NETWORKS.get(network, network))}</th>"
        + "".join(f"<td>{escape(with_interval(figures[metric]))}</td>" for metric in metrics)
        + "</tr>"
        for network, figures in networks.items()
    )
    stand_ins = "".join(map(_stand_in, manifest["stand_ins"]))
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in evaluation["notes"])
    return (
        f"<div><p><strong>{escape(name)}</strong></p><p>{answer(evaluation)}</p>{stand_ins}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>In brackets: {evaluation['confidence']:.0%} intervals.</p>"
        + (f"<ul>{notes}</ul>" if notes else "")
        + f"<p><a href='{_address(report)}' target='_blank'>report</a>, <a href='{_address(folder)}' "
        f"target='_blank'>folder</a>: <code>{escape(str(folder))}</code></p></div>"
    )


def _stand_in(stand_in: Mapping[str, Any]) -> str:
    what, used, wanted, hint = (escape(str(stand_in[key])) for key in ("what", "used", "wanted", "hint"))
    return (
        f"<p><strong>Stand-in for the {what}:</strong> {in_place_of(used, wanted)}. "
        f"{for_the_real_thing(f'<code>{hint}</code>')}</p>"
    )


def _address(path: Path) -> str:
    """Link to a file. A file below the working folder gets a relative link, which a notebook's server can open."""
    full, here = path.resolve(), Path.cwd()
    return escape(full.relative_to(here).as_posix() if full.is_relative_to(here) else full.as_uri(), quote=True)
