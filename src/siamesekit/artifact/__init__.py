"""The saved model, which needs no config: read, checked, used.

`saving` writes the two files of an artifact, `description` checks its `model.json`, `loading` reads and checks both
files and builds the `similarity_model`, which embeds and compares photos. `pickling` writes the network as a pickle,
and `embedding_files` writes the files of the command `embed`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamesekit.artifact.loading import load as load
    from siamesekit.artifact.similarity_model import Comparison as Comparison
    from siamesekit.artifact.similarity_model import SimilarityModel as SimilarityModel

_HOMES = {"Comparison": "similarity_model", "SimilarityModel": "similarity_model", "load": "loading"}
__all__ = sorted(_HOMES)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
