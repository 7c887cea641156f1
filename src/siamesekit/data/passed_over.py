"""Files of a folder of photos that the reader `folder` passes over: counted, so that nobody is lost without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.foreign_formats import NO_PICTURES, foreign_format
from siamesekit.data.photo_folders import children, folders_in, is_folder, is_photo, photos_in
from siamesekit.errors import line_of_name

OF_SYSTEMS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
"""Files that an operating system puts beside photos by itself."""
SHOWN = 10


@dataclass(frozen=True)
class PassedOver:
    """What is no photo in the folders of individuals, hidden files and an operating system's own aside.

    Attributes:
        by_suffix: how many files have each suffix, spelled as they spell it; empty for names without one.
        without_photos: the same of each individual that has no photo at all.
        loose: photos in no individual's folder.
    """

    by_suffix: Mapping[str, int]
    without_photos: Mapping[str, Mapping[str, int]]
    loose: int

    def sentences(self) -> list[str]:
        """What was passed over, a sentence each."""
        told = []
        if self.loose:
            told.append(_loose(self.loose))
        if self.by_suffix:
            told.append(f"{_counted(self.by_suffix)}; {_MEND}")
        shown = list(self.without_photos.items())[:SHOWN]
        told += [f"individual {line_of_name(name)}: {_counted(files)}, and no photo is left" for name, files in shown]
        if len(self.without_photos) > SHOWN:
            told.append(f"and {len(self.without_photos) - SHOWN} more individuals of whom no photo is left")
        return told


_MEND = "only names with a photo's suffix are read (HEIC and raw files: convert them to JPEG)"


def passed_over(root: Path, groups: str = "none") -> PassedOver:
    """Look through the folders that the reader `folder` reads.

    A folder without a photo counts as an individual's where a picture lies in it that is not read, such as a HEIC.

    Args:
        root: the reader's.
        groups: the reader's.

    Raises:
        DataError: a folder cannot be read.
    """
    photos: Counter[str] = Counter()
    others: dict[str, Counter[str]] = {}
    pictures: Counter[str] = Counter()
    loose = 0
    for above in [root] if groups == "none" else folders_in(root):
        loose += len(photos_in(above))
        for folder in folders_in(above):
            name = f"{above.name}/{folder.name}" if groups == "of-individuals" else folder.name
            for file in _files_below(folder):
                if is_photo(file.name):
                    photos[name] += 1
                else:
                    others.setdefault(name, Counter())[file.suffix] += 1
                    pictures[name] += foreign_format(b"", file.suffix) not in (None, *NO_PICTURES)
    named = {name: files for name, files in others.items() if photos[name] or pictures[name]}
    total = sum(named.values(), Counter())
    return PassedOver(
        dict(sorted(total.items(), key=lambda each: (-each[1], each[0]))),
        {name: dict(files) for name, files in named.items() if not photos[name]},
        loose,
    )


def _files_below(folder: Path) -> list[Path]:
    """The files in a folder and its sub-folders but hidden ones and an operating system's own; as photos are found."""
    found = []
    for entry in children(folder):
        if entry.name.startswith(".") or entry.name.lower() in OF_SYSTEMS:
            continue
        if is_folder(entry):
            found += [] if entry.is_symlink() else _files_below(entry)
        else:
            found.append(entry)
    return found


def _loose(count: int) -> str:
    if count == 1:
        return "1 photo was left out, because no individual's folder holds it"
    return f"{count} photos were left out, because no individual's folder holds them"


def _counted(files: Mapping[str, int]) -> str:
    """`3 files passed over: 2 .HEIC, 1 without a suffix`."""
    total = sum(files.values())
    kinds = [f"{count} {line_of_name(suffix) if suffix else 'without a suffix'}" for suffix, count in files.items()]
    more = f" and {len(kinds) - SHOWN} more kinds" if len(kinds) > SHOWN else ""
    return f"{total} file{'' if total == 1 else 's'} passed over: {', '.join(kinds[:SHOWN])}{more}"
