"""The files of a table's photos: inside the folder of photos, and there; each folder is listed once."""

from __future__ import annotations

import os
from pathlib import Path


class PhotoListing:
    """The photos below a folder, found by their paths in a table.

    A lookup of each file would take longer, above all on a network disk.

    Args:
        root: folder that contains the photos, an absolute path in its plain spelling.
    """

    def __init__(self, root: Path) -> None:
        self.inside = os.path.join(root, "")  # noqa: PTH118 - with a separator at its end
        self._folders: dict[str, tuple[str, frozenset[str]]] = {}

    def find(self, photo: str) -> tuple[str, bool]:
        """The absolute path of a photo in its plain spelling, links kept, and whether there is such a file.

        Args:
            photo: path relative to the root, or an absolute path.

        Raises:
            ValueError: the path leads out of the root.
        """
        end = photo.rfind("/") + 1
        folder, name = photo[:end], photo[end:]
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._listed(folder)
        if name in known[1]:
            return known[0] + name, True
        path = self._plain(photo)
        if not f"{path}{os.sep}".startswith(self.inside):
            raise ValueError(f"{photo} is outside {self.inside}")
        # the file system may ignore the case of names; `Path.is_file` raises for a name that is too long
        return path, os.path.isfile(path)  # noqa: PTH113

    def _plain(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.inside, path))  # noqa: PTH118

    def _listed(self, folder: str) -> tuple[str, frozenset[str]]:
        """The plain spelling of a folder with a separator at its end, and the files in it; none if it is outside."""
        plain = os.path.join(self._plain(folder), "")  # noqa: PTH118
        if not plain.startswith(self.inside):
            return plain, frozenset()
        try:
            with os.scandir(plain) as entries:
                return plain, frozenset(entry.name for entry in entries if entry.is_file())
        except (OSError, ValueError):  # missing, too long, a NUL in its name
            return plain, frozenset()
