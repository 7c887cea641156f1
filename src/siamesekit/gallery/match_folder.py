"""The folder of a match: a table of candidates, and a page that needs no server."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from siamesekit.data.images import UnreadableError, read_pixels
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.records import Record
from siamesekit.errors import OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.paths import is_plain
from siamesekit.gallery.answer_table import write_answers
from siamesekit.gallery.enrolling import fingerprints, in_threads
from siamesekit.gallery.match_page import page, page_facts
from siamesekit.gallery.matching import Matches, Query
from siamesekit.progress import Progress
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from siamesekit.gallery.catalogue import Catalogue
    from siamesekit.gallery.known_photos import KnownPhoto

TABLE, PAGE, PICTURES = "matches.csv", "index.html", "pictures"
"""Files and folder of a match."""
SIDE, QUALITY = 1400, 85
"""Longer side of a picture in pixels, and quality of its JPEG: stripes and scars can be seen."""
FURTHER = 6
"""Most further photos shown of a candidate, as thumbnails."""


def check_folder(folder: Path) -> None:
    """Check, before any work, that a match can be written.

    Raises:
        OutputError: the folder holds something else, or what it lies in is missing.
    """
    shown = line_of_name(str(folder))
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"{shown}: there is no folder {line_of_name(str(folder.absolute().parent))}")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{shown} is not a folder; choose another name")
    others = {entry.name for entry in folder.iterdir()} - {TABLE, PAGE, PICTURES} if folder.exists() else set()
    if others:
        raise OutputError(f"{shown} holds something other than a match: {sorted(others)[0]}; choose another folder")


def write_match(folder: Path, catalogue: Catalogue, matches: Matches, progress: Progress) -> Path:
    """Write the table, the pictures and, last, the page; return the path of the page.

    Raises:
        OutputError: a file cannot be written.
    """
    check_folder(folder)
    try:
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{line_of_name(str(folder))} cannot be created: {error.strerror}") from error
    images = write_pictures(folder / PICTURES, catalogue, matches.queries, progress)
    write_answers(folder / TABLE, [(query.name, query.answer) for query in matches.queries])
    facts = page_facts(matches.queries, list(catalogue.individuals()), images)
    write_atomic(folder / PAGE, page(title_of(catalogue), facts, note_of(matches)))
    _remove_others(folder / PICTURES, images)
    return folder / PAGE


def title_of(catalogue: Catalogue) -> str:
    """What a page of a catalogue is called: the name of its folder."""
    return catalogue.path.absolute().name


def note_of(matches: Matches) -> str:
    """What the probabilities are worth, as a sentence."""
    return f"{matches.note[0].upper()}{matches.note[1:]}."


def picture(record: Record) -> bytes:
    """A photo, cropped to its box and upright, as a JPEG of at most `SIDE` pixels; empty if it cannot be read."""
    output = io.BytesIO()
    try:
        image = Image.fromarray(read_pixels(record))
    except UnreadableError:
        return b""
    image.thumbnail((SIDE, SIDE))
    image.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()


def picture_of_known(photo: KnownPhoto) -> bytes:
    """The picture of a catalogue's photo; empty if its file is not there as it was enrolled."""
    (digest,) = fingerprints([photo.record], Progress())
    return b"" if isinstance(digest, UnusablePhoto) or digest != photo.sha256 else picture(photo.record)


def write_pictures(place: Path, catalogue: Catalogue, queries: Sequence[Query], progress: Progress) -> dict[Any, Any]:
    """Write the pictures of queries and candidates into a folder named `PICTURES`.

    Returns:
        Their addresses, as `page_facts` takes them.
    """
    images: dict[Any, Any] = {}
    photos = [photo for query in queries for photo in query.photos]
    candidates = [each for query in queries for each in query.answer.candidates]
    best = sorted({each.best.photo for each in candidates})
    names = sorted({each.individual for each in candidates})
    further = {name: catalogue.photos_of(name)[: FURTHER + 1] for name in names}
    known = {
        number: catalogue.photo(number) for number in sorted({*best, *(n for one in further.values() for n in one)})
    }
    small = {number: f"{PICTURES}/{number}-small.jpg" for number in known}
    for number, photo in known.items():
        write_atomic(place / f"{number}-small.jpg", photo.thumbnail)

    def write(task: tuple[Any, str]) -> bool:
        key, name = task
        content = picture_of_known(known[key]) if isinstance(key, int) else picture(by_identity[key].record)
        if content:
            write_atomic(place / name, content)
        return bool(content)

    by_identity = {photo.identity: photo for photo in photos}
    tasks: list[tuple[Any, str]] = [(number, f"{number}.jpg") for number in best]
    tasks += [(identity, f"query-{place}.jpg") for place, identity in enumerate(by_identity, 1)]
    written = in_threads(write, tasks, progress, "Writing pictures")
    for (key, name), there in zip(tasks, written, strict=True):
        if isinstance(key, int):
            image = f"{PICTURES}/{name}" if there else small[key]
            images[key] = {"image": image, "small": small[key], "moved": not there}
        else:
            images[key] = {"image": f"{PICTURES}/{name}"}
    for name, numbers in further.items():
        images[name] = [
            {"image": small[number], "small": small[number], "name": known[number].record.name} for number in numbers
        ]
    return images


def _remove_others(place: Path, images: dict[Any, Any]) -> None:
    """Remove pictures of an earlier match that the page does not show."""
    shown: set[str] = set()
    for value in images.values():
        for each in value if isinstance(value, list) else [value]:
            shown |= {Path(each[kind]).name for kind in ("image", "small") if kind in each}
    for file in place.iterdir():
        if file.name not in shown and file.suffix == ".jpg" and is_plain(file):
            file.unlink(missing_ok=True)
