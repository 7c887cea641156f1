"""Count the files that the reader `folder` skips, so that no individual is lost without a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.foreign_formats import NO_PICTURES, Format, foreign_format
from siamesekit.data.photo_folders import children, folders_in, is_folder, is_photo, photos_in
from siamesekit.wording import and_more, line_of_name

OF_SYSTEMS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
"""Files that operating systems create in folders of photos."""
SHOWN = 10


@dataclass(frozen=True)
class PassedOver:
    """Skipped files in the folders of individuals, without hidden files and those of operating systems.

    Attributes:
        by_suffix: number of files by suffix, as spelled in their names; an empty suffix for names without one.
        without_photos: number of files by suffix, for each individual without any photo.
        loose: number of photos that are in no individual's folder.
    """

    by_suffix: Mapping[str, int]
    without_photos: Mapping[str, Mapping[str, int]]
    loose: int

    def sentences(self) -> list[str]:
        """Messages on the skipped files."""
        messages = []
        if self.loose:
            messages.append(_loose(self.loose))
        if self.by_suffix:
            messages.append(f"{_counted(self.by_suffix)}; {_remedies(self.by_suffix)}")
        shown = list(self.without_photos.items())[:SHOWN]
        messages += [f"individual {line_of_name(name)} has no photos: {_counted(files)}" for name, files in shown]
        more = and_more(len(self.without_photos), SHOWN, "individuals without photos")
        return [*messages, *([more] if more else [])]


def _remedies(suffixes: Iterable[str]) -> str:
    """What is read, and what helps with files of unsupported formats: `.HEIC is a HEIC photo, to read it: …`."""
    helps: dict[Format, list[str]] = {}
    for suffix in suffixes:
        found = foreign_format(b"", suffix)
        if found is not None and found not in NO_PICTURES:
            helps.setdefault(found, []).append(line_of_name(suffix))
    told = [f"{' and '.join(names)}: {kind.name}, {kind.mend}" for kind, names in helps.items()]
    return "; ".join(["only files with the suffix of a photo are read", *told])


def passed_over(root: Path, groups: str = "none") -> PassedOver:
    """Count the files that the reader `folder` skips.

    A folder without photos counts as an individual only if it holds an unsupported picture, such as a HEIC file.

    Args:
        root: the option `root` of the reader.
        groups: the option `groups` of the reader.

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
    """Files in a folder and its sub-folders, without hidden ones and those of operating systems."""
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
    """`3 files skipped: 2 .HEIC, 1 without a suffix`."""
    total = sum(files.values())
    kinds = [f"{count} {line_of_name(suffix) if suffix else 'without a suffix'}" for suffix, count in files.items()]
    more = and_more(len(kinds), SHOWN, "kinds")
    return f"{total} file{'' if total == 1 else 's'} skipped: {', '.join(kinds[:SHOWN])}{more and f' {more}'}"
