"""A run's folder: marked as one, claimed once, written whole file by whole file; what is not the run's stays.

A folder is a run's where its `manifest.json` carries the mark `FORMAT`. That file is written first, and lists the run's
own files (`siamesekit.own_files`).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from siamesekit.errors import ArtifactError, OutputError, first_of, line_of_name
from siamesekit.files import PREFIX, sweep, write_atomic, write_json
from siamesekit.json_files import read_json, read_json_lines
from siamesekit.locks import held, release
from siamesekit.own_files import (
    CHECKPOINT_FORMS,
    CHECKPOINTS,
    CONFIG,
    EVALUATION,
    FIXED,
    FOLDERS,
    MANIFEST,
    METRICS,
    MODEL,
    SPLIT,
    own_files,
    strangers,
)
from siamesekit.paths import is_there, resolved
from siamesekit.replaced_run import FORMAT, ReplacedRun, holds_nothing, is_marked, manifest_of, remove_run
from siamesekit.run_place import SHOWN, refuse_unmovable, refuse_unwritable, what_is_there

FROM_THE_START = (CONFIG, SPLIT, METRICS, *CHECKPOINT_FORMS)
"""The files of a run that begins; those of its end are listed when it has trained."""


class RunFolder:
    """The files of one run.

    Args:
        path: the folder; `~` is the home folder, as in a shell.

    Attributes:
        path: the folder.
        replaced: where the run that was here before has been put, until this one is complete.

    Raises:
        OutputError: the path cannot be one: its links lead in a circle, or `~` is of somebody who is not there.
    """

    def __init__(self, path: Path) -> None:
        try:
            path = path.expanduser()
            self.path = resolved(path) if path.is_symlink() else path
            self._real = resolved(path)  # "." has no name
        except (OSError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) else str(error)
            raise OutputError(
                f"{line_of_name(str(path))} cannot be a run's folder: {what}; choose another --out, such as runs/NAME"
            ) from None
        except RuntimeError:
            raise OutputError(f"{path} names a home folder that is not there: write the whole path") from None
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
            resume: whether to go on with the run that is there.
            overwrite: whether to replace it.
            more: files that this run will write beside those that every run has.

        Raises:
            OutputError: something is there and neither to be resumed nor overwritten; or nothing is there to resume;
                or both are asked for; or the folder cannot be written to; or a file of the user's is in the way.
        """
        if resume and overwrite:
            raise OutputError("--resume goes on with a run, --overwrite replaces it: give one of them")
        refuse_unwritable(self.path, self._real, FOLDERS)
        if (overwrite or resume) and self._old.is_in_the_way:
            raise OutputError(
                f"{self._old.aside} is in the way: a run that is overwritten waits there, and this is "
                "none; move it, or choose another --out"
            )
        if not self._is_run():
            if (resume or overwrite) and self._old.is_aside and not is_there(self.path / MANIFEST):
                self._refuse_strangers(more)  # the run that was to replace it has written nothing
                return
            if not self._is_empty():
                raise OutputError(what_is_there(self.path))
            if resume:
                raise OutputError(f"--resume: there is no run in {self.path}; leave --resume out to start one")
            return
        if not resume and not overwrite and not self._has_only_begun():
            raise OutputError(
                f"{self.path} exists: --resume goes on with it, --overwrite replaces it, --out DIR writes elsewhere"
            )
        self._refuse_strangers(more)
        if overwrite:
            refuse_unmovable(self.path, self._real)

    def claim(self, resume: bool, overwrite: bool, more: Iterable[str] = ()) -> None:
        """Make the folder; a run that is overwritten is moved aside until this one is complete.

        Arguments and errors as for `check`; or the folder cannot be made.
        """
        self.check(resume, overwrite, more)
        old = self._old
        try:
            for folder in (self.path, self.checkpoints, self.model, old.aside):  # what a run that died has left
                sweep(folder)
            if resume or overwrite:
                self.put_back(resume)
            whole = self._is_complete()
            if old.waits and whole and (resume or overwrite):  # the run that is here has replaced it already
                old.remove()
            if overwrite and self._is_run():
                if old.waits:  # what an overwriting run that failed has left
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
            known = {*FIXED, *CHECKPOINT_FORMS, *own_files(self.path, manifest)}
            self._files = {name for name in listed if isinstance(name, str) and name in known}

    def put_back(self, resume: bool) -> None:
        """Where a process died while it moved a run aside, that run is put back.

        Args:
            resume: also where it was moved whole, and the run that was to replace it has written nothing.

        Raises:
            OutputError: it cannot be put back.
        """
        try:
            self._old.put_back(waiting=resume)
        except OSError as error:
            raise self._cannot_be_made(error) from None

    def _cannot_be_made(self, error: OSError) -> OutputError:
        where = f" ({error.filename})" if error.filename else ""
        return OutputError(f"{self.path} cannot be made: {error.strerror}{where}; choose another --out")

    def complete(self) -> None:
        """The run is whole: what it replaced can go.

        Raises:
            OutputError: it cannot be removed.
        """
        if self.replaced is None:
            return
        try:
            self._old.remove()
        except OSError as error:
            raise OutputError(
                f"the run in {self.path} is complete; the one that it replaced, in {self.replaced}, "
                f"cannot be removed ({error.strerror}): remove it by hand"
            ) from None
        self.replaced = None

    def has_files(self) -> bool:
        """Whether the run that is here has written more than its manifest."""
        manifest = manifest_of(self.path)
        return is_marked(manifest) and bool(own_files(self.path, manifest))

    def _is_run(self) -> bool:
        return is_marked(manifest_of(self.path))

    def _is_complete(self) -> bool:
        """Whether a run is here that went to its end."""
        manifest = manifest_of(self.path)
        return is_marked(manifest) and manifest.get("complete") is True

    def _is_empty(self) -> bool:
        return not is_there(self._real) or holds_nothing(self._real)

    def _has_only_begun(self) -> bool:
        """Whether nothing is here but a run's manifest."""
        return all(entry.name == MANIFEST or entry.name.startswith(PREFIX) for entry in self.path.iterdir())

    def _refuse_strangers(self, more: Iterable[str]) -> None:
        """Nothing of the user's may be where this run is going to write."""
        manifest = manifest_of(self.path)
        own = own_files(self.path, manifest) if is_marked(manifest) else []
        if found := strangers(self.path, {*FIXED, *more}, own):
            raise OutputError(
                f"{self.path} holds {first_of(found, SHOWN)}, which the run that is there did not write, and which "
                "would be replaced: move it away, or choose another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process: a second run into it is refused; a process that died holds nothing.

        The lock is a file beside the folder, `.NAME.lock`, gone afterwards.

        Raises:
            OutputError: another process holds it, or it cannot be made.
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
            raise OutputError(
                f"{self.path} is another run's that is going on now: wait for it, or choose another --out"
            )
        try:
            yield
        finally:
            release(lock, handle)

    def write_config(self, text: str, plugins: Mapping[str, bytes]) -> None:
        """Write the resolved config, and beside it the plugin files as they were."""
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
        """Write manifest.json, with the mark of a run's folder and the list of the run's files; gives what is written.

        Args:
            manifest: what it says.
            adds: files that the run writes from now on; they are listed before they are there.

        Raises:
            OutputError: it cannot be written, or one of these files is there and is not this run's.
        """
        if found := strangers(self.path, set(adds) - self._files, ()):
            raise OutputError(
                f"{self.path} holds {first_of(found, SHOWN)}, which this run did not write, and which would be "
                "replaced: move it away and go on with --resume"
            )
        self._files |= set(adds)
        whole = {"format": FORMAT, **manifest, "files": sorted(self._files)}
        write_json(self.path / MANIFEST, whole)
        return whole

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
