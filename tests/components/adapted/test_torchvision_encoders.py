"""Encoders `torchvision/*`: features, scaling, blocks, and weights that are downloaded or cannot be."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import (
    MobileNet_V3_Small_Weights,
    ShuffleNet_V2_X0_5_Weights,
    VisionTransformer,
    get_model,
    get_model_weights,
)

from helpers import Stalling, serving
from siamesekit.components.adapted.model_names import torchvision_models
from siamesekit.components.adapted.torchvision_encoders import torchvision_backbone
from siamesekit.components.encoders import backbone as backbone_module
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import Head
from siamesekit.components.encoders.weights import load_weights
from siamesekit.engine.frozen.cutting import CannotCutError, cut
from siamesekit.engine.frozen.prefix import store
from siamesekit.errors import MissingWeightsError, UserError
from siamesekit.hardware.compute import choose_compute
from siamesekit.model import Encoder
from siamesekit.registry import ENCODERS

LAST_LAYERS = {
    "alexnet": "classifier.6", "convnext": "classifier.2", "densenet": "classifier", "efficientnet": "classifier.1",
    "googlenet": "fc", "inception": "fc", "maxvit": "classifier.5", "mnasnet": "classifier.1",
    "mobilenet_v2": "classifier.1", "mobilenet_v3": "classifier.3", "regnet": "fc", "resnet": "fc", "resnext": "fc",
    "shufflenet": "fc", "squeezenet": "classifier.1", "swin": "head", "vgg": "classifier.6", "vit": "heads.head",
    "wide_resnet": "fc",
}  # fmt: skip
"""The layer that gives a model's class scores, read off torchvision's sources by eye."""
LEAST_SIZES = {"alexnet": 63, "inception": 75, "maxvit": 224, "squeezenet": 33, "vit": 224, "vit_h_14": 518}
"""The smallest H and W that a model takes, where 32 are too few."""
EVERYDAY = ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "densenet121", "mnasnet0_5", "googlenet"]
"""One of each kind of classifier that is built in a moment."""


def of(name: str, table: dict[str, object]) -> object:
    """The entry whose key is the longest beginning of a model's name."""
    return table[max((key for key in table if name.startswith(key)), key=len)]


def size_of(name: str) -> int:
    return int(of(name, {"": 32, **LEAST_SIZES}))  # type: ignore[call-overload]


def built(name: str, seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    made = ENCODERS.build(f"torchvision/{name}", pretrained=False)
    assert isinstance(made, Backbone)
    return made.eval()


def varied(network: nn.Module, size: int = 75) -> None:
    """Give every BatchNorm the statistics of some noise, so that features depend on the image at any depth."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(2)))
    network.eval()
    for norm in norms:
        norm.momentum = 0.1


def pixels(size: int, count: int = 2, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def oracle(name: str, made: Backbone, images: Tensor) -> Tensor:
    """What enters the last layer of torchvision's whole model with the same weights, on torchvision's own scaling.

    In float64, for which `made` must be `exact`: random networks of this depth make much of a rounding.
    """
    options = {"image_size": made.size} if name.startswith("vit") else {}
    if name in ("googlenet", "inception_v3"):
        options = {"transform_input": True, "init_weights": False}  # type: ignore[dict-item]
    whole = get_model(name, **options)
    state = whole.state_dict()  # with MNASNet's mark of its version
    state.update(made.network.state_dict())
    whole.load_state_dict(state, assign=True)
    whole.double()
    entered: list[Tensor] = []
    last = whole.get_submodule(str(of(name, LAST_LAYERS)))
    last.register_forward_hook(lambda module, inputs, output: entered.append(inputs[0]))
    preset = get_model_weights(name).DEFAULT.transforms()
    mean, std = (torch.tensor(value, dtype=torch.float64).view(1, 3, 1, 1) for value in (preset.mean, preset.std))
    with torch.no_grad():
        whole.eval()((images.double() / 255 - mean) / std)
    [features] = entered
    return features.mean(dim=(2, 3)) if features.ndim == 4 else features  # SqueezeNet's last layer is a convolution


def exact(made: Backbone) -> Backbone:
    """In float64, the scaling too, which is decimal."""
    made.double()
    for numbers in (made.mean, made.std):
        np.testing.assert_allclose(numbers, numbers.round(decimals=4), rtol=1e-7)
        numbers.copy_(numbers.round(decimals=4))
    return made


def check_features(name: str) -> None:
    made = built(name)
    if any(isinstance(module, nn.BatchNorm2d) for module in made.network.modules()):
        varied(made.network, size_of(name))
    images = pixels(size_of(name))
    with torch.no_grad():
        features = exact(made)(images)
    assert features.shape == (2, made.num_features)
    expected = oracle(name, made, images)
    assert_same(features, expected)


def assert_same(features: Tensor, expected: Tensor) -> None:
    """To rounding, where features differ between two images by far more than that.

    The scaling's mean and deviation are float32 in the backbone, and a deep network of random weights enlarges that.
    """
    scale = expected.abs().max().item()
    assert (expected[0] - expected[1]).abs().max() > 0.03 * scale > 0
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.medium
@pytest.mark.parametrize("name", EVERYDAY)
def test_features_are_what_enters_the_last_layer(name: str) -> None:
    check_features(name)


HUGE = ("regnet_x_32gf", "regnet_y_32gf", "regnet_y_128gf", "vit_l_16", "vit_l_32", "vit_h_14", "convnext_large",
        "efficientnet_v2_l", "wide_resnet101_2", "vgg16_bn", "vgg19", "vgg19_bn", "vgg13", "vgg13_bn", "vgg16",
        "swin_b", "swin_v2_b", "swin_s", "swin_v2_s", "vit_b_32", "convnext_base", "resnet152", "resnext101_32x8d",
        "resnext101_64x4d", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_m", "densenet161",
        "densenet201", "regnet_x_16gf", "regnet_y_16gf", "regnet_x_8gf", "regnet_y_8gf")  # fmt: skip
"""Models whose smaller kin are tested: in float64 some of them take many gigabytes."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.huge if name in HUGE else pytest.mark.slow) for name in torchvision_models()],
)
@pytest.mark.timeout(1800)
def test_features_of_every_model_are_what_enters_its_last_layer(name: str) -> None:
    check_features(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in torchvision_models() if not name.startswith("regnet")])
def test_every_model_is_built_without_its_last_layer(name: str) -> None:
    """On the meta device, which takes neither time nor memory; not RegNets, whose widths are computed by tensors."""
    with torch.device("meta"):
        made = built(name)
        whole = get_model(name, **({"init_weights": False} if name in ("googlenet", "inception_v3") else {}))
    last = str(of(name, LAST_LAYERS))
    layer = whole.get_submodule(last)
    assert made.num_features == (layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)
    auxiliary = ("aux1.", "aux2.", "AuxLogits.")
    left = [key for key in whole.state_dict() if not key.startswith((f"{last}.", *auxiliary))]
    assert list(made.network.state_dict()) == left
    assert made.blocks()


@pytest.mark.parametrize(
    ("name", "left"),
    [("alexnet", ["classifier.0", "classifier.3"]), ("vgg11", ["classifier.2"]), ("efficientnet_b0", []),
     ("googlenet", []), ("inception_v3", []), ("mobilenet_v2", []), ("mobilenet_v3_large", []), ("squeezenet1_0", []),
     ("mnasnet1_0", [])],
)  # fmt: skip
def test_the_dropout_that_served_the_last_layer_is_gone(name: str, left: list[str]) -> None:
    with torch.device("meta"):
        network = built(name).network
    assert [key for key, module in network.named_modules() if isinstance(module, nn.Dropout)] == left


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_one_tensor_comes_out_in_training_too(name: str) -> None:
    with torch.device("meta"):
        made = built(name).train()
        assert made.network(torch.empty(2, 3, 75, 75)).shape == (2, made.num_features)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("mobilenet_v3_small", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
        ("efficientnet_v2_l", [127.5] * 3, [127.5] * 3),
        ("googlenet", [127.5] * 3, [127.5] * 3),
        ("inception_v3", [127.5] * 3, [127.5] * 3),
    ],
)
def test_the_scaling_is_the_weights_own(name: str, mean: list[float], std: list[float]) -> None:
    with torch.device("meta"):
        network = built(name).network
    assert not getattr(network, "transform_input", False)
    made = built(name) if name == "mobilenet_v3_small" else _scaled(name)
    np.testing.assert_allclose(made.mean.flatten(), mean, rtol=1e-6)
    np.testing.assert_allclose(made.std.flatten(), std, rtol=1e-6)


def _scaled(name: str) -> Backbone:
    """A model whose weights are nowhere, but whose scaling is on the CPU."""
    numbers: dict[str, list[float]] = {}
    init = Backbone.__init__

    def note(
        self: Backbone,
        network: nn.Module,
        num_features: int,
        mean: list[float],
        std: list[float],
        *_: object,
        **others: object,
    ) -> None:
        numbers.update(mean=mean, std=std)
        init(self, network, num_features, mean, std)

    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(Backbone, "__init__", note)
        built(name)
    return Backbone(nn.Identity(), 1, numbers["mean"], numbers["std"])


def test_a_tag_takes_that_weights_size() -> None:
    with torch.device("meta"):
        plain, tagged = built("vit_b_16"), built("vit_b_16.IMAGENET1K_SWAG_E2E_V1")
    assert (plain.size, tagged.size) == (224, 384)
    assert plain.network.encoder.pos_embedding.shape[1] == 1 + (224 // 16) ** 2
    assert tagged.network.encoder.pos_embedding.shape[1] == 1 + (384 // 16) ** 2


@pytest.mark.parametrize(
    ("name", "size"), [("shufflenet_v2_x0_5", 224), ("efficientnet_b1", 240), ("vit_b_16.IMAGENET1K_SWAG_E2E_V1", 384)]
)
def test_the_default_size_is_the_weights_own(name: str, size: int) -> None:
    with torch.device("meta"):
        assert built(name).default_size == size


def test_a_size_that_the_model_does_not_take_is_refused() -> None:
    with torch.device("meta"):
        made = built("vit_b_16")
    with pytest.raises(UserError, match=r"data.size: .* 224 × 224 pixels only, not of 128 × 128: set data.size = 224"):
        made(pixels(128))


Serve = Callable[[type[BaseHTTPRequestHandler]], str]


class Checkpoint(BaseHTTPRequestHandler):
    """Serves one file; its name ends in its SHA-256's beginning, which torchvision checks."""

    content = b""
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Starts a local server and gives its address; torch's cache is empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ExitStack() as servers:
        yield lambda handler: servers.enter_context(serving(handler))


@pytest.mark.medium
@pytest.mark.parametrize(
    "name", ["shufflenet_v2_x0_5", "googlenet", pytest.param("inception_v3", marks=pytest.mark.slow)]
)
def test_downloaded_weights_are_those_of_the_checkpoint(
    name: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """GoogLeNet and Inception, which with weights scale their input themselves, get it on one scaling only."""
    torch.manual_seed(5)
    whole = get_model(name, **({} if name.startswith("shufflenet") else {"init_weights": False}))
    varied(whole, 299 if name == "inception_v3" else 75)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    content = (tmp_path / "weights.pth").read_bytes()
    handler = type("Served", (Checkpoint,), {"content": content, "asked": []})
    url = f"{serve(handler)}/{name}-{sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(get_model_weights(name).IMAGENET1K_V1.value, "url", url)
    for model in (name, f"{name}.IMAGENET1K_V1"):
        made = torchvision_backbone(model=model, pretrained=True).eval()
        state = made.network.state_dict()
        without = {key.partition(".")[0] for key in {*whole.state_dict()} - {*state}}
        assert without <= {"fc", "aux1", "aux2", "AuxLogits"}
        assert all(torch.equal(value, whole.state_dict()[key]) for key, value in state.items())
    assert len(handler.asked) == 1, "the second time it comes from the cache"
    assert capfd.readouterr() == ("", ""), "no line and no bar of torch's hub"
    images = pixels(size_of(name))
    with torch.no_grad():
        assert_same(exact(made)(images), oracle(name, made, images))


def test_a_checkpoint_that_was_changed_on_the_way_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = type("Served", (Checkpoint,), {"content": b"anything", "asked": []})
    url = f"{serve(handler)}/shufflenet-00000000.pth"
    monkeypatch.setattr(ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1.value, "url", url)
    with pytest.raises(MissingWeightsError, match=r"torchvision/shufflenet_v2_x0_5 cannot be downloaded: .*SHA-256"):
        torchvision_backbone(model="shufflenet_v2_x0_5", pretrained=True)


@pytest.mark.slow
@pytest.mark.parametrize("silent", [False, True])
def test_a_server_that_stands_still_is_given_up_within_the_bound(
    silent: bool, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = type("Still", (Stalling,), {"silent": silent})
    monkeypatch.setattr(backbone_module, "STALL_SECONDS", 1.0)
    url = f"{serve(handler)}/mobilenet-00000000.pth"
    monkeypatch.setattr(MobileNet_V3_Small_Weights.IMAGENET1K_V1.value, "url", url)
    start = time.monotonic()
    with pytest.raises(MissingWeightsError, match=r"torchvision/mobilenet_v3_small cannot be downloaded: .*timed out"):
        torchvision_backbone(model="mobilenet_v3_small", pretrained=True)
    assert 0.9 < time.monotonic() - start < 10
    assert socket.getdefaulttimeout() is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnasnet0_5", "shufflenet_v2_x0_5", "densenet121", "googlenet"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_own_checkpoints_are_weights_files(tmp_path: Path, name: str, suffix: str) -> None:
    """Their classifiers, auxiliary ones too, are left out; safetensors files have no mark of MNASNet's version."""
    torch.manual_seed(7)
    whole = get_model(name, **({"init_weights": False} if name == "googlenet" else {}))
    varied(whole)
    file = tmp_path / f"weights{suffix}"
    state = {key: value.clone() for key, value in whole.state_dict().items()}
    if name == "densenet121":  # as its file on torchvision's server has them
        state = {re.sub(r"(denselayer\d+\.\w+)(\d\.)", r"\1.\2", key): value for key, value in state.items()}
        assert "features.denseblock1.denselayer1.norm.1.weight" in state
    torch.save(state, file) if suffix == ".pth" else save_file(state, file)
    made = built(name)
    load_weights(made, file)
    for key, value in made.network.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key]), key


def test_a_saved_mnasnet_loads_without_its_version(tmp_path: Path) -> None:
    """As an artifact does: plain tensors, by the whole encoder's `load_state_dict`."""
    one, two = built("mnasnet0_5", seed=1), built("mnasnet0_5", seed=2)
    save_file(one.state_dict(), tmp_path / "model.safetensors")
    two.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(one(pixels(32)), two(pixels(32)))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "block", "first"),
    [
        ("resnet18", "layer4", "layer4.0.conv1.weight"),
        ("resnet18", "layer4.1", "layer4.1.conv1.weight"),
        ("mobilenet_v3_small", "features.7", "features.7.block.0.0.weight"),
        ("mobilenet_v3_small", "classifier", "classifier.0.weight"),
        ("vit_b_16", "encoder.layers.encoder_layer_10", "encoder.layers.encoder_layer_10.ln_1.weight"),
        ("densenet121", "features.denseblock4", "features.denseblock4.denselayer1.norm1.weight"),
        ("swin_t", "features.7", "features.7.0.norm1.weight"),
        ("regnet_y_400mf", "trunk_output.block4", "trunk_output.block4.block4-0.proj.0.weight"),
    ],
)
def test_training_begins_at_a_block_of_any_depth(name: str, block: str, first: str) -> None:
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        made = built(name)
    made.freeze_before(block)
    names = [key for key, _ in made.network.named_parameters()]
    trained = [key for key, parameter in made.network.named_parameters() if parameter.requires_grad]
    assert trained == names[names.index(first) :]


@pytest.mark.parametrize(
    ("name", "block", "problem"),
    [
        ("resnet18", "layer5", r"no block 'layer5' \(did you mean 'layer4' or .*choices: conv1, bn1, layer1, .*head$"),
        ("resnet18", "layer4.2", r"did you mean 'layer4.*inside layer4: layer4.0, layer4.1$"),
        ("mobilenet_v3_small", "features.77", r"did you mean 'features.7'.*inside features: features.0, features.1, "),
        ("vit_b_16", "encoder.layers.encoder_layer_12", r"did you mean .*encoder_layer_1.*inside encoder.layers: "),
        ("vit_b_16", "encoder.layer.encoder_layer_1", r"inside encoder: encoder.layers, encoder.ln$"),
    ],
)
def test_an_unknown_block_is_refused_with_those_beside_it(name: str, block: str, problem: str) -> None:
    with torch.device("meta"):
        made = built(name)
    with pytest.raises(UserError, match=problem):
        made.freeze_before(block)


def small_vit(seed: int) -> Backbone:
    """`vit_b_16` but for its size: 12 layers of 32."""
    torch.manual_seed(seed)
    network = VisionTransformer(32, 16, 12, 2, 32, 64)
    network.heads = nn.Identity()
    return Backbone(network, 32, (127.5,) * 3, (127.5,) * 3, 32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "block"),
    [("resnet18", "layer4"), ("mobilenet_v3_small", "features.10"), ("vit", "encoder.layers.encoder_layer_10")],
)
def test_training_from_the_stored_frozen_part_equals_plain_training(name: str, block: str) -> None:
    """In float64: three steps of gradient descent, of the whole network and of its tail on what is stored."""

    def encoder() -> Encoder:
        made = small_vit(3) if name == "vit" else built(name, seed=3)
        varied(made.network, 32)
        made.freeze_before(block)
        torch.manual_seed(4)
        return Encoder(made, Head(made.num_features, [8])).double().eval()

    images = pixels(32, count=4)
    target = torch.randn(4, 8, dtype=torch.float64)

    def steps(model: Encoder, embed: Callable[[], Tensor]) -> list[float]:
        optimizer = torch.optim.SGD(model.trainable(), lr=0.5)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = ((embed() - target) ** 2).sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    torch.manual_seed(0)
    plain = encoder()
    plain.train()
    expected = steps(plain, lambda: plain(images))
    torch.manual_seed(0)
    cached = encoder()
    precision = choose_compute("cpu", "fp32")
    stored = store(cached, images, precision)
    assert stored.cached, stored.why
    cached.train()
    np.testing.assert_allclose(
        steps(cached, lambda: stored.embeddings(torch.arange(4), precision)), expected, rtol=1e-10
    )
    assert expected[0] - expected[-1] > 1e-3
    for (key, one), two in zip(plain.state_dict().items(), cached.state_dict().values(), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-11, err_msg=key)


def test_the_frozen_part_of_a_vision_transformer_is_cut_off() -> None:
    with torch.device("meta"):
        made = built("vit_b_16")
        made.freeze_before("encoder.layers.encoder_layer_10")
        prefix, tail = cut(made.network)
        [tokens] = prefix(torch.empty(2, 3, 224, 224))
        assert tokens.shape == (2, 197, 768)
        assert tail(tokens).shape == (2, 768)
    inside = {name.partition("encoder_layer_")[2].partition(".")[0] for name, _ in prefix.named_parameters()}
    assert inside - {""} == {str(number) for number in range(10)}


def test_a_dropout_with_which_a_block_begins_trains_with_it_and_rests_where_only_the_rest_of_the_block_trains() -> None:
    """AlexNet's classifier begins with a dropout, on what the frozen part gives."""
    with torch.device("meta"):
        made = built("alexnet")
        encoder = Encoder(made, Head(made.num_features, [2]))
    first, *others = [name for name, _ in made.network.named_parameters() if name.startswith("classifier.")]
    dropout = made.network.classifier[0]
    assert isinstance(dropout, torch.nn.Dropout)
    made.freeze_before("classifier")
    encoder.train()
    assert dropout.training
    with pytest.raises(CannotCutError, match="Dropout"):
        cut(made.network)
    made.freeze_before(others[1].rpartition(".")[0])
    assert not made.network.get_parameter(first).requires_grad
    encoder.train()
    assert not dropout.training
