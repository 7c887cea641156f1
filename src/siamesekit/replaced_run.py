"""A run that is overwritten: its own files wait beside its folder until the new run is complete, and then go.

```
in .NAME.replaced: a copy of the old manifest that says "moving"    until the next line the old run can be put back
the old run's own files are moved there, its manifest last          from here on it waits there
the new run is complete: exactly these files are removed
```

Whatever else is in the run's folder stays where it is.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

from siamesekit.errors import ArtifactError
from siamesekit.files import PREFIX, rename, write_json
from siamesekit.json_files import read_json
from siamesekit.own_files import MANIFEST, move, own_files, remove_empty_folders, remove_files
from siamesekit.paths import is_own_folder, is_plain, is_there

FORMAT = "siamesekit run 1"
"""The mark of a run's folder: `format` in its manifest."""
MOVING = "moving"
"""In the manifest of a run whose files are being moved: they can still be put back."""


class ReplacedRun:
    """The run that another one overwrites, in its folder or beside it.

    Args:
        folder: the run's, its links resolved.

    Attributes:
        folder: the run's.
        aside: where it waits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aside = folder.with_name(f".{folder.name}.replaced")

    @property
    def is_in_the_way(self) -> bool:
        """Whether there is something aside that is no run of this library's, nor the empty folder for one."""
        if not is_own_folder(self.aside):
            return is_there(self.aside)
        return not (is_marked(manifest_of(self.aside)) or holds_nothing(self.aside))

    @property
    def is_aside(self) -> bool:
        """Whether a run is there, whole or being moved."""
        return is_own_folder(self.aside) and is_marked(manifest_of(self.aside))

    @property
    def waits(self) -> bool:
        """Whether a run is there whole."""
        manifest = manifest_of(self.aside)
        return is_own_folder(self.aside) and is_marked(manifest) and not manifest.get(MOVING)

    def move_aside(self) -> None:
        """Move the run's own files, its manifest last; with that the move is done.

        Raises:
            OSError: one cannot be moved; `put_back` undoes the rest.
        """
        manifest = manifest_of(self.folder)
        assert manifest is not None
        self.aside.mkdir(exist_ok=True)
        write_json(self.aside / MANIFEST, {MOVING: True, **manifest})
        move(self.folder, own_files(self.folder, manifest), self.aside)
        rename(self.folder / MANIFEST, self.aside / MANIFEST)

    def put_back(self, waiting: bool) -> None:
        """Put back what a process that died was moving.

        Args:
            waiting: also a run that waits whole, where the one that was to replace it has written nothing.

        Raises:
            OSError: a file cannot be put back, or something of its name is there.
        """
        manifest = manifest_of(self.aside)
        there = is_own_folder(self.aside)
        if not there or not is_marked(manifest):
            if there and holds_nothing(self.aside):
                with suppress(OSError):
                    self.aside.rmdir()
            return
        here = is_marked(manifest_of(self.folder))
        if not manifest.get(MOVING) and (here or not waiting):
            return
        if not here:
            old = {key: value for key, value in manifest.items() if key != MOVING}
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.aside / MANIFEST, {MOVING: True, **old})
            write_json(self.folder / MANIFEST, old)
        move(self.aside, own_files(self.aside, manifest), self.folder)
        self.remove()

    def remove(self) -> None:
        """Remove the run that waits, and the folder in which it did, unless the user has put something there.

        Raises:
            OSError: a file cannot be removed.
        """
        remove_run(self.aside)
        remove_empty_folders(self.aside)
        with suppress(OSError):
            self.aside.rmdir()


def remove_run(folder: Path) -> None:
    """Remove a run's own files from a folder, its manifest last: until then it is a run's folder.

    Raises:
        OSError: a file cannot be removed.
    """
    manifest = manifest_of(folder)
    if is_marked(manifest):
        remove_files(folder, own_files(folder, manifest))
        (folder / MANIFEST).unlink()


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest in a folder; None where there is none, or none that can be read."""
    if not is_plain(folder / MANIFEST):
        return None
    try:
        manifest = read_json(folder / MANIFEST, inside=folder)
    except ArtifactError:
        return None
    return manifest if isinstance(manifest, dict) else None


def is_marked(manifest: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    """Whether a manifest is a run's of this version."""
    return manifest is not None and manifest.get("format") == FORMAT


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is there and empty, but for what a write has left that was cut off."""
    return folder.is_dir() and all(entry.name.startswith(PREFIX) for entry in folder.iterdir())
