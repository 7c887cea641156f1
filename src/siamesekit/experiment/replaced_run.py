"""A run that is overwritten: its own files are kept beside its folder until the new run is complete.

```
1. .NAME.replaced gets a copy of the old manifest, marked "moving"   the old run can be put back until step 2 is done
2. the old run's own files are moved there, its manifest last        from here on the old run is kept there
3. the new run is complete: exactly these files are removed
```

All other files in the run's folder stay there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

from siamesekit.errors import ArtifactError
from siamesekit.files.atomic import PREFIX, rename, write_json
from siamesekit.files.paths import is_own_folder, is_plain, is_there
from siamesekit.files.run_files import MANIFEST, move, own_files, remove_empty_folders, remove_files
from siamesekit.files.untrusted_json import read_json

FORMAT = "siamesekit run 1"
"""Mark of a run's folder: `format` in its manifest."""
MOVING = "moving"
"""Key in the manifest of a run whose files are being moved and can still be put back."""


class ReplacedRun:
    """A run that another run overwrites, in its folder or moved aside.

    Args:
        folder: folder of the run, with links resolved.

    Attributes:
        folder: folder of the run.
        aside: folder beside it, in which the old run is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aside = folder.with_name(f".{folder.name}.replaced")

    @property
    def is_in_the_way(self) -> bool:
        """Whether `aside` exists and is neither a run of this library nor an empty folder."""
        if not is_own_folder(self.aside):
            return is_there(self.aside)
        return not (is_marked(manifest_of(self.aside)) or holds_nothing(self.aside))

    @property
    def is_aside(self) -> bool:
        """Whether `aside` holds a run, complete or partly moved."""
        return is_own_folder(self.aside) and is_marked(manifest_of(self.aside))

    @property
    def waits(self) -> bool:
        """Whether `aside` holds a run that was moved completely."""
        manifest = manifest_of(self.aside)
        return is_own_folder(self.aside) and is_marked(manifest) and not manifest.get(MOVING)

    def move_aside(self) -> None:
        """Move the run's own files aside, its manifest last.

        Raises:
            OSError: a file cannot be moved; `put_back` undoes the rest.
        """
        manifest = manifest_of(self.folder)
        assert manifest is not None
        self.aside.mkdir(exist_ok=True)
        write_json(self.aside / MANIFEST, {MOVING: True, **manifest})
        move(self.folder, own_files(self.folder, manifest), self.aside)
        rename(self.folder / MANIFEST, self.aside / MANIFEST)

    def put_back(self, waiting: bool) -> None:
        """Put back the files that a process was moving when it died.

        Args:
            waiting: whether to put back also a run that was moved completely, if the new run has written nothing.

        Raises:
            OSError: a file cannot be put back, or its name is taken.
        """
        manifest = manifest_of(self.aside)
        exists = is_own_folder(self.aside)
        if not exists or not is_marked(manifest):
            if exists and holds_nothing(self.aside):
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
        """Remove the run that is kept aside, and its folder unless the user has put something there.

        Raises:
            OSError: a file cannot be removed.
        """
        remove_run(self.aside)
        remove_empty_folders(self.aside)
        with suppress(OSError):
            self.aside.rmdir()


def remove_run(folder: Path) -> None:
    """Remove a run's own files from a folder, its manifest last, so that the folder remains a run's until then.

    Raises:
        OSError: a file cannot be removed.
    """
    manifest = manifest_of(folder)
    if is_marked(manifest):
        remove_files(folder, own_files(folder, manifest))
        (folder / MANIFEST).unlink()


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest in a folder; None if it is missing or cannot be read."""
    if not is_plain(folder / MANIFEST):
        return None
    try:
        manifest = read_json(folder / MANIFEST, inside=folder)
    except ArtifactError:
        return None
    return manifest if isinstance(manifest, dict) else None


def is_marked(manifest: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    """Whether a manifest is that of a run of this version."""
    return manifest is not None and manifest.get("format") == FORMAT


def holds_nothing(folder: Path) -> bool:
    """Whether a path is a folder that is empty, apart from remains of interrupted writes."""
    return folder.is_dir() and all(entry.name.startswith(PREFIX) for entry in folder.iterdir())
