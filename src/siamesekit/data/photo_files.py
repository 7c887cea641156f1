"""Read photo files safely: only regular files, of bounded size, inside their root folder; or from other machines."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamesekit.data.photo_limits import CONTENTS as CONTENTS
from siamesekit.data.photo_limits import Room as Room
from siamesekit.data.photo_limits import UnreadableError as UnreadableError
from siamesekit.data.photo_limits import check_length as check_length
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.files.untrusted import open_regular


@contextmanager
def content_of(file: Path | RemotePhoto, root: Path | None = None) -> Iterator[bytes]:
    """Read the whole content of a photo file at once, so that later changes of the file have no effect.

    (A decoder that maps a file into memory crashes the process if the file is shortened.)

    Args:
        file: path of the file, which may be a symbolic link; or a photo on another machine, which is downloaded.
        root: folder that must contain the file after links are resolved; None: any folder.

    Raises:
        UnreadableError: the file does not exist or must not be read. Devices, FIFOs and folders are never opened.
        DataError: the server of a photo on another machine does not serve.
    """
    if isinstance(file, RemotePhoto):
        from siamesekit.data.remote.photo_cache import remote_content

        with remote_content(file) as content:
            yield content
        return
    try:
        real = _resolved(file, root)
        _check(real.stat())  # before opening, which may trigger an action of a device
        stream = open_regular(real)
    except (OSError, ValueError) as error:
        raise _not_opened(error) from None
    with stream:
        info = os.fstat(stream.fileno())
        _check(info)
        with CONTENTS.take(info.st_size):
            try:
                content = stream.read(info.st_size)
            except OSError as error:
                raise _not_opened(error) from None
            yield content


def _resolved(file: Path, root: Path | None) -> Path:
    real = Path(os.path.realpath(file, strict=True))
    inside = root is None or str(real).startswith(f"{root}{os.sep}")  # a root that begins a resolved path has no links
    if not inside and not real.is_relative_to(os.path.realpath(str(root))):
        raise UnreadableError(f"is a link to {str(real)!r}, outside {str(root)!r}", "replace the link by the photo")
    return real


_SPECIAL = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))


def _check(info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise UnreadableError("is a folder, not a photo", "choose a photo in it")
    if not stat.S_ISREG(info.st_mode):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(info.st_mode)), "special file")
        raise UnreadableError("is not a regular file", f"it is a {kind}: replace it by a photo file")
    check_length(info.st_size)


def _not_opened(error: OSError | ValueError) -> UnreadableError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableError(f"cannot be opened ({reason})", "check the file and its permissions")
