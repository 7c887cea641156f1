"""The content of a run's split.json: the individuals and photos of each part of the split."""

from __future__ import annotations

from typing import Any

from siamesekit.config import Config
from siamesekit.experiment.dataset import Dataset

FORMAT = "siamesekit split 1"


def split_of(config: Config, data: Dataset) -> dict[str, Any]:
    """The content of split.json: individuals and photos of each part, and the photos that were left out."""
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
