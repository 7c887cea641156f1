"""Decode JPEGs strictly: libjpeg's warnings of damaged data, which Pillow hides, are errors.

The pixels are those of Pillow, bit for bit, at each scale (`tests/data/test_jpeg.py`), in less time.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile

from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_headers import segments
from siamesekit.data.photo_reading import Reading, Remark

CUT_SHORT = Remark("read without the last bytes of the file", "copy again what you can")
MOST_MISSING = 0.1
"""Share of the rows that may be missing in a truncated JPEG that is accepted."""
PADDING = 16
"""Maximum number of equal bytes that are taken as padding before a marker; some cameras write it."""
RUN = 64
"""Number of equal bytes in a row, 0 or 255, that compressed data do not have; see `_refuse_hole`."""
_MEND = "copy it again, or save it anew as JPEG or PNG"
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_PADDED = {**_SPACES, "RGB": "RGBX"}
_SCAN, _TABLES, _COMMENT = 0xDA, 0xC4, 0xFE
_FRAMES = {0xC0: "", 0xC1: "", 0xC2: "", 0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical",
           0xC7: "hierarchical", 0xC9: "", 0xCA: "", 0xCB: "lossless", 0xCD: "hierarchical", 0xCE: "hierarchical",
           0xCF: "hierarchical"}  # fmt: skip
"""Segments that begin a picture, with the kind of JPEG where libjpeg does not read it (ITU-T T.81, table B.1)."""
_HARMLESS = re.compile(r"JFIF revision|Adobe color transform|Invalid SOS parameters|ICC")
"""Warnings about metadata."""
_KINDS = re.compile(r"(?i)not supported|JPEG process|subsampling|not compiled|another size")
"""Errors on kinds of JPEG that another decoder may read."""
_EARLY = "premature end of JPEG"
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_GREY = 128
"""Value of all channels in the rows that libjpeg did not find."""


def refuse_unread(jpeg: bytes) -> None:
    """Refuse the kinds of JPEG that are not read: 12 bits, lossless, hierarchical.

    Raises:
        UnreadableError: the file is one of them; the message names it.
    """
    if jpeg[:2] != b"\xff\xd8":
        return
    for marker, start, end in segments(jpeg):
        if marker in _FRAMES and min(end, len(jpeg)) > start + 4:
            bits = jpeg[start + 4]
            kind = f"a {_FRAMES[marker]} JPEG" if _FRAMES[marker] else f"a JPEG with {bits} bits per sample"
            if _FRAMES[marker] or bits != 8:
                raise UnreadableError(f"is {kind}, which is not read", "save it as JPEG with 8 bits, or as PNG or TIFF")
            return
        if marker == _SCAN:
            return


def size_in(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG as stored, by its header; None if it has none, or is no JPEG."""
    if jpeg[:2] != b"\xff\xd8":
        return None
    for marker, start, end in segments(jpeg):
        if marker in _FRAMES and min(end, len(jpeg)) >= start + 9:
            height, width = struct.unpack_from(">HH", jpeg, start + 5)
            return width, height
        if marker == _SCAN:
            break
    return None


def decoded(
    image: ImageFile.ImageFile, jpeg: bytes, reading: Reading, remarks: list[Remark], padded: bool = False
) -> NDArray[np.uint8] | None:
    """Decode a JPEG in the size and mode to which Pillow's image of it is set, `[height, width, channels]`.

    None: Pillow must decode it, because the decoder used here does not read its kind.

    Args:
        image: Pillow's image of the file, not decoded; its size may be a reduced one.
        jpeg: content of the file.
        reading: whether truncated files are accepted.
        remarks: receives a remark if the file is truncated and accepted.
        padded: whether RGB gets a fourth channel without meaning, of which Pillow makes an image without a copy.

    Raises:
        UnreadableError: the data are damaged; the message names the damage.
    """
    if image.mode not in _SPACES:
        return None
    try:
        return _strict(image, jpeg, _PADDED if padded else _SPACES)
    except UnreadableError as error:
        if reading.truncated != "accept" or _EARLY not in str(error):
            raise
        pixels = _truncated(image, jpeg, error)
        remarks.append(CUT_SHORT)
        return pixels


def image_of(pixels: NDArray[np.uint8], mode: str, info: Mapping[str | tuple[int, int], Any]) -> Image.Image:
    """The image of pixels `[height, width, channels]` in the mode `L`, `RGB` (`RGBX` if they are padded) or `CMYK`.

    Adobe writes CMYK inverted.
    """
    height, width, channels = pixels.shape
    if mode == "RGB" and channels == 4:
        image = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    elif mode == "CMYK":
        image = Image.frombytes("CMYK", (width, height), (255 - pixels).tobytes())
    else:
        image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    image.info = dict(info)
    return image


def check_stream(jpeg: bytes) -> None:
    """Check a JPEG stream that is part of another file, such as a TIFF, without keeping its pixels.

    Raises:
        UnreadableError: the data are damaged.
    """
    try:
        simplejpeg.decode_jpeg(jpeg, "GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        if not _is_sound(str(error), jpeg):
            raise UnreadableError(f"is damaged ({error})", _MEND) from None


def _strict(image: ImageFile.ImageFile, jpeg: bytes, spaces: Mapping[str, str]) -> NDArray[np.uint8] | None:
    """The pixels; None if another decoder should try.

    Raises:
        UnreadableError: the data are damaged.
    """
    found = _attempt(image, jpeg, strict=True, spaces=spaces)
    if isinstance(found, str):
        warning: NDArray[np.uint8] | str = found
        if _HARMLESS.search(found):  # the first warning hides later ones; those of metadata vanish with the metadata
            warning = _attempt(image, _without_metadata(jpeg), strict=True, spaces=spaces)
        if isinstance(warning, str) and not _is_sound(warning, jpeg):
            raise UnreadableError(f"is damaged ({warning[0].lower()}{warning[1:]})", _MEND)
        found = _attempt(image, jpeg, strict=False, spaces=spaces)
    _refuse_hole(jpeg)
    return None if isinstance(found, str) else found


def _without_metadata(jpeg: bytes) -> bytes:
    """A JPEG without segments of applications and comments; the colours of its pixels may be others."""
    parts, last = [jpeg[:2]], 2
    for marker, start, end in segments(jpeg):
        if marker == _SCAN:
            break
        if not (0xE0 <= marker <= 0xEF or marker == _COMMENT):
            parts.append(jpeg[start:end])
        last = end
    return b"".join([*parts, jpeg[last:]])


def _attempt(
    image: ImageFile.ImageFile, jpeg: bytes, strict: bool, spaces: Mapping[str, str] = _SPACES
) -> NDArray[np.uint8] | str:
    """The pixels `[height, width, channels]` in the image's size and mode, or the decoder's warning or error."""
    width, height = image.size
    try:
        pixels = simplejpeg.decode_jpeg(
            jpeg, spaces[image.mode], min_height=height, min_width=width, min_factor=1, strict=strict
        )
    except ValueError as error:
        return str(error).strip() or "unknown error"
    return pixels if pixels.shape[:2] == (height, width) else "another size"


def _truncated(image: ImageFile.ImageFile, jpeg: bytes, error: UnreadableError) -> NDArray[np.uint8]:
    """The pixels of a JPEG that lacks its end.

    Raises:
        UnreadableError: more is missing than the last rows.
    """
    _refuse_hole(jpeg)
    pixels = _attempt(image, jpeg, strict=False)
    if isinstance(pixels, str):
        raise error
    empty = (pixels == _GREY).all(axis=(1, 2))
    missing = int(np.argmin(empty[::-1])) if not empty.all() else len(empty)
    if missing > MOST_MISSING * len(empty):
        share = missing / len(empty)
        raise UnreadableError(f"is damaged (truncated: {share:.0%} of its rows are missing)", _MEND)
    return pixels


def _is_sound(warning: str, jpeg: bytes) -> bool:
    """Whether a warning or an error of the decoder does not mean that the data are damaged."""
    return bool(_HARMLESS.search(warning) or _KINDS.search(warning)) or _is_padding(warning, jpeg)


def _is_padding(warning: str, jpeg: bytes) -> bool:
    """Whether the extraneous bytes of a warning are padding: few equal bytes, 0 or 255."""
    found = _EXTRANEOUS.search(warning)
    if found is None or int(found[1]) > PADDING:
        return False
    marker = b"\xff" + bytes.fromhex(found[2])
    return any(byte * int(found[1]) + marker in jpeg for byte in (b"\0", b"\xff"))


def _refuse_hole(jpeg: bytes) -> None:
    """Refuse a JPEG whose compressed data have a long run of zero bytes or of bytes 255, as lost sectors have.

    In the usual tables, zeros mean that each coefficient of a block is −1. In a table made for a nearly flat picture,
    they may mean that nothing changes: then such runs are sound, and they are not looked at in progressive JPEGs.

    Raises:
        UnreadableError: there is such a run.
    """
    for byte, name in ((b"\0", "zero bytes"), (b"\xff", "bytes 255")):
        run = byte * RUN
        if run in jpeg and _in_scan(jpeg, run, byte == b"\0"):
            raise UnreadableError(f"is damaged (a run of {RUN} or more {name} in its data)", _MEND)


def _in_scan(jpeg: bytes, run: bytes, by_tables: bool) -> bool:
    """Whether a run of bytes is in the first scan; with `by_tables`, only where zeros do not mean a flat area."""
    tables: dict[int, int] = {}
    for marker, start, end in segments(jpeg):
        body = jpeg[start + 4 : end]
        if marker == _TABLES:
            tables |= _first_symbols(body)
        elif marker in _FRAMES and marker not in (0xC0, 0xC1) and by_tables:
            return False
        elif marker == _SCAN:
            if by_tables and (len(body) < 3 or tables.get(0x10 | body[2] & 15, 0) == 0):
                return False
            stop = jpeg.find(b"\xff\xd9", end)
            return jpeg.find(run, end, stop if stop > 0 else len(jpeg)) > 0
    return False


def _first_symbols(body: bytes) -> dict[int, int]:
    """What a code of zeros stands for in each Huffman table of a segment, by class and number of the table."""
    found, place = {}, 0
    while place + 17 <= len(body):
        counts = body[place + 1 : place + 17]
        if place + 17 < len(body):
            found[body[place]] = body[place + 17]
        place += 17 + sum(counts)
    return found
