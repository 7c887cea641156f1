"""Recognize unsupported file formats, and say how to read or convert a file of each."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.tiff_directories import is_raw, is_tiff

HEIF_IS_READ = find_spec("pillow_heif") is not None
"""Whether HEIC photos are read here: by pillow-heif, of the extra `heif`."""
AVIF_IS_READ = find_spec("PIL._avif") is not None
"""Whether AVIF photos are read here: by Pillow, unless it was built without its codec."""


class Format(NamedTuple):
    """An unsupported format.

    Attributes:
        name: name of the format with its article, such as "a video".
        mend: how to read it, or how to get a photo from a file of this format.
    """

    name: str
    mend: str


_EXTRA = "to read it: pip install 'siamesekit[heif]'"
_RAW = Format("a camera's raw file", "develop it to JPEG or TIFF with the camera's software, darktable or RawTherapee")
_HEIC = Format("a HEIC photo", _EXTRA)
_AVIF = Format("an AVIF photo", "to read it: pip install --force-reinstall pillow")
_VIDEO = Format("a video", "save frames of it as JPEG (ffmpeg -i VIDEO frame-%03d.jpg)")
_PDF = Format("a PDF document", "save the pictures in it as JPEG (pdfimages -j NAME.pdf NAME)")
_PAGE = Format("a web page", "probably a failed download: download the photo itself")
_ARCHIVE = Format("an archive", "unpack it and use the photos in it")
_DRAWING = Format("an SVG drawing", "save a copy of it as PNG")
_OTHER = "save a copy of it as JPEG or PNG"
_JPEG_XL = Format("a JPEG XL image", "save a copy of it as JPEG (djxl NAME.jxl NAME.jpg)")
_PHOTOSHOP = Format("a Photoshop file", _OTHER)
NO_PICTURES = (_PDF, _PAGE, _ARCHIVE)
"""Formats that are not pictures."""
_NETPBM = Format("a Netpbm image", _OTHER)

_STARTS = (
    (b"%PDF", _PDF),
    (b"PK\x03\x04", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"Rar!", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"8BPS", _PHOTOSHOP),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"\x00\x00\x00\x0cJXL ", _JPEG_XL),
    (b"\xff\x0a", _JPEG_XL),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),
    (b"IIU\x00", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"P7\n", _NETPBM),
    (b"\x00MRM", _RAW),
)
"""First bytes of files of these formats."""
_GENERAL = (b"mif1", b"msf1")
"""Brands of files with pictures of any codec."""
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), _HEIC),
    b"crx ": _RAW,
}
"""ISO base media files (ISO/IEC 14496-12) by the brands in their first box; any other brands mean a video."""
_MARKUP = {b"<svg": _DRAWING, b"<!doctype html": _PAGE, b"<html": _PAGE}
_SUFFIXES = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIC),
    ".avif": _AVIF,
    **dict.fromkeys(
        (".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw",
         ".x3f", ".3fr", ".iiq", ".mrw", ".kdc", ".dcr", ".erf", ".mef", ".mos", ".rwl"),
        _RAW,
    ),
    **dict.fromkeys((".mov", ".mp4", ".m4v", ".avi", ".mkv", ".mts", ".m2ts", ".wmv", ".webm", ".3gp", ".mpg"), _VIDEO),
    ".pdf": _PDF,
    **dict.fromkeys((".zip", ".gz", ".tgz", ".rar", ".7z"), _ARCHIVE),
    **dict.fromkeys((".html", ".htm"), _PAGE),
    ".svg": _DRAWING,
    ".psd": _PHOTOSHOP,
    ".jxl": _JPEG_XL,
}  # fmt: skip
_READ = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51",
         *(f"P{kind}".encode() + space for kind in "123456fF" for space in (b"\n", b" ", b"\r", b"\t")))  # fmt: skip
"""First bytes of files of the supported formats, except TIFF, WEBP, AVIF and HEIC."""


def foreign_format(content: bytes, suffix: str = "") -> Format | None:
    """The unsupported format of a file, by its first bytes, else by its suffix; None if supported or unknown.

    A TIFF is a raw file if any of its directories says so, or its suffix does.

    Args:
        content: content of the file, or its first few hundred bytes.
        suffix: suffix of its name, such as `.heic`.
    """
    found = _foreign(content, _SUFFIXES.get(suffix.lower()))
    return None if (found is _HEIC and HEIF_IS_READ) or (found is _AVIF and AVIF_IS_READ) else found


def is_heif(content: bytes) -> bool:
    """Whether a file is a HEIC photo, by its first bytes."""
    return content[4:8] == b"ftyp" and _of_brands(content) is _HEIC


def _foreign(content: bytes, by_name: Format | None) -> Format | None:
    if is_tiff(content):
        return _RAW if by_name is _RAW or is_raw(content) else None
    if content.startswith(_READ) or (content.startswith(b"RIFF") and content[8:12] == b"WEBP"):
        return None
    if content[4:8] == b"ftyp":
        return _of_brands(content)
    if content.startswith(b"RIFF"):
        return _VIDEO
    if content[6:14] == b"HEAPCCDR":
        return _RAW
    text = content[:500].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<?xml"):
        text = text[max(text.find(b"<svg"), 0) :]
    found = [
        kind
        for start, kind in (*_STARTS, *_MARKUP.items())
        if (text if start in _MARKUP else content).startswith(start)
    ]
    return found[0] if found else by_name


def _of_brands(content: bytes) -> Format:
    """The format of an ISO base media file by its brand; where that is a general one, by the first compatible one."""
    brand = content[8:12]
    if brand not in _GENERAL:
        return _BRANDS.get(brand, _VIDEO)
    end = min(int.from_bytes(content[:4], "big"), 200)
    brands = [content[place : place + 4] for place in range(16, end, 4)]
    return next((_BRANDS[each] for each in brands if each in _BRANDS), _HEIC)


def refuse_foreign(content: bytes, suffix: str, formats: tuple[str, ...]) -> None:
    """Refuse a file of a known, unsupported format.

    Args:
        content: content of the file.
        suffix: suffix of its name.
        formats: names of the supported formats.

    Raises:
        UnreadableError: the file has such a format; the message names it and says how to read it or to get a photo.
    """
    found = foreign_format(content, suffix)
    if found is not None:
        raise UnreadableError(f"is not a supported image ({', '.join(formats)}) but {found.name}", found.mend)
