"""Fields of the three tables of Camtrap DP 1.0.2, and which texts each may hold."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["text", "number", "whole", "truth", "moment", "path", "media-type"]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)", re.ASCII)
"""A date and time with its offset from UTC, as the standard writes it."""
_PATH = re.compile(r"(?=[^./~])(?!.*\.\.).+", re.DOTALL)
"""A relative path that leads nowhere else, or an address on the web."""
_MEDIA_TYPE = re.compile(r"(image|video|audio)/.*")
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Field:
    """A field of a table.

    Attributes:
        name: its name.
        kind: what its texts are.
        low: smallest number.
        high: largest number.
        choices: the only texts, if there are such.
        required: whether each row needs it.
    """

    name: str
    kind: Kind = "text"
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    required: bool = False

    def fits(self, text: str) -> bool:
        """Whether the field may hold a text that is not empty."""
        if self.choices:
            return text in self.choices
        if self.kind in ("number", "whole"):
            form = _NUMBER if self.kind == "number" else _WHOLE
            return form.fullmatch(text) is not None and self.low <= float(text) <= self.high
        if self.kind == "moment":
            return MOMENT.fullmatch(text) is not None and _is_moment(text)
        if self.kind == "path":
            return _PATH.fullmatch(text) is not None
        if self.kind == "media-type":
            return _MEDIA_TYPE.fullmatch(text) is not None
        return self.kind == "text" or text in ("true", "false")


def _is_moment(text: str) -> bool:
    """Whether a moment of the right form exists."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(map(Field, names))


DEPLOYMENTS = (
    Field("deploymentID", required=True),
    *_texts("locationID", "locationName"),
    Field("latitude", "number", -90, 90, required=True),
    Field("longitude", "number", -180, 180, required=True),
    Field("coordinateUncertainty", "whole", 1),
    Field("deploymentStart", "moment", required=True),
    Field("deploymentEnd", "moment", required=True),
    *_texts("setupBy", "cameraID", "cameraModel"),
    Field("cameraDelay", "whole", 0),
    Field("cameraHeight", "number", 0),
    Field("cameraDepth", "number", 0),
    Field("cameraTilt", "whole", -90, 90),
    Field("cameraHeading", "whole", 0, 360),
    Field("detectionDistance", "number", 0),
    Field("timestampIssues", "truth"),
    Field("baitUse", "truth"),
    Field(
        "featureType",
        choices=(
            "roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge",
            "culvert", "burrow", "nestSite", "carcass", "waterSource", "fruitingTree",
        ),
    ),
    *_texts("habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
)  # fmt: skip
MEDIA = (
    Field("mediaID", required=True),
    Field("deploymentID", required=True),
    Field("captureMethod", choices=("activityDetection", "timeLapse")),
    Field("timestamp", "moment", required=True),
    Field("filePath", "path", required=True),
    Field("filePublic", "truth", required=True),
    Field("fileName"),
    Field("fileMediatype", "media-type", required=True),
    Field("exifData"),
    Field("favorite", "truth"),
    Field("mediaComments"),
)
OBSERVATIONS = (
    Field("observationID", required=True),
    Field("deploymentID", required=True),
    *_texts("mediaID", "eventID"),
    Field("eventStart", "moment", required=True),
    Field("eventEnd", "moment", required=True),
    Field("observationLevel", choices=("media", "event"), required=True),
    Field(
        "observationType",
        choices=("animal", "human", "vehicle", "blank", "unknown", "unclassified"),
        required=True,
    ),
    Field("cameraSetupType", choices=("setup", "calibration")),
    Field("scientificName"),
    Field("count", "whole", 1),
    Field("lifeStage", choices=("adult", "subadult", "juvenile")),
    Field("sex", choices=("female", "male")),
    *_texts("behavior", "individualID"),
    Field("individualPositionRadius", "number", 0),
    Field("individualPositionAngle", "number", -90, 90),
    Field("individualSpeed", "number", 0),
    Field("bboxX", "number", 0, 1),
    Field("bboxY", "number", 0, 1),
    Field("bboxWidth", "number", 1e-15, 1),
    Field("bboxHeight", "number", 1e-15, 1),
    Field("classificationMethod", choices=("human", "machine")),
    Field("classifiedBy"),
    Field("classificationTimestamp", "moment"),
    Field("classificationProbability", "number", 0, 1),
    *_texts("observationTags", "observationComments"),
)
TABLES = {"deployments": DEPLOYMENTS, "media": MEDIA, "observations": OBSERVATIONS}
"""Name of a table → its fields, in their order."""
CALLED = {"locationName": "site", "timestamp": "date", "eventID": "encounter", "scientificName": "species"}
"""Field → the attribute as which the reader `camtrap-dp` gives it."""
