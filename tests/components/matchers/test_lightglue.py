"""LightGlue's matchers with small made-up weights: LightGlue's are such that it matches the nearest descriptors."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from numpy.typing import NDArray
from torch import Tensor

from helpers import Stalling, serving
from patterns import SIDE, skin
from siamesekit import MATCHERS
from siamesekit.components.encoders import backbone
from siamesekit.components.matchers.matcher import Keypoints
from siamesekit.errors import MissingWeightsError, UserError, WeightsError

kornia = pytest.importorskip("kornia.feature")
SHIFT = np.array([32, 32])
"""Pixels; a multiple of both networks' strides, so that they see the same."""
SHARPNESS = 1000.0
"""Descriptors of random networks differ little."""


def random_state(network: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    """Numbers for all weights of a network, as its training would begin; the statistics are those of no batch."""
    torch.manual_seed(seed)
    return {name: value.clone() for name, value in network.state_dict().items()}


def nearest_descriptors() -> dict[str, Tensor]:
    """Weights with which LightGlue's layers add nothing, all points can be matched, and equal descriptors match.

    The names are those of the published files.
    """
    state = random_state(kornia.LightGlue(None, input_dim=128), 1)
    for name, value in state.items():
        if ".ffn.3." in name or "token_confidence" in name or "matchability" in name or name.endswith("proj.bias"):
            value.zero_()
        if name.endswith("final_proj.weight"):
            value.copy_(SHARPNESS * torch.eye(256))
        if name == "input_proj.weight":
            value.copy_(torch.eye(256, 128))
        if name.endswith("matchability.bias"):
            value.fill_(10)
        if "token_confidence" in name and name.endswith("bias"):
            value.fill_(-10)  # never sure before the last layer
    del state["confidence_thresholds"]
    parts = {name: name.split(".") for name in state}
    old = {n: ".".join([p[2], p[1], *p[3:]]) if p[0] == "transformers" else n for n, p in parts.items()}
    return {old[name]: value for name, value in state.items()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files in the published layouts."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"extractor": random_state(kornia.DISK(), 2)}, folder / "disk.pth")
    torch.save(random_state(kornia.ALIKED("aliked-n16"), 3), folder / "aliked.pth")
    torch.save(nearest_descriptors(), folder / "glue.pth")
    return folder


def build(folder: Path, detector: str, **options: Any) -> Any:
    files = {"weights": folder / "glue.pth", "detector_weights": folder / f"{detector}.pth"}
    return MATCHERS.build(f"lightglue/{detector}", {"device": "cpu", "keypoints": 200, **files, **options})


def shifted(by: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A skin on a plain ground, shifted; all of it is on the photo."""
    photo = np.full((SIDE + 128, SIDE + 144, 3), 120, np.uint8)
    x, y = 48 + by
    photo[y : y + SIDE, x : x + SIDE] = np.asarray(skin(1))
    return photo


def double_softmax(first: Keypoints, second: Keypoints, threshold: float) -> set[tuple[int, int]]:
    """Pairs that are each other's likeliest, above the threshold (LightGlue, equations 7 and 8)."""
    likeness = SHARPNESS**2 * first.descriptors.astype(float) @ second.descriptors.T.astype(float) / 16  # √256
    chances = 1.0
    for axis in (0, 1):
        raised = np.exp(likeness - likeness.max(axis, keepdims=True))
        chances = chances * raised / raised.sum(axis, keepdims=True)
    chances = chances / (1 + np.exp(-10.0)) ** 2
    best, back = chances.argmax(1), chances.argmax(0)
    return {(i, int(j)) for i, j in enumerate(best) if back[j] == i and chances[i, j] > threshold}


@pytest.mark.medium
@pytest.mark.parametrize(("detector", "least"), [("disk", 20), ("aliked", 1)])
def test_points_of_a_shifted_photo_lie_where_the_shift_puts_them(weights: Path, detector: str, least: int) -> None:
    """A random ALIKED describes nearly all points alike, so that few of them are matched."""
    matcher = build(weights, detector, threshold=0.3)
    first, second = matcher.describe(shifted(np.zeros(2, np.int64))), matcher.describe(shifted(SHIFT))
    assert first.descriptors.shape == (len(first), 128) and 50 < len(first) <= 200
    np.testing.assert_allclose(np.linalg.norm(first.descriptors, axis=1), 1, atol=1e-4)
    found = matcher.match(first, second)
    row, column = ({tuple(at): n for n, at in enumerate(each.points.tolist())} for each in (first, second))
    ends = zip(found.first.tolist(), found.second.tolist(), strict=True)
    pairs = {(row[tuple(start)], column[tuple(end)]) for start, end in ends}
    expected = double_softmax(first, second, 0.3)
    assert len(pairs ^ expected) <= 2 and len(expected) >= least  # rounding may move a pair over the threshold
    if detector == "disk":
        error = np.linalg.norm(found.first + SHIFT - found.second, axis=1)
        assert (error < 2).mean() > 0.75  # random descriptors also match plain ground; rounding moves some of these


def test_points_are_pixels_of_the_photo_however_it_is_scaled(weights: Path) -> None:
    """The detector is one that finds the brightest place, and the photo has one bright square."""
    matcher = build(weights, "disk", size=100)

    def brightest(images: Tensor) -> SimpleNamespace:
        place = int(images[0].sum(0).argmax())
        at = torch.tensor([[place % images.shape[3], place // images.shape[3]]])
        return SimpleNamespace(keypoints=at, descriptors=torch.ones(1, 128))

    matcher._detect = brightest
    photo = np.zeros((300, 500, 3), np.uint8)
    photo[200:205, 400:405] = 255
    found = matcher.describe(photo)
    assert found.size == (500, 300)
    np.testing.assert_allclose(found.points, [[402, 202]], atol=0.01)
    small = matcher.describe(photo[195:255, 395:495])  # as it is, for it is small enough
    np.testing.assert_allclose(small.points, [[5, 5]], atol=0.01)


def test_without_keypoints_nothing_is_shared(weights: Path) -> None:
    matcher = build(weights, "aliked")
    none = Keypoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32), (8, 8))
    some = matcher.describe(shifted(SHIFT))
    assert len(matcher.match(none, some)) == len(matcher.match(some, none)) == 0
    assert matcher.describe(np.full((1, 3, 3), 7, np.uint8)).size == (3, 1)


def test_the_text_form_tells_options_and_digests(weights: Path, tmp_path: Path) -> None:
    matcher = build(weights, "disk", size=300)
    digests = {name: sha256((weights / f"{name}.pth").read_bytes()).hexdigest()[:12] for name in ("glue", "disk")}
    assert repr(matcher) == (
        f"lightglue/disk(size=300, keypoints=200, threshold=0.1, weights=sha256 {digests['glue']}, "
        f"detector_weights=sha256 {digests['disk']})"
    )
    torch.save({"extractor": random_state(kornia.DISK(), 9)}, tmp_path / "disk.pth")
    assert repr(build(weights, "disk", size=300, detector_weights=tmp_path / "disk.pth")) != repr(matcher)


@pytest.mark.medium
def test_files_that_hold_something_else_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"aliked.pth does not hold the weights of disk, \d+ differences"):
        build(weights, "disk", detector_weights=weights / "aliked.pth")
    with pytest.raises(WeightsError, match=r"disk.pth does not hold the weights of lightglue/disk"):
        build(weights, "disk", weights=weights / "disk.pth")
    with pytest.raises(MissingWeightsError, match=r"no such weights file: .*gone.pth"):
        build(weights, "disk", weights=tmp_path / "gone.pth")
    torch.save({"extractor": Path}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="files that would run code are not loaded"):
        build(weights, "disk", detector_weights=tmp_path / "code.pth")
    short = random_state(kornia.DISK(), 2)
    name = next(iter(short))
    short[name] = short[name][:-1]
    torch.save({"extractor": short}, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match="1 differences") as caught:
        build(weights, "disk", detector_weights=tmp_path / "short.pth")
    assert name in caught.value.details[0]


class Hub(BaseHTTPRequestHandler):
    """Serves files as the Hugging Face hub does: by their paths there."""

    files: dict[str, Path]
    asked: list[str]

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        self.asked.append(self.path)
        file = self.files.get(self.path.lstrip("/"))
        content = b"" if file is None else file.read_bytes()
        self.send_response(404 if file is None else 200)
        if file is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """The hub is at this address."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def hub(weights: Path, empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    files = {
        "kornia/disk/resolve/main/depth-save.pth": weights / "disk.pth",
        "kornia/lightglue/resolve/main/disk_lightglue.pth": weights / "glue.pth",
    }
    handler = type("Served", (Hub,), {"files": files, "asked": []})
    with serving(handler) as url:
        at(monkeypatch, url)
        yield handler.asked  # type: ignore[attr-defined]


@pytest.mark.medium
def test_weights_come_from_the_hub_once(hub: list[str], weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MATCHERS.build("lightglue/disk", {"device": "cpu", "keypoints": 200})
    assert repr(made) == repr(build(weights, "disk"))
    assert "/kornia/lightglue/resolve/main/disk_lightglue.pth" in hub
    with pytest.raises(MissingWeightsError, match=r"weights of .*aliked cannot be downloaded: .* has no "):
        MATCHERS.build("lightglue/aliked", {"device": "cpu"})
    at(monkeypatch, "http://127.0.0.1:9")
    assert repr(MATCHERS.build("lightglue/disk", {"device": "cpu", "keypoints": 200})) == repr(made)


@pytest.mark.medium
@pytest.mark.usefixtures("empty_cache")
def test_a_hub_that_stands_still_is_given_up_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "STALL_SECONDS", 1.0)

    silent = type("Silent", (Stalling,), {"do_HEAD": lambda self: self.over.wait(30)})
    with serving(silent) as url:
        at(monkeypatch, url)
        start = time.monotonic()
        says = r"weights of lightglue/disk cannot be downloaded: 127.0.0.1:\d+ timed out: no answer for 1 s"
        with pytest.raises(MissingWeightsError, match=says) as caught:
            MATCHERS.build("lightglue/disk", {"device": "cpu"})
        assert time.monotonic() - start < 15
    assert "--matcher-option weights=FILE" in str(caught.value)


@pytest.mark.usefixtures("empty_cache")
def test_without_a_hub_files_are_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(MissingWeightsError, match=r"cannot be reached.*connect to the internet once, or name files"):
        MATCHERS.build("lightglue/aliked", {"device": "cpu"})


def test_without_kornia_it_says_what_to_install(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("kornia"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"matcher 'lightglue/disk' needs kornia: pip install 'siamesekit\[matchers\]'"):
        build(weights, "disk")


def test_building_leaves_torchs_settings_as_they_were(weights: Path) -> None:
    before = torch.backends.cuda.flash_sdp_enabled()
    try:
        torch.backends.cuda.enable_flash_sdp(False)
        build(weights, "disk")
        assert not torch.backends.cuda.flash_sdp_enabled()
    finally:
        torch.backends.cuda.enable_flash_sdp(before)
