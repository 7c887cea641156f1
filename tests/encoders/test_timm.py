"""Encoders `timm/*`: features, scaling, and weights that cannot be had."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants

from siamesekit.encoders import backbone
from siamesekit.encoders.backbone import Backbone
from siamesekit.encoders.timm import timm_backbone
from siamesekit.errors import ComponentError, MissingWeightsError
from siamesekit.registry import ENCODERS


def built(name: str) -> Backbone:
    made = ENCODERS.build(name, pretrained=False)
    assert isinstance(made, Backbone)
    return made


@pytest.fixture
def closed_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """A hub that refuses connections, and an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # bound, not listening
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server


@pytest.fixture
def silent_hub(closed_hub: socket.socket) -> None:
    """A hub that accepts connections and never answers."""
    closed_hub.listen(50)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_mambaout"])
def test_features_are_timms_on_timms_scaling(name: str) -> None:
    made = built(f"timm/{name}").eval()
    reference = timm.create_model(name, num_classes=0).eval()
    reference.load_state_dict(made.network.state_dict())
    config = timm.data.resolve_model_data_config(reference)
    images = torch.randint(0, 256, (2, 3, *config["input_size"][1:]), dtype=torch.uint8)
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    expected = reference((images / 255 - mean) / std)
    np.testing.assert_allclose(made(images).detach(), expected.detach(), rtol=1e-3, atol=1e-4)
    assert expected.shape == (2, made.num_features)
    assert expected.std() > 1e-3


def test_a_weights_tag_takes_that_weights_scaling() -> None:
    plain, tagged = built("timm/tf_efficientnet_b0"), built("timm/tf_efficientnet_b0.ap_in1k")
    np.testing.assert_allclose(plain.mean.flatten(), [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(tagged.mean.flatten(), [127.5] * 3, rtol=1e-6)


def test_an_unknown_model_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ComponentError, match=r"no model 'resnet1'.*resnet18"):
        ENCODERS.build("timm/resnet1", pretrained=False)


def test_weights_from_a_silent_hub_are_missing_within_the_bound(
    silent_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "STALL_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(MissingWeightsError, match="timm/test_resnet cannot be had"):
        timm_backbone(model="test_resnet", pretrained=True)
    assert time.monotonic() - start < 4
    assert not constants.HF_HUB_OFFLINE, "later downloads must be possible"


def test_weights_without_a_network_are_missing_at_once(closed_hub: None) -> None:
    start = time.monotonic()
    with pytest.raises(MissingWeightsError):
        timm_backbone(model="test_resnet", pretrained=True)
    assert time.monotonic() - start < 3


def test_a_model_without_any_pretrained_weights_says_so(closed_hub: None) -> None:
    assert not timm.is_model_pretrained("cs3darknet_s")
    with pytest.raises(MissingWeightsError, match="No pretrained weights exist"):
        timm_backbone(model="cs3darknet_s", pretrained=True)
