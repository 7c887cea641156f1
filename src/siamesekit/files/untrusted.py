"""Open untrusted files safely: plain files of bounded size, not behind a link that leads away; and the limits."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_TEXT_BYTES = 16 << 20
"""Maximum size in bytes of a config, a plugin or a JSON file."""
MAX_TABLE_BYTES = 256 << 20
"""Maximum size in bytes of a table of photos, enough for some million photos."""
MAX_PHOTO_BYTES = 800_000_000
"""Maximum size in bytes of a photo file: 100 megapixels of 16-bit RGBA, uncompressed."""
MAX_JSON_DEPTH = 64
"""Maximum number of nested tables and lists in JSON."""
MAX_TOML_DEPTH = 50
"""Maximum number of nested tables and lists in a config."""
MAX_DIGITS = 20
"""Maximum number of digits of an integer in JSON; integers of 64 bits have at most 20."""


def open_regular(path: Path, inside: Path | None = None) -> BinaryIO:
    """Open an untrusted file for reading; pipes and devices are refused, so opening never blocks or triggers an action.

    Args:
        path: path of the file.
        inside: folder that must contain the file after links are resolved.

    Raises:
        OSError: the file does not exist, is a folder, a pipe or a device, or a link leads out of `inside`.
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
    """Read an untrusted plain file of bounded size.

    Args:
        path: path of the file.
        limit: maximum size in bytes.

    Raises:
        OSError: see `open_regular`; or the file is larger, or is a device that looks like a plain file.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if content is None:  # such as the kernel's log, which would block until new lines
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
    return content


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    from hashlib import sha256

    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
