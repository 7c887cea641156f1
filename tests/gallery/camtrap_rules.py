"""What the published table schemas of Camtrap DP 1.0.2 demand, written down anew, as an oracle."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime
from pathlib import Path

ORDER = {
    "deployments": "deploymentID* locationID locationName latitude* longitude* coordinateUncertainty deploymentStart* "
    "deploymentEnd* setupBy cameraID cameraModel cameraDelay cameraHeight cameraDepth cameraTilt cameraHeading "
    "detectionDistance timestampIssues baitUse featureType habitat deploymentGroups deploymentTags deploymentComments",
    "media": "mediaID* deploymentID* captureMethod timestamp* filePath* filePublic* fileName fileMediatype* exifData "
    "favorite mediaComments",
    "observations": "observationID* deploymentID* mediaID eventID eventStart* eventEnd* observationLevel* "
    "observationType* cameraSetupType scientificName count lifeStage sex behavior individualID "
    "individualPositionRadius individualPositionAngle individualSpeed bboxX bboxY bboxWidth bboxHeight "
    "classificationMethod classifiedBy classificationTimestamp classificationProbability observationTags "
    "observationComments",
}
"""Table → its fields in their order; a star marks a required one."""
KEYS = {"deployments": "deploymentID", "media": "mediaID", "observations": "observationID"}
BETWEEN = {
    "latitude": (-90, 90), "longitude": (-180, 180), "bboxX": (0, 1), "bboxY": (0, 1), "bboxWidth": (1e-15, 1),
    "bboxHeight": (1e-15, 1), "classificationProbability": (0, 1), "count": (1, 10**9), "cameraTilt": (-90, 90),
    "cameraHeading": (0, 360), "cameraHeight": (0, 10**9), "coordinateUncertainty": (1, 10**9),
}  # fmt: skip
ONE_OF = {
    "observationLevel": {"media", "event"}, "lifeStage": {"adult", "subadult", "juvenile"}, "sex": {"female", "male"},
    "observationType": {"animal", "human", "vehicle", "blank", "unknown", "unclassified"},
    "classificationMethod": {"human", "machine"}, "captureMethod": {"activityDetection", "timeLapse"},
    "filePublic": {"true", "false"}, "timestampIssues": {"true", "false"}, "baitUse": {"true", "false"},
}  # fmt: skip
MOMENTS = {
    "timestamp", "deploymentStart", "deploymentEnd", "eventStart", "eventEnd", "classificationTimestamp",
}  # fmt: skip


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def faults(package: Path) -> list[str]:
    """What is wrong with a package, by the published rules; an empty list for a valid one."""
    found = []
    tables = {name: table(package / f"{name}.csv") for name in ORDER}
    for name, rows in tables.items():
        fields = [field.rstrip("*") for field in ORDER[name].split()]
        if list(rows[0]) != fields:
            found.append(f"{name}: header {list(rows[0])}")
        keys = [row[KEYS[name]] for row in rows]
        if len(set(keys)) != len(keys):
            found.append(f"{name}: keys occur twice")
        for row in rows:
            found += [f"{name}: no {field[:-1]}" for field in ORDER[name].split() if field[-1] == "*"
                      and not row[field[:-1]]]  # fmt: skip
            found += [f"{name}.{field}: {text!r}" for field, text in row.items() if text and not valid(field, text)]
    places, media = ({row[KEYS[name]] for row in tables[name]} for name in ("deployments", "media"))
    found += ["media of no deployment" for row in tables["media"] if row["deploymentID"] not in places]
    for row in tables["observations"]:
        found += ["observation of no deployment"] if row["deploymentID"] not in places else []
        found += ["observation of no medium"] if row["mediaID"] and row["mediaID"] not in media else []
    return found + described_wrongly(package)


def valid(field: str, text: str) -> bool:
    if field in BETWEEN:
        return BETWEEN[field][0] <= float(text) <= BETWEEN[field][1]
    if field in ONE_OF:
        return text in ONE_OF[field]
    if field in MOMENTS:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
        return re.search(r"(Z|[+-]\d\d:\d\d)$", text) is not None
    if field == "filePath":
        return re.search(r"^(?=^[^./~])(^((?!\.{2}).)*$).*$", text) is not None
    if field == "fileMediatype":
        return re.search(r"^(image|video|audio)/.*$", text) is not None
    return True


def described_wrongly(package: Path) -> list[str]:
    """Faults of `datapackage.json`: the properties that the profile requires, and its choices."""
    told = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    required = {
        "resources", "profile", "created", "contributors", "project", "spatial", "temporal", "taxonomic",
    }  # fmt: skip
    found = [f"no {name}" for name in required - set(told)]
    root = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2/"
    for name, resource in zip(ORDER, told["resources"], strict=True):
        expected = (name, f"{name}.csv", "tabular-data-resource", f"{root}{name}-table-schema.json")
        if tuple(resource[key] for key in ("name", "path", "profile", "schema")) != expected:
            found.append(f"resource {resource}")
    project = told["project"]
    if not {"title", "samplingDesign", "captureMethod", "individualAnimals", "observationLevel"} <= set(project):
        found.append("project")
    if project["samplingDesign"] not in {
        "simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted", "opportunistic",
    }:  # fmt: skip
        found.append("samplingDesign")
    if told["profile"] != f"{root}camtrap-dp-profile.json" or told["spatial"]["type"] not in ("Point", "Polygon"):
        found.append("profile or spatial")
    if not re.fullmatch(r"[-a-z0-9._/]+", told["name"]) or not all(each["title"] for each in told["contributors"]):
        found.append("name or contributors")
    [*map(datetime.fromisoformat, told["temporal"].values())]
    return found
