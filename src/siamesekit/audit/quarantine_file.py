"""The list of photos in quarantine, which every reader leaves out: a text file with a photo's name on each line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from siamesekit.audit.finding import KINDS, Finding, in_words
from siamesekit.data.quarantine import HEADER, names_in
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_unwritable


def check_quarantine(path: Path) -> None:
    """Check, before any work, that a list can be written.

    Raises:
        OutputError: the folder is missing, or the file holds something else.
    """
    refuse_unwritable(path, "a list of photos in quarantine", HEADER.encode())


def write_quarantine(path: Path, findings: Sequence[Finding]) -> int:
    """Write the photos of findings that are put in quarantine; those that the file lists already stay listed.

    Returns:
        The number of listed photos.

    Raises:
        OutputError: the file cannot be written.
        DataError: the file cannot be read.
    """
    before = names_in(path) if path.exists() else ()
    lines = [HEADER, '# Remove the lines of photos to keep. A config names this file: data.quarantine = "FILE"']
    seen = set(before)
    if before:
        lines += ["", "# listed before", *map(_line, before)]
    for kind in (kind for kind, each in KINDS.items() if each.quarantined):
        new = [each for each in findings if each.kind == kind and each.file and each.file not in seen]
        if new:
            lines += ["", f"# {in_words(kind)}"]
        for finding in new:
            if finding.file not in seen:
                seen.add(finding.file)
                lines.append(_line(finding.file))
    write_atomic(path, "\n".join(lines) + "\n")
    return len(seen)


def _line(name: str) -> str:
    """A name on a line of its own; in JSON's form if it would be read as something else."""
    plain = name.isprintable() and name == name.strip() and name[0] not in '#"'
    return name if plain else json.dumps(name)
