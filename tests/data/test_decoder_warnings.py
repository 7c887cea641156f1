"""What decoders say: nothing on the command line's screen, and to others what they have asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import encoded

READS = """
import logging, sys, warnings
from siamesekit.data.decoder_warnings import silence_decoders

if "silent" in sys.argv:
    silence_decoders()
    before = list(warnings.filters)
from PIL import Image, TiffImagePlugin

try:
    with Image.open(sys.argv[1]) as image:
        image.load()
except OSError:
    pass
warnings.warn_explicit("Pillow's warning", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")
logging.getLogger("PIL.TiffImagePlugin").error("a log line")
print("ours", file=sys.stderr)
warnings.warn("our warning")
"""


def damaged_tiff(folder: Path) -> Path:
    """libtiff writes to stderr from C of each line that it cannot read."""
    noise = np.random.default_rng(0).integers(0, 2, (80, 96), dtype=np.uint8) * 255
    content = bytearray(encoded(Image.fromarray(noise).convert("1"), "TIFF", compression="group4"))
    content[200:260] = b"\x55" * 60
    file = folder / "damaged.tif"
    file.write_bytes(content)
    return file


def stderr_of(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READS, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr


def test_nothing_of_the_decoders_reaches_the_screen_and_all_else_does(tmp_path: Path) -> None:
    first, second, *_ = stderr_of(str(damaged_tiff(tmp_path)), "silent").splitlines()
    assert first == "ours"
    assert second.endswith("UserWarning: our warning")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere libtiff may be hidden in Pillow")
def test_without_it_all_of_them_speak(tmp_path: Path) -> None:
    """Else the silence shows nothing."""
    said = stderr_of(str(damaged_tiff(tmp_path)))
    assert all(line in said for line in ("Fax4Decode: ", "Pillow's warning", "a log line"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_hub")
def test_the_command_line_is_silent(tmp_path: Path) -> None:
    """`main` sets it before a command runs: here one that looks at the headers of photos, and one that reads them."""
    for individual in "ab":
        (tmp_path / "photos" / individual).mkdir(parents=True)
        for number in range(4):
            damaged_tiff(tmp_path).rename(tmp_path / "photos" / individual / f"{number}.tif")
    for command in (["init", "project", "--photos", "photos"], ["check", "project/config.toml"]):
        done = subprocess.run(
            [sys.executable, "-m", "siamesekit", *command],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            check=False,
        )
        assert "Fax4Decode" not in done.stderr and "Warning" not in done.stderr
        assert done.returncode == 0, done.stderr
    assert "4 train, 4 test" in " ".join(done.stdout.split()), "they were read"
