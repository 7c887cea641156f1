"""The files of a table's photos: inside the folder of photos, and there; each folder is listed once.

A path is also found if the table spells it otherwise than the disk: with backslashes and a drive, as on Windows; in
upper or lower case; or with accents in the other Unicode form. In each case exactly one file must fit.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from siamesekit.data.spelled_names import CASE, UNICODE, SpelledNames, is_of_windows, windows_ends

WINDOWS = "windows"
_TOLD = {
    WINDOWS: "written as Windows paths",
    CASE: "in other upper or lower case than on the disk",
    UNICODE: "with accents in another Unicode form than on the disk",
}
NO_NAMES = SpelledNames()


class LinkOutsideError(Exception):
    """A photo is behind a link that leads out of the folder of photos: (the link's path below the folder, target)."""


class PhotoListing:
    """The photos below a folder, found by their paths in a table.

    A lookup of each file would take longer, above all on a network disk.

    Args:
        root: folder that contains the photos, an absolute path in its plain spelling.
        follow_links: whether photos behind links that lead out of the folder are found.

    Attributes:
        respelled: number of photos that the table spells otherwise than the disk, by the way in which it does.
    """

    def __init__(self, root: Path, follow_links: bool = False) -> None:
        self.inside = _with_separator(str(root))
        self.respelled: Counter[str] = Counter()
        self._real = "" if follow_links else _with_separator(os.path.realpath(root))
        self._folders: dict[str, _Folder] = {}
        self._spelled: dict[str, tuple[str, frozenset[str]] | None] = {}
        self._dropped: list[str] = []

    def find(self, photo: str) -> tuple[str, bool]:
        """The absolute path of a photo in the disk's spelling, links kept, and whether there is such a file.

        Args:
            photo: path relative to the root, or an absolute path.

        Raises:
            ValueError: the path leads out of the root.
            LinkOutsideError: the photo is behind a link that leads out of the root, and links are not followed.
        """
        end = photo.rfind("/") + 1
        folder = self._folder(photo[:end])
        name = photo[end:]
        if name in folder.names:
            if name in folder.links:
                raise LinkOutsideError(*folder.links[name])
            return folder.plain + name, True
        if is_of_windows(photo):
            return self._on_windows(photo)
        path = self._plain(photo)
        if not _with_separator(path).startswith(self.inside):
            raise ValueError(f"{photo} is outside {self.inside}")
        on_disk = self._on_disk(photo)
        if on_disk is not None:
            self.respelled.update(on_disk[1])
            return on_disk[0], True
        # the file system may ignore the case of names; `Path.is_file` raises for a name that is too long
        return path, os.path.isfile(path)  # noqa: PTH113

    def with_suffix(self, photo: str) -> list[str]:
        """The files in a photo's folder that have its name, and a suffix that it lacks."""
        end = photo.rfind("/") + 1
        return [name for name in self._folder(photo[:end]).names if name.rpartition(".")[0] == photo[end:] != ""]

    def notes(self) -> list[str]:
        """A message on photos that the table spells otherwise than the disk."""
        told = [f"{self.respelled[way]} {words}" for way, words in _TOLD.items() if self.respelled[way]]
        return [f"photos found although the table spells them otherwise: {', '.join(told)}"] if told else []

    def _on_windows(self, photo: str) -> tuple[str, bool]:
        for dropped, end in windows_ends(photo, self._dropped):
            on_disk = self._on_disk(end)
            if on_disk is not None:
                if dropped and dropped not in self._dropped:
                    self._dropped.append(dropped)
                self.respelled.update({WINDOWS, *on_disk[1]})
                return on_disk[0], True
        return self._plain(photo.replace("\\", "/")), False

    def _on_disk(self, photo: str) -> tuple[str, frozenset[str]] | None:
        """The one file that fits a path, and the ways in which its spelling differs; None without such a file."""
        end = photo.rfind("/") + 1
        spelled = self._folder_on_disk(photo[:end])
        if spelled is None:
            return None
        known = self._folder(spelled[0])
        name = known.names.on_disk(photo[end:])
        if name is None:
            return None
        if name[0] in known.links:
            raise LinkOutsideError(*known.links[name[0]])
        return known.plain + name[0], spelled[1] | name[1]

    def _folder_on_disk(self, folder: str) -> tuple[str, frozenset[str]] | None:
        """A folder below the root in the disk's spelling, with a slash at its end, and how the spelling differs."""
        if folder not in self._spelled:
            self._spelled[folder] = self._search_folder(folder)
        return self._spelled[folder]

    def _search_folder(self, folder: str) -> tuple[str, frozenset[str]] | None:
        plain = self._plain(folder)
        if not _with_separator(plain).startswith(self.inside):
            return None
        found, ways = "", frozenset[str]()
        for part in Path(plain[len(self.inside) :]).parts:
            name = self._folder(found).folders.on_disk(part)
            if name is None:
                return None
            found, ways = f"{found}{name[0]}/", ways | name[1]
        return found, ways

    def _plain(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.inside, path))  # noqa: PTH118

    def _folder(self, folder: str) -> _Folder:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._listed(folder)
        if known.link is not None:
            raise LinkOutsideError(*known.link)
        return known

    def _listed(self, folder: str) -> _Folder:
        """The content of a folder; none if it is outside the root."""
        plain = _with_separator(self._plain(folder))
        if not plain.startswith(self.inside):
            return _Folder(plain)
        link = self._link_to(plain)
        if link is not None:
            return _Folder(plain, link=link)
        names, folders, links = [], [], {}
        try:
            with os.scandir(plain) as entries:
                for entry in entries:
                    if entry.is_file():
                        names.append(entry.name)
                        out = self._link_to(entry.path) if entry.is_symlink() else None
                        if out is not None:
                            links[entry.name] = out
                    elif _is_folder(entry):
                        folders.append(entry.name)
        except (OSError, ValueError):  # missing, too long, a NUL in its name
            return _Folder(plain)
        return _Folder(plain, SpelledNames(names), SpelledNames(folders), links)

    def _link_to(self, path: str) -> tuple[str, str] | None:
        """The first link on the way to a file or folder that leads out of the root, and where it leads."""
        if not self._leads_out(path):
            return None
        link = self.inside
        for part in Path(path[len(self.inside) :]).parts:
            link = os.path.join(link, part)  # noqa: PTH118
            if self._leads_out(link):
                break
        return link[len(self.inside) :].replace(os.sep, "/"), os.path.realpath(link)

    def _leads_out(self, path: str) -> bool:
        """Whether a path leads out of the root, once links are resolved."""
        try:
            return not _with_separator(os.path.realpath(path)).startswith(self._real)
        except ValueError:  # a NUL in its name
            return False


@dataclass(frozen=True)
class _Folder:
    """A folder and what is in it.

    Attributes:
        plain: its absolute path with a separator at its end.
        names: names of its files.
        folders: names of its sub-folders.
        links: its files that are links leading out of the root: name → the link, and where it leads.
        link: the link on the way to it that leads out of the root, and where it leads; None without one.
    """

    plain: str
    names: SpelledNames = field(default=NO_NAMES)
    folders: SpelledNames = field(default=NO_NAMES)
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    link: tuple[str, str] | None = None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _with_separator(path: str) -> str:
    return os.path.join(path, "")  # noqa: PTH118
