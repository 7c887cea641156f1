"""Write a network as a pickle, for programs that need the object; this library never reads a pickle."""

from __future__ import annotations

import pickle
from pathlib import Path

from siamesekit.components.distances.distance import Distance
from siamesekit.files.atomic import write_atomic
from siamesekit.model import Encoder, SiameseNetwork


def save_pickle(path: Path, encoder: Encoder, distance: Distance) -> None:
    """Write a pickle of the `SiameseNetwork`, on the CPU and in inference mode."""
    device = next(encoder.parameters()).device
    network = SiameseNetwork(encoder.cpu(), distance).eval()
    write_atomic(path, pickle.dumps(network))
    encoder.to(device)
