"""stdout and stderr that may fail while a command runs: a closed pipe, a full disk, a closed descriptor."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

SIGPIPE_EXIT = 141
"""Exit code that a shell reports for a program ended by a closed pipe."""


class Screen:
    """A text stream that may fail without interrupting work.

    If the output is the result of the command, a failure ends the command: silently with exit code 141 for a closed
    pipe, as Unix tools do, and otherwise with exit code 1 and a line on stderr. If the output only reports progress,
    the failure is reported once on stderr and the work continues. In both cases the stream is then redirected to the
    null device, so that later output cannot fail.

    Args:
        stream: stdout or stderr.

    Attributes:
        needed: whether the output is the result of the command.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.needed = True

    def write(self, text: str) -> int:
        """Write the text, and handle a failure of the stream."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def writelines(self, lines: Any) -> None:
        """Write the lines one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream, and handle its failure."""
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
            print(f"stdout {state}: continuing without output", file=sys.stderr)
            return
        if error.errno == errno.EPIPE:
            sys.exit(SIGPIPE_EXIT)
        print(f"error: stdout cannot be written to: {error.strerror}", file=sys.stderr)
        sys.exit(1)


def open_screens() -> None:
    """Wrap stdout and stderr in `Screen`s, and open the null device on those of descriptors 0 to 2 that are closed.

    Otherwise the next files to be opened would get these descriptors, and output would be written into them.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for number in closed:  # `open` takes the lowest free descriptor
        os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if number in closed or stream is None:
            stream = _Closed(number) if number == 1 else open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        if isinstance(stream, io.TextIOWrapper):  # a file name may contain bytes that are not text
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Screen(stream))


def news_only() -> None:
    """Declare that stdout only reports progress from here on; the result is written to files."""
    if isinstance(sys.stdout, Screen):
        sys.stdout.needed = False


class _Closed(io.StringIO):
    """A stdout that was closed when the program began: the first write raises an error, and all output is lost."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._reported = False

    def write(self, text: str) -> int:
        if not self._reported and text:
            self._reported = True
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
