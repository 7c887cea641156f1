"""Files that are there whole or not at all, and files of others that are opened with care.

All that `write_atomic` does to a disk goes through `STEPS`, functions of this module that it looks up when it calls
them: a test puts others in their place and makes each step fail in turn.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from siamesekit.errors import OutputError, line_of_name
from siamesekit.paths import is_plain

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
WRITING = ".writing"
"""The file in that folder that names the file being written: only what is named there is ever removed."""
_TEMPORARY = re.compile(re.escape(PREFIX) + "[a-z0-9_]{8}" + re.escape(SUFFIX))
_OF_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")
"""How safetensors calls its own file before it renames that one."""
SWEPT_WITHIN = 20
"""Tries, a millisecond each, to lock a folder that another process may be about to sweep."""
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
        place, lock = _locked(path)
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


def create(folder: Path, name: str) -> Path:
    """Make a folder of its own for a file of a name that is being written, with that name in it."""
    place = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=folder))
    try:
        (place / WRITING).write_bytes(os.fsencode(name))
    except OSError:
        with suppress(OSError):
            remove(place)
        raise
    return place


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
    """Remove a folder that `create` made, with the file that was to be written in it, and nothing else.

    Raises:
        OSError: it cannot be removed, or holds other files: they stay.
    """
    writing = folder / WRITING
    try:
        names = {os.fsdecode(writing.read_bytes())} if is_plain(writing) else set()
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
    """Remove what processes that died while they wrote have left in a folder."""
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


def _locked(path: Path) -> tuple[Path, int | None]:
    """A folder made by `create` for a file, and the lock that keeps others from sweeping it."""
    while True:
        try:
            place = create(path.parent, path.name)
        except FileNotFoundError:
            if path.parent.is_dir():  # another process swept the folder while it was made
                continue
            raise
        lock = _lock(place)
        for _ in range(SWEPT_WITHIN):
            if lock is not None or fcntl is None or not place.exists():
                break
            time.sleep(0.001)  # another process may be sweeping it; or there are no locks here
            lock = _lock(place)
        if (place / WRITING).exists():
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


def read_plain(path: Path, limit: int) -> bytes:
    """The content of someone else's file, all of it, where it is a plain file of bounded size.

    Args:
        path: the file.
        limit: bytes that it may have.

    Raises:
        OSError: as `open_regular`, or it is larger, or a device in a file's clothes that gives nothing.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if content is None:  # a kernel's log, for one: it would wait for news
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
    return content


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
