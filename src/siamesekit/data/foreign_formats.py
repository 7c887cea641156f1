"""Recognize unsupported file formats, and say how to convert a file of each into a photo."""

from __future__ import annotations

from typing import NamedTuple

from siamesekit.data.photo_files import UnreadableError


class Format(NamedTuple):
    """An unsupported format.

    Attributes:
        name: name of the format with its article, such as "a video".
        mend: how to get a photo from a file of this format.
    """

    name: str
    mend: str


_PHONE = "save a copy as JPEG, with a photo app or with ImageMagick (magick NAME.{0} NAME.jpg)"
_RAW = Format("a camera's raw file", "develop it to JPEG or TIFF with the camera's software, darktable or RawTherapee")
_HEIC = Format("a HEIC photo", _PHONE.format("heic"))
_AVIF = Format("an AVIF photo", _PHONE.format("avif"))
_VIDEO = Format("a video", "save frames of it as JPEG (ffmpeg -i VIDEO frame-%03d.jpg)")
_PDF = Format("a PDF document", "save the pictures in it as JPEG (pdfimages -j NAME.pdf NAME)")
_PAGE = Format("a web page", "probably a failed download: download the photo itself")
_ARCHIVE = Format("an archive", "unpack it and use the photos in it")
_DRAWING = Format("an SVG drawing", "save a copy of it as PNG")
_OTHER = "save a copy of it as JPEG or PNG"
_JPEG_2000 = Format("a JPEG 2000 image", _OTHER)
_JPEG_XL = Format("a JPEG XL image", _OTHER)
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
    (b"\x00\x00\x00\x0cjP  ", _JPEG_2000),
    (b"\xff\x4f\xff\x51", _JPEG_2000),
    (b"\x00\x00\x00\x0cJXL ", _JPEG_XL),
    (b"\xff\x0a", _JPEG_XL),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),
    (b"IIU\x00", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    *((f"P{kind}".encode() + space, _NETPBM) for kind in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t")),
)
"""First bytes of files of these formats."""
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), _HEIC),
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    b"crx ": _RAW,
}
"""ISO base media files (ISO/IEC 14496-12) by the brand in their first box; any other brand means a video."""
_MARKUP = {b"<svg": _DRAWING, b"<!doctype html": _PAGE, b"<html": _PAGE}
_SUFFIXES = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIC),
    ".avif": _AVIF,
    **dict.fromkeys(
        (".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw",
         ".x3f", ".3fr", ".iiq"),
        _RAW,
    ),
    **dict.fromkeys((".mov", ".mp4", ".m4v", ".avi", ".mkv", ".mts", ".m2ts", ".wmv", ".webm", ".3gp", ".mpg"), _VIDEO),
    ".pdf": _PDF,
    **dict.fromkeys((".zip", ".gz", ".tgz", ".rar", ".7z"), _ARCHIVE),
    **dict.fromkeys((".html", ".htm"), _PAGE),
    ".svg": _DRAWING,
    ".psd": _PHOTOSHOP,
    ".jxl": _JPEG_XL,
    **dict.fromkeys((".jp2", ".j2k", ".jpx"), _JPEG_2000),
}  # fmt: skip
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_READ = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8")
"""First bytes of files of the supported formats, except TIFF and WEBP."""


def foreign_format(content: bytes, suffix: str = "") -> Format | None:
    """The unsupported format of a file, by its first bytes, else by its suffix; None if supported or unknown.

    Args:
        content: content of the file, or its first few hundred bytes.
        suffix: suffix of its name, such as `.heic`; it alone identifies raw files that are TIFF files inside.
    """
    by_name = _SUFFIXES.get(suffix.lower())
    if content.startswith(_TIFF):  # a raw file read as TIFF gives a small preview
        return _RAW if by_name is _RAW or content[8:10] == b"CR" else None
    if content.startswith(_READ) or (content.startswith(b"RIFF") and content[8:12] == b"WEBP"):
        return None
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], _VIDEO)
    if content.startswith(b"RIFF"):
        return _VIDEO
    text = content[:500].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<?xml"):
        text = text[max(text.find(b"<svg"), 0) :]
    found = [
        kind
        for start, kind in (*_STARTS, *_MARKUP.items())
        if (text if start in _MARKUP else content).startswith(start)
    ]
    return found[0] if found else by_name


def refuse_foreign(content: bytes, suffix: str, formats: tuple[str, ...]) -> None:
    """Refuse a file of a known, unsupported format.

    Args:
        content: content of the file.
        suffix: suffix of its name.
        formats: names of the supported formats.

    Raises:
        UnreadableError: the file has such a format; the message names it and says how to get a photo from the file.
    """
    found = foreign_format(content, suffix)
    if found is not None:
        raise UnreadableError(f"is not a supported image ({', '.join(formats)}) but {found.name}", found.mend)
