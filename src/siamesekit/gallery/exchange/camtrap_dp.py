"""Observations as the three tables and the description of a camera-trap data package (Camtrap DP 1.0.2)."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from siamesekit.data.dates import moment_of
from siamesekit.errors import DataError
from siamesekit.gallery.exchange.box_units import BoxUnits
from siamesekit.gallery.exchange.camtrap_fields import CALLED, DEPLOYMENTS, MEDIA, TABLES
from siamesekit.gallery.exchange.camtrap_package import PackageFacts, description
from siamesekit.gallery.exchange.moments import has_offset, has_time, with_offset
from siamesekit.gallery.exchange.observation import Observation, note_of
from siamesekit.gallery.exchange.observation_tags import tags_of
from siamesekit.gallery.exchange.written_tables import Written, csv_of, note_of_apostrophes, path_below, unique
from siamesekit.gallery.table_lines import refuse
from siamesekit.wording import first_of, line_of_name

OWN = {
    "filePath", "individualID", "bboxX", "bboxY", "bboxWidth", "bboxHeight", "observationLevel", "observationType",
    "observationTags",
}  # fmt: skip
"""Fields that the observation itself gives, whatever attributes of these names say."""
PLACED = tuple(each.name for each in DEPLOYMENTS)
"""Fields of a deployment."""
NEEDED = ("timestamp", "latitude", "longitude")
"""Fields that the standard requires and nothing here can give."""
ASSUMED_ZONE = "Z"
ONE_PLACE = "deployment"
"""Identifier of a deployment of photos without a site."""


@dataclass
class Row:
    """An observation on its way into the tables.

    Attributes:
        observation: the observation.
        values: texts of fields, by name.
        rest: attributes that no field can hold.
        issues: whether the time of the photo, or its offset from UTC, is not known.
    """

    observation: Observation
    values: dict[str, str]
    rest: dict[str, str]
    issues: bool


@dataclass
class Told:
    """What the format could not hold: texts that do not fit, by field, and attributes that are lost, by name."""

    odd: dict[str, list[str]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def camtrap_dp(
    observations: Sequence[Observation], base: Path, package: PackageFacts, skip_bad: bool = False
) -> Written:
    """The files of a package.

    Args:
        observations: the observations.
        base: folder below which all photos are; `filePath` begins there.
        package: facts about the package.
        skip_bad: whether to leave out photos without a date or coordinates, instead of an error.

    Raises:
        DataError: photos lack what the standard requires, or contradict each other; it shows the first ones.
    """
    told, boxes = Told(), BoxUnits()
    rows = [_row(each, package.timezone, told) for each in observations]
    lacking = [row for row in rows if not set(NEEDED) <= set(row.values)]
    rows = [row for row in rows if set(NEEDED) <= set(row.values)]
    notes = _missing(lacking, skip_bad)
    if not rows:
        raise DataError("no photo has a date, latitude and longitude, which Camtrap DP requires", notes)
    _place(rows, base)
    _name(rows)
    _mark_events(rows)
    for row in rows:
        _complete(row, boxes, told)
    deployments = _deployments(rows)
    media = {row.values["mediaID"]: row.values for row in rows}
    contents = {"deployments": deployments, "media": list(media.values()), "observations": [row.values for row in rows]}
    escaped: list[str] = []
    files: dict[str, bytes] = {}
    for name, table in contents.items():
        files[f"{name}.csv"], texts = csv_of([each.name for each in TABLES[name]], table)
        escaped += texts
    files["datapackage.json"] = description(package, deployments, [row.values for row in rows])
    notes += [*boxes.notes("shares of the photo"), *_notes(rows, told, package), *note_of_apostrophes(escaped)]
    return Written(files, tuple(notes))


def _row(observation: Observation, timezone: str, told: Told) -> Row:
    """The fields that attributes fill, and the attributes that are left."""
    rest = {name: text for name, text in observation.record.attributes.items() if text}
    date = observation.attribute("timestamp") or observation.attribute("date")
    values: dict[str, str] = {}
    for each in (each for table in TABLES.values() for each in table):
        if each.name in OWN:
            if each.name != "observationTags":
                rest.pop(each.name, None)
            continue
        attribute = each.name if each.name in rest else CALLED.get(each.name, each.name)
        text = rest.get(attribute, "")
        if each.kind == "moment":
            text = with_offset(text, timezone or ASSUMED_ZONE) or text
        if text and each.fits(text):
            values[each.name] = text
        elif text:
            told.odd.setdefault(each.name, []).append(text)
    for name in values:
        rest.pop(name if name in rest else CALLED.get(name, name), None)
    unsure = not has_time(date) or not (has_offset(date) or timezone)
    return Row(observation, values, rest, unsure)


def _missing(lacking: Sequence[Row], skip_bad: bool) -> list[str]:
    """Sentences on photos that lack what is required.

    Raises:
        DataError: there are some, and they are not to be left out.
    """
    notes = []
    for name in NEEDED:
        notes += note_of([row.observation.record.name for row in lacking if name not in row.values], f"have no {name}")
    if notes and not skip_bad:
        hints = "; ".join(f"--fact {name}=…" for name in NEEDED)
        raise DataError(
            f"Camtrap DP requires what {len(lacking)} photos lack: add it to the photos' table, give it for all of "
            f"them ({hints}), or leave these photos out with --skip-bad",
            notes,
        )
    return [f"left out: {note}" for note in notes]


def _place(rows: Sequence[Row], base: Path) -> None:
    """Write where each photo is.

    Raises:
        DataError: a path is one that the standard forbids.
    """
    path = next(each for each in MEDIA if each.name == "filePath")
    problems = []
    for row in rows:
        below = path_below(row.observation.file, base)
        if below is None or not path.fits(below):
            problems.append(line_of_name(str(row.observation.file)))
        else:
            row.values["filePath"] = below
    refuse(
        problems,
        f"{len(problems)} photos have paths that Camtrap DP forbids: a path must be below {line_of_name(str(base))}, "
        "must not begin with . or ~, and must not have two dots in a row; rename the files:",
    )


def _name(rows: Sequence[Row]) -> None:
    """Give identifiers to deployments, media and observations: their own where these tell them apart."""
    places: dict[tuple[str, ...], list[Row]] = {}
    first: dict[str, Row] = {}
    for row in rows:
        placed = first.setdefault(row.values["filePath"], row)  # a photo has one deployment
        of_photo = {name: placed.values[name] for name in PLACED if name in placed.values}
        row.values = {name: text for name, text in row.values.items() if name not in PLACED} | of_photo
        key = tuple(row.values.get(name, "") for name in PLACED)
        places.setdefault(key, []).append(row)
    own = [key[0] for key in places]
    refuse(
        [f"{name}: {own.count(name)} of them" for name in dict.fromkeys(own) if name and own.count(name) > 1],
        "deployments have several places or cameras under one deploymentID; give each its own:",
    )
    sites = [group[0].values.get("locationName", "") or ONE_PLACE for group in places.values()]
    for name, group in zip(unique(own, sites), places.values(), strict=True):
        for row in group:
            row.values["deploymentID"] = name
    paths = list(first)
    media = dict(zip(paths, unique([first[path].values.get("mediaID", "") for path in paths], paths), strict=True))
    for row in rows:
        row.values["mediaID"] = media[row.values["filePath"]]
    names = unique([row.values.get("observationID", "") for row in rows], [row.values["mediaID"] for row in rows])
    for row, name in zip(rows, names, strict=True):
        row.values["observationID"] = name


def _mark_events(rows: Sequence[Row]) -> None:
    """Give each photo the beginning and the end of its event: of all photos of the event, unless they are known."""
    events: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        event = row.values.get("eventID", "") or row.values["mediaID"]
        events.setdefault((row.values["deploymentID"], event), []).append(row)
    for group in events.values():
        times = [row.values["timestamp"] for row in group]
        start, end = min(times, key=_order), max(times, key=_order)
        for row in group:
            row.values.setdefault("eventStart", start)
            row.values.setdefault("eventEnd", end)


def _complete(row: Row, boxes: BoxUnits, told: Told) -> None:
    """Write what the observation itself gives."""
    each, values = row.observation, row.values
    values |= {"observationLevel": "media", "observationType": "animal", "individualID": each.record.individual}
    values.setdefault("count", "1")
    values.setdefault("fileName", each.file.name)
    values.setdefault("filePublic", "false")
    suffix = each.file.suffix.lower().removeprefix(".")
    values.setdefault("fileMediatype", mimetypes.guess_type(f"a.{suffix}")[0] or f"image/{suffix or 'jpeg'}")
    sides = boxes.shares(each)
    if sides is not None:
        values |= dict(zip(("bboxX", "bboxY", "bboxWidth", "bboxHeight"), map(repr, map(float, sides)), strict=True))
    if each.method:
        for name in ("classifiedBy", "classificationTimestamp", "classificationProbability"):
            values.pop(name, None)
        values["classificationMethod"] = each.method
        values |= {"classifiedBy": each.by, "classificationTimestamp": each.at}
        if each.probability is not None:
            values["classificationProbability"] = repr(each.probability)
    before = row.rest.pop("observationTags", "")
    values["observationTags"], lost = tags_of(before, row.rest)
    told.lost += lost


def _deployments(rows: Sequence[Row]) -> list[dict[str, str]]:
    """One row per deployment, from its first photo to its last, unless its times are known."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.values["deploymentID"], []).append(row)
    table = []
    for group in groups.values():
        values = {name: group[0].values[name] for name in PLACED if name in group[0].values}
        times = [row.values["timestamp"] for row in group]
        values.setdefault("deploymentStart", min(times, key=_order))
        values.setdefault("deploymentEnd", max(times, key=_order))
        if any(row.issues for row in group):
            values["timestampIssues"] = "true"
        table.append(values)
    return table


def _order(moment: str) -> str:
    """By what moments are ordered, whatever their offsets."""
    return str(moment_of(moment))


def _notes(rows: Sequence[Row], told: Told, package: PackageFacts) -> list[str]:
    """What was assumed, and what the format could not hold."""
    issues = [row.observation.record.name for row in rows if row.issues]
    zone = package.timezone or "UTC, with --fact timezone=+02:00 for another"
    return [
        *note_of(issues, f"have dates without a time or time zone: midnight, in {zone}; their deployments are marked "
                         "with timestampIssues"),
        *(f"{len(texts)} texts do not fit the field {name}, and are tags: {first_of(list(dict.fromkeys(texts)), 3)}"
          for name, texts in told.odd.items()),
        *([f"attributes that cannot be tags, because of a | or a line break, are left out: "
           f"{first_of(sorted(set(told.lost)), 10)}"] if told.lost else []),
        *([f"assumed, so correct them in datapackage.json or with --fact: {', '.join(package.assumed)}"]
          if package.assumed else []),
    ]  # fmt: skip
