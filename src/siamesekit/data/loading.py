"""Load photos into one tensor or a stream of chunks: decoded in parallel, in order, with all bad photos reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count, islice
from typing import NamedTuple

from torch import Tensor

from siamesekit.data.images import Look, read_square
from siamesekit.data.photo_colours import Pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import PLAIN, Reading, Remark, remark_lines
from siamesekit.data.pixel_store import DEFAULT_BUDGET, empty_images, keep_only
from siamesekit.data.reading_threads import reading_threads
from siamesekit.data.records import Record
from siamesekit.data.unusable import UnusablePhoto as UnusablePhoto
from siamesekit.data.unusable import report as report
from siamesekit.errors import DataError
from siamesekit.progress import Progress

AHEAD = 4
"""Number of chunks that are decoded ahead."""
LOADED = 64
"""Number of photos per chunk when all photos are loaded into one tensor."""
EMBEDDING = "Embedding"
"""Label of the progress of photos that are read in chunks."""


class Decoding(NamedTuple):
    """How photos are decoded and resized, and who looks on.

    Attributes:
        reading: the options.
        look: called with each decoded photo, from the threads that decode; None: nothing is.
    """

    reading: Reading = PLAIN
    look: Look | None = None


AS_USUAL = Decoding()


class Loaded(NamedTuple):
    """Usable photos, and findings on the others.

    Attributes:
        images: uint8 RGB `[n, 3, size, size]`, channels last.
        kept: indices of the usable photos among the N records, ascending.
        findings: findings on the other photos, in the order of the records.
    """

    images: Tensor
    kept: tuple[int, ...]
    findings: tuple[UnusablePhoto, ...]


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
        records: records of the N photos.
        size: side of the square in pixels.
        fit: how a photo is made square.
        progress: progress display.
        budget: maximum bytes of the tensor in memory; a larger one is stored in a file (`empty_images`).
        workers: number of threads, by default `reading_threads`. The result does not depend on it.

    Raises:
        DataError: photos cannot be read; it lists them, each with the reason and what to do.
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
    decoding: Decoding = AS_USUAL,
) -> Loaded:
    """Like `load_images`, but return findings on photos that cannot be read, instead of an error.

    Remarks on photos that are read with reservations are shown as warnings.

    Raises:
        DataError: the disk has no room for the pixels.
    """
    images = empty_images(len(records), size, budget)
    findings: dict[int, UnusablePhoto] = {}
    rooms = images.split(LOADED)
    shown = (progress or Progress()).track(range(len(records)), len(records), "Reading photos", "photos")
    remarks: list[tuple[str, Remark]] = []
    fill = partial(_fill, fit=fit, decoding=decoding, remarks=remarks)
    for _ in _read(records, rooms, fill, shown, findings, workers=workers):
        pass
    _say(remarks, records, progress)
    kept = tuple(number for number in range(len(records)) if number not in findings)
    return Loaded(keep_only(images, kept), kept, tuple(findings.values()))


def read_chunks(
    records: Sequence[Record],
    size: int,
    fit: Fit,
    chunk: int,
    progress: Progress,
    passed_over: dict[int, UnusablePhoto] | None = None,
    decoding: Decoding = AS_USUAL,
) -> Generator[Tensor]:
    """Yield the photos in order, `chunk` at a time, uint8 `[n, 3, size, size]`, channels last.

    A bounded number of chunks is decoded in the background while the caller works on one. After the first photo that
    cannot be read, no more chunks are yielded; the other photos are read only to report all bad ones together. With
    `passed_over`, bad photos are skipped and stored in it, by their index among the records.

    Raises:
        DataError: photos cannot be read, and `passed_over` is not given; it lists them all.
    """
    sizes = (min(chunk, len(records) - start) for start in range(0, len(records), chunk))
    rooms = (empty_images(length, size) for length in sizes)
    findings: dict[int, UnusablePhoto] = {} if passed_over is None else passed_over
    shown = progress.track(range(len(records)), len(records), EMBEDDING, "photos")
    remarks: list[tuple[str, Remark]] = []
    fill = partial(_fill, fit=fit, decoding=decoding, remarks=remarks)
    yield from _read(records, rooms, fill, shown, findings, rest=passed_over is not None)
    _say(remarks, records, progress)
    if findings and passed_over is None:
        raise DataError(*report(tuple(findings.values()), len(records)))


def _say(remarks: Sequence[tuple[str, Remark]], records: Sequence[Record], progress: Progress | None) -> None:
    """Show the remarks on photos as warnings, by their kinds, in the order of the records."""
    place = {record.name: number for number, record in enumerate(records)} if remarks else {}
    for line in remark_lines(sorted(remarks, key=lambda each: place[each[0]])):
        (progress or Progress()).warn(line)


def _read(
    records: Sequence[Record],
    rooms: Iterable[Tensor],
    fill: Callable[[Pixels, Record], UnusablePhoto | None],
    shown: Iterator[object],
    findings: dict[int, UnusablePhoto],
    rest: bool = False,
    workers: int | None = None,
) -> Generator[Tensor]:
    """Fill the tensors `rooms`, which together have room for all records, and yield each; `AHEAD` are filled ahead.

    `fill` writes a record's photo into its place, or returns why it cannot be read. `findings` receives the photos that
    cannot be read, by their index among the records. With `rest`, the other photos are yielded nevertheless.
    """
    begun: deque[tuple[Tensor, list[Future[UnusablePhoto | None]]]] = deque()
    numbers = count()
    upcoming, left = iter(rooms), iter(records)
    pool = ThreadPoolExecutor(workers or reading_threads(records))

    def begin() -> None:
        for room in islice(upcoming, 1):
            places = zip(room.permute(0, 2, 3, 1).numpy(), left, strict=False)  # rooms first: no record is lost
            begun.append((room, [pool.submit(fill, pixels, record) for pixels, record in places]))

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


def _fill(
    pixels: Pixels, record: Record, fit: Fit, decoding: Decoding, remarks: list[tuple[str, Remark]]
) -> UnusablePhoto | None:
    """Write a record's photo into `pixels` `[size, size, 3]`; return a finding if it cannot be read."""
    told: list[Remark] = []
    try:
        pixels[...] = read_square(record, len(pixels), fit, decoding.reading, told, decoding.look)
    except UnreadableError as error:
        return UnusablePhoto(record.name, *error.args)
    remarks.extend((record.name, remark) for remark in told)
    return None
