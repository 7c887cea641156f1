"""Atomic writes: a file is complete or absent.

`write_atomic` changes the disk only through `STEPS`, functions of this module that it looks up at each call, so that
tests can replace them and make each step fail in turn.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from siamesekit.errors import OutputError
from siamesekit.files.paths import is_plain
from siamesekit.wording import line_of_name

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

Writer = bytes | str | Callable[[Path], object]
"""Content of a file, or a function that writes a file at the given path."""
STEPS = ("create", "fill", "flush", "rename", "remove")
"""Names of the functions that change the disk."""
PREFIX, SUFFIX = ".siamesekit-", ".tmp"
"""Prefix and suffix of the temporary folder in which a file is written before it is renamed into place."""
WRITING = ".writing"
"""File in the temporary folder with the name of the file being written; only a file of that name is ever removed."""
_TEMPORARY = re.compile(re.escape(PREFIX) + "[a-z0-9_]{8}" + re.escape(SUFFIX))
_OF_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")
"""Name of the temporary file that safetensors renames after writing."""
SWEPT_WITHIN = 20
"""Number of attempts, one per millisecond, to lock a folder that another process may be about to sweep."""
PROBE = 64 << 10
"""Number of bytes written to test whether the disk is full."""
_ADVICE = {
    errno.ENOSPC: "free some space there, or choose another place",
    errno.EDQUOT: "free some of your quota there, or choose another place",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or choose another place",
    errno.ENOENT: "create the folder first",
    errno.EISDIR: "choose another name",
}
_OTHERWISE = "choose a writable place"


def write_atomic(path: Path, write: Writer, *, sweeping: bool = True) -> None:
    """Write a file atomically: write it to a temporary folder, flush it to disk, and rename it into place.

    The temporary folder `.siamesekit-….tmp` lies next to the file and is removed afterwards. If a process dies, the
    next write into the same folder removes its temporary folder; temporary folders of running processes are locked (on
    POSIX systems) and stay. A link at `path` is replaced, not followed.

    Args:
        path: path of the file; an existing file stays until the new one is complete.
        write: content of the file, or a function that writes a file at the given path.
        sweeping: whether to remove what died processes have left; it reads the names of all files in the folder, so do
            it once for many files.

    Raises:
        OutputError: the file cannot be written; an existing file is unchanged.
    """
    place: Path | None = None
    lock, renamed = None, False
    try:
        if sweeping:
            sweep(path.parent)
        place, lock = _locked(path.parent, path.name)
        temporary = place / path.name
        _fill(temporary, write)
        flush(temporary)
        rename(temporary, path)
        renamed = True
        flush(path.parent)
    except OSError as error:
        state = "the file was replaced, but a power cut could still undo it" if renamed else "nothing was changed"
        advice = _ADVICE.get(error.errno or 0, _OTHERWISE)
        what = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"{line_of_name(str(path))} cannot be written: {what}; {state}; {advice}") from error
    finally:
        try:
            if place is not None:
                with suppress(OSError):  # the next write's sweep tries again
                    remove(place)
        finally:
            if lock is not None:
                os.close(lock)


def write_several(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each atomically, with one flush for all: for many small files.

    Where the system cannot flush everything at once, each file is flushed.

    Args:
        folder: the folder.
        files: content of each file, by its name; existing files are replaced.

    Raises:
        OutputError: the files cannot be written; some may have been, each whole.
    """
    if not files:
        return
    place: Path | None = None
    lock = None
    try:
        sweep(folder)
        place, lock = _locked(folder, "\0".join(files))
        for name, content in files.items():
            _fill(place / name, content)
        if hasattr(os, "sync"):
            os.sync()
        else:
            for name in files:
                flush(place / name)
        for name in files:
            rename(place / name, folder / name)
        flush(folder)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else str(error)
        advice = _ADVICE.get(error.errno or 0, _OTHERWISE)
        raise OutputError(f"{line_of_name(str(folder))} cannot be written to: {what}; {advice}") from error
    finally:
        try:
            if place is not None:
                with suppress(OSError):  # the next write's sweep tries again
                    remove(place)
        finally:
            if lock is not None:
                os.close(lock)


def create(folder: Path, name: str) -> Path:
    """Create a temporary folder for writing a file, and store its name in it; or several names, divided by "\\0"."""
    place = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=folder))
    try:
        (place / WRITING).write_bytes(os.fsencode(name))
    except OSError:
        with suppress(OSError):
            remove(place)
        raise
    return place


def fill(path: Path, write: Writer) -> None:
    """Write a new file; it gets the permissions of any new file, even if a function writes it."""
    with path.open("xb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not callable(write):
            # a text may contain file names that are not UTF-8: write their bytes as escapes
            file.write(write.encode("utf-8", "backslashreplace") if isinstance(write, str) else write)
    if callable(write):
        write(path)
        if path.stat().st_mode != mode:  # safetensors creates a file that only its owner can read
            path.chmod(stat.S_IMODE(mode))


def flush(path: Path) -> None:
    """Flush a file, or a folder's list of files, to disk."""
    if path.is_dir():
        if os.name != "posix":
            return
        handle = os.open(path, os.O_RDONLY)
    else:
        handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():  # some file systems flush no folders
            raise
    finally:
        os.close(handle)


def rename(source: Path, target: Path) -> None:
    """Rename a file into its place, in one step."""
    source.replace(target)


def remove(folder: Path) -> None:
    """Remove a temporary folder of `create` with the file being written, and nothing else.

    Raises:
        OSError: the folder cannot be removed, or it holds other files, which stay.
    """
    writing = folder / WRITING
    try:
        names = {*os.fsdecode(writing.read_bytes()).split("\0")} if is_plain(writing) else set()
    except OSError:
        names = set()
    left = {entry.name for entry in os.scandir(folder)}
    for name in left - {WRITING}:
        if is_plain(folder / name) and names and (name in names or _OF_SAFETENSORS.fullmatch(name)):
            (folder / name).unlink()
            left.discard(name)
    if left == {WRITING} and names:
        writing.unlink()
    folder.rmdir()


def sweep(folder: Path) -> None:
    """Remove temporary folders that died processes have left in a folder."""
    if fcntl is None:
        return
    with suppress(OSError):
        left = [Path(entry.path) for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]
        for place in left:
            lock = _lock(place)
            if lock is not None:
                try:
                    with suppress(OSError):
                        remove(place)
                finally:
                    os.close(lock)


def _locked(folder: Path, name: str) -> tuple[Path, int | None]:
    """Create a temporary folder for files, and the lock that keeps other processes from sweeping it."""
    while True:
        try:
            place = create(folder, name)
        except FileNotFoundError:
            if folder.is_dir():  # another process swept the folder during its creation
                continue
            raise
        lock = _lock(place)
        for _ in range(SWEPT_WITHIN):
            if lock is not None or fcntl is None or not place.exists():
                break
            time.sleep(0.001)  # another process may be sweeping it, or the disk has no locks
            lock = _lock(place)
        if (place / WRITING).exists():
            return place, lock
        if lock is not None:
            os.close(lock)


def _lock(place: Path) -> int | None:
    """Lock a folder and return the open handle; None if another process holds the lock or locks do not exist."""
    if fcntl is None:
        return None
    try:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _fill(path: Path, write: Writer) -> None:
    """Call `fill`; if a library hides a disk error behind its own exception, raise the disk error."""
    try:
        fill(path, write)
    except OSError:
        raise
    except Exception as error:
        found = re.search(r"\(os error (\d+)\)", str(error))  # Rust's spelling
        if found is not None:
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
        _probe(path)
        raise


def _probe(path: Path) -> None:
    """Raise the disk's error if it accepts no more bytes."""
    with path.open("ab") as file:
        file.write(b"\0" * PROBE)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON; NaN and infinity are refused."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
