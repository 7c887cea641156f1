"""Silence the warnings of image decoders, for a process that is the program's own, such as the command line."""

from __future__ import annotations

import ctypes
import logging
import warnings
from contextlib import suppress
from importlib.util import find_spec

LIBTIFF_HANDLERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")
"""libtiff's functions that set the handlers of errors and warnings; without a handler libtiff prints nothing."""


def silence_decoders() -> None:
    """Keep the messages of Pillow and libtiff off the screen; errors of this library report damaged photos.

    Pillow uses `warnings` and logging, and libtiff writes to stderr from C. Warning filters, log handlers and
    libtiff's handlers belong to the whole process, and this function does not restore them. Therefore only the command
    line calls it, once and before it starts threads; a library leaves such settings to the program that uses it.
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
