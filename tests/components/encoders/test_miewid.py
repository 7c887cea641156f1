"""Encoder `miewid`: GeM and BatchNorm over timm's maps, and files of MiewID's layout.

The weights themselves are not here: small files of the same layout, over a small network of timm, stand for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor

import siamesekit
from local_hub import Repository, State, in_place_of_the_hub
from siamesekit.components.encoders import miewid as module
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.errors import MissingWeightsError, WeightsError
from siamesekit.registry import ENCODERS

SMALL = "test_efficientnet"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network of timm in the place of EfficientNetV2-M."""
    monkeypatch.setattr(module, "BACKBONE", SMALL)


def in_miewids_layout(seed: int = 0) -> dict[str, Tensor]:
    """Tensors by the names of MiewID's files, of a network that differs in every layer from a new one."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    network = timm.create_model(SMALL, num_classes=0)
    state = {f"backbone.{name}": value.clone() for name, value in network.state_dict().items()}
    width = network.num_features
    state |= {
        "backbone.global_pool.p": torch.tensor([2.5]),
        "bn.weight": torch.rand(width, generator=draw) + 0.5,
        "bn.bias": torch.randn(width, generator=draw),
        "bn.running_mean": torch.randn(width, generator=draw) / 10,
        "bn.running_var": torch.rand(width, generator=draw) + 0.5,
        "bn.num_batches_tracked": torch.tensor(7),
        "final.kernel": torch.randn(width, 10, generator=draw),
    }
    return state


def features_by_hand(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """MiewID's features in float64, step by step, from a file's tensors: uint8 `[N, 3, H, W]` → `[N, F]`."""
    network = timm.create_model(SMALL, num_classes=0).double().eval()
    own = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    network.load_state_dict({name: value for name, value in own.items() if name != "global_pool.p"})
    mean, std = (torch.tensor(v).view(1, 3, 1, 1).double() for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    maps = network.forward_features((images.double() / 255 - mean) / std).detach()
    p = state["backbone.global_pool.p"].item()
    pooled = torch.stack([torch.stack([(each.clamp(min=1e-6) ** p).mean() ** (1 / p) for each in of]) for of in maps])
    norm = {name: state[f"bn.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")}
    return (pooled - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt() * norm["weight"] + norm["bias"]


@pytest.mark.usefixtures("small")
def test_features_of_a_file_of_the_layout_are_those_computed_by_hand(tmp_path: Path) -> None:
    state = in_miewids_layout()
    save_file(state, tmp_path / "model.safetensors")
    model = siamesekit.pretrained("miewid", tmp_path / "model.safetensors", size=64, device="cpu")
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    expected = features_by_hand(state, images)
    assert expected.std() > 0.1
    np.testing.assert_allclose(model.encoder.backbone(images).detach(), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        model.embed(images), torch.nn.functional.normalize(expected), rtol=1e-3, atol=1e-4
    )  # embeddings have length 1, and are compared by the cosine
    assert model.description["distance"]["name"] == "cosine"
    assert "preprocessing_note" not in model.description


@pytest.mark.usefixtures("small")
def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    state = in_miewids_layout()
    del state["backbone.global_pool.p"], state["bn.bias"]
    save_file(state | {"extra.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="holds another network's weights") as caught:
        siamesekit.pretrained("miewid", tmp_path / "model.safetensors", size=64, device="cpu")
    assert set(caught.value.details) == {
        "pooling.p is not in the file",
        "bn.bias is not in the file",
        "the network has no extra.weight",
    }


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[State]:
    """A hub with a small file of MiewID's layout."""
    save_file(in_miewids_layout(5), tmp_path / "m.safetensors")
    files = {
        "model.safetensors": (tmp_path / "m.safetensors").read_bytes(),
        "modeling_miewid.py": b"raise SystemExit('code of the hub ran')",
    }
    state = State({"conservationxlabs/miewid-msv3": Repository(commits=[("a" * 40, files)])})
    with in_place_of_the_hub(state, monkeypatch, tmp_path / "cache"):
        yield state


@pytest.mark.usefixtures("small")
def test_of_the_hub_only_the_weights_are_read_and_their_commit_is_kept(
    hub: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = ENCODERS.build("miewid", pretrained=True).eval()
    assert isinstance(made, Backbone)
    assert made.origin == {"hub": "conservationxlabs/miewid-msv3", "revision": "a" * 40}
    assert {path.rpartition("/")[2] for _, path in hub.asked if "resolve" in path} == {"model.safetensors"}
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    np.testing.assert_allclose(
        made(images).detach(), features_by_hand(in_miewids_layout(5), images), rtol=1e-3, atol=1e-4
    )
    hub.repositories.clear()
    assert ENCODERS.build("miewid", pretrained=True).origin == made.origin, "what is in the cache stays usable"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(MissingWeightsError, match=r"weights of miewid cannot be downloaded: .* or it is private"):
        ENCODERS.build("miewid", pretrained=True)


def test_the_network_is_that_of_miewid() -> None:
    """Its width and its size, without memory for its weights."""
    with torch.device("meta"):
        network = module.MiewIDNetwork()
    assert network.bn.num_features == 2152
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(51e6, rel=0.02)
    assert type(network.backbone).__name__ == "EfficientNet"
