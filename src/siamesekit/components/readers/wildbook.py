"""Reader `wildbook`: sheets for a bulk import into Wildbook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.excel_tables import excel_table
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import Row, Table, csv_table, refuse
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.errors import DataError
from siamesekit.registry import READERS
from siamesekit.wording import first_of

ASSET = re.compile(r"encounter\.mediaasset\.?(\d+)", re.IGNORECASE)
"""Columns of photos."""
INDIVIDUALS = ("MarkedIndividual.individualID", "Encounter.individualID")
SIGHTINGS = ("Encounter.sightingID", "Sighting.sightingID", "Encounter.occurrenceID", "Occurrence.occurrenceID")
TAXON = ("Encounter.genus", "Encounter.specificEpithet")
DAY = ("Encounter.year", "Encounter.month", "Encounter.day")
TIME = ("Encounter.hour", "Encounter.minutes")
MILLISECONDS = "Encounter.dateInMilliseconds"
PLACE = {"latitude": "Encounter.decimalLatitude", "longitude": "Encounter.decimalLongitude"}
DEFAULTS = USUAL | {"site": "Encounter.locationID"}
SHOWN = 3
Photo = tuple[int, dict[str, str]]
"""A row of the sheet for one photo: its number, and column → cell."""


@READERS.register("wildbook")
def read_wildbook(
    file: Path,
    root: Path | None = None,
    sheet: str = "",
    group: str = "",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    split: str = "split",
    date: str = "date",
    encounter: str = "encounter",
    side: str = "side",
    species: str = "species",
    site: str = "Encounter.locationID",
    follow_links: bool = False,
) -> list[Record]:
    """A sheet for a bulk import into Wildbook (`.xlsx` or `.csv`): one record per photo of an encounter.

    The photos are in `Encounter.mediaAsset0`, `Encounter.mediaAsset1`, …; the individual is
    `MarkedIndividual.individualID` or `Encounter.individualID`. The attributes `date`, `species`, `encounter`,
    `latitude` and `longitude` are made of year, month, day, hour and minutes, of genus and epithet, of the sighting and
    of the coordinates; all other columns become attributes under their own names. Photos of one row without a sighting
    share the encounter `row-N`. A photo that shows several individuals is left out, because the sheet has no boxes.

    Args:
        file: the sheet; relative to the config's file.
        root: the folder of the photos; by default the folder of the sheet.
        sheet: name of the sheet in a workbook; empty for the first one.
        group: column of the groups, for the sampler `hierarchical`; empty for none.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        leave_out: individuals whose photos are left out altogether.
        split: column of the parts of the split; empty for none.
        date: column of the dates; empty for none.
        encounter: column of the encounters; empty for none.
        side: column of the sides or views of the animals; empty for none.
        species: column of the species; empty for none.
        site: column of the sites; empty for none.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per photo, in the order of the sheet.

    Raises:
        MissingDataError: the sheet or the folder of photos does not exist.
        DataError: openpyxl is missing, the sheet has no column of photos, rows name two individuals, or it has the
            faults that the reader `csv` names.
    """
    table = excel_table(file, sheet) if file.suffix.lower() == ".xlsx" else csv_table(file, shared=True)
    attributes = dict(zip(DEFAULTS, (split, date, encounter, side, species, site), strict=True))
    columns = Columns("photo", "individual", group, "", "", attributes, DEFAULTS)
    rules = Rules(unknown, leave_out, follow_links=follow_links)
    return records_of(_by_photo(table), columns, folder_of_photos(file, root), rules)


def _by_photo(table: Table) -> Table:
    """The sheet with one row per photo.

    Raises:
        DataError: it has no column of photos, or rows name two individuals.
    """
    assets = {name: found[1] for name in table.header if (found := ASSET.fullmatch(name))}
    if not assets:
        raise DataError(f"{table.name} has no column Encounter.mediaAsset0; it is no sheet for an import into Wildbook")
    order = sorted(assets, key=lambda name: int(assets[name]))
    rows: list[Photo] = []
    problems: list[str] = []
    without = 0
    for number, cells in table.rows:
        own = dict(zip(table.header, cells, strict=False))
        names = {own[name] for name in INDIVIDUALS if own.get(name)}
        if len(names) > 1:
            problems.append(f"{table.row_name} {number}: two individuals, {' and '.join(sorted(names))}: keep one")
        photos = list(dict.fromkeys(own[name] for name in order if own.get(name)))
        without += not photos
        facts = _facts(own, number, len(photos))
        rows += [(number, {"photo": photo, "individual": "".join(names), **facts}) for photo in photos]
    refuse(problems, table.name)
    kept, notes = _with_one_individual(rows)
    if without:
        notes.append(f"{without} encounters without photos are left out")
    header = tuple(dict.fromkeys(["photo", "individual", *(name for _, cells in kept for name in cells)]))
    return Table(table.name, header, _cells(header, kept), table.row_name, (*table.notes, *notes))


def _cells(header: Sequence[str], rows: Sequence[Photo]) -> Iterator[Row]:
    return (Row(number, [cells.get(name, "") for name in header]) for number, cells in rows)


def _facts(own: Mapping[str, str], number: int, photos: int) -> dict[str, str]:
    """The attributes of an encounter."""
    taken = {*INDIVIDUALS, *SIGHTINGS, *TAXON, *PLACE.values(), MILLISECONDS}
    date = _date(own)
    facts = {
        "date": date,
        "species": " ".join(own[name] for name in TAXON if own.get(name)),
        "encounter": next((own[name] for name in SIGHTINGS if own.get(name)), f"row-{number}" if photos > 1 else ""),
        **{name: own.get(column, "") for name, column in PLACE.items()},
    }
    if date:
        taken |= {*DAY, *TIME}
    others = {name: text for name, text in own.items() if name not in taken and not ASSET.match(name)}
    return {name: text for name, text in (others | facts).items() if name and text}


def _date(own: Mapping[str, str]) -> str:
    """The date of an encounter, with its time if that is known; empty if the day is not known."""
    day, time = ([own.get(name, "") for name in names] for names in (DAY, TIME))
    if all(day):
        text = "-".join([day[0], *(part.zfill(2) for part in day[1:])])
        return f"{text} {time[0].zfill(2)}:{(time[1] or '0').zfill(2)}" if time[0] else text
    try:
        moment = datetime.fromtimestamp(int(own.get(MILLISECONDS, "")) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _with_one_individual(rows: Sequence[Photo]) -> tuple[list[Photo], list[str]]:
    """The photos of one individual, each once, and a sentence on those of several."""
    shown: dict[str, set[str]] = {}
    for _, cells in rows:
        shown.setdefault(cells["photo"], set()).add(cells["individual"])
    kept: dict[str, Photo] = {}
    for number, cells in rows:
        if len(shown[cells["photo"]]) == 1:
            kept.setdefault(cells["photo"], (number, cells))
    several = [photo for photo, individuals in shown.items() if len(individuals) > 1]
    told = f"{len(several)} photos of several individuals are left out, because the sheet has no boxes"
    return list(kept.values()), [f"{told}: {first_of(several, SHOWN)}"] if several else []
