"""Observations of whole events in a camera-trap data package, as observations of the event's photos."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime

from siamesekit.data.dates import moment_of
from siamesekit.data.unknown_names import UnknownNames
from siamesekit.wording import first_of

Numbered = tuple[int, dict[str, str]]
"""A row of a table: its line, and column → cell."""
NOT_CLASSIFIED = ("", "unclassified")


def with_photos_of_events(
    observations: Sequence[Numbered], media: Sequence[Numbered], unknown: UnknownNames
) -> tuple[list[Numbered], list[str]]:
    """The observations, those of events with one animal repeated for each photo of the event.

    The photos of an event are those of its deployment from `eventStart` to `eventEnd` that no observation with a
    `mediaID` has classified. A photo gets an animal if all events that it lies in have this animal alone. If they have
    several, none of them named, it gets none; if one is named, that is a problem.

    Args:
        observations: rows of `observations.csv`.
        media: rows of `media.csv`.
        unknown: texts that stand for an unknown individual.

    Returns:
        Rows of `observations.csv`, in their order, each with the photo of an event in `mediaID`; and the problems.
    """
    events = [(number, own) for number, own in observations if is_event(own) and own.get("observationType") == "animal"]
    of_photo: dict[str, list[Numbered]] = {}
    if events:
        photos = _photos_by_deployment(observations, media)
        for event in events:
            for photo in _photos_of(event[1], photos):
                of_photo.setdefault(photo, []).append(event)
    photos_of: dict[int, list[str]] = {}
    unclear: dict[tuple[int, ...], list[str]] = {}
    for photo, rows in of_photo.items():
        names = {"" if (name := own.get("individualID", "")) in unknown else name for _, own in rows}
        if len(names) == 1 and not any(_several(own) for _, own in rows) and (len(rows) == 1 or names != {""}):
            photos_of.setdefault(rows[0][0], []).append(photo)
        elif names != {""}:
            unclear.setdefault(tuple(number for number, _ in rows), []).append(photo)
    expanded = [
        (number, own | {"mediaID": photo} if is_event(own) else own)
        for number, own in observations
        for photo in (photos_of.get(number, [""]) if is_event(own) else [""])
    ]
    return expanded, [_told(lines, names) for lines, names in unclear.items()]


def is_event(own: dict[str, str]) -> bool:
    """Whether an observation is of an event, and names no photo."""
    return not own.get("mediaID", "")


def _photos_by_deployment(
    observations: Sequence[Numbered], media: Sequence[Numbered]
) -> dict[str, list[tuple[datetime, str]]]:
    """The photos that no observation of their own has classified, by deployment, in the order of time."""
    classified = {
        own.get("mediaID", "") for _, own in observations if own.get("observationType", "") not in NOT_CLASSIFIED
    }
    photos: dict[str, list[tuple[datetime, str]]] = {}
    for _, photo in media:
        moment = moment_of(photo.get("timestamp", ""))
        is_photo = photo.get("fileMediatype", "").partition("/")[0] in ("", "image")
        name = photo.get("mediaID", "")
        if moment is not None and is_photo and name and name not in classified:
            photos.setdefault(photo.get("deploymentID", ""), []).append((moment, name))
    for group in photos.values():
        group.sort()
    return photos


def _photos_of(own: dict[str, str], photos: dict[str, list[tuple[datetime, str]]]) -> list[str]:
    """The photos from the beginning to the end of an event."""
    start, end = (moment_of(own.get(name, "")) for name in ("eventStart", "eventEnd"))
    group = photos.get(own.get("deploymentID", ""), [])
    if start is None or end is None:
        return []
    first = bisect_left(group, start, key=lambda photo: photo[0])
    return [name for _, name in group[first : bisect_right(group, end, key=lambda photo: photo[0])]]


def _several(own: dict[str, str]) -> bool:
    """Whether an observation is of several animals."""
    return own.get("count", "") not in ("", "1")


def _told(lines: tuple[int, ...], photos: list[str]) -> str:
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {', '.join(map(str, lines))}"
    return (
        f"{where}: several animals in one event, so that nobody knows which of them is on {first_of(photos, 3)}: give "
        "observations with a mediaID, or pass over events by events = 'skip'"
    )
