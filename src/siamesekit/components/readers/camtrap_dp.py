"""Reader `camtrap-dp`: camera-trap data packages of the standard Camtrap DP 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from siamesekit.components.readers.camtrap_events import Numbered, is_event, with_photos_of_events
from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import Row, Table, csv_table, refuse
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN, UnknownNames
from siamesekit.errors import DataError
from siamesekit.files.remote_address import without_secrets
from siamesekit.options import NonNegative
from siamesekit.registry import READERS
from siamesekit.wording import line_of_name

Crop = Literal["box", "whole"]
Events = Literal["read", "skip"]
BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
TAGS = "observationTags"
OWN = {"observations.csv": ("mediaID", "observationType"), "media.csv": ("mediaID", "deploymentID", "filePath"),
       "deployments.csv": ("deploymentID",)}  # fmt: skip
"""The tables of a package, with the columns that join them."""
UNTAGGED = {*BOX, *(name for names in OWN.values() for name in names), "individualID", "observationID"}
"""Columns that no tag fills."""

DEFAULTS = USUAL | {"date": "timestamp", "encounter": "eventID", "species": "scientificName", "site": "locationName"}


@READERS.register("camtrap-dp")
def read_camtrap_dp(
    root: Path,
    photos: Path | None = None,
    crop: Crop = "box",
    margin: NonNegative = 0.0,
    group: str = "",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    split: str = "split",
    date: str = "timestamp",
    encounter: str = "eventID",
    side: str = "side",
    species: str = "scientificName",
    site: str = "locationName",
    follow_links: bool = False,
    events: Events = "read",
) -> list[Record]:
    """A camera-trap data package (Camtrap DP 1.0): one record per observation of an animal on a photo.

    The folder holds `media.csv`, `observations.csv` and `deployments.csv`. Read are the observations of the type
    `animal` that name a photo (`mediaID`), and those of whole events: an event with one animal gives a record for each
    photo of its deployment from `eventStart` to `eventEnd` that no observation of its own has classified. Events of
    several animals, none of them named, are skipped. The box is `bboxX`, `bboxY`, `bboxWidth`, `bboxHeight`, in shares
    of the photo. All columns of an observation, of its photo and of its deployment become attributes. Observations
    without `individualID` are of unknown individuals, which are kept apart.

    Args:
        root: the folder of the package; relative to the config's file.
        photos: the folder that `filePath` begins at; by default the folder of the package. Addresses on the web are not
            read: download the photos, and write their paths.
        crop: whether photos are cropped to the boxes, or used whole (`whole`).
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        group: column of the groups, such as `deploymentID`, for the sampler `hierarchical`; empty for none.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        leave_out: individuals whose observations are left out altogether.
        split: column of the parts of the split; empty for none.
        date: column of the dates; empty for none.
        encounter: column of the encounters; empty for none.
        side: column of the sides or views of the animals; empty for none.
        species: column of the species; empty for none.
        site: column of the sites, or `locationID`; empty for none.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.
        events: whether observations of whole events are read for the photos of the events, or passed over (`skip`).

    Returns:
        A list of N records, one per observation of a photo, in the order of `observations.csv`.

    Raises:
        MissingDataError: a table or the folder of photos does not exist.
        DataError: a column is missing, an observation's photo or deployment is in no table, an event is of several
            animals of which one is named, or the tables have the faults that the reader `csv` names.
    """
    attributes = dict(zip(DEFAULTS, (split, date, encounter, side, species, site), strict=True))
    observations, media, deployments = (_rows_by_name(root / name, needed) for name, needed in OWN.items())
    if events == "read":
        rows, problems = with_photos_of_events(observations[1], media[1], UnknownNames(unknown))
        refuse(problems, observations[0].name)
        observations = observations[0], rows
    table = _joined(_with_tags(observations, attributes), media, deployments)
    box = BOX if crop == "box" and set(BOX) <= set(table.header) else ()
    columns = Columns("filePath", "individualID", group, box, "", attributes, DEFAULTS)
    folder = folder_of_photos(root / "media.csv", photos)
    return records_of(table, columns, folder, Rules(unknown, leave_out, True, margin, follow_links))


Rows = tuple[Table, list[Numbered]]
"""A table, and its rows: the line, and column → cell."""


def _rows_by_name(file: Path, needed: tuple[str, ...]) -> Rows:
    table = csv_table(file, shared=True)
    lacking = [name for name in needed if name not in table.header]
    if lacking:
        raise DataError(f"{file}: no column {', '.join(map(repr, lacking))}; it is no table of Camtrap DP 1.0")
    return table, [(number, dict(zip(table.header, cells, strict=False))) for number, cells in table.rows]


def _with_tags(observations: Rows, attributes: Mapping[str, str]) -> Rows:
    """The observations with the tags in columns, those of their own included where these are empty.

    A tag whose key is an attribute that another column gives, or a column that says what an observation is, is none.
    """
    table, rows = observations
    taken = {"", *UNTAGGED, *(name for name, column in attributes.items() if column != name)}
    tagged = []
    for number, cells in rows:
        tags = {key: text for key, text in _tags(cells.get(TAGS, "")).items() if key not in taken}
        tagged.append((number, {**tags, **{name: text for name, text in cells.items() if text or name not in tags}}))
    keys = dict.fromkeys(key for _, cells in tagged for key in cells)
    return replace(table, header=tuple(dict.fromkeys([*table.header, *keys]))), tagged


def _tags(text: str) -> dict[str, str]:
    """The tags of the form `key:value`."""
    tags = (tag.partition(":") for tag in text.split("|"))
    return {key.strip(): value.strip() for key, colon, value in tags if colon}


def _joined(observations: Rows, media: Rows, deployments: Rows) -> Table:
    """The observations of animals on photos, with the columns of their photos and deployments."""
    photos = {cells.get("mediaID", ""): cells for _, cells in media[1]}
    places = {cells.get("deploymentID", ""): cells for _, cells in deployments[1]}
    header = list(dict.fromkeys(name for table, _ in (observations, media, deployments) for name in table.header))
    rows: list[Row] = []
    problems: list[str] = []
    animals = [(number, own) for number, own in observations[1] if own.get("observationType") == "animal"]
    for number, own in animals:
        if is_event(own):
            continue
        name = own["mediaID"]
        photo = photos.get(name, {})
        place = places.get(photo.get("deploymentID", ""), {})
        path = photo.get("filePath", "")
        if not photo:
            problems.append(f"line {number}: mediaID {name!r} is not in media.csv")
        elif not place:
            problems.append(f"line {number}: deploymentID {photo.get('deploymentID', '')!r} is not in deployments.csv")
        elif "://" in path:
            problems.append(
                f"line {number}: {line_of_name(without_secrets(path))} is on the web: download it, and write its path"
            )
        cells = {**place, **photo, **own}
        rows.append(Row(number, [own.get(each) or photo.get(each) or cells.get(each, "") for each in header]))
    refuse(problems, observations[0].name)
    if not rows:
        raise DataError(
            f"{observations[0].name}: none of its {len(animals)} observations of animals names a photo (mediaID), or "
            "is the only one of an event with photos between eventStart and eventEnd"
        )
    return Table(observations[0].name, header, iter(rows))
