"""All photos to one tensor, or to a stream of chunks: decoded in parallel, in order, bad ones reported together."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from torch import Tensor

from siamesekit.data.images import Fit, Pixels, UnreadableError, quiet, read_square
from siamesekit.data.pixel_store import DEFAULT_BUDGET, empty_images
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
    images = empty_images(len(records), size, budget)
    for _ in _read(records, images.split(LOADED), size, fit, progress or Progress(), "Reading photos", workers):
        pass
    return images


def read_chunks(
    records: Sequence[Record],
    size: int,
    fit: Fit,
    chunk: int,
    progress: Progress,
    label: str,
    workers: int | None = None,
) -> Generator[Tensor]:
    """The photos in order, `chunk` at a time, uint8 `[n, 3, size, size]`, channels last; a bounded number is decoded
    in the background while the caller works on one.

    Past the first photo that cannot be read nothing is given any more: the others are read to be reported with it.

    Raises:
        DataError: photos that cannot be read, all of them together.
    """
    sizes = (min(chunk, len(records) - start) for start in range(0, len(records), chunk))
    rooms = (empty_images(count, size) for count in sizes)
    return _read(records, rooms, size, fit, progress, label, workers)


def _read(
    records: Sequence[Record],
    rooms: Iterable[Tensor],
    size: int,
    fit: Fit,
    progress: Progress,
    label: str,
    workers: int | None,
) -> Generator[Tensor]:
    """Fill `rooms`, which together hold all records, giving each when it is full, `AHEAD` of them begun before."""
    begun: deque[tuple[Tensor, list[Future[Finding | None]]]] = deque()
    findings: list[Finding] = []
    upcoming, left = iter(rooms), iter(records)
    shown = progress.track(range(len(records)), len(records), label, "photos")
    pool = ThreadPoolExecutor(workers or os.cpu_count())

    def begin() -> None:
        for room in islice(upcoming, 1):
            places = zip(room.permute(0, 2, 3, 1).numpy(), left, strict=False)  # rooms first: no record is lost
            begun.append((room, [pool.submit(_fill, pixels, record, fit) for pixels, record in places]))

    try:
        with quiet():
            for _ in range(AHEAD):
                begin()
            while begun:
                room, reading = begun.popleft()
                for future in reading:
                    finding = future.result()
                    if finding is not None:
                        findings.append(finding)
                    next(shown, None)
                begin()
                if not findings:
                    yield room
            next(shown, None)
    finally:
        pool.shutdown(cancel_futures=True)
    if findings:
        raise DataError(_report(findings, len(records)))


def _fill(pixels: Pixels, record: Record, fit: Fit) -> Finding | None:
    """Write a record's photo into its place `[size, size, 3]`."""
    try:
        pixels[...] = read_square(record, len(pixels), fit)
    except UnreadableError as error:
        return Finding(record.name, *error.args)
    return None


def _report(findings: Sequence[Finding], photos: int) -> str:
    shown = "\n".join(f"  {finding}" for finding in findings[:SHOWN_FINDINGS])
    more = len(findings) - SHOWN_FINDINGS
    tail = f"\n  … and {more} more" if more > 0 else ""
    return f"{len(findings)} of {photos} photos cannot be used:\n{shown}{tail}"
