"""The saved model, which needs no config: read, checked, used.

`saving` writes the two files of an artifact, `description` checks its `model.json`, `loading` reads and checks both
files and builds the `similarity_model`, which embeds and compares photos. `pretrained_model` builds one from an
encoder's name, without a run. `named_model` loads any model by its `model_name`. `pickling` writes the network as a
pickle, and `embedding_files` writes the files of the command `embed`.

`hub_push` publishes a model with its `model_card` by `hub_requests`, and `hub_model` loads one from the hub.

`onnx_export` writes a model as ONNX: `onnx_graph` expresses the network, and `onnx_description` is all that its use
needs beside it. `torch_export` and `openvino_export` write other formats, `export_check` compares what is exported with
the model, and `export_output` checks the file to write. `onnx_int8` computes the network in int8. `tables`,
`onnx_description`, `numpy_distances` and `comparison` import no torch, for `siamesekit.runtime`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamesekit.artifact.comparison import Comparison as Comparison
    from siamesekit.artifact.ensemble import Ensemble as Ensemble
    from siamesekit.artifact.ensemble import ensemble as ensemble
    from siamesekit.artifact.hub_model import from_pretrained as from_pretrained
    from siamesekit.artifact.hub_push import Pushed as Pushed
    from siamesekit.artifact.hub_push import push_to_hub as push_to_hub
    from siamesekit.artifact.named_model import load as load
    from siamesekit.artifact.pretrained_model import pretrained as pretrained
    from siamesekit.artifact.similarity_model import SimilarityModel as SimilarityModel

_HOMES = {
    "Comparison": "comparison",
    "Ensemble": "ensemble",
    "SimilarityModel": "similarity_model",
    "Pushed": "hub_push",
    "ensemble": "ensemble",
    "from_pretrained": "hub_model",
    "load": "named_model",
    "pretrained": "pretrained_model",
    "push_to_hub": "hub_push",
}
__all__ = sorted(_HOMES)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
