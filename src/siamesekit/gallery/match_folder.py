"""The folder of a match: a table of candidates, and a page that needs no server."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from siamesekit.data.images import UnreadableError, read_pixels
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.photo_reading import FOR_PICTURES
from siamesekit.data.records import Record
from siamesekit.errors import OutputError
from siamesekit.files.atomic import sweep, write_atomic, write_several
from siamesekit.files.paths import is_own_folder, is_plain, is_there
from siamesekit.files.replaceable import refuse_what_is_not_ours
from siamesekit.gallery.answer_table import check_table, write_answers
from siamesekit.gallery.enrolling import box_text, fingerprints, in_threads
from siamesekit.gallery.match_page import Pictures, is_page, page, page_facts
from siamesekit.gallery.matching import Matches, Query
from siamesekit.gallery.search import AT_ONCE
from siamesekit.progress import InParts, Progress
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from siamesekit.gallery.catalogue import Catalogue
    from siamesekit.gallery.known_photos import KnownPhoto

TABLE, PAGE, PICTURES = "matches.csv", "index.html", "pictures"
"""Files and folder of a match."""
OWN = re.compile(r"(query|known)-[0-9a-f]{16}(-small)?\.jpg")
"""Names of pictures: what a photo shows is never under another photo's name, also where a match was interrupted."""
DECISIONS = re.compile(r"decisions( ?\(\d+\))?\.csv")
"""Names under which browsers save decisions."""
SIDE, QUALITY = 1400, 85
"""Longer side of a picture in pixels, and quality of its JPEG: stripes and scars can be seen."""
THUMBNAILS = 512
"""Thumbnails that are written with one flush."""
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
    if not folder.exists():
        return
    pictures = folder / PICTURES
    if is_there(pictures) and not is_own_folder(pictures):
        raise OutputError(f"{line_of_name(str(pictures))} is not a folder of a match; choose another folder")
    sweep(folder)  # what an interrupted match has left
    others = {entry.name for entry in folder.iterdir() if not _is_decisions(entry)} - {TABLE, PAGE, PICTURES}
    if pictures.exists():
        sweep(pictures)
        others |= {f"{PICTURES}/{entry.name}" for entry in pictures.iterdir() if not OWN.fullmatch(entry.name)}
    if others:
        other = line_of_name(min(others))
        raise OutputError(f"{shown} holds something other than a match: {other}; choose another folder")
    check_table(folder / TABLE)
    refuse_what_is_not_ours(folder / PAGE, "the page of a match", is_page)


def _is_decisions(file: Path) -> bool:
    """Whether a file may be decisions that a browser has saved into the folder; they are left as they are."""
    return DECISIONS.fullmatch(file.name) is not None and is_plain(file)


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
    pictures = write_pictures(folder / PICTURES, catalogue, matches.queries, progress)
    write_answers(folder / TABLE, ((query.name, query.answer) for query in matches.queries))
    facts = page_facts(catalogue.path, matches.queries, list(catalogue.individuals()), pictures)

    def write(file: Path) -> None:
        with file.open("w", encoding="utf-8", newline="\n") as opened:
            opened.writelines(page(title_of(catalogue), facts, note_of(matches)))

    write_atomic(folder / PAGE, write)
    _remove_others(folder / PICTURES, pictures, matches.queries)
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
        image = Image.fromarray(read_pixels(record, FOR_PICTURES))
    except UnreadableError:
        return b""
    image.thumbnail((SIDE, SIDE))
    image.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()


def picture_of_known(photo: KnownPhoto) -> bytes:
    """The picture of a catalogue's photo; empty if its file is not there as it was enrolled."""
    (digest,) = fingerprints([photo.record], Progress())
    return b"" if isinstance(digest, UnusablePhoto) or digest != photo.sha256 else picture(photo.record)


def write_pictures(place: Path, catalogue: Catalogue, queries: Sequence[Query], progress: Progress) -> Pictures:
    """Write the pictures of queries and candidates into a folder named `PICTURES`; return their addresses."""
    best: set[int] = set()
    names: set[str] = set()
    count = 0  # photos of the queries
    for query in queries:
        best |= {each.best.photo for each in query.answer.candidates}
        names |= {each.individual for each in query.answer.candidates}
        count += len(query.photos)
    photos_of = catalogue.photos_by_individual()
    further = {name: photos_of.get(name, [])[: FURTHER + 1] for name in sorted(names)}
    known: dict[int, dict[str, Any]] = {}
    photos: dict[int, KnownPhoto] = {}
    thumbnails: dict[str, bytes] = {}
    for number in sorted(best.union(*further.values())):
        photo = catalogue.photo(number)
        small = picture_name("known", (photo.sha256, box_text(photo.record.box)), small=True)
        thumbnails[small] = photo.thumbnail
        if len(thumbnails) == THUMBNAILS:
            write_several(place, thumbnails)
            thumbnails = {}
        known[number] = {"name": photo.record.name, "small": f"{PICTURES}/{small}"}
        if number in best:
            photos[number] = replace(photo, thumbnail=b"")  # many of them would fill the memory
    write_several(place, thumbnails)

    def write(task: Task) -> bool:
        content = task.picture()
        if content:
            write_atomic(place / task.file, content, sweeping=False)
        return bool(content)

    with InParts(progress, len(photos) + count, "Writing pictures", "photos") as writing:
        tasks = [
            Task(picture_name("known", (photo.sha256, box_text(photo.record.box))), partial(picture_of_known, photo))
            for photo in photos.values()
        ]
        for number, task, there in zip(photos, tasks, in_threads(write, tasks, writing), strict=True):
            known[number] |= {"image": f"{PICTURES}/{task.file}"} if there else {"moved": True}
        asked = _pictures_asked(queries)
        while some := list(islice(asked, AT_ONCE)):
            in_threads(write, some, writing)
    return Pictures(_address, known, further)


def _pictures_asked(queries: Sequence[Query]) -> Iterator[Task]:
    """The pictures of the queries' photos."""
    for query in queries:
        for photo in query.photos:
            yield Task(picture_name("query", photo.identity), partial(picture, photo.record))


def _address(identity: tuple[str, str]) -> str:
    """The address of the picture of a query's photo, relative to the page."""
    return f"{PICTURES}/{picture_name('query', identity)}"


class Task(NamedTuple):
    """A picture to be written: the name of its file, and what makes it, empty if it cannot be made."""

    file: str
    picture: Callable[[], bytes]


def picture_name(kind: str, identity: tuple[str, str], small: bool = False) -> str:
    """The name of a picture's file, as `OWN` has it: by the photo's content and box."""
    digest = sha256("\n".join(identity).encode()).hexdigest()
    return f"{kind}-{digest[:16]}{'-small' if small else ''}.jpg"


def _remove_others(place: Path, pictures: Pictures, queries: Sequence[Query]) -> None:
    """Remove pictures of an earlier match that the page does not show."""
    shown = {picture_name("query", photo.identity) for query in queries for photo in query.photos}
    for each in pictures.known.values():
        shown |= {Path(each[kind]).name for kind in ("small", "image") if kind in each}
    for file in place.iterdir():
        if file.name not in shown and OWN.fullmatch(file.name) and is_plain(file):
            file.unlink(missing_ok=True)
