"""Encoders `timm/*`: features, scaling, models of the hub, and weights that cannot be had."""

import dataclasses
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from timm.models import save_for_hf

from helpers import serving
from siamesekit.components.adapted.timm import timm_backbone
from siamesekit.components.encoders import backbone
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.errors import ComponentError, MissingWeightsError, UserError
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
    assert made.default_size == config["input_size"][-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"), [("vit_tiny_patch16_224", 224), ("swin_s3_tiny_224", 224), ("efficientformer_l1", 224)]
)
@pytest.mark.parametrize("training", [False, True])
def test_a_model_of_one_size_says_which_in_place_of_an_assertion(name: str, size: int, training: bool) -> None:
    made = built(f"timm/{name}").train(training)
    before = {key: value.clone() for key, value in made.network.state_dict().items()}
    random = torch.get_rng_state()
    for _ in range(2):
        with pytest.raises(
            UserError, match=rf"data.size: .* {size} × {size} pixels, not of 128 × 128: set data.size = {size}"
        ):
            made.scale(torch.zeros(1, 3, 128, 128))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[key]) for key, value in made.network.state_dict().items())
    assert made.scale(torch.zeros(1, 3, size, size)).shape[2:] == (size, size)
    with pytest.raises((AssertionError, RuntimeError)):
        made.network(torch.zeros(1, 3, 128, 128))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("xcit_nano_12_p16_224", 128),
        ("test_resnet", 40),
        pytest.param(
            "test_maxvit",
            320,
            marks=pytest.mark.skipif(not timm.list_models("test_maxvit"), reason="not in an older timm"),
        ),
    ],
)
def test_another_size_is_taken_where_the_network_takes_it(name: str, size: int) -> None:
    """timm marks the first and the last one as of a fixed size."""
    made = built(f"timm/{name}").eval()
    features = made(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    assert features.shape == (1, made.num_features)
    assert torch.isfinite(features).all()


def test_a_weights_tag_takes_that_weights_scaling() -> None:
    plain, tagged = built("timm/tf_efficientnet_b0"), built("timm/tf_efficientnet_b0.ap_in1k")
    np.testing.assert_allclose(plain.mean.flatten(), [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(tagged.mean.flatten(), [127.5] * 3, rtol=1e-6)


def test_an_unknown_model_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ComponentError, match=r"timm has no 'resnet1'.*resnet18"):
        ENCODERS.build("timm/resnet1", pretrained=False)


@pytest.mark.slow
def test_weights_from_a_silent_hub_are_missing_within_the_bound(
    silent_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "STALL_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(
        MissingWeightsError,
        match=r"timm/test_resnet cannot be downloaded: 127.0.0.1:\d+ timed out: no answer for 1 s, ",
    ):
        timm_backbone(model="test_resnet", pretrained=True)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("name", ["test_resnet", "hf-hub:fluke/tiny"])
def test_hugging_faces_settings_and_the_sockets_stay_as_they_are_while_weights_are_fetched(
    closed_hub: socket.socket, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    seen: list[object] = []
    real = urllib.request.urlopen

    def urlopen(*given: object, **options: object) -> object:
        seen.append((constants.HF_HUB_OFFLINE, socket.getdefaulttimeout(), options["timeout"]))
        return real(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(MissingWeightsError):
        timm_backbone(model=name, pretrained=True)
    assert seen == [(False, None, backbone.STALL_SECONDS)]
    assert not constants.HF_HUB_OFFLINE and socket.getdefaulttimeout() is None


def test_offline_nothing_is_asked(closed_hub: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(urllib.request, "urlopen", None)
    with pytest.raises(MissingWeightsError, match="test_resnet cannot be downloaded: HF_HUB_OFFLINE is set, and"):
        timm_backbone(model="test_resnet", pretrained=True)


def test_weights_without_a_network_are_missing_at_once(closed_hub: None) -> None:
    start = time.monotonic()
    with pytest.raises(MissingWeightsError):
        timm_backbone(model="test_resnet", pretrained=True)
    assert time.monotonic() - start < 3


def test_a_model_without_any_pretrained_weights_says_so(closed_hub: None) -> None:
    assert not timm.is_model_pretrained("cs3darknet_s")
    with pytest.raises(MissingWeightsError, match=r"timm has no pretrained weights of cs3darknet_s; .*name a file"):
        timm_backbone(model="cs3darknet_s", pretrained=True)


@pytest.mark.parametrize(
    ("model", "choices"),
    [
        ("test_resnet.nonsense", "r160_in1k"),
        pytest.param(
            "qwen3_vit_88m_enc.qwen3_5_0_8",
            "qwen3_5_0_8b",
            marks=pytest.mark.skipif(not timm.list_pretrained("qwen3_vit_88m_enc*"), reason="not in an older timm"),
        ),
    ],
)
def test_an_unknown_tag_is_refused_with_the_choices(model: str, choices: str) -> None:
    """Where timm's sources do not tell the tags, as of the second one, only timm itself knows."""
    name, _, tag = model.partition(".")
    with pytest.raises(ComponentError, match=rf"{name} has no weights '{tag}'.*; choices: {choices}$"):
        timm_backbone(model=model)


class Hub(BaseHTTPRequestHandler):
    """A Hugging Face hub with the models in a folder, `ORG/NAME/file`."""

    root: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        self.asked.append(self.path)
        file = self.root / self.path.lstrip("/").replace("resolve/main/", "")
        content = file.read_bytes() if file.is_file() else b""
        self.send_response(200 if content or self.path == "/" else 404)
        if not content:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def hub_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as timm would push it, `fluke/tiny`, whose scaling and number of classes are its own."""
    torch.manual_seed(3)
    network = timm.create_model("test_resnet", num_classes=7)
    network.pretrained_cfg.update(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    folder = tmp_path_factory.mktemp("hub")
    save_for_hf(network, folder / "fluke" / "tiny", safe_serialization=True)
    return folder


@pytest.fixture
def hub(hub_model: Path) -> Iterator[type[Hub]]:
    """That hub, serving; its `endpoint` is where."""
    handler = type("Served", (Hub,), {"root": hub_model, "asked": []})
    with serving(handler) as url:
        handler.endpoint = url  # type: ignore[attr-defined]
        yield handler


HUB_CLIENT = """
import sys, torch
from siamesekit.registry import ENCODERS
for pretrained in (True, False):
    made = ENCODERS.build("timm/hf-hub:fluke/tiny", pretrained=pretrained).eval()
    images = torch.arange(3 * 64 * 64, dtype=torch.int32).remainder(256).to(torch.uint8).view(1, 3, 64, 64)
    torch.save((made.num_features, made.mean, made.std, made.network.state_dict(), made(images).detach()),
               f"{sys.argv[1]}/{pretrained}.pt")
"""


@pytest.mark.slow
def test_a_hub_model_has_the_hubs_weights_and_scaling_and_then_comes_from_the_cache(
    hub: type[Hub], closed_hub: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    cache = tmp_path / "hf"
    environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(cache), "no_proxy": "127.0.0.1"}  # type: ignore[attr-defined]
    command = [sys.executable, "-c", HUB_CLIENT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "/fluke/tiny/resolve/main/model.safetensors" in hub.asked
    torch.manual_seed(3)
    stored = timm.create_model("test_resnet", num_classes=7)
    stored.reset_classifier(0)
    images = torch.arange(3 * 64 * 64, dtype=torch.int32).remainder(256).to(torch.uint8).view(1, 3, 64, 64)
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    expected = stored.eval()((images / 255 - mean) / std).detach()
    num_features, own_mean, own_std, state, features = torch.load(tmp_path / "True.pt")
    assert num_features == expected.shape[1]
    np.testing.assert_allclose(own_mean, 255 * mean, rtol=1e-6)
    np.testing.assert_allclose(own_std, 255 * std, rtol=1e-6)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    random = torch.load(tmp_path / "False.pt")
    assert random[3].keys() == state.keys()
    assert not torch.equal(random[4], features), "without pretrained weights only config.json is used"

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    again = built("timm/hf-hub:fluke/tiny")
    assert again.num_features == num_features
    cached = timm_backbone(model="hf-hub:fluke/tiny", pretrained=True).network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in cached.items())


@pytest.fixture
def open_hub(hub: type[Hub], closed_hub: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """That hub in the place of huggingface.co, in this process."""
    endpoint = hub.endpoint  # type: ignore[attr-defined]
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_model_that_the_hub_does_not_have_is_named(open_hub: None) -> None:
    says = r"timm/hf-hub:fluke/large cannot be downloaded: 127.0.0.1:\d+ has no (config.json of|model) fluke/large"
    with pytest.raises(MissingWeightsError, match=says):
        timm_backbone(model="hf-hub:fluke/large", pretrained=False)


def test_timms_own_weights_come_from_the_hub_that_timm_names(open_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    known = timm.get_pretrained_cfg("test_resnet")
    changed = dataclasses.replace(known, hf_hub_id="fluke/tiny", num_classes=7)
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: changed)
    made = timm_backbone(model="test_resnet", pretrained=True).network
    torch.manual_seed(3)
    stored = timm.create_model("test_resnet", num_classes=7).state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in made.state_dict().items())
    assert "file" not in made.pretrained_cfg or not made.pretrained_cfg["file"]


@pytest.mark.medium
def test_a_hub_whose_files_stand_still_is_given_up_within_the_bound(
    hub: type[Hub], closed_hub: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Event()
    plain = hub.answer
    monkeypatch.setattr(hub, "answer", lambda self, body: plain(self, body) if self.path == "/" else over.wait(30))
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)  # type: ignore[attr-defined]
    monkeypatch.setattr(backbone, "STALL_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(MissingWeightsError, match=r"timm/hf-hub:fluke/tiny cannot be downloaded: .* timed out"):
        timm_backbone(model="hf-hub:fluke/tiny", pretrained=True)
    over.set()
    assert 0.9 < time.monotonic() - start < 5


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_hub_model_without_a_network_says_what_to_do(closed_hub: socket.socket, pretrained: bool) -> None:
    start = time.monotonic()
    with pytest.raises(MissingWeightsError, match=r"timm/hf-hub:fluke/tiny cannot be downloaded: .*reached") as caught:
        timm_backbone(model="hf-hub:fluke/tiny", pretrained=pretrained)
    assert str(caught.value).endswith(
        "; check the model's name on huggingface.co and connect to the network once; the model then stays in the "
        "hub's cache (HF_HOME)"
    )
    assert time.monotonic() - start < 3
