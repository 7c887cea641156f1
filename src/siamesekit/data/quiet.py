"""Decoders that keep to themselves: no warning of theirs reaches the user's screen."""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from PIL import _imaging


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Pillow and libtiff say off the user's screen: what is wrong with a photo, an error says.

    Afterwards all is as before. Warning filters are the process's: not for threads. Whoever has logging set up still
    gets Pillow's log lines.
    """
    silent = logging.NullHandler()  # without any handler logging writes to stderr
    logger = logging.getLogger("PIL")
    logger.addHandler(silent)
    try:
        with warnings.catch_warnings(action="ignore"), _LIBTIFF:
            yield
    finally:
        logger.removeHandler(silent)


class _Libtiff:
    """Pillow's libtiff, which writes to stderr from C; silent while any thread is in the context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[tuple[Any, int | None]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = [(setter, setter(None)) for setter in self._setters()]

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for setter, handler in self._before:
                    setter(handler)

    def _setters(self) -> list[Any]:
        """libtiff's functions that set a handler and give the one before; none where it is hidden in Pillow."""
        setters = []
        with suppress(OSError, AttributeError, TypeError):
            library = ctypes.CDLL(_imaging.__file__)
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                setter = getattr(library, name)
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
                setters.append(setter)
        return setters


_LIBTIFF = _Libtiff()
