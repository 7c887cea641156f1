"""The work of `check`: audit photos, plan a run, and write what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from siamesekit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamesekit.cli.shell import Shell
    from siamesekit.config import Config
    from siamesekit.experiment.checking import Checked, Model
    from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice


@dataclass(frozen=True)
class Asked:
    """What `check` is asked for beside the audit.

    Attributes:
        html: file of the page; None for none.
        table: file of the table.
        quarantine: file of the list of photos to leave out.
        run: run by whose model labels are suspected.
        encoder: encoder by whose features labels are suspected.
    """

    html: Path | None
    table: Path | None
    quarantine: Path | None
    run: str | None
    encoder: str | None

    def refuse(self) -> None:
        """Refuse, before any work, what cannot be written.

        Raises:
            UserError: a file cannot be written, or two models are named.
        """
        if self.run is not None and self.encoder is not None:
            raise UserError("--run and --encoder each name a model: give one of them")
        if self.html is not None:
            from siamesekit.audit.page import check_page

            check_page(self.html)
        if self.table is not None:
            from siamesekit.audit.tables import check_table

            check_table(self.table)
        if self.quarantine is not None:
            from siamesekit.audit.quarantine_file import check_quarantine

            check_quarantine(self.quarantine)


def checked(
    what: Path | Config,
    asked: Asked,
    computing: tuple[DeviceChoice, PrecisionChoice],
    shell: Shell,
    skip_bad: bool,
    overrides: Sequence[str] = (),
) -> Checked:
    """Audit the photos of a config, or a folder or table of photos.

    Args:
        what: the config, folder or table.
        asked: which model suspects labels.
        computing: device and number format.
        shell: shows progress and warnings.
        skip_bad: whether the run leaves out photos that cannot be used.
        overrides: options of the reader of a folder or table, as `data.KEY=VALUE` strings.

    Raises:
        UserError: the photos cannot be listed, or the model cannot be used.
    """
    from siamesekit.config.doubts import doubts
    from siamesekit.experiment.checking import check_config, check_folder
    from siamesekit.hardware.allocator import keep_freed_memory

    keep_freed_memory()
    model = _model(asked, computing[0])
    if isinstance(what, Path):
        return check_folder(what, None, shell, model, overrides)
    for doubt in doubts(what):
        shell.warn(doubt)
    return check_config(what, *computing, shell, skip_bad, model)


def write_files(found: Checked, asked: Asked, title: str, shell: Shell) -> dict[str, str]:
    """Write the page, the table and the list that are asked for; their paths are the result, by name.

    Raises:
        OutputError: a file cannot be written.
    """
    from siamesekit.audit.page import write_page
    from siamesekit.audit.quarantine_file import write_quarantine
    from siamesekit.audit.tables import write_findings

    written = {}
    if asked.html is not None:
        write_page(asked.html, title, found.audit, found.records)
        written["html"] = str(asked.html)
        shell.say(f"page of the findings: {asked.html}")
    if asked.table is not None:
        write_findings(asked.table, found.audit.findings)
        written["csv"] = str(asked.table)
        shell.say(f"table of the findings: {asked.table}")
    if asked.quarantine is not None:
        count = write_quarantine(asked.quarantine, found.audit.findings)
        written["quarantine"] = str(asked.quarantine)
        shell.say(f'{count} photos in quarantine; to leave them out: data.quarantine = "{asked.quarantine}"')
    return written


def _model(asked: Asked, device: DeviceChoice) -> Model | None:
    from siamesekit.artifact.named_model import load
    from siamesekit.artifact.pretrained_model import pretrained

    if asked.run is not None:
        return load(asked.run, device)
    return None if asked.encoder is None else pretrained(asked.encoder, device=device)
