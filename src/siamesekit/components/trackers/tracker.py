"""The protocol `Tracker` of tracker components, with what they take and give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Epoch:
    """The figures of an epoch.

    Attributes:
        number: number of the epoch, from 1.
        figures: its line in metrics.jsonl without the epoch and without unknown figures.
    """

    __module__ = "siamesekit"

    number: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker sees it.

    Attributes:
        name: name of the run.
        folder: folder of the run.
        config: the config with all defaults: `name`, `seed` and tables.
        id: what the tracker called this run before, if the run continues; empty for a new run.
        epochs: epochs that are complete already, if the run continues.
    """

    __module__ = "siamesekit"

    name: str
    folder: Path
    config: Mapping[str, Any]
    id: str = ""
    epochs: tuple[Epoch, ...] = field(default=(), repr=False)

    def settings(self) -> dict[str, str | int | float | bool]:
        """The config as one level of dotted keys, such as `encoder.name`; lists are texts."""
        return dict(_settings(self.config, ""))


@dataclass(frozen=True)
class Tracked:
    """How a tracker calls a run.

    Attributes:
        id: what finds the run again when it continues.
        place: where a person sees it: an address, a folder or a command.
    """

    __module__ = "siamesekit"

    id: str
    place: str


class Tracker(Protocol):
    """Shows the figures of a run while it trains.

    A tracker runs in a process of its own, so it can neither change the numbers of a run nor hold it up. An exception
    ends the tracker with a warning, and the run goes on. What a tracker prints is not shown. Beside these methods, it
    may have an attribute `package`, the name of a module without which no run begins.
    """

    def begin(self, run: TrackedRun) -> Tracked:
        """Begin, or continue if `run.id` is not empty, and make sure that `run.epochs` are there."""
        ...

    def log_epoch(self, epoch: Epoch) -> None:
        """Show the figures of an epoch."""
        ...

    def log_result(self, figures: Mapping[str, float], report: Path) -> None:
        """Show the figures of the finished run, such as `trained/map_at_r` and the ends of its interval
        `trained/map_at_r_low` and `…_high`, and the place of the report.
        """
        ...

    def end(self, complete: bool) -> None:
        """End, after everything has been sent; `complete` tells whether the run came to its end."""
        ...


Tracker.__module__ = "siamesekit"


def _settings(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value if isinstance(value, str | int | float | bool) else str(value)
