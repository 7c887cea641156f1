"""siamesekit: metric learning by composition.

Encoders, distances, losses, samplers, miners, readers, augmentations and optimizers are plain callables in registries;
a run is a composition of them in a TOML file. The public names below are loaded when they are first used, so importing
the package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "AUGMENTATIONS": "registry",
    "DISTANCES": "registry",
    "ENCODERS": "registry",
    "LOSSES": "registry",
    "MINERS": "registry",
    "OPTIMIZERS": "registry",
    "READERS": "registry",
    "SAMPLERS": "registry",
    "Backbone": "encoders.backbone",
    "Config": "config",
    "DistanceLayer": "model",
    "Encoder": "model",
    "LossValue": "losses.loss",
    "Record": "data.records",
    "SiameseNetwork": "model",
    "SiamesekitError": "errors",
    "SimilarityModel": "artifact",
    "Triplets": "triplets",
    "check": "experiment",
    "load": "artifact",
    "load_config": "config",
    "run": "experiment",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'siamesekit' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"siamesekit.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
