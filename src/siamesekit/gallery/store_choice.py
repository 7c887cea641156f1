"""The choice of a store: as the command line names it, and as a catalogue remembers it."""

from __future__ import annotations

import json
import secrets
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.config.toml import UnparsableError, parse_toml
from siamesekit.errors import ArtifactError, ComponentError, UserError
from siamesekit.files.remote_address import refuse_secrets, without_secrets
from siamesekit.registry import STORES

OWN = "memory-mapped"
"""The store that searches the catalogue's own file of embeddings."""
INSTEAD = "give it by the environment variables that the store's guide names, such as QDRANT_API_KEY"
"""Where keys of a store belong, for messages."""


@dataclass(frozen=True)
class StoreChoice:
    """A store by name, with its options.

    Attributes:
        name: name of the store.
        options: its options.
    """

    __module__ = "siamesekit"

    name: str = OWN
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Check name and options against the registered stores.

        Raises:
            ComponentError: no store has this name, or an option is wrong, or is an address with a password or key.
        """
        _, found = STORES.check(self.name, self.options)
        problems = [*found]
        for option, value in self.options.items():
            try:
                refuse_secrets(str(value), INSTEAD)
            except UserError as error:
                problems.append((option, str(error)))
        if problems:
            raise ComponentError(
                f"store {self.name!r} cannot be used:", [f"{option}: {problem}" for option, problem in problems]
            )

    def __str__(self) -> str:
        given = ", ".join(f"{key} = {value}" for key, value in self.options.items())
        return without_secrets(f"{self.name} ({given})") if given else self.name

    def text(self) -> str:
        """As JSON."""
        return json.dumps({"name": self.name, "options": dict(self.options)})


def named_store(name: str, options: Sequence[str] = ()) -> StoreChoice:
    """A store as the command line names it.

    Args:
        name: its name.
        options: `key=value`, the value in TOML or as text without quotes.

    Raises:
        UserError: an option is no `key=value`.
        ComponentError: no store has this name, or an option is wrong.
    """
    given: dict[str, Any] = {}
    for option in options:
        key, equals, value = (part.strip() for part in option.partition("="))
        if not (key and equals):
            raise UserError(
                f"--store-option {without_secrets(option)}: must be key=value, such as uri=s3://bucket/path"
            )
        try:
            given[key] = parse_toml(f"value = {value}")["value"]
        except (tomllib.TOMLDecodeError, UnparsableError):
            given[key] = value
    choice = StoreChoice(name, given)
    choice.check()
    return choice


def try_store(choice: StoreChoice, model: SimilarityModel) -> None:
    """Open a store for a model and remove it again, before any work is done for it.

    Raises:
        UserError: it needs a package, or the model's distance is none that it knows.
        OutputError: it cannot be reached.
    """
    if choice.name == OWN:
        return
    runtime = {"dimensions": model.encoder.head.embedding_dim, "distance": model.distance}
    name = f"siamesekit-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        STORES.build_for_run(choice.name, choice.options, folder=Path(folder), collection=name, **runtime).drop()


def remembered_store(text: str) -> StoreChoice:
    """The store that a catalogue remembers, from JSON.

    Raises:
        ArtifactError: the text is altered.
    """
    try:
        told = json.loads(text)
        name, options = told["name"], dict(told["options"])
    except (ValueError, TypeError, KeyError):
        raise ArtifactError("the catalogue is altered: its store is not described; restore a copy of it") from None
    return StoreChoice(str(name), options)
