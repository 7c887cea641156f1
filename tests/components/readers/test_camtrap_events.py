"""Observations of whole events become those of the event's photos, where it is known which animal they show."""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpers import touched
from siamesekit.components.readers.camtrap_events import with_photos_of_events
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN, UnknownNames
from siamesekit.errors import DataError
from siamesekit.registry import READERS

MEDIA = ("mediaID", "deploymentID", "timestamp", "filePath", "fileMediatype")
OBSERVATIONS = ("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel",
                "observationType", "individualID", "count")  # fmt: skip
PHOTOS = (
    ("m1", "d1", "2024-01-16T10:00:00Z", "1.jpg", "image/jpeg"),
    ("m2", "d1", "2024-01-16T11:00:00+01:00", "2.jpg", "image/jpeg"),
    ("m3", "d1", "2024-01-16T10:00:20Z", "3.jpg", ""),
    ("m4", "d1", "2024-01-16T10:00:21Z", "4.jpg", "image/jpeg"),
    ("m5", "d2", "2024-01-16T10:00:10Z", "5.jpg", "image/jpeg"),
    ("m6", "d1", "2024-01-16T10:00:10Z", "6.mp4", "video/mp4"),
)


def event(name: str, individual: str, start: str = "10:00:00", end: str = "10:00:20", **more: str) -> tuple[str, ...]:
    """An observation of an event of the deployment d1."""
    cells = {
        "observationID": name, "deploymentID": "d1", "eventID": "e1", "eventStart": f"2024-01-16T{start}Z",
        "eventEnd": f"2024-01-16T{end}Z", "observationLevel": "event", "observationType": "animal",
        "individualID": individual, "count": "1", **more,
    }  # fmt: skip
    return tuple(cells.get(column, "") for column in OBSERVATIONS)


def on(photo: str, kind: str, individual: str = "") -> tuple[str, ...]:
    """An observation of a photo."""
    return event(f"on {photo}", individual, mediaID=photo, observationType=kind, observationLevel="media")


def written(file: Path, *rows: tuple[str, ...]) -> None:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)


def read(root: Path, *observations: tuple[str, ...], **options: Any) -> list[Record]:
    touched(root, *(photo[3] for photo in PHOTOS))
    written(root / "deployments.csv", ("deploymentID", "locationName"), ("d1", "Oak"), ("d2", "Elm"))
    written(root / "media.csv", MEDIA, *PHOTOS)
    written(root / "observations.csv", OBSERVATIONS, *observations)
    return READERS.build("camtrap-dp", {"root": str(root), **options}, seed=0)


def seen(records: list[Record]) -> list[tuple[str, str]]:
    return [(record.name.partition("#")[0], record.individual) for record in records]


def test_an_event_of_one_individual_gives_its_photos_this_individual(tmp_path: Path) -> None:
    """From the first to the last moment, in each time zone; no photo of a later moment or another place, no video."""
    records = read(tmp_path, event("o1", "Ann"))
    assert seen(records) == [("1.jpg", "Ann"), ("2.jpg", "Ann"), ("3.jpg", "Ann")]
    told = records[1].attributes
    assert (told["encounter"], told["date"], told["site"]) == ("e1", "2024-01-16T11:00:00+01:00", "Oak")
    assert {record.attributes["observationID"] for record in records} == {"o1"}


def test_a_photo_s_own_observations_come_before_those_of_events(tmp_path: Path) -> None:
    """Of the event's photos one has another animal, one is blank, and one is not classified yet."""
    rows = (on("m1", "animal", "Bob"), event("o1", "Ann"), on("m2", "blank"), on("m3", "unclassified"))
    assert seen(read(tmp_path, *rows)) == [("1.jpg", "Bob"), ("3.jpg", "Ann")]


def test_events_are_passed_over_on_demand(tmp_path: Path) -> None:
    rows = (on("m1", "animal", "Bob"), event("o1", "Ann"), event("o2", "Cy"))
    assert seen(read(tmp_path, *rows, events="skip")) == [("1.jpg", "Bob")]
    with pytest.raises(DataError, match="none of its 1 observations of animals names a photo"):
        read(tmp_path, event("o1", "Ann"), events="skip")


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ((event("o1", "Ann"), event("o2", "Bob", "10:00:20", "10:00:20")), "lines 2, 3: several animals"),
        ((event("o1", "Ann"), event("o2", "")), "lines 2, 3: several animals"),
        ((on("m5", "animal"), event("o1", "Ann", count="2")), "line 3: several animals"),
    ],
)
def test_a_named_animal_among_several_is_refused(tmp_path: Path, rows: tuple[tuple[str, ...]], where: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, *rows)
    message = str(caught.value)
    assert where in message and "m3" in message and "events = 'skip'" in message


def test_several_observations_of_one_individual_are_one_record_a_photo(tmp_path: Path) -> None:
    rows = (event("o1", "Ann"), event("o2", "Ann", "10:00:20", "10:00:30"), event("o3", "", observationType="blank"))
    records = read(tmp_path, *rows)
    assert seen(records) == [("1.jpg", "Ann"), ("2.jpg", "Ann"), ("3.jpg", "Ann"), ("4.jpg", "Ann")]
    assert [record.attributes["observationID"] for record in records] == ["o1", "o1", "o1", "o2"]


def test_an_unknown_animal_is_read_if_it_is_alone(tmp_path: Path) -> None:
    """A herd that nobody has named has no photos of one animal."""
    lone = event("o1", "", "10:00:21", "10:00:21", count="")
    herd, pair = event("o2", "", "10:00:00", "10:00:00", count="9"), event("o3", "", "10:00:20", "10:00:20")
    assert seen(read(tmp_path, herd, pair, pair, lone)) == [("4.jpg", "")]


@pytest.mark.parametrize("start", ["", "yesterday", "10:00:30"])
def test_an_event_without_photos_gives_none(tmp_path: Path, start: str) -> None:
    moment = f"2024-01-16T{start}Z" if ":" in start else start
    rows = (on("m5", "animal", "Zoe"), event("o1", "Ann", eventStart=moment))
    assert seen(read(tmp_path, *rows)) == [("5.jpg", "Zoe")]


@pytest.mark.parametrize("seed", range(30))
def test_the_photos_of_events_are_those_of_a_plain_loop(seed: int) -> None:
    """Each photo is compared with each event."""
    draw = random.Random(seed)
    began = datetime(2024, 1, 16, tzinfo=UTC)

    def moment(second: int) -> str:
        return (began + timedelta(seconds=second)).isoformat()

    taken = [(f"m{n}", draw.choice("AB"), draw.randrange(20)) for n in range(12)]
    media = [(n, {"mediaID": name, "deploymentID": place, "timestamp": moment(second)})
             for n, (name, place, second) in enumerate(taken)]  # fmt: skip
    held = [(draw.choice("AB"), start := draw.randrange(20), start + draw.randrange(5),
             draw.choice(["", "NA", "Ann", "Bob"]), draw.choice(["", "1", "1", "2"])) for _ in range(4)]  # fmt: skip
    events = [
        (n, {"observationType": "animal", "mediaID": "", "deploymentID": place, "eventStart": moment(start),
             "eventEnd": moment(end), "individualID": name, "count": count})
        for n, (place, start, end, name, count) in enumerate(held)
    ]  # fmt: skip
    of_its_own = (9, {"observationType": "human", "mediaID": draw.choice(taken)[0]})
    wanted, unclear = set(), set()
    for photo, place, second in taken:
        if photo == of_its_own[1]["mediaID"]:
            continue
        rows = [n for n, (at, start, end, *_) in enumerate(held) if at == place and start <= second <= end]
        names = [held[n][3].replace("NA", "") for n in rows]
        alone = len(rows) == 1 or (len(set(names)) == 1 and names[0])
        if rows and alone and all(held[n][4] != "2" for n in rows):
            wanted.add((rows[0], photo))
        elif any(names):
            unclear.add(tuple(rows))
    found, problems = with_photos_of_events([*events, of_its_own], media, UnknownNames(UNKNOWN))
    assert {(n, own["mediaID"]) for n, own in found if n != 9 and own["mediaID"]} == wanted
    assert found[-1] == of_its_own and len(problems) == len(unclear)
    assert {n for n, _ in found} == {*range(4), 9}
