"""Walk through a folder of photos: its files in natural order, and what was left alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from siamesekit.data.photo_folders import is_photo, listed
from siamesekit.data.system_files import is_left_alone
from siamesekit.wording import and_more, line_of_name

SHOWN = 10
HOW_TO_FOLLOW = "to read them, set data.follow_links = true (on the command line: --follow-links)"


@dataclass(frozen=True)
class Walk:
    """The files below a folder.

    Attributes:
        root: the folder.
        files: all files in natural order (`2.jpg` before `10.jpg`), except those that were left alone.
        left_alone: number of hidden folders and files, and of those of systems, by name.
        links_out: links that lead out of the folder and were not followed: the link's path below the folder, and where
            it leads.
        links_inside: number of links to folders inside the folder, which were not followed.
    """

    root: Path
    files: tuple[Path, ...]
    left_alone: Mapping[str, int] = field(default_factory=dict)
    links_out: tuple[tuple[str, str], ...] = ()
    links_inside: int = 0

    def photos(self) -> list[Path]:
        """The files with the suffix of a photo."""
        return [file for file in self.files if is_photo(file.name)]

    def notes(self) -> list[str]:
        """Messages on what was left alone, except links that lead out of the folder."""
        notes = []
        if self.left_alone:
            kinds = [f"{count} {line_of_name(name)}" for name, count in self.left_alone.items()]
            more = and_more(len(kinds), SHOWN, "names")
            notes.append(f"left alone, as hidden or made by a system: {', '.join(kinds[:SHOWN])}{more and f' {more}'}")
        if self.links_inside:
            links = "1 link" if self.links_inside == 1 else f"{self.links_inside} links"
            notes.append(f"{links} to folders inside {self.root} not followed, because their photos are read there")
        return notes


def walk(root: Path, follow_links: bool = False) -> Walk:
    """Find all files below a folder.

    Hidden folders and files, and those of systems, are left alone. A link to a photo is read if it leads to a place
    inside the folder. Other links are not followed without `follow_links`.

    Args:
        root: the folder; it may be a link itself.
        follow_links: whether links are followed, wherever they lead; a folder that contains itself is read once.

    Raises:
        DataError: a folder cannot be read.
    """
    walking = _Walking(root, follow_links)
    files = tuple(Path(file) for file in walking.below(root, frozenset()))
    ordered = sorted(walking.left_alone.items(), key=lambda each: (-each[1], each[0]))
    return Walk(root, files, dict(ordered), tuple(walking.links_out), walking.links_inside)


def photos_below(folder: Path, follow_links: bool = False) -> list[Path]:
    """Photos in a folder and its sub-folders, in natural order; links as in `walk`.

    Raises:
        DataError: a folder cannot be read.
    """
    return walk(folder, follow_links).photos()


def sentence_of_links(links: int, where: str, link: str, target: str) -> str:
    """The message on links that lead out of a folder of photos."""
    shown = f"{line_of_name(link)} → {line_of_name(target)}"
    if links == 1:
        return f"a link leads out of {where}, and is not followed: {shown}; {HOW_TO_FOLLOW}"
    return f"{links} links lead out of {where}, and are not followed, such as {shown}; {HOW_TO_FOLLOW}"


class _Walking:
    """The state of a walk."""

    def __init__(self, root: Path, follow_links: bool) -> None:
        self.root, self.follow_links = root, follow_links
        self.real = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - with a separator at its end
        self.left_alone: Counter[str] = Counter()
        self.links_out: list[tuple[str, str]] = []
        self.links_inside = 0

    def below(self, folder: str | Path, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        """The files below a folder; `above` has the folders that contain it, by device and inode."""
        if self.follow_links:
            own = os.stat(folder)  # noqa: PTH116
            if (own.st_dev, own.st_ino) in above:
                return
            above |= {(own.st_dev, own.st_ino)}
        for entry in listed(folder):
            is_folder = _is_folder(entry)
            if is_left_alone(entry.name, is_folder):
                self._leave(entry.name, is_folder)
            elif entry.is_symlink() and not self.follow_links and self._refuses(entry, is_folder):
                continue
            elif is_folder:
                yield from self.below(entry.path, above)
            else:
                yield entry.path

    def _leave(self, name: str, is_folder: bool) -> None:
        """Count what is left alone; hidden files other than photos (`.DS_Store`) are of no interest."""
        if is_folder or not name.startswith("."):
            self.left_alone[name] += 1
        elif is_photo(name.lstrip("._")):
            self.left_alone["._*" if name.startswith("._") else "hidden photos"] += 1

    def _refuses(self, entry: os.DirEntry[str], is_folder: bool) -> bool:
        """Whether a link is not followed; it is counted."""
        target = os.path.realpath(entry.path)
        inside = os.path.join(target, "").startswith(self.real)  # noqa: PTH118
        if not inside and (is_folder or is_photo(entry.name)):
            self.links_out.append((os.path.relpath(entry.path, self.root).replace(os.sep, "/"), target))
        elif is_folder:
            self.links_inside += 1
        return is_folder or not inside


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
