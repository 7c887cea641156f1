"""Count the files that are skipped in folders, so that no individual is lost without a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.foreign_formats import NO_PICTURES, Format, foreign_format
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.wording import and_more, line_of_name

SHOWN = 10


@dataclass(frozen=True)
class PassedOver:
    """Skipped files in the folders of individuals, without hidden files and those of systems.

    Attributes:
        by_suffix: number of files by suffix, as spelled in their names; an empty suffix for names without one.
        without_photos: number of files by suffix, for each individual without any photo.
    """

    by_suffix: Mapping[str, int]
    without_photos: Mapping[str, Mapping[str, int]]

    def sentences(self) -> list[str]:
        """Messages on the skipped files."""
        messages = [f"{_counted(self.by_suffix)}; {_remedies(self.by_suffix)}"] if self.by_suffix else []
        shown = list(self.without_photos.items())[:SHOWN]
        messages += [f"individual {line_of_name(name)} has no photos: {_counted(files)}" for name, files in shown]
        more = and_more(len(self.without_photos), SHOWN, "individuals without photos")
        return [*messages, *([more] if more else [])]


def sentence_of_pictures(files: Iterable[Path | RemotePhoto]) -> str:
    """How many files are pictures of formats that are not read here, and what helps; empty if none is.

    >>> sentence_of_pictures([Path("a/1.psd"), Path("a/2.psd"), Path("a/notes.txt")])
    '2 .psd files are not read here; .psd: a Photoshop file, save a copy of it as JPEG or PNG'
    """
    counts = Counter(file.suffix for file in files if _is_picture(file) and not file.name.startswith("."))
    if not counts:
        return ""
    one = counts.total() == 1
    kinds = " and ".join(f"{count} {line_of_name(suffix)}" for suffix, count in counts.most_common(SHOWN))
    return f"{kinds} file{'' if one else 's'} {'is' if one else 'are'} not read here; {'; '.join(_helps(counts))}"


def _is_picture(file: Path | RemotePhoto) -> bool:
    """Whether a file has the suffix of a picture that is not read here."""
    return _unread_format(file.suffix) is not None


def _unread_format(suffix: str) -> Format | None:
    """The format of pictures with a suffix, if it is not read here."""
    found = foreign_format(b"", suffix)
    return None if found in NO_PICTURES else found


def _remedies(suffixes: Iterable[str]) -> str:
    """What is read, and what helps with files of unsupported formats."""
    return "; ".join(["only files with the suffix of a photo are read", *_helps(suffixes)])


def _helps(suffixes: Iterable[str]) -> list[str]:
    """What helps with files of unsupported formats: `.HEIC: a HEIC photo, to read it: …`."""
    helps: dict[Format, list[str]] = {}
    for suffix in suffixes:
        found = _unread_format(suffix)
        if found is not None:
            helps.setdefault(found, []).append(line_of_name(suffix))
    return [f"{' and '.join(names)}: {kind.name}, {kind.mend}" for kind, names in helps.items()]


def passed_over(others: Iterable[tuple[str, Path | RemotePhoto]], with_photos: Iterable[str]) -> PassedOver:
    """Count the files that the reader `folder` skips.

    A folder without photos counts as an individual only if it holds an unsupported picture, such as a HEIC file.

    Args:
        others: the files that are no photos, each with the individual whose folder holds it.
        with_photos: the individuals that have photos.
    """
    files: dict[str, Counter[str]] = {}
    pictures: Counter[str] = Counter()
    for name, file in others:
        files.setdefault(name, Counter())[file.suffix] += 1
        pictures[name] += _is_picture(file)
    photographed = set(with_photos)
    named = {name: own for name, own in files.items() if name in photographed or pictures[name]}
    total = sum(named.values(), Counter())
    return PassedOver(
        dict(sorted(total.items(), key=lambda each: (-each[1], each[0]))),
        {name: dict(own) for name, own in named.items() if name not in photographed},
    )


def _counted(files: Mapping[str, int]) -> str:
    """`3 files skipped: 2 .HEIC, 1 without a suffix`."""
    total = sum(files.values())
    kinds = [f"{count} {line_of_name(suffix) if suffix else 'without a suffix'}" for suffix, count in files.items()]
    more = and_more(len(kinds), SHOWN, "kinds")
    return f"{total} file{'' if total == 1 else 's'} skipped: {', '.join(kinds[:SHOWN])}{more and f' {more}'}"
