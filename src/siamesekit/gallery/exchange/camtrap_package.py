"""The description of a camera-trap data package: `datapackage.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from siamesekit._version import __version__
from siamesekit.errors import UserError
from siamesekit.files.writer_lock import user
from siamesekit.gallery.exchange.camtrap_fields import TABLES
from siamesekit.wording import near

STANDARD = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
DESIGNS = ("simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted", "opportunistic")
METHODS = ("activityDetection", "timeLapse")
FACTS = ("title", "description", "contributor", "samplingDesign", "captureMethod", "timezone")
"""Facts about a package, as `--fact` names them."""
_ZONE = re.compile(r"Z|[+-]\d\d:\d\d", re.ASCII)


@dataclass(frozen=True)
class PackageFacts:
    """Facts about a package.

    Attributes:
        title: title of the package and of its project.
        description: description of the project.
        contributor: person or organization.
        sampling: how places were chosen, one of `DESIGNS`.
        capture: how photos were taken, of `METHODS`.
        timezone: offset of dates without one; empty if it is not known.
        assumed: facts that nobody has given, as `name=text`.
    """

    title: str
    description: str
    contributor: str
    sampling: str
    capture: tuple[str, ...]
    timezone: str
    assumed: tuple[str, ...]


def package_facts(given: Mapping[str, str], title: str) -> PackageFacts:
    """The facts about a package, with assumptions for those that are not given.

    Args:
        given: facts by name, of `FACTS`.
        title: name of the source.

    Raises:
        UserError: a text is none that the standard allows.
    """
    assumed = {"contributor": user(), "samplingDesign": "opportunistic", "captureMethod": "activityDetection"}
    all_ = {"title": title, "description": "", "timezone": ""} | assumed | dict(given)
    capture = tuple(part.strip() for part in all_["captureMethod"].split(","))
    for name, text, choices in (
        ("samplingDesign", all_["samplingDesign"], DESIGNS),
        *(("captureMethod", each, METHODS) for each in capture),
    ):
        if text not in choices:
            raise UserError(f"--fact {name}={text}{near(text, choices)}; choices: {', '.join(choices)}")
    if all_["timezone"] and not _ZONE.fullmatch(all_["timezone"]):
        raise UserError(f"--fact timezone={all_['timezone']}: expected an offset from UTC, such as +02:00, or Z")
    missing = tuple(f"{name}={text}" for name, text in assumed.items() if name not in given)
    return PackageFacts(
        all_["title"], all_["description"], all_["contributor"], all_["samplingDesign"], capture, all_["timezone"],
        missing,
    )  # fmt: skip


def description(
    package: PackageFacts, deployments: Sequence[Mapping[str, str]], observations: Sequence[Mapping[str, str]]
) -> bytes:
    """The description as JSON.

    Args:
        package: facts about the package.
        deployments: rows of the table of deployments.
        observations: rows of the table of observations.
    """
    species = sorted({row["scientificName"] for row in observations if row.get("scientificName")})
    project = {
        "title": package.title,
        **({"description": package.description} if package.description else {}),
        "samplingDesign": package.sampling,
        "captureMethod": list(package.capture),
        "individualAnimals": True,
        "observationLevel": ["media"],
    }
    made: dict[str, Any] = {
        "resources": [
            {
                "name": name,
                "path": f"{name}.csv",
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "schema": f"{STANDARD}/{name}-table-schema.json",
            }
            for name in TABLES
        ],
        "profile": f"{STANDARD}/camtrap-dp-profile.json",
        "name": re.sub(r"[^a-z0-9._]+", "-", package.title.lower()).strip("-.") or "photos",
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "title": package.title,
        "contributors": [{"title": package.contributor, "role": "contributor"}],
        "sources": [{"title": "siamesekit", "version": __version__}],
        "project": project,
        "spatial": _area(deployments),
        "temporal": {
            "start": min(row["deploymentStart"] for row in deployments)[:10],
            "end": max(row["deploymentEnd"] for row in deployments)[:10],
        },
        "taxonomic": [{"scientificName": name} for name in species],
    }
    return (json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")


def _area(deployments: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Where the deployments are, as GeoJSON: a point, or the rectangle around them."""
    across = [float(row["longitude"]) for row in deployments]
    down = [float(row["latitude"]) for row in deployments]
    west, east, south, north = min(across), max(across), min(down), max(down)
    if west == east and south == north:
        return {"type": "Point", "coordinates": [west, south]}
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [corners]}
