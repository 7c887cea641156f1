"""A run's folder: claimed once, written whole file by whole file."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files import PREFIX, held, release, sweep, write_atomic, write_json
from siamesekit.json_files import read_json, read_json_lines

CONFIG, MANIFEST, METRICS, EVALUATION, REPORT = (
    "config.toml", "manifest.json", "metrics.jsonl", "evaluation.json", "report.html",
)  # fmt: skip
MODEL, CHECKPOINTS, PLUGINS = "model", "checkpoints", "plugins"
NAMES = frozenset({CONFIG, MANIFEST, METRICS, EVALUATION, REPORT, MODEL, CHECKPOINTS, PLUGINS})
"""All that a run's folder holds by itself: a file that the user names is called otherwise."""


class RunFolder:
    """The files of one run.

    Attributes:
        path: the folder.
        replaced: where the run that was here before has been put, until this one is complete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve() if path.is_symlink() else path
        self.replaced: Path | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def model(self) -> Path:
        """The folder of the artifact."""
        return self.path / MODEL

    @property
    def _aside(self) -> Path:
        path = self.path.resolve()  # "." has no name
        return path.with_name(f".{path.name}.replaced")

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse, before any work is done, what `claim` would refuse.

        Raises:
            OutputError: something is there and neither to be resumed nor overwritten; or nothing is there to resume;
                or both are asked for.
        """
        if resume and overwrite:
            raise OutputError("--resume goes on with a run, --overwrite replaces it: give one of them")
        if resume and not (self.path / CONFIG).is_file():
            raise OutputError(f"--resume: there is no run in {self.path}; leave --resume out to start one")
        if self.path.exists() and not resume and not overwrite and not self._is_empty():
            raise OutputError(f"{self.path} exists: --resume goes on with it, --overwrite replaces it, --out DIR "
                              "writes elsewhere")  # fmt: skip
        if overwrite and self.path.exists() and not self._is_empty() and not (self.path / CONFIG).is_file():
            raise OutputError(f"{self.path} is not a run's folder (no {CONFIG} in it): it is not overwritten; "
                              "choose another --out")  # fmt: skip
        aside = self._aside
        if (overwrite or resume) and aside.exists() and not (aside / CONFIG).is_file():
            raise OutputError(f"{aside} is in the way: a run that is overwritten waits there, and this is none; "
                              "move it, or choose another --out")  # fmt: skip

    def claim(self, resume: bool, overwrite: bool) -> None:
        """Make the folder; a run that is overwritten is moved aside until this one is complete.

        Raises:
            OutputError: as `check`, or the folder cannot be made.
        """
        self.check(resume, overwrite)
        aside = self._aside
        try:
            if overwrite and self.path.exists() and not self._is_empty():
                if aside.exists() and not self._is_complete():  # what an overwriting run that failed has left
                    shutil.rmtree(self.path)
                else:
                    if aside.exists():  # what waits there has been replaced already, by the whole run that is here
                        shutil.rmtree(aside)
                    self.path.rename(aside)
            if (overwrite or resume) and aside.exists():
                self.replaced = aside
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.checkpoints, self.model):  # what a run that died has left
                sweep(folder)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be made: {error.strerror}; choose another --out") from None

    def complete(self) -> None:
        """The run is whole: what it replaced can go."""
        if self.replaced is not None:
            shutil.rmtree(self.replaced)
            self.replaced = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process: a second run into it is refused; a process that died holds nothing.

        The lock is a file beside the folder, `.NAME.lock`, gone afterwards.

        Raises:
            OutputError: another process holds it, or it cannot be made.
        """
        path = self.path.resolve()
        lock = path.with_name(f".{path.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = held(lock)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be locked: {error.strerror}; choose another --out") from None
        if handle is None:
            raise OutputError(
                f"{self.path} is another run's that is going on now: wait for it, or choose another --out"
            )
        try:
            yield
        finally:
            release(lock, handle)

    def write_config(self, text: str, plugins: Mapping[str, bytes]) -> None:
        """Write the resolved config, and beside it the plugin files as they were.

        The config comes first: with it a folder is a run's, and can be resumed or overwritten.
        """
        write_atomic(self.path / CONFIG, text)
        for name, content in plugins.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path / name, content)

    def read_config(self) -> dict[str, Any]:
        """The resolved config as plain tables."""
        try:
            return tomllib.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ArtifactError(f"{self.path / CONFIG} cannot be read: {error}") from error

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write manifest.json."""
        write_json(self.path / MANIFEST, manifest)

    def read_manifest(self) -> dict[str, Any] | None:
        """manifest.json; None where there is none.

        Raises:
            ArtifactError: it cannot be read.
        """
        if not (self.path / MANIFEST).exists():
            return None
        manifest = read_json(self.path / MANIFEST, inside=self.path)
        if not isinstance(manifest, dict):
            raise ArtifactError(f"{self.path / MANIFEST} is damaged: it is not a table")
        return manifest

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Write evaluation.json."""
        write_json(self.path / EVALUATION, evaluation)

    def write_metrics(self, lines: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl: a line per epoch, all of them anew, so that it is always whole."""
        write_atomic(self.path / METRICS, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none where there is no such file.

        Raises:
            ArtifactError: it is damaged.
        """
        file = self.path / METRICS
        if not file.exists():
            return []
        return read_json_lines(file)

    def _is_complete(self) -> bool:
        """Whether a run is here that went to its end; where that cannot be told, it counts as one: it is kept."""
        try:
            manifest = self.read_manifest()
        except ArtifactError:
            return True
        return manifest is not None and manifest.get("complete") is True

    def _is_empty(self) -> bool:
        """Whether nothing is there, but for what a write has left that was cut off."""
        return self.path.is_dir() and all(entry.name.startswith(PREFIX) for entry in self.path.iterdir())
