"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """The user's cache folder: `$XDG_CACHE_HOME/siamesekit` or its equivalent; None for a user without a home folder.

    The system's folder for temporary files is no substitute: other users could place files there first.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return Path(base or Path.home() / ".cache") / "siamesekit"
    except RuntimeError:  # no HOME, and the user's id is unknown to the system, as in a container
        return None
