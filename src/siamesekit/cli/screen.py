"""stdout and stderr that may go away while a command runs: a closed pipe, a full disk, a closed descriptor."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

SIGPIPE_EXIT = 141
"""The exit code of a program that a closed pipe ends, as a shell sees it."""


class Screen:
    """A stream of text whose loss ends no work.

    Where what is printed is all that a command is for, its loss ends the command: in silence with 141 for a closed
    pipe, as Unix tools end, and otherwise with 1 and a line on stderr. Where it is news of work that goes on, the loss
    is told once on stderr. On either way the stream is then put onto the null device, so that nothing else fails.

    Args:
        stream: stdout or stderr.

    Attributes:
        needed: whether what is printed is the command's result.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.needed = True

    def write(self, text: str) -> int:
        """Write, or find that nobody reads."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def writelines(self, lines: Any) -> None:
        """Write them one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, or find that nobody reads."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lost(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lost(self, error: OSError) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        if self is sys.stderr or self._stream is sys.__stderr__:
            return
        closed = error.errno in (errno.EPIPE, errno.EBADF, errno.EIO)
        if not self.needed:
            state = "is closed" if closed else f"cannot be written to ({error.strerror})"
            print(f"stdout {state}: going on without news", file=sys.stderr)
            return
        if error.errno == errno.EPIPE:
            sys.exit(SIGPIPE_EXIT)
        print(f"error: stdout cannot be written to: {error.strerror}", file=sys.stderr)
        sys.exit(1)


def open_screens() -> None:
    """Put stdout and stderr into `Screen`s; of descriptors 0 to 2 those that are closed get the null device.

    Otherwise the first files that are opened would be stdin, stdout and stderr, and be written to as such.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:  # the lowest free number each time
        os.open(os.devnull, os.O_RDONLY if _ == 0 else os.O_WRONLY)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if number in closed or stream is None:
            stream = _Closed(number) if number == 1 else open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        if isinstance(stream, io.TextIOWrapper):  # a file's name may be of bytes that are no text
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Screen(stream))


def news_only() -> None:
    """From here on stdout has news of work whose result is in files."""
    if isinstance(sys.stdout, Screen):
        sys.stdout.needed = False


class _Closed(io.StringIO):
    """A stdout that was closed when the program began: whatever is written to it is lost."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._told = False

    def write(self, text: str) -> int:
        if not self._told and text:
            self._told = True
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return len(text)

    def fileno(self) -> int:
        return self._number

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
