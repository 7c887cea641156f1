"""Reader `camtrap-dp`: a package of three tables, joined."""

from pathlib import Path
from typing import Any

import pytest

from helpers import touched
from siamesekit.data.records import Box, Record
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS

DEPLOYMENTS = "deploymentID,locationID,locationName,latitude,longitude\nd1,l1,Oak Ridge,-34.5,18.2\nd2,l2,,-34.5,18.2\n"
MEDIA = (
    "mediaID,deploymentID,timestamp,filePath,filePublic,fileName\n"
    "m1,d1,2024-01-16T14:32:00Z,media/IMG1.JPG,true,IMG1.JPG\n"
    "m2,d2,2024-01-17T14:32:00+02:00,media/IMG2.JPG,true,IMG2.JPG\n"
    "m3,d2,2024-01-18T14:32:00Z,https://example.org/IMG3.JPG?sig=x,true,IMG3.JPG\n"
)
HEADER = (
    "observationID,deploymentID,mediaID,eventID,eventStart,observationLevel,observationType,scientificName,"
    "individualID,bboxX,bboxY,bboxWidth,bboxHeight\n"
)
OBSERVATIONS = (
    HEADER + "o1,d1,m1,e1,2024-01-16T14:32:00Z,media,animal,Panthera onca,0012,0.1,0.2,0.3,0.4\n"
    "o2,d1,m1,e1,2024-01-16T14:32:00Z,media,animal,Panthera onca,,0.5,0.2,0.3,0.4\n"
    "o3,d2,m2,e2,2024-01-17T14:32:00Z,media,animal,Panthera onca,12,,,,\n"
    "o4,d2,m3,e2,2024-01-17T14:32:00Z,media,blank,,,,,,\n"
    "o5,d1,,e1,2024-01-16T14:32:00Z,event,animal,Panthera onca,0012,,,,\n"
)


def made(root: Path, observations: str = OBSERVATIONS, media: str = MEDIA) -> dict[str, Any]:
    touched(root, "media/IMG1.JPG", "media/IMG2.JPG")
    (root / "datapackage.json").write_text("{}")
    (root / "deployments.csv").write_text(DEPLOYMENTS)
    (root / "media.csv").write_text(media)
    (root / "observations.csv").write_text(observations)
    return {"root": str(root)}


def read(options: dict[str, Any]) -> list[Record]:
    return READERS.build("camtrap-dp", options, seed=0)


def test_observations_of_animals_on_photos_are_joined_with_photo_and_deployment(tmp_path: Path) -> None:
    """Two animals on a photo, one unknown, one without a box; a blank photo on the web; an observation of an event."""
    records = read(made(tmp_path))
    assert [(record.name, record.individual, record.box) for record in records] == [
        ("media/IMG1.JPG", "0012", Box(0.1, 0.2, 0.3, 0.4, relative=True)),
        ("media/IMG1.JPG#2", "", Box(0.5, 0.2, 0.3, 0.4, relative=True)),
        ("media/IMG2.JPG", "12", None),
    ]
    first, _, third = (record.attributes for record in records)
    assert {name: first[name] for name in ("date", "encounter", "species", "site", "deploymentID", "latitude")} == {
        "date": "2024-01-16T14:32:00Z", "encounter": "e1", "species": "Panthera onca", "site": "Oak Ridge",
        "deploymentID": "d1", "latitude": "-34.5",
    }  # fmt: skip
    assert (third["site"], third["date"]) == ("", "2024-01-17T14:32:00+02:00")
    assert read(made(tmp_path) | {"site": "locationID"})[2].attributes["site"] == "l2"
    assert not {"bboxX", "filePath", "individualID"} & set(first)


def test_photos_may_lie_elsewhere_and_a_package_may_have_no_boxes(tmp_path: Path) -> None:
    lines = [",".join(line.split(",")[:9]) for line in OBSERVATIONS.splitlines() if not line.startswith("o2")]
    options = made(tmp_path / "package", "\n".join(lines), MEDIA.replace("media/IMG", "IMG"))
    photos = tmp_path / "package" / "media"
    records = read(options | {"photos": str(photos)})
    assert [(record.source, record.box) for record in records] == [(photos / f"IMG{n}.JPG", None) for n in (1, 2)]


def test_what_is_in_no_table_is_told(tmp_path: Path) -> None:
    rows = HEADER + "o1,d1,m9,,,media,animal,,a,,,,\no2,d1,m3,,,media,animal,,a,,,,\no3,d1,m4,,,media,animal,,a,,,,\n"
    media = MEDIA + "m4,d9,2024-01-18T14:32:00Z,media/IMG1.JPG,true,\n"
    with pytest.raises(DataError) as caught:
        read(made(tmp_path, rows, media))
    assert str(caught.value).splitlines() == [
        f"3 problems in {tmp_path / 'observations.csv'}",
        "  line 2: mediaID 'm9' is not in media.csv",
        "  line 3: https://example.org/IMG3.JPG?… is on the web: download it, and write its path",
        "  line 4: deploymentID 'd9' is not in deployments.csv",
    ]


def test_what_is_no_package_with_photos(tmp_path: Path) -> None:
    events = HEADER + "o5,d1,,e1,,event,animal,,0012,,,,\n"
    with pytest.raises(DataError, match="none of its 1 observations of animals names a photo"):
        read(made(tmp_path, events))
    with pytest.raises(DataError, match=r"observations\.csv: no column 'mediaID'; it is no table of Camtrap DP"):
        read(made(tmp_path, "observationID,observationType\n1,animal\n"))
    made(tmp_path)
    (tmp_path / "media.csv").unlink()
    with pytest.raises(MissingDataError, match=r"there is no file .*media\.csv"):
        read({"root": str(tmp_path)})
