"""The data set of a run: photos are read, decoded, labelled and split; a stand-in may replace missing photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.audit.gathering import Gathering
from siamesekit.config import Config
from siamesekit.data.depth_range import with_range
from siamesekit.data.loading import LOADED, Decoding, UnusablePhoto, load_usable, report
from siamesekit.data.photo_reading import PLAIN, Reading
from siamesekit.data.pixel_store import GIB, keep_only
from siamesekit.data.reading import read_photos
from siamesekit.data.records import Record, Records, individuals_of
from siamesekit.data.splits import Leaks, Split
from siamesekit.errors import DataError, MissingDataError
from siamesekit.experiment.left_out import told_of_bad, without_quarantine, without_singletons, without_unknown
from siamesekit.experiment.splitting import leaks_of_run, split_of_run
from siamesekit.progress import Progress
from siamesekit.report.content import StandIn


@dataclass(frozen=True)
class Dataset:
    """Decoded photos and their split.

    Attributes:
        records: the N photos.
        images: images uint8 `[N, 3, size, size]`, channels last; beyond a budget they are in a file (`empty_images`).
        individuals: names of the individuals, by label.
        labels: labels of the photos, int64 `[N]`.
        split: parts of the data set, as indices of photos.
        reader: name of the reader that gave the photos.
        stand_in: stand-in for the wanted data, if one is in use.
        notes: what was left out, in words.
        left_out: photos that cannot be used and were skipped (`skip_bad`).
        singletons: photos left out because their individuals have no other photo.
        passed_over: number of files in the individuals' folders that are not photos, by suffix.
        unknown: names of the photos of unknown individuals, which are kept apart.
        quarantined: photos left out because `data.quarantine` names them.
        unmatched: test photos left out because no photo of their individuals is outside the test part.
        leaks: what the test photos have in common with the other photos; None if not counted.
        reading: how the photos were decoded and resized.
    """

    records: tuple[Record, ...]
    images: Tensor
    individuals: tuple[str, ...]
    labels: NDArray[np.int64]
    split: Split
    reader: str
    stand_in: StandIn | None
    notes: tuple[str, ...]
    left_out: tuple[UnusablePhoto, ...] = ()
    singletons: tuple[UnusablePhoto, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    unmatched: tuple[UnusablePhoto, ...] = ()
    leaks: Leaks | None = None
    reading: Reading = PLAIN
    quarantined: tuple[UnusablePhoto, ...] = ()

    def individuals_by_part(self) -> dict[str, tuple[str, ...]]:
        """The names of the individuals in each non-empty part of the split."""
        return {
            name: tuple(self.individuals[label] for label in np.unique(self.labels[list(part)]))
            for name, part in self.split.parts().items()
        }

    @property
    def training_individuals(self) -> int:
        """Number of individuals that train."""
        return len(np.unique(self.labels[list(self.split.train)]))

    def labels_in(self, part: Sequence[int]) -> NDArray[np.int64]:
        """Labels of the n photos of a part of the data set, renumbered 0 … C − 1 without gaps: int64 `[n]`."""
        return np.unique(self.labels[list(part)], return_inverse=True)[1].astype(np.int64)

    def groups(self) -> NDArray[np.int64] | None:
        """Numbers of the photos' groups, int64 `[N]`; None if the reader gives no groups."""
        names = [record.group for record in self.records]
        return np.unique(names, return_inverse=True)[1].astype(np.int64) if any(names) else None

    def fingerprint(self, columns: Sequence[str] = ()) -> str:
        """SHA-256 of names, individuals, groups if any, values of columns, and pixels as the network sees them."""
        digest = sha256()
        for record in self.records:
            fields = f"{record.name}\0{record.individual}\0" + (f"{record.group}\0" if record.group else "")
            fields += "".join(f"{record.attributes.get(column, '')}\0" for column in columns)
            digest.update(fields.encode(errors="surrogateescape"))
        for chunk in self.images.split(LOADED):
            digest.update(chunk.numpy().tobytes())
        return digest.hexdigest()


def prepare_dataset(
    config: Config, progress: Progress, skip_bad: bool = False, gathering: Gathering | None = None
) -> Dataset:
    """Read, decode and split the photos.

    Args:
        config: config of the run.
        progress: shows the photos being read, and warns of a stand-in.
        skip_bad: whether to skip photos that cannot be used, which are an error otherwise. Individuals left with a
            single photo are treated as `data.singletons` says.
        gathering: looks at each photo while it is decoded, and takes the records of all photos.

    Raises:
        DataError: the photos cannot be used as asked.
    """
    found, reader, stand_in = read_records(config, skip_bad)
    if stand_in is not None:
        progress.warn(stand_in.warning)
    if found.left_out:
        progress.warn(f"{len(found.left_out)} photos cannot be used and are left out:", map(str, found.left_out))
    records, quarantined, kept_out = without_quarantine(found, config)
    if gathering is not None:
        gathering.begin(records, found.notes)
    records, unknown, told = without_unknown(records)
    records, singles, said = without_singletons(records, config.data.singletons)
    notes = [*found.notes, *kept_out, *told, *said]
    for note in notes:
        progress.say(note)
    made = split_of_run(records, config)  # an impossible split is refused before decoding
    records, unmatched = made.records, made.left_out
    for note in made.notes:
        progress.say(note)
    notes += made.notes
    budget = int(config.data.memory_gib * GIB)
    table = config.data
    share = table.crop_share or None
    reading = Reading(table.depth, None, table.truncated, table.max_megapixels, table.resampling, share)
    reading = with_range(reading, [records[photo] for photo in made.split.train], progress)
    if gathering is not None:
        gathering.reading = reading
    decoding = Decoding(reading, gathering)
    loaded = load_usable(records, config.data.size, config.data.fit, progress, budget, decoding=decoding)
    images, kept, findings = loaded.images, loaded.kept, loaded.findings
    if gathering is not None:
        gathering.unreadable |= {finding.name: finding for finding in findings}
    if findings:
        message, details = report(findings, len(records))
        if not skip_bad:
            raise DataError(f"{message}: fix them, or train on the rest with --skip-bad", details)
        progress.warn(f"{message} and are left out:", details)
        notes.append(told_of_bad(findings, len(records)))
        usable = [records[number] for number in kept]
        records, more, said = without_singletons(usable, config.data.singletons)
        made = split_of_run(records, config)
        records = made.records
        for note in (*said, *made.notes):
            progress.say(note)
        singles, unmatched, notes = [*singles, *more], [*unmatched, *made.left_out], [*notes, *said, *made.notes]
        names = {record.name for record in records}
        images = keep_only(images, [number for number, record in enumerate(usable) if record.name in names])
    individuals, labels = labelled(records)
    return Dataset(
        tuple(records),
        images,
        individuals,
        labels,
        made.split,
        reader,
        stand_in,
        tuple(notes),
        (*found.left_out, *findings),
        tuple(singles),
        found.passed_over,
        unknown,
        tuple(unmatched),
        leaks_of_run(made, images),
        reading,
        tuple(quarantined),
    )


def labelled(records: Sequence[Record]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of the individuals of N records, by label, and the labels of the records, int64 `[N]`."""
    individuals = individuals_of(records)
    number_of = {name: number for number, name in enumerate(individuals)}
    labels = np.fromiter((number_of[record.individual] for record in records), np.int64, len(records))
    return tuple(individuals), labels


def read_records(config: Config, skip_bad: bool = False) -> tuple[Records, str, StandIn | None]:
    """The records of a config's data, the reader that gave them, and the stand-in for missing data if one is in use.

    Args:
        config: config of the run.
        skip_bad: whether to leave out missing photos, and links that are not followed, instead of an error.

    Raises:
        MissingDataError: the data are missing, and the config names no stand-in.
    """
    table = config.data
    try:
        return read_photos(table.reader, table.options, config.seed, skip_bad), table.reader, None
    except MissingDataError as error:
        if table.stand_in is None:
            raise
        instead = table.stand_in
        hint = instead.hint or f"provide the data that reader {table.reader!r} looks for"
        wanted = f"the data of reader {table.reader!r}"
        why = str(error).partition(":")[0]
        stand_in = StandIn("data", wanted, f"reader {instead.reader!r}", why, hint)
        return read_photos(instead.reader, instead.options, config.seed, skip_bad), instead.reader, stand_in
