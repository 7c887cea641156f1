"""Files that are there whole or not at all, and files of others that are opened with care.

All that `write_atomic` does to a disk goes through `STEPS`, functions of this module that it looks up when it calls
them: a test puts others in their place and makes each step fail in turn.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from siamesekit.errors import OutputError, line_of_name

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

Writer = bytes | str | Callable[[Path], object]
"""A file's content, or a function that writes a file at the path it is given."""
STEPS = ("create", "fill", "flush", "rename", "remove")
"""The functions through which every change of a disk goes."""
PREFIX, SUFFIX = ".siamesekit-", ".tmp"
"""How the folder is called in which a file is written before it is renamed into place."""
PROBE = 64 << 10
"""Bytes that show whether a disk still takes any."""
_ADVICE = {
    errno.ENOSPC: "free some space there, or choose another place",
    errno.EDQUOT: "free some of your quota there, or choose another place",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or choose another place",
    errno.ENOENT: "make the folder first",
    errno.EISDIR: "choose another name",
}
_OTHERWISE = "choose a place that can be written to"


def write_atomic(path: Path, write: Writer) -> None:
    """Write a file beside its place, flush it to disk, and rename it into place.

    It is written in a folder `.siamesekit-….tmp` next to it, which is gone afterwards. Such folders of processes that
    died are removed by the next write into the same folder; those of living ones are locked (on POSIX systems) and
    stay. A link at `path` is replaced, not followed.

    Args:
        path: the file; what was there stays until the new one is whole.
        write: its content, or a function that writes a file at the path it is given.

    Raises:
        OutputError: it cannot be written; what was there is unchanged.
    """
    place: Path | None = None
    lock, renamed = None, False
    try:
        sweep(path.parent)
        place, lock = _locked(path.parent)
        temporary = place / path.name
        _fill(temporary, write)
        flush(temporary)
        rename(temporary, path)
        renamed = True
        flush(path.parent)
    except OSError as error:
        state = "it is there, but a power cut could still undo it" if renamed else "what was there is unchanged"
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


def create(folder: Path) -> Path:
    """Make a folder of its own for a file that is being written."""
    return Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=folder))


def fill(path: Path, write: Writer) -> None:
    """Write a new file; its permissions are those of any new file, whatever the function does that writes it."""
    with path.open("xb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not callable(write):
            # a file name that is not UTF-8 may stand in a text: its bytes as escapes are better than no file
            file.write(write.encode("utf-8", "backslashreplace") if isinstance(write, str) else write)
    if callable(write):
        write(path)
        if path.stat().st_mode != mode:  # safetensors puts a file of its own there, for the owner alone
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
    """Put a file into its place, in one step."""
    source.replace(target)


def remove(folder: Path) -> None:
    """Remove a folder that `create` made, with what is left in it."""
    shutil.rmtree(folder)


def sweep(folder: Path) -> None:
    """Remove what processes that died while they wrote have left in a folder."""
    if fcntl is None:
        return
    with suppress(OSError):
        left = [Path(entry.path) for entry in os.scandir(folder)
                if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX)]  # fmt: skip
        for place in left:
            lock = _lock(place)
            if lock is not None:
                try:
                    with suppress(OSError):
                        remove(place)
                finally:
                    os.close(lock)


def held(file: Path) -> int | None:
    """Make a lock's file and hold it: an open handle, for `release`; None where another process holds it.

    Where there are no locks (on Windows) the file's presence is none either, and a handle is given to everyone.
    """
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        with suppress(OSError):  # whoever held it before may have removed the file since it was opened here
            if os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        os.close(handle)


def release(file: Path, handle: int) -> None:
    """Give up a lock that is `held`, its file first: whoever finds no file makes another."""
    with suppress(OSError):
        file.unlink()
    os.close(handle)


def _locked(folder: Path) -> tuple[Path, int | None]:
    """A folder made by `create`, and the lock that keeps others from sweeping it."""
    while True:
        place = create(folder)
        lock = _lock(place)
        if place.exists():  # else another process swept it before it was locked
            return place, lock
        if lock is not None:
            os.close(lock)


def _lock(place: Path) -> int | None:
    """An open handle that holds a folder's lock; None where someone else holds it, or there are no locks."""
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
    """`fill`; where a library reports a disk's error as an exception of its own, the disk's error is raised."""
    try:
        fill(path, write)
    except OSError:
        raise
    except Exception as error:
        told = re.search(r"\(os error (\d+)\)", str(error))  # as Rust writes it
        if told is not None:
            raise OSError(int(told[1]), os.strerror(int(told[1]))) from error
        _probe(path)
        raise


def _probe(path: Path) -> None:
    """Raise the disk's error, where it takes no more bytes."""
    with path.open("ab") as file:
        file.write(b"\0" * PROBE)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write JSON, readable, NaN refused."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def open_regular(path: Path, inside: Path | None = None) -> BinaryIO:
    """Open someone else's file for reading: a plain file, nothing that waits or acts when it is opened.

    Args:
        path: the file.
        inside: a folder out of which no link may lead.

    Raises:
        OSError: it is not there, or is a folder, a pipe or a device, or a link leads out of `inside`.
    """
    if inside is not None:
        real = Path(os.path.realpath(path, strict=True))
        if not real.is_relative_to(os.path.realpath(inside, strict=True)):
            raise PermissionError(errno.EPERM, f"a link that leads out of {inside}", str(path))
        path = real
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(handle, "rb")


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
