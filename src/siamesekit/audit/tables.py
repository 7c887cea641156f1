"""Findings as a CSV table, a row for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from siamesekit.audit.finding import Finding
from siamesekit.data.spreadsheet_cells import spreadsheet_cell
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_unwritable

COLUMNS = ("finding", "severity", "photo", "individual", "what", "why it matters", "what to do", "others")
HEADER = ",".join(COLUMNS)


def check_table(path: Path) -> None:
    """Check, before any work, that a table of findings can be written.

    Raises:
        OutputError: the folder is missing, or the file holds something else.
    """
    refuse_unwritable(path, "a table of findings", HEADER.encode())


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write a row for each finding; texts are escaped, so that no spreadsheet takes them for formulas.

    Raises:
        OutputError: the file cannot be written.
    """
    output = io.StringIO()
    rows = csv.writer(output, lineterminator="\n")
    rows.writerow(COLUMNS)
    for each in findings:
        texts = (each.kind, each.severity, each.file, each.individual, each.what, each.why, each.mend)
        rows.writerow([*map(spreadsheet_cell, texts), spreadsheet_cell(" | ".join(each.others))])
    write_atomic(path, output.getvalue().encode(errors="surrogateescape"))
