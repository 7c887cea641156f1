"""Save an artifact: safetensors weights and a JSON description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from siamesekit._version import __version__
from siamesekit.artifact.tables import format_of
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import PLAIN, Reading
from siamesekit.engine.state_files import weights_of
from siamesekit.files.atomic import write_atomic, write_json
from siamesekit.files.untrusted import fingerprint
from siamesekit.model import Architecture, Encoder

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of a photo for the encoder.

    Attributes:
        size: side of the square image, in pixels.
        fit: how a photo is made square.
        reading: how a photo is decoded and resized.
    """

    __module__ = "siamesekit"

    size: int
    fit: Fit
    reading: Reading = PLAIN

    def described(self) -> dict[str, Any]:
        """The table `input` of a model's description, without what is usual."""
        return {"size": self.size, "fit": self.fit, **_unusual(self.reading)}


def save_model(
    folder: Path,
    encoder: Encoder,
    architecture: Architecture,
    preprocessing: Preprocessing,
    distance: Mapping[str, Any],
    operating_point: Mapping[str, Any] | None,
    notes: Mapping[str, Any],
) -> None:
    """Write the weights, then the description, which has the SHA-256 of the weights.

    Args:
        folder: folder of the artifact, `model/` in the folder of a run.
        encoder: encoder whose weights are saved.
        architecture: components of the encoder.
        preprocessing: preprocessing of photos.
        distance: name and options of the distance.
        operating_point: threshold and calibration, or None.
        notes: further entries of the description, such as stand-ins and figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / WEIGHTS, lambda path: save_file(weights_of(encoder), path))
    description = {
        "format": format_of(preprocessing.reading),
        "siamesekit": __version__,
        "encoder": {
            "name": architecture.encoder,
            "options": dict(architecture.options),
            "head": dict(architecture.head),
            "batchnorm": architecture.batchnorm,
            "pooling": architecture.pooling,
            "mean": encoder.backbone.mean.flatten().tolist(),
            "std": encoder.backbone.std.flatten().tolist(),
        },
        "input": preprocessing.described(),
        "distance": dict(distance),
        "operating_point": operating_point,
        "weights_sha256": fingerprint(folder / WEIGHTS),
        **notes,
    }
    write_json(folder / DESCRIPTION, description)


def _unusual(reading: Reading) -> dict[str, Any]:
    """The options of a reading that differ from the usual ones."""
    return {name: value for name, value in asdict(reading).items() if value != getattr(PLAIN, name)}
