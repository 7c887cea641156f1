"""Xception: Keras's pooling and sizes. Its features against Keras's: tests/parity/test_keras_golden.py."""

import dataclasses
import math
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers import Stalling, serving
from siamesekit.components.encoders import backbone as backbone_module
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.xception import SameMaxPool2d, xception
from siamesekit.errors import MissingWeightsError


def same_pool(image: np.ndarray) -> np.ndarray:
    """TensorFlow's "same" 3 × 3 max-pooling with stride 2 of one channel, by its definition."""
    height, width = image.shape

    def start(size: int) -> int:
        return -(max((math.ceil(size / 2) - 1) * 2 + 3 - size, 0) // 2)

    out = np.empty((math.ceil(height / 2), math.ceil(width / 2)))
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            top, left = start(height) + 2 * row, start(width) + 2 * column
            out[row, column] = image[max(top, 0) : top + 3, max(left, 0) : left + 3].max()
    return out


@pytest.fixture(scope="module")
def network() -> Backbone:
    torch.manual_seed(0)
    return xception().eval()


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 99))
@settings(deadline=None)
def test_pooling_is_tensorflows_same_on_even_and_odd_sizes(height: int, width: int, seed: int) -> None:
    images = np.random.default_rng(seed).normal(size=(2, 3, height, width)) - 10  # negative: padding must not win
    pooled = SameMaxPool2d()(torch.from_numpy(images))
    for image, channels in zip(images, pooled, strict=True):
        for channel, ours in zip(image, channels, strict=True):
            np.testing.assert_array_equal(ours, same_pool(channel))


def test_feature_maps_have_kerass_sizes(network: Backbone) -> None:
    sizes: dict[str, int] = {}

    def note(name: str) -> object:
        return lambda module, inputs, output: sizes.__setitem__(name, output.shape[-1])

    parts = ["conv1", "conv2", "block1", "block2", "block3", "block11", "block12", "conv4"]
    hooks = [getattr(network.network, name).register_forward_hook(note(name)) for name in parts]
    with torch.no_grad():
        network(torch.zeros(1, 3, 128, 128))
    for hook in hooks:
        hook.remove()
    assert sizes == {
        "conv1": 63, "conv2": 61, "block1": 31, "block2": 16, "block3": 8, "block11": 8, "block12": 4, "conv4": 4
    }  # fmt: skip


def test_images_are_scaled_to_minus_one_to_one(network: Backbone) -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    np.testing.assert_allclose(network.scale(images).flatten(), [-1, -0.6, 1], atol=1e-6)


def test_every_batchnorm_has_kerass_eps_and_every_pool_is_same(network: Backbone) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 40
    assert {norm.eps for norm in norms} == {1e-3}
    assert not any(isinstance(module, nn.MaxPool2d) for module in network.modules())
    assert sum(isinstance(module, SameMaxPool2d) for module in network.modules()) == 4


def test_differs_from_timms_where_keras_does(network: Backbone) -> None:
    reference = timm.create_model("legacy_xception", num_classes=0).eval()
    reference.load_state_dict(network.network.state_dict())
    images = torch.rand(1, 3, 75, 75) * 255

    def apart(ours: Tensor, theirs: Tensor) -> float:
        return float((ours - theirs).norm() / theirs.norm())

    with torch.no_grad():
        assert apart(network(images), reference(network.scale(images))) > 1e-3


def test_blocks_are_in_the_order_of_the_forward_pass(network: Backbone) -> None:
    blocks = [f"block{number}" for number in range(1, 13)]
    assert network.blocks() == ["conv1", "bn1", "conv2", "bn2", *blocks, "conv3", "bn3", "conv4", "bn4"]


@pytest.fixture
def stalling_url() -> Iterator[str]:
    with serving(Stalling) as url:
        yield f"{url}/xception-0.pth"


@pytest.mark.medium
def test_a_download_that_stalls_is_given_up_within_the_bound(
    stalling_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = timm.get_pretrained_cfg("legacy_xception")
    monkeypatch.setattr(backbone_module, "STALL_SECONDS", 1.0)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    changed = dataclasses.replace(config, url=stalling_url, hf_hub_id=None)
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: changed)
    start = time.monotonic()
    with pytest.raises(MissingWeightsError, match=r"weights of xception cannot be downloaded: .*timed out"):
        xception(pretrained=True)
    assert 0.9 < time.monotonic() - start < 6
    assert socket.getdefaulttimeout() is None
