"""What decoders say: not on the screen, and only for as long as photos are read."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamesekit.data.quiet import quiet

READS = """
import logging, sys, warnings
from PIL import Image
from siamesekit.data.quiet import quiet

def read():
    try:
        with Image.open(sys.argv[1]) as image:
            image.load()
    except OSError:
        pass

with quiet():
    read()
    warnings.warn("a warning")
    logging.getLogger("PIL.TiffImagePlugin").error("a log line")
print("quiet", file=sys.stderr, flush=True)
if sys.argv[2:]:
    read()
"""


def damaged_tiff(folder: Path) -> Path:
    """libtiff writes to stderr from C of each line that it cannot read."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 2, (80, 96), dtype=np.uint8) * 255
    Image.fromarray(noise).convert("1").save(buffer, "TIFF", compression="group4")
    content = bytearray(buffer.getvalue())
    content[200:260] = b"\x55" * 60
    file = folder / "damaged.tif"
    file.write_bytes(content)
    return file


def stderr_of(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READS, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr


def test_nothing_reaches_the_screen(tmp_path: Path) -> None:
    assert stderr_of(str(damaged_tiff(tmp_path))) == "quiet\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere libtiff may be hidden in Pillow")
def test_afterwards_libtiff_speaks_again(tmp_path: Path) -> None:
    said = stderr_of(str(damaged_tiff(tmp_path)), "again")
    assert said.startswith("quiet\nFax4Decode: "), "else the silence shows nothing"


def test_filters_and_handlers_are_as_before() -> None:
    logger = logging.getLogger("PIL")
    before = list(warnings.filters), list(logger.handlers), logger.level
    with pytest.raises(ZeroDivisionError), quiet(), quiet():
        raise ZeroDivisionError
    assert (list(warnings.filters), list(logger.handlers), logger.level) == before


def test_who_has_logging_set_up_gets_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logging.getLogger("PIL.TiffImagePlugin").error("a log line")
    assert caplog.messages == ["a log line"]


def test_overlapping_in_threads_restores_libtiff(tmp_path: Path) -> None:
    from siamesekit.data import quiet as module

    first_in, second_in = threading.Event(), threading.Event()

    def first() -> None:
        with module._LIBTIFF:
            first_in.set()
            second_in.wait(10)

    before = [setter(None) for setter in module._LIBTIFF._setters()]
    for setter, handler in zip(module._LIBTIFF._setters(), before, strict=True):
        setter(handler)
    thread = threading.Thread(target=first)
    thread.start()
    first_in.wait(10)
    with module._LIBTIFF:
        second_in.set()
        thread.join()
    after = [setter(None) for setter in module._LIBTIFF._setters()]
    for setter, handler in zip(module._LIBTIFF._setters(), after, strict=True):
        setter(handler)
    assert after == before
