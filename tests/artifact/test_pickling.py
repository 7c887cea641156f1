"""The pickle of a network: a run knows its own, of this version and of 0.1, and no other program's."""

import pickle
from pathlib import Path

import pytest
import torch

from conftest import small_encoder
from siamesekit.artifact.pickling import save_pickle
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.files.run_files import own_files

OLDER = b"\x80\x04\x95\x00\x8c\x10siamesekit.model\x94\x8c\x0eSiameseNetwork\x94"
"""How a pickle of version 0.1 begins."""


def test_it_opens_as_the_network_it_was(tmp_path: Path) -> None:
    encoder = small_encoder().eval()
    save_pickle(tmp_path / "network.pkl", encoder, SquaredEuclidean())
    network = pickle.loads((tmp_path / "network.pkl").read_bytes())
    anchor, positive, negative = torch.rand(3, 2, 3, 32, 32) * 255
    d_ap, d_an = (((encoder(anchor) - encoder(other)) ** 2).sum(1) for other in (positive, negative))
    for found, expected in zip(network(anchor, positive, negative), (d_ap, d_an), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["this version's", "of 0.1", "another program's"])
def test_a_run_counts_it_among_its_own_files(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "network.pkl"
    if kind == "this version's":
        save_pickle(file, small_encoder(), SquaredEuclidean())
    else:
        file.write_bytes(OLDER if kind == "of 0.1" else pickle.dumps({"weights": [1, 2]}))
    assert own_files(tmp_path, {"files": ["network.pkl"]}) == ([] if kind == "another program's" else ["network.pkl"])
