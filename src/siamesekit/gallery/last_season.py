"""Which photos were matched last with a catalogue, so that a review can go on with those that are not decided."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.untrusted_json import read_json
from siamesekit.wording import line_of_name

LAST_SEASON = "last_season.json"
"""File in a catalogue's folder."""


@dataclass(frozen=True)
class LastSeason:
    """What a match was given.

    Attributes:
        photos: absolute path of the photo, folder or table.
        reader: name of the reader; None if it follows from the kind of file.
        options: options of the reader, as `data.KEY=VALUE` strings.
        encounter: column whose value photos of one individual share; None without one.
    """

    photos: str
    reader: str | None = None
    options: tuple[str, ...] = ()
    encounter: str | None = None


def remember(catalogue: Path, season: LastSeason) -> str | None:
    """Write a season into a catalogue's folder.

    Returns:
        Why it cannot be written, if the folder is read-only or its disk full: what was matched is whole all the same.
    """
    try:
        write_atomic(catalogue / LAST_SEASON, json.dumps(asdict(season), indent=1).encode())
    except (OSError, OutputError) as error:
        return f"the photos cannot be remembered for a later review: {error}"
    return None


def recall(catalogue: Path) -> LastSeason | None:
    """The season that was matched last with a catalogue; None if there was none.

    Raises:
        ArtifactError: the file is damaged.
    """
    file = catalogue / LAST_SEASON
    if not file.exists():
        return None
    told = read_json(file, inside=catalogue)
    match told:
        case {"photos": str(photos), "reader": None | str(), "options": [*options], "encounter": None | str()} if len(
            told
        ) == 4 and all(isinstance(each, str) for each in options):
            return LastSeason(photos, told["reader"], tuple(options), told["encounter"])
    raise ArtifactError(f"{line_of_name(str(file))} is damaged: remove it, and name the photos to review")
