"""Files that are no photo: each is called what it is, by its content or its name, and no photo is taken for one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamesekit.data import foreign_formats
from siamesekit.data.foreign_formats import foreign_format
from siamesekit.data.images import decode
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_formats import FORMATS, READ


def box(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00mif1" + bytes(400)


FOREIGN = {
    "a.heic": (box(b"heic"), "a HEIC photo"),
    "renamed heic.jpg": (box(b"mif1"), "a HEIC photo"),
    "a.avif": (box(b"avif"), "an AVIF photo"),
    "a.cr3": (box(b"crx "), "a camera's raw file"),
    "a.cr2": (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(400), "a camera's raw file"),
    "a.NEF": (b"MM\x00*\x00\x00\x00\x08" + bytes(400), "a camera's raw file"),
    "a.raf": (b"FUJIFILMCCD-RAW 0201" + bytes(400), "a camera's raw file"),
    "a.mov": (box(b"qt  "), "a video"),
    "clip.jpg": (box(b"isom"), "a video"),
    "a.avi": (b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(400), "a video"),
    "a.pdf": (b"%PDF-1.7\n", "a PDF document"),
    "page.jpg": (b"\n<!DOCTYPE html><html>Not found</html>", "a web page"),
    "a.svg": (b"<?xml version='1.0'?>\n<svg xmlns=''/>", "an SVG drawing"),
    "a.zip": (b"PK\x03\x04" + bytes(400), "an archive"),
    "a.jxl": (b"\xff\x0a" + bytes(400), "a JPEG XL image"),
    "a.pam": (b"P7\nWIDTH 9\n", "a Netpbm image"),
    "cut short.HEIC": (b"\x00\x01\x02", "a HEIC photo"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_photo_is_called_what_it_is_and_never_to_be_removed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_formats, "HEIF_IS_READ", False)
    monkeypatch.setattr(foreign_formats, "AVIF_IS_READ", False)
    content, kind = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        decode(tmp_path / name)
    reason, mend = caught.value.args
    assert reason == f"is not a supported image ({', '.join(READ)}) but {kind}"
    assert mend
    assert (mend == "to read it: pip install 'siamesekit[heif]'") == kind.startswith("a HEIC")
    assert "remove" not in mend and "delete" not in mend


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("suffix", [".jpg", ".heic", ".pdf", ".mov", ".zip", ""])
def test_a_photo_is_read_whatever_its_name_says(tmp_path: Path, form: str, suffix: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), "white").save(stream, form)
    assert foreign_format(stream.getvalue(), suffix) is None
    (tmp_path / f"a{suffix}").write_bytes(stream.getvalue())
    assert np.asarray(decode(tmp_path / f"a{suffix}")).shape == (6, 8, 3)


def test_what_is_not_known_is_not_named() -> None:
    assert foreign_format(b"not a photo\n" * 99, ".jpg") is None
    assert foreign_format(b"", ".jpg") is None
