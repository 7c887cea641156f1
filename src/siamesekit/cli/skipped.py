"""Photos that cannot be used: an error, or with --skip-bad listed and left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from siamesekit.data.unusable import UnusablePhoto, report
from siamesekit.errors import DataError

if TYPE_CHECKING:
    from siamesekit.cli.shell import Shell


def skipped(shell: Shell, findings: Sequence[UnusablePhoto], photos: int, skip_bad: bool) -> list[dict[str, str]]:
    """Report photos that cannot be used: a line for each with its reason, and their number at the end.

    Args:
        shell: where they are reported.
        findings: the photos, and why they cannot be used.
        photos: number of all photos.
        skip_bad: whether they are left out, instead of an error.

    Returns:
        The photos for the JSON of the command.

    Raises:
        DataError: there are some, and they are not to be left out.
    """
    if findings and not skip_bad:
        message, details = report(findings, photos)
        raise DataError(f"{message}: fix them, or leave them out with --skip-bad", details)
    for finding in findings:
        shell.warn(f"left out: {finding}")
    if findings:
        shell.warn(f"{len(findings)} of {photos} photos cannot be used and were left out")
    return [finding._asdict() for finding in findings]
