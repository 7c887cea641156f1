"""siamesekit: metric learning by composition.

Encoders, distances, losses, samplers, miners, readers, augmentations and optimizers are plain callables in registries;
a run is a composition of them in a TOML file. The public names below are loaded when they are first used, so importing
the package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker sees; `_PUBLIC` is what runs, and a test holds them equal
    from siamesekit.artifact import Comparison as Comparison
    from siamesekit.artifact import SimilarityModel as SimilarityModel
    from siamesekit.artifact import load as load
    from siamesekit.config import Config as Config
    from siamesekit.config import load_config as load_config
    from siamesekit.data.records import Record as Record
    from siamesekit.distances.distance import Distance as Distance
    from siamesekit.encoders.backbone import Backbone as Backbone
    from siamesekit.errors import SiamesekitError as SiamesekitError
    from siamesekit.experiment import RunResult as RunResult
    from siamesekit.experiment import check as check
    from siamesekit.experiment import run as run
    from siamesekit.losses.loss import LossValue as LossValue
    from siamesekit.model import DistanceLayer as DistanceLayer
    from siamesekit.model import Encoder as Encoder
    from siamesekit.model import SiameseNetwork as SiameseNetwork
    from siamesekit.planning import Plan as Plan
    from siamesekit.progress import Progress as Progress
    from siamesekit.registry import AUGMENTATIONS as AUGMENTATIONS
    from siamesekit.registry import DISTANCES as DISTANCES
    from siamesekit.registry import ENCODERS as ENCODERS
    from siamesekit.registry import LOSSES as LOSSES
    from siamesekit.registry import MINERS as MINERS
    from siamesekit.registry import OPTIMIZERS as OPTIMIZERS
    from siamesekit.registry import READERS as READERS
    from siamesekit.registry import REDUCERS as REDUCERS
    from siamesekit.registry import REGULARIZERS as REGULARIZERS
    from siamesekit.registry import SAMPLERS as SAMPLERS
    from siamesekit.registry import SCHEDULES as SCHEDULES
    from siamesekit.retrieval import Neighbours as Neighbours
    from siamesekit.retrieval import nearest as nearest
    from siamesekit.triplets import Pairs as Pairs
    from siamesekit.triplets import Triplets as Triplets

__version__ = "0.1.0"

_PUBLIC = {
    "AUGMENTATIONS": "registry",
    "Backbone": "encoders.backbone",
    "Comparison": "artifact",
    "Config": "config",
    "DISTANCES": "registry",
    "Distance": "distances.distance",
    "DistanceLayer": "model",
    "ENCODERS": "registry",
    "Encoder": "model",
    "LOSSES": "registry",
    "LossValue": "losses.loss",
    "MINERS": "registry",
    "Neighbours": "retrieval",
    "OPTIMIZERS": "registry",
    "Pairs": "triplets",
    "Plan": "planning",
    "Progress": "progress",
    "READERS": "registry",
    "REDUCERS": "registry",
    "REGULARIZERS": "registry",
    "Record": "data.records",
    "RunResult": "experiment",
    "SAMPLERS": "registry",
    "SCHEDULES": "registry",
    "SiameseNetwork": "model",
    "SiamesekitError": "errors",
    "SimilarityModel": "artifact",
    "Triplets": "triplets",
    "check": "experiment",
    "load": "artifact",
    "load_config": "config",
    "nearest": "retrieval",
    "run": "experiment",
}

__all__ = sorted([*_PUBLIC, "__version__"])

if not TYPE_CHECKING:  # or any misspelt name would pass as Any

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'siamesekit' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"siamesekit.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
