"""Fill in the individuals of a team's own camera-trap data package, and change nothing else in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.records import Records
from siamesekit.data.spreadsheet_cells import shared_cell, text_of_shared_cell
from siamesekit.data.unknown_names import UNKNOWN, UnknownNames
from siamesekit.data.unusable import UnusablePhoto
from siamesekit.errors import DataError, UserError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_missing_folder
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain
from siamesekit.gallery.enrolling import fingerprints
from siamesekit.gallery.exchange.cell_places import Place, replaced, rows_of_places
from siamesekit.gallery.exchange.converting import CAMTRAP, refuse_existing
from siamesekit.gallery.exchange.observation import note_of
from siamesekit.gallery.exchange.sources import source_of
from siamesekit.gallery.season import read
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.wording import first_of, line_of_name

TABLE, ID, INDIVIDUAL = "observations.csv", "observationID", "individualID"
CONFIRMED = ("catalogue", "decisions")
"""Sources in which a person has confirmed who is who."""


@dataclass(frozen=True)
class Filled:
    """What was filled in.

    Attributes:
        filled: number of observations that have an individual now.
        there: number of observations that had the same individual already.
        open: number of observations of animals on photos that stay without an individual.
        notes: what was left as it is, in sentences.
    """

    filled: int
    there: int
    open: int
    notes: tuple[str, ...]


def check_filled(output: Path) -> None:
    """Check, before any work, that a table can be written.

    Raises:
        OutputError: it is there already, or its folder is missing.
    """
    refuse_missing_folder(output)
    refuse_existing(output)


def fill_in(
    place: Path, package: Path, output: Path, overrides: Sequence[str] = (), progress: Progress | None = None
) -> Filled:
    """Write a package's table of observations with individuals in the cells that are empty.

    Photos are known by the content of their files and by their boxes. Every other byte of the table stays.

    Args:
        place: a catalogue, or a table of decisions.
        package: folder of the package.
        output: the new table.
        overrides: options of the reader `camtrap-dp`, as `data.KEY=VALUE` strings, as they were when the photos were
            enrolled or matched.
        progress: progress display.

    Raises:
        DataError: the package cannot be read.
        UserError: the source has no individuals that a person has confirmed.
    """
    source = source_of(place)
    if source.kind not in CONFIRMED:
        raise UserError(
            f"{line_of_name(str(place))} is neither a catalogue nor a table of decisions: only individuals that a "
            "person has confirmed are filled in"
        )
    names = {Sighting(each.record, each.sha256).identity: each.record.individual for each in source.observations}
    records = read(package, CAMTRAP, overrides, skip_bad=True)
    text, cells, header = _table(package / TABLE)
    found, unreadable, unclear = _individuals(records, names, progress or Progress())
    new: dict[Place, str] = {}
    there, different = 0, []
    unknown = UnknownNames(UNKNOWN)
    for row in cells:
        own = {name: text_of_shared_cell(_cell(text, at)) for name, at in zip(header, row, strict=False)}
        name = found.get(own.get(ID, ""), "")
        if not name:
            continue
        if own[INDIVIDUAL] in unknown:
            new[row[header.index(INDIVIDUAL)]] = shared_cell(name)
        elif own[INDIVIDUAL] == name:
            there += 1
        else:
            different.append(f"{own[ID]} ({own[INDIVIDUAL]} there, {name} here)")
    notes = [
        *note_of(different, "have another individual there, which stays"),
        *note_of(unreadable, "cannot be used, and stay as they are"),
        *([f"events whose photos are of several individuals stay as they are: {first_of(unclear, 10)}"]
          if unclear else []),
    ]  # fmt: skip
    write_atomic(output, replaced(text, new).encode("utf-8"))
    left = {record.attributes.get(ID, "") for record in records if not record.individual} - set(found)
    return Filled(len(new), there, len(left), tuple(notes))


def _individuals(
    records: Records, names: Mapping[tuple[str, str], str], progress: Progress
) -> tuple[dict[str, str], list[str], list[str]]:
    """The individuals by the observations' identifiers, photos that cannot be used, and events of several animals."""
    digests = fingerprints(records, progress)
    unreadable = [each.name for each in records.left_out]
    found: dict[str, set[str]] = {}
    for record, digest in zip(records, digests, strict=True):
        if isinstance(digest, UnusablePhoto):
            unreadable.append(record.name)
        elif name := names.get(Sighting(record, digest).identity, ""):
            found.setdefault(record.attributes.get(ID, ""), set()).add(name)
    unclear = [own for own, several in found.items() if len(several) > 1]
    return {own: one for own, (one, *more) in found.items() if not more}, unreadable, unclear


def _table(file: Path) -> tuple[str, Sequence[list[Place]], list[str]]:
    """A table's text, the places of its cells, and its header.

    Raises:
        DataError: it is not UTF-8, or has no column of identifiers or of individuals.
    """
    shown = line_of_name(str(file))
    try:
        text = read_plain(file, MAX_TABLE_BYTES).decode("utf-8")
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{shown} is not UTF-8, which Camtrap DP requires; save it as CSV (UTF-8)") from None
    first, *rows = rows_of_places(text)
    header = [_cell(text, at).removeprefix("\ufeff").strip() for at in first]
    for name in (ID, INDIVIDUAL):
        if header.count(name) != 1:
            raise DataError(f"{shown} has {header.count(name)} columns {name!r}, divided by commas; expected one")
    return text, rows, header


def _cell(text: str, place: Place) -> str:
    """The text of a cell, without quotes and spaces around it."""
    cell = text[slice(*place)]
    return cell[1:-1].replace('""', '"').strip() if cell.startswith('"') else cell.strip()
