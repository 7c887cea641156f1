"""Decoders that keep to themselves: for a process of one's own, such as the command line's."""

from __future__ import annotations

import ctypes
import logging
import warnings
from contextlib import suppress
from importlib.util import find_spec

LIBTIFF_HANDLERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")
"""libtiff's functions that set who is told of an error or a warning; without anyone it says nothing."""


def silence_decoders() -> None:
    """Keep what Pillow and libtiff say off the screen, from now on: what is wrong with a photo, an error says.

    Pillow warns through `warnings` and logs, libtiff writes to stderr from C. Warning filters, log handlers and
    libtiff's handlers are the whole process's and stay as this function sets them. So it is the command line that calls
    it, once and before there are threads; a library must leave such things to the program that uses it.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any handler logging writes to stderr
    with suppress(OSError, AttributeError, TypeError, ImportError):  # in some of Pillow's builds libtiff is hidden
        extension = find_spec("PIL._imaging")
        library = ctypes.CDLL(None if extension is None else extension.origin)
        for name in LIBTIFF_HANDLERS:
            setter = getattr(library, name)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
