"""Embed the photos that a catalogue does not know yet, and store them with fingerprint and thumbnail."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from PIL import Image

from siamesekit.data.images import read_pixels
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.photo_reading import FOR_PICTURES
from siamesekit.data.records import Box, Record
from siamesekit.errors import DataError
from siamesekit.gallery.names import checked_name
from siamesekit.gallery.table_lines import refuse
from siamesekit.progress import Progress
from siamesekit.wording import line_of_name

THUMBNAIL, QUALITY = 320, 80
"""Longer side of a thumbnail in pixels, and quality of its JPEG."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class NewPhoto:
    """A photo on its way into the catalogue.

    Attributes:
        record: its record; the source is a file.
        individual: its individual's name, checked.
        sha256: digest of the file.
        box: the box as JSON, empty without one.
    """

    record: Record
    individual: str
    sha256: str
    box: str

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it the same photo: the content of its file and the box."""
        return self.sha256, self.box


@dataclass
class Sorted:
    """Photos sorted by what is to be done.

    Attributes:
        new: photos to embed.
        known: photos whose embedding is there, with their numbers; they are not in the catalogue now.
        enrolled: number of photos that the catalogue has already, under the same individual.
        copies: number of photos that occur twice in the input, under the same individual.
        unnamed: number of photos without an individual, which are left out.
        contradictions: photos that are enrolled, or occur twice, under different individuals; a line each.
        unusable: photos that cannot be read.
    """

    new: list[NewPhoto] = field(default_factory=list)
    known: list[tuple[int, NewPhoto]] = field(default_factory=list)
    enrolled: int = 0
    copies: int = 0
    unnamed: int = 0
    contradictions: list[str] = field(default_factory=list)
    unusable: list[UnusablePhoto] = field(default_factory=list)


def sort(
    records: Sequence[Record], find: Callable[[tuple[str, str]], tuple[int, str | None] | None], progress: Progress
) -> Sorted:
    """Sort records by what the catalogue knows of them.

    Args:
        records: records of the photos; their sources are files.
        find: the number of a known photo and the name of its individual (None: not in the catalogue now), by identity;
            None for an unknown photo.
        progress: progress display.

    Raises:
        DataError: a name is none, or a photo is not a file.
    """
    found = Sorted(unnamed=sum(not record.individual for record in records))
    named = [(record, checked_name(record.individual)) for record in records if record.individual]
    digests = fingerprints([record for record, _ in named], progress)
    owners: dict[tuple[str, str], str] = {}
    for (record, name), digest in zip(named, digests, strict=True):
        if isinstance(digest, UnusablePhoto):
            found.unusable.append(digest)
            continue
        photo = NewPhoto(record, name, digest, box_text(record.box))
        if photo.identity in owners:
            found.copies += owners[photo.identity] == name
            if owners[photo.identity] != name:
                found.contradictions.append(_contradiction(photo, f"occurs also as {owners[photo.identity]}"))
            continue
        owners[photo.identity] = name
        known = find(photo.identity)
        if known is None:
            found.new.append(photo)
        elif known[1] is None:
            found.known.append((known[0], photo))
        elif known[1] == name:
            found.enrolled += 1
        else:
            found.contradictions.append(_contradiction(photo, f"is enrolled as {known[1]}"))
    return found


def fingerprints(records: Sequence[Record], progress: Progress) -> list[str | UnusablePhoto]:
    """SHA-256 of each record's file, or why it cannot be read.

    Raises:
        DataError: a record's source is not a file.
    """
    return in_threads(_digest, records, progress, "Reading photos")


def refuse_contradictions(lines: Sequence[str]) -> None:
    """Refuse photos under two individuals.

    Raises:
        DataError: there are some; it shows the first ones.
    """
    refuse(
        lines,
        f"{len(lines)} photos have two individuals; nothing was changed. Correct the input, or the catalogue with "
        "split or merge:",
    )


def thumbnails(photos: Sequence[NewPhoto]) -> list[bytes]:
    """A small JPEG of each photo, cropped to its box; empty where it cannot be made."""
    return in_threads(lambda photo: _thumbnail(photo.record), photos)


def in_threads(
    work: Callable[[object], Result] | Callable[..., Result],
    items: Sequence[object],
    progress: Progress | None = None,
    label: str = "",
) -> list[Result]:
    """Apply a function to all items in threads, in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(work, items)
        return list(results if progress is None else progress.track(results, len(items), label, "photos"))


def box_text(box: Box | None) -> str:
    """A box as JSON; empty without one."""
    return "" if box is None else json.dumps(asdict(box), sort_keys=True)


def box_of(text: str) -> Box | None:
    """A box from its JSON."""
    return Box(**json.loads(text)) if text else None


def _digest(record: Record) -> str | UnusablePhoto:
    if not isinstance(record.source, Path):
        raise DataError(
            f"{line_of_name(record.name)} is not a file: a catalogue refers to files, so save the photo to one first"
        )
    try:
        f"{record.name}{record.source.absolute()}".encode()
    except UnicodeEncodeError:
        return UnusablePhoto(record.name, "its path is not UTF-8, and a catalogue keeps text", "rename it")
    try:
        with content_of(record.source, record.root) as content:
            return sha256(content).hexdigest()
    except UnreadableError as error:
        return UnusablePhoto(record.name, *error.args)


def _thumbnail(record: Record) -> bytes:
    output = io.BytesIO()
    with suppress(UnreadableError):  # the embedding has shown that it can be read; it may have been removed since
        image = Image.fromarray(read_pixels(record, FOR_PICTURES))
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        image.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()


def _contradiction(photo: NewPhoto, where: str) -> str:
    return f"{line_of_name(photo.record.name)}: {photo.individual} here, {where}"
