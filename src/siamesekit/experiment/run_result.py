"""The result of a finished run, for Python and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamesekit.files.run_files import REPORT
from siamesekit.report.card import run_card
from siamesekit.wording import with_interval


@dataclass(frozen=True, repr=False)
class RunResult:
    """The result of a finished run.

    Attributes:
        folder: folder of the run.
        evaluation: content of evaluation.json.
        manifest: content of manifest.json.
    """

    __module__ = "siamesekit"

    folder: Path
    evaluation: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def report(self) -> Path:
        """The file of the report, a self-contained HTML page."""
        return self.folder / REPORT

    def __repr__(self) -> str:
        networks = self.evaluation["networks"]
        trained, untrained, pixels = (
            with_interval(networks[name]["precision_at_1"]) for name in ("trained", "untrained", "raw_pixels")
        )
        stand_ins = "".join(f", STAND-IN {each['what']}" for each in self.manifest["stand_ins"])
        return (
            f"RunResult({self.manifest['name']!r} in {str(self.folder)!r}: P@1 {trained}, untrained {untrained}, "
            f"raw pixels {pixels}{stand_ins})"
        )

    def _repr_html_(self) -> str:
        """The result as a notebook shows it."""
        return run_card(self.manifest["name"], self.folder, self.report, self.evaluation, self.manifest)
