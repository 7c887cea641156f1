"""What `version_0_1/` was written by, with the sources of version 0.1 (before the rooms) on PYTHONPATH.

    python tests/golden/make_version_0_1.py FOLDER

A small network whose weights are ±a (so that they compress), the distances of six images by it, its pickle, and its
artifact.
"""

import gzip
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from siamesekit.artifact import Architecture, build, save_model  # type: ignore[attr-defined]  # of version 0.1
from siamesekit.model import SiameseNetwork
from siamesekit.registry import DISTANCES


def main(out: Path) -> None:
    architecture = Architecture("timm/test_efficientnet", {}, {"layers": [8]}, "inference")
    torch.manual_seed(0)
    encoder = build(architecture)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in sorted(encoder.state_dict().items()):
            if value.is_floating_point() and name.split(".")[-1] == "weight" and value.dim() > 1:
                fan = max(1, value.numel() // value.shape[0])
                value.copy_((torch.randint(0, 2, value.shape, generator=generator) * 2 - 1) * (2 / fan) ** 0.5)
    network = SiameseNetwork(encoder.eval(), DISTANCES.build("euclidean")).eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 2, 3, 32, 32)).astype(np.float32))
    with torch.no_grad():
        d_ap, d_an = network(*images)
    save_model(out / "model", encoder, architecture, 32, "squash", {"name": "euclidean", "options": {}}, None, {})
    (out / "siamese_model.pkl.gz").write_bytes(gzip.compress(pickle.dumps(network), 9, mtime=0))
    weights = (out / "model" / "model.safetensors").read_bytes()
    (out / "model.safetensors.gz").write_bytes(gzip.compress(weights, 9, mtime=0))
    shutil.move(out / "model" / "model.json", out / "model.json")
    shutil.rmtree(out / "model")
    (out / "distances.json").write_text(json.dumps({"d_ap": d_ap.tolist(), "d_an": d_an.tolist()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
