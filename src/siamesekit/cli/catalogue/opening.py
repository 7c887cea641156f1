"""Open a catalogue for a command, and report what the command did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamesekit.cli.command_options import Device
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell

if TYPE_CHECKING:
    from siamesekit.gallery.catalogue import Catalogue


def opened(path: Path, author: str | None = None, device: Device = Device.auto, news: bool = False) -> Catalogue:
    """A catalogue.

    Args:
        path: its folder.
        author: who makes changes.
        device: device on which its model runs.
        news: whether stdout only reports progress, because the result is written to files.
    """
    from siamesekit.gallery.catalogue import Catalogue

    if news:
        news_only()
    return Catalogue(path, device.value, author)


def tell(shell: Shell, as_json: bool, text: str, **facts: Any) -> None:
    """Report what a command did: as facts in JSON, or as a text."""
    if as_json:
        shell.json(facts)
    else:
        shell.say(text)
