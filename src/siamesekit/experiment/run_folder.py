"""A run's folder: claimed once and written atomically; files that are not the run's own stay untouched.

A folder is a run's folder if its `manifest.json` carries the mark `FORMAT`. This file is written first and lists the
run's own files (`siamesekit.files.run_files`).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.experiment.replaced_run import FORMAT, ReplacedRun, holds_nothing, is_marked, manifest_of, remove_run
from siamesekit.experiment.run_place import SHOWN, refuse_unmovable, refuse_unwritable, what_is_there
from siamesekit.files.atomic import PREFIX, sweep, write_atomic, write_json
from siamesekit.files.locks import held, release
from siamesekit.files.paths import is_there, resolved
from siamesekit.files.run_files import (
    CHECKPOINT_FORMS,
    CHECKPOINTS,
    CONFIG,
    EVALUATION,
    FIXED,
    FOLDERS,
    FORMS,
    MANIFEST,
    METRICS_FILE,
    MODEL,
    SPLIT,
    own_files,
    strangers,
)
from siamesekit.files.untrusted_json import read_json, read_json_lines
from siamesekit.wording import first_of, line_of_name

FROM_THE_START = (CONFIG, SPLIT, METRICS_FILE, *CHECKPOINT_FORMS)
"""Files listed when a run begins; those written at its end are listed after training."""


class RunFolder:
    """The files of one run.

    Args:
        path: the folder; `~` is the home folder, as in a shell.

    Attributes:
        path: the folder.
        replaced: folder of the previous run until this one is complete; None if there is none.

    Raises:
        OutputError: the path cannot be a folder: its links form a circle, or the user of `~user` does not exist.
    """

    def __init__(self, path: Path) -> None:
        try:
            path = path.expanduser()
            self.path = resolved(path) if path.is_symlink() else path
            self._real = resolved(path)  # a path such as "." has no name
        except (OSError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) else str(error)
            raise OutputError(
                f"{line_of_name(str(path))} cannot be a run's folder: {what}; choose another --out, such as runs/NAME"
            ) from None
        except RuntimeError:
            raise OutputError(f"{path} names a home folder that does not exist: write the full path") from None
        self.replaced: Path | None = None
        self._files: set[str] = set()
        self._old = ReplacedRun(self._real)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def model(self) -> Path:
        """The folder of the artifact."""
        return self.path / MODEL

    def check(self, resume: bool, overwrite: bool, more: Iterable[str] = ()) -> None:
        """Refuse, before any work is done, what `claim` would refuse.

        Args:
            resume: whether to continue the run in the folder.
            overwrite: whether to replace the run in the folder.
            more: files that this run will write in addition to those of every run.

        Raises:
            OutputError: the folder is in use and neither resumed nor overwritten, has no run to resume, cannot be
                written to, or holds a file of the user's that the run would replace; or both options are given.
        """
        if resume and overwrite:
            raise OutputError("--resume continues a run, --overwrite replaces it: give only one of them")
        refuse_unwritable(self.path, self._real, FOLDERS)
        if (overwrite or resume) and self._old.is_in_the_way:
            raise OutputError(
                f"{self._old.aside} is in the way: --overwrite keeps the previous run there, and this is not a run; "
                "move it, or choose another --out"
            )
        if not self._is_run():
            if (resume or overwrite) and self._old.is_aside and not is_there(self.path / MANIFEST):
                self._refuse_strangers(more)  # the run that was to replace it has written nothing
                return
            if not self._is_empty():
                raise OutputError(what_is_there(self.path))
            if resume:
                raise OutputError(f"--resume: there is no run in {self.path}; leave out --resume to start one")
            return
        if not resume and not overwrite and not self._has_only_begun():
            raise OutputError(
                f"{self.path} exists: --resume continues it, --overwrite replaces it, --out DIR writes elsewhere"
            )
        self._refuse_strangers(more)
        if overwrite:
            refuse_unmovable(self.path, self._real)

    def claim(self, resume: bool, overwrite: bool, more: Iterable[str] = ()) -> None:
        """Create the folder; a run that is overwritten is moved aside until this one is complete.

        Arguments and errors are those of `check`, and an OutputError if the folder cannot be created.
        """
        self.check(resume, overwrite, more)
        old = self._old
        try:
            for folder in (self.path, self.checkpoints, self.model, old.aside):  # remains of a run that died
                sweep(folder)
            if resume or overwrite:
                self.put_back(resume)
            whole = self._is_complete()
            if old.waits and whole and (resume or overwrite):  # the run in the folder has already replaced it
                old.remove()
            if overwrite and self._is_run():
                if old.waits:  # the folder holds the remains of an overwriting run that failed
                    remove_run(self.path)
                else:
                    old.move_aside()
            if (overwrite or resume) and old.waits:
                self.replaced = old.aside
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_be_made(error) from None
        manifest = manifest_of(self.path)
        listed = manifest.get("files") if is_marked(manifest) else None
        if manifest is not None and isinstance(listed, list):
            known = {*FIXED, *FORMS, *own_files(self.path, manifest)}
            self._files = {name for name in listed if isinstance(name, str) and name in known}

    def put_back(self, resume: bool) -> None:
        """Put a run back if a process died while moving it aside.

        Args:
            resume: whether to put it back also if it was moved completely and the new run has written nothing.

        Raises:
            OutputError: the run cannot be put back.
        """
        try:
            self._old.put_back(waiting=resume)
        except OSError as error:
            raise self._cannot_be_made(error) from None

    def _cannot_be_made(self, error: OSError) -> OutputError:
        where = f" ({error.filename})" if error.filename else ""
        return OutputError(f"{self.path} cannot be made: {error.strerror}{where}; choose another --out")

    def complete(self) -> None:
        """Remove the run that this complete run has replaced.

        Raises:
            OutputError: the previous run cannot be removed.
        """
        if self.replaced is None:
            return
        try:
            self._old.remove()
        except OSError as error:
            raise OutputError(
                f"the run in {self.path} is complete, but the previous run in {self.replaced} cannot be removed "
                f"({error.strerror}): remove it by hand"
            ) from None
        self.replaced = None

    def has_files(self) -> bool:
        """Whether the run in the folder has written more than its manifest."""
        manifest = manifest_of(self.path)
        return is_marked(manifest) and bool(own_files(self.path, manifest))

    def _is_run(self) -> bool:
        return is_marked(manifest_of(self.path))

    def _is_complete(self) -> bool:
        """Whether the folder holds a complete run."""
        manifest = manifest_of(self.path)
        return is_marked(manifest) and manifest.get("complete") is True

    def _is_empty(self) -> bool:
        return not is_there(self._real) or holds_nothing(self._real)

    def _has_only_begun(self) -> bool:
        """Whether the folder holds only the manifest of a run."""
        return all(entry.name == MANIFEST or entry.name.startswith(PREFIX) for entry in self.path.iterdir())

    def _refuse_strangers(self, more: Iterable[str]) -> None:
        """Refuse a folder in which files of the user's have names that this run is going to write."""
        manifest = manifest_of(self.path)
        own = own_files(self.path, manifest) if is_marked(manifest) else []
        if found := strangers(self.path, {*FIXED, *more}, own):
            raise OutputError(
                f"{self.path} holds {first_of(found, SHOWN)}, which the run in this folder did not write and this run "
                "would replace: move it away, or choose another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process, so that a second run into it is refused.

        The lock is a file beside the folder, `.NAME.lock`, removed afterwards. A process that dies releases the lock.

        Raises:
            OutputError: another process holds the lock, or it cannot be created.
        """
        lock = self._real.with_name(f".{self._real.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = held(lock)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be locked: {error.strerror} ({lock}); choose another --out"
            ) from None
        if handle is None:
            raise OutputError(f"{self.path} is in use by another run: wait for it, or choose another --out")
        try:
            yield
        finally:
            release(lock, handle)

    def write_config(self, text: str, plugins: Mapping[str, bytes]) -> None:
        """Write the resolved config, and copies of the plugin files beside it."""
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

    def write_manifest(self, manifest: Mapping[str, Any], adds: Iterable[str] = ()) -> dict[str, Any]:
        """Write manifest.json, with the mark of a run's folder and the list of the run's files, and return its content.

        Args:
            manifest: the content without mark and list.
            adds: further files of the run, listed before they are written.

        Raises:
            OutputError: manifest.json cannot be written, or a file of `adds` exists and is not this run's.
        """
        if found := strangers(self.path, set(adds) - self._files, ()):
            raise OutputError(
                f"{self.path} holds {first_of(found, SHOWN)}, which this run did not write and would replace: move it "
                "away and continue with --resume"
            )
        self._files |= set(adds)
        content = {"format": FORMAT, **manifest, "files": sorted(self._files)}
        write_json(self.path / MANIFEST, content)
        return content

    def read_manifest(self) -> dict[str, Any] | None:
        """Read manifest.json; None if there is no such file.

        Raises:
            ArtifactError: manifest.json cannot be read.
        """
        if not (self.path / MANIFEST).exists():
            return None
        manifest = read_json(self.path / MANIFEST, inside=self.path)
        if not isinstance(manifest, dict):
            raise ArtifactError(f"{self.path / MANIFEST} is damaged: it is not a JSON object")
        return manifest

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Write evaluation.json."""
        write_json(self.path / EVALUATION, evaluation)

    def write_metrics(self, lines: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl, one line per epoch; all lines are written atomically each time."""
        write_atomic(self.path / METRICS_FILE, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the lines of metrics.jsonl; an empty list if there is no such file.

        Raises:
            ArtifactError: metrics.jsonl is damaged.
        """
        file = self.path / METRICS_FILE
        if not file.exists():
            return []
        return read_json_lines(file)
