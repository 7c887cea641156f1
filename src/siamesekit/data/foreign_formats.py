"""Files that are no photo of a format that is read: what each of them is, and how a photo is got from it."""

from __future__ import annotations

from typing import NamedTuple

from siamesekit.data.photo_files import UnreadableError


class Format(NamedTuple):
    """A format that is not read.

    Attributes:
        name: what a file of it is, with its article.
        mend: how to get a photo from one.
    """

    name: str
    mend: str


_PHONE = "save a copy as JPEG: a photo app exports one, and so does ImageMagick (magick NAME.{0} NAME.jpg)"
_RAW = Format("a camera's raw file", "develop it to JPEG or TIFF with the camera's software, darktable or RawTherapee")
_HEIC = Format("a HEIC photo", _PHONE.format("heic"))
_AVIF = Format("an AVIF photo", _PHONE.format("avif"))
_VIDEO = Format("a video", "save single frames of it as JPEG (ffmpeg -i VIDEO frame-%03d.jpg)")
_PDF = Format("a PDF document", "save the pictures in it as JPEG (pdfimages -j NAME.pdf NAME)")
_PAGE = Format("a web page", "a failed download leaves such a file: download the photo itself")
_ARCHIVE = Format("an archive", "unpack it, and put the photos in it there")
_DRAWING = Format("an SVG drawing", "save a copy of it as PNG")
_OTHER = "save a copy of it as JPEG or PNG"
_JPEG_2000 = Format("a JPEG 2000 image", _OTHER)
_JPEG_XL = Format("a JPEG XL image", _OTHER)
_PHOTOSHOP = Format("a Photoshop file", _OTHER)
NO_PICTURES = (_PDF, _PAGE, _ARCHIVE)
"""What is no picture of anybody."""
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
"""How files of these formats begin."""
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), _HEIC),
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    b"crx ": _RAW,
}
"""ISO base media files (ISO/IEC 14496-12) by the brand in their first box; any other brand is a video's."""
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
"""How files of the formats that are read begin, TIFF and WEBP aside."""


def foreign_format(content: bytes, suffix: str = "") -> Format | None:
    """The format of a file that is not read, by how its content begins, else by its suffix; None where it is not known.

    Args:
        content: the file's, or its first few hundred bytes.
        suffix: of its name, `.heic`; raw files that are built as TIFF are known by it alone.
    """
    by_name = _SUFFIXES.get(suffix.lower())
    if content.startswith(_TIFF):  # what is read as TIFF of a raw file is a small preview
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
    """Refuse a file whose format is known and not read.

    Args:
        content: the file's.
        suffix: of its name.
        formats: those that are read.

    Raises:
        UnreadableError: saying what it is, and how to get a photo from it.
    """
    found = foreign_format(content, suffix)
    if found is not None:
        raise UnreadableError(f"is not an image that is read ({', '.join(formats)}) but {found.name}", found.mend)
