"""What is named where a model is wanted: a folder, a model on the hub, or an encoder with its pretrained weights.

Nothing here imports torch, so that a command line is checked at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from siamesekit.errors import ComponentError, UserError
from siamesekit.registry import ENCODERS
from siamesekit.wording import line_of_name, near

HUB = "hub:"
"""Prefix of a model on the Hugging Face hub."""
REPOSITORY = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""`OWNER/NAME`, as the hub takes it."""
REVISION = re.compile(r"[\w./-]{1,200}", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """A model on the Hugging Face hub.

    Attributes:
        repository: `OWNER/NAME`.
        revision: branch, tag or commit; None for the newest.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{HUB}{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class EncoderName:
    """An encoder with its pretrained weights, such as `timm/resnet50`."""

    name: str

    def __str__(self) -> str:
        return self.name


ModelName = Path | HubName | EncoderName


def model_name(text: str | Path) -> ModelName:
    """What a text names: `hub:OWNER/NAME[@REVISION]`, an encoder by its name, or else a folder.

    A text that begins with `./`, `../` or `/` is always a folder's path.

    Args:
        text: the text; a `Path` is always a folder.

    Raises:
        ComponentError: it has the form of an encoder's name, but there is no such encoder.
        UserError: it names both a folder that exists and something else, or is no name of a model on the hub.
    """
    if isinstance(text, Path) or text.startswith(("./", "../", "/")):
        return Path(text)
    if text.startswith(HUB):
        _refuse_folder(text, "is also the name of a model on the hub")
        return hub_name(text)
    if not _may_be_encoder(text):
        return Path(text)
    try:
        ENCODERS.get(text)
    except ComponentError:
        if Path(text).exists():
            return Path(text)
        raise
    _refuse_folder(text, "is also the name of an encoder")
    return EncoderName(text)


def hub_name(text: str) -> HubName:
    """A model on the hub by `OWNER/NAME` or `OWNER/NAME@REVISION`, with or without the prefix `hub:`.

    Raises:
        UserError: the hub has no such names.
    """
    repository, at, revision = text.removeprefix(HUB).partition("@")
    if not REPOSITORY.fullmatch(repository) or (at and (".." in revision or not REVISION.fullmatch(revision))):
        raise UserError(
            f"{line_of_name(text)} is no model on the hub: its name must be OWNER/NAME or OWNER/NAME@REVISION"
        )
    return HubName(repository, revision or None)


def require_model(text: str) -> ModelName:
    """What a text names, for a command; a folder must exist.

    Raises:
        UserError: as for `model_name`; or there is no such folder.
    """
    named = model_name(text)
    if isinstance(named, Path) and not named.exists():
        hint = near(text, [name for name in ENCODERS.names() if not name.endswith("/*")])
        if REPOSITORY.fullmatch(text):
            hint = f"; for a model on the hub: {HUB}{text}"
        raise UserError(f"no such file: {line_of_name(text)}{hint}")
    return named


def _may_be_encoder(text: str) -> bool:
    """Whether a text is the name of an encoder, or begins with that of a family, such as `timm/`."""
    family, slash, _ = text.partition("/")
    names = ENCODERS.names()
    return text in names or (bool(slash) and f"{family}/*" in names)


def _refuse_folder(text: str, what: str) -> None:
    if Path(text).exists():
        shown = line_of_name(text)
        raise UserError(
            f"{shown} is a folder here and {what}: for the folder, write ./{shown}; for the other, change to another "
            "folder"
        )
