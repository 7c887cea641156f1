"""All photos to one tensor, or to a stream of chunks: decoded in parallel, in order, bad ones reported together."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from typing import NamedTuple

from torch import Tensor

from siamesekit.data.images import Fit, Pixels, read_square
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.pixel_store import DEFAULT_BUDGET, empty_images, keep_only
from siamesekit.data.records import Record
from siamesekit.errors import DataError, line_of_name
from siamesekit.progress import Progress

AHEAD = 4
"""Chunks that are being decoded, or wait to be used, at a time."""
LOADED = 64
"""Photos in a chunk where all are kept."""
SHOWN_FINDINGS = 20


class Finding(NamedTuple):
    """A photo that cannot be used: its name, why, and what to do."""

    name: str
    reason: str
    mend: str

    def __str__(self) -> str:
        return f"{line_of_name(self.name)}: {self.reason}; {self.mend}"


class Loaded(NamedTuple):
    """The photos that can be used, and those that cannot.

    Attributes:
        images: uint8 RGB `[n, 3, size, size]`, channels last.
        kept: which of the N records they are, ascending.
        findings: the others, in their order.
    """

    images: Tensor
    kept: tuple[int, ...]
    findings: tuple[Finding, ...]


def load_images(
    records: Sequence[Record],
    size: int,
    fit: Fit = "squash",
    progress: Progress | None = None,
    budget: int = DEFAULT_BUDGET,
    workers: int | None = None,
) -> Tensor:
    """Decode all photos, in threads, to uint8 RGB `[N, 3, size, size]`, channels last; see `read_square`.

    Args:
        records: N photos.
        size: the square's side in pixels.
        fit: how a photo is made square.
        progress: is shown the photos.
        budget: bytes past which the tensor is kept in a file (`empty_images`).
        workers: threads; as many as there are CPUs by default. The result does not depend on it.

    Raises:
        DataError: photos that cannot be read, all of them together, each with its reason and what to do.
    """
    loaded = load_usable(records, size, fit, progress, budget, workers)
    if loaded.findings:
        raise DataError(*report(loaded.findings, len(records)))
    return loaded.images


def load_usable(
    records: Sequence[Record],
    size: int,
    fit: Fit = "squash",
    progress: Progress | None = None,
    budget: int = DEFAULT_BUDGET,
    workers: int | None = None,
) -> Loaded:
    """As `load_images`, but photos that cannot be read are told beside the others in place of an error.

    Raises:
        DataError: there is no room for the pixels.
    """
    images = empty_images(len(records), size, budget)
    findings: dict[int, Finding] = {}
    rooms = images.split(LOADED)
    for _ in _read(records, rooms, size, fit, progress or Progress(), "Reading photos", workers, findings):
        pass
    kept = tuple(number for number in range(len(records)) if number not in findings)
    return Loaded(keep_only(images, kept), kept, tuple(findings.values()))


def read_chunks(
    records: Sequence[Record],
    size: int,
    fit: Fit,
    chunk: int,
    progress: Progress,
    label: str,
    workers: int | None = None,
    passed_over: dict[int, Finding] | None = None,
) -> Generator[Tensor]:
    """The photos in order, `chunk` at a time, uint8 `[n, 3, size, size]`, channels last; a bounded number is decoded
    in the background while the caller works on one.

    Past the first photo that cannot be read nothing is given any more: the others are read to be reported with it.
    With `passed_over`, which receives such photos by their place among the records, the others are given without them.

    Raises:
        DataError: photos that cannot be read, all of them together; not with `passed_over`.
    """
    sizes = (min(chunk, len(records) - start) for start in range(0, len(records), chunk))
    rooms = (empty_images(length, size) for length in sizes)
    findings: dict[int, Finding] = {} if passed_over is None else passed_over
    yield from _read(records, rooms, size, fit, progress, label, workers, findings, rest=passed_over is not None)
    if findings and passed_over is None:
        raise DataError(*report(tuple(findings.values()), len(records)))


def _read(
    records: Sequence[Record],
    rooms: Iterable[Tensor],
    size: int,
    fit: Fit,
    progress: Progress,
    label: str,
    workers: int | None,
    findings: dict[int, Finding],
    rest: bool = False,
) -> Generator[Tensor]:
    """Fill `rooms`, which together hold all records, giving each when it is full, `AHEAD` of them begun before.

    `findings` receives the photos that cannot be read, by their place among the records. With `rest` the others are
    given without them.
    """
    begun: deque[tuple[Tensor, list[Future[Finding | None]]]] = deque()
    numbers = count()
    upcoming, left = iter(rooms), iter(records)
    shown = progress.track(range(len(records)), len(records), label, "photos")
    pool = ThreadPoolExecutor(workers or os.cpu_count())

    def begin() -> None:
        for room in islice(upcoming, 1):
            places = zip(room.permute(0, 2, 3, 1).numpy(), left, strict=False)  # rooms first: no record is lost
            begun.append((room, [pool.submit(_fill, pixels, record, fit) for pixels, record in places]))

    try:
        for _ in range(AHEAD):
            begin()
        while begun:
            room, reading = begun.popleft()
            usable = []
            for place, future in enumerate(reading):
                finding, number = future.result(), next(numbers)
                if finding is None:
                    usable.append(place)
                else:
                    findings[number] = finding
                next(shown, None)
            begin()
            if not findings or (rest and len(usable) == len(room)):
                yield room
            elif rest and usable:
                yield room[usable]
        next(shown, None)
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(pixels: Pixels, record: Record, fit: Fit) -> Finding | None:
    """Write a record's photo into its place `[size, size, 3]`."""
    try:
        pixels[...] = read_square(record, len(pixels), fit)
    except UnreadableError as error:
        return Finding(record.name, *error.args)
    return None


def report(findings: Sequence[Finding], photos: int) -> tuple[str, list[str]]:
    """Photos that cannot be used: how many of all, and the first `SHOWN_FINDINGS` of them, a line each."""
    shown = [str(finding) for finding in findings[:SHOWN_FINDINGS]]
    more = len(findings) - SHOWN_FINDINGS
    return f"{len(findings)} of {photos} photos cannot be used", [*shown, *([f"… and {more} more"] if more > 0 else [])]
