"""The content of a run's split.json: the options of the split, and the individuals and photos of each part."""

from __future__ import annotations

from typing import Any

from siamesekit.config import Config
from siamesekit.experiment.dataset import Dataset

FORMAT = "siamesekit split 1"


def split_of(config: Config, data: Dataset) -> dict[str, Any]:
    """The content of split.json: the options, the individuals and photos of each part, and photos in no part."""
    parts: dict[str, dict[str, list[str]]] = {}
    for part, photos in data.split.parts().items():
        parts[part] = {}
        for photo in photos:
            record = data.records[photo]
            parts[part].setdefault(record.individual, []).append(record.name)
    return {
        "format": FORMAT,
        "by": config.split.by,
        "options": config.split.model_dump(mode="json", exclude={"by"}),
        "parts": {part: dict(sorted(individuals.items())) for part, individuals in parts.items()},
        "left_out": [
            {"photo": finding.name, "reason": finding.reason}
            for finding in (*data.left_out, *data.singletons, *data.unmatched)
        ],
        "unknown": list(data.unknown),
    }
