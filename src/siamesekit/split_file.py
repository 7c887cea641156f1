"""Who trained, validated and tested: the content of a run's split.json."""

from __future__ import annotations

from typing import Any

from siamesekit.config import Config
from siamesekit.preparation import Data

FORMAT = "siamesekit split 1"


def split_of(config: Config, data: Data) -> dict[str, Any]:
    """The content of split.json: the individuals of each part with their photos, and the photos that were left out."""
    parts: dict[str, dict[str, list[str]]] = {}
    for part, photos in data.split.parts().items():
        parts[part] = {}
        for photo in photos:
            record = data.records[photo]
            parts[part].setdefault(record.individual, []).append(record.name)
    return {
        "format": FORMAT,
        "by": config.split.by,
        "parts": {part: dict(sorted(individuals.items())) for part, individuals in parts.items()},
        "left_out": [
            {"photo": finding.name, "reason": finding.reason} for finding in (*data.left_out, *data.singletons)
        ],
    }
