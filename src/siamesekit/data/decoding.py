"""Decode the content of a photo file: open, check, decode, turn upright, convert to sRGB, crop to the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageFile

from siamesekit.data import jpeg
from siamesekit.data.checksums import check_sums
from siamesekit.data.cropping import cropped, shortest_side
from siamesekit.data.deep_photos import FEW_LEVELS, FEWEST_LEVELS, Deep, deep_of_samples, has_few_levels
from siamesekit.data.foreign_formats import refuse_foreign
from siamesekit.data.photo_colours import Decoded, Pixels, to_rgb
from siamesekit.data.photo_files import Room, UnreadableError
from siamesekit.data.photo_formats import READ, decoder_errors, opened
from siamesekit.data.photo_geometry import Edges, upright
from siamesekit.data.photo_headers import check_size, check_structure, essential, orientation_in, orientation_of
from siamesekit.data.photo_reading import PLAIN, Reading, Remark
from siamesekit.data.png_samples import is_deep_png, png_samples
from siamesekit.data.records import Box
from siamesekit.data.tiff_directories import first_directory, is_tiff, values_of, with_largest_page_first
from siamesekit.data.tiff_samples import Layout, layout_of, samples_of
from siamesekit.hardware.allocator import return_freed_memory

DECODING = Room(2 * 2**30)
"""Memory for decoding, shared by all threads."""
LARGE = 2**25
"""Photos that take more bytes return their memory to the system at once; glibc keeps the freed memory of each thread.
"""
ORIENTATION = 274
_PROFILE_TAG = 34675
_JPEG = ("JPEG", "MPO")
Use = Callable[[Decoded, Edges], Decoded]


def as_it_is(photo: Decoded, _: Edges) -> Decoded:
    """The photo itself."""
    return photo


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a photo.

    Attributes:
        smallest: a JPEG may be scaled down so far that the sides of the box are still at least this; None: not at all.
        use: what is done with the upright photo and its edges in the image; the result is what is returned.
        box: the rectangle to crop to; None: the whole photo.
        reading: how it is decoded.
        remarks: receives remarks.
        resizes: whether `use` only resizes: then it gets an image, perhaps in mode `RGBX`, which takes a copy less.
    """

    smallest: int | None = None
    use: Use = as_it_is
    box: Box | None = None
    reading: Reading = PLAIN
    remarks: list[Remark] = field(default_factory=list)
    resizes: bool = False


def decoded(content: bytes, wanted: Wanted, suffix: str = "") -> Pixels:
    """Decode a file's content to upright sRGB, crop it to the box and apply `wanted.use`.

    If decoding fails, it is repeated without the metadata, because only the metadata may be damaged.

    Args:
        content: the content.
        wanted: what is wanted.
        suffix: suffix of the file's name.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    limit = wanted.reading.max_megapixels
    refuse_foreign(content, suffix, READ)
    check_structure(content, limit)
    if is_tiff(content):
        content = with_largest_page_first(content)
        check_structure(content, limit)
        layout = layout_of(content)
        if layout is not None:
            check_size(layout.width, layout.height, limit)
        check_sums(content)
        if layout is not None and layout.beyond_pillow:
            return _of_deep_tiff(content, layout, wanted)
    else:
        jpeg.refuse_unread(content)
        check_sums(content)
    first: list[Remark] = []
    try:
        pixels = _pixels(content, wanted, first)
    except UnreadableError:
        pixels_alone, first = essential(content), []
        if pixels_alone is None:
            raise
        pixels = _pixels(pixels_alone, wanted, first, orientation_in(content) or 1)
    wanted.remarks.extend(dict.fromkeys(first))
    return pixels


def _pixels(content: bytes, wanted: Wanted, remarks: list[Remark], orientation: int | None = None) -> Pixels:
    try:
        with decoder_errors(content):
            image = opened(content)
            check_size(*image.size, wanted.reading.max_megapixels)
            width, height = image.size
            is_jpeg = image.format in _JPEG
            drafted = None
            if is_jpeg and wanted.smallest is not None:
                drafted = _draft(image, content, wanted.smallest, wanted.box)
            needed = _memory(image, width * height)
            with DECODING.take(needed):
                padded = wanted.resizes and "icc_profile" not in image.info
                own = jpeg.decoded(image, content, wanted.reading, remarks, padded) if is_jpeg else None
                if own is None:
                    image.load()
                if orientation is None:
                    orientation = _orientation(image, lambda: orientation_in(content))
                if own is not None and _is_finished(image, orientation, wanted):
                    pixels = _as_pixels(wanted.use(own, drafted or (0, 0, *image.size)))
                else:
                    whole = image if own is None else jpeg.image_of(own, image.mode, image.info)
                    photo = _in_rgb(whole, content, wanted.reading, remarks)
                    edges: Edges = (0, 0, *whole.size) if drafted is None else drafted
                    scale = 1 if drafted is None else width / (edges[2] - edges[0])
                    pixels = _finished(photo, edges, orientation, scale, wanted)
                image.close()  # free its memory for the next photo
                if needed > LARGE:
                    return_freed_memory()
            return pixels
    except MemoryError:
        raise UnreadableError("does not fit into memory", "make it smaller") from None


def _in_rgb(image: Image.Image, content: bytes, reading: Reading, remarks: list[Remark]) -> Image.Image:
    """A decoded image in RGB; a PNG of 16 bits is decoded again if all of its bits are wanted."""
    by_type = reading.depth == "full" or (reading.depth == "set" and reading.value_range is None)
    deep = png_samples(content) if is_deep_png(content) and not by_type else None
    if deep is None and _few_in_png(content, image):
        remarks.append(FEW_LEVELS)
    return to_rgb(image, reading, remarks, deep)


def _is_finished(image: Image.Image, orientation: int | None, wanted: Wanted) -> bool:
    """Whether the pixels of an image need no more work before they are used."""
    plain = image.mode == "RGB" and "icc_profile" not in image.info and (orientation or 1) == 1
    return plain and not wanted.resizes and wanted.box is None


def _finished(photo: Image.Image, edges: Edges, orientation: int | None, scale: float, wanted: Wanted) -> Pixels:
    """The pixels of a photo in RGB, turned upright, cropped and used; `scale` is that of the decoder."""
    photo, edges = upright(photo, edges, orientation)
    if wanted.box is not None:
        full = (round((edges[2] - edges[0]) * scale), round((edges[3] - edges[1]) * scale))
        photo, edges = cropped(photo, edges, wanted.box, full)
    return _as_pixels(wanted.use(photo, edges))


def _as_pixels(photo: Decoded) -> Pixels:
    return np.asarray(photo.convert("RGB") if isinstance(photo, Image.Image) and photo.mode == "RGBX" else photo)


def _of_deep_tiff(content: bytes, layout: Layout, wanted: Wanted) -> Pixels:
    """The pixels of a TIFF whose samples Pillow does not read rightly."""
    needed = _memory_of_samples(layout)
    remarks: list[Remark] = []
    try:
        with decoder_errors(content), DECODING.take(needed):
            deep = deep_of_samples(samples_of(content, layout, wanted.reading.max_megapixels), layout)
            image = Image.new("1", (layout.width, layout.height))
            profile = bytes(values_of(content, first_directory(content), _PROFILE_TAG))
            image.info = {"icc_profile": profile} if profile else {}
            photo = to_rgb(image, wanted.reading, remarks, deep)
            pixels = _finished(photo, (0, 0, *photo.size), orientation_of(content), 1, wanted)
            if needed > LARGE:
                return_freed_memory()
    except MemoryError:
        raise UnreadableError("does not fit into memory", "make it smaller") from None
    wanted.remarks.extend(dict.fromkeys(remarks))
    return pixels


def deep_of_content(content: bytes, reading: Reading) -> Deep | None:
    """The samples of a photo file of more than 8 bits; None of other files.

    Raises:
        UnreadableError: the photo cannot be used.
    """
    if is_tiff(content):
        content = with_largest_page_first(content)
        layout = layout_of(content)
        if layout is None or not layout.beyond_pillow:
            return None
        check_size(layout.width, layout.height, reading.max_megapixels)
        check_sums(content)
        with decoder_errors(content), DECODING.take(_memory_of_samples(layout)):
            return deep_of_samples(samples_of(content, layout, reading.max_megapixels), layout)
    if not is_deep_png(content):
        return None
    check_sums(content)
    with decoder_errors(content):
        size = opened(content).size
        check_size(*size, reading.max_megapixels)
        with DECODING.take(20 * size[0] * size[1]):
            return png_samples(content)


def _few_in_png(content: bytes, photo: Image.Image) -> bool:
    """Whether few levels are left of a colour PNG of 16 bits that has more; those of grey ones have been counted."""
    if (
        not is_deep_png(content)
        or photo.mode != "RGB"
        or sum(map(bool, photo.convert("L").histogram())) >= FEWEST_LEVELS
    ):
        return False
    return has_few_levels(png_samples(content))


def _draft(image: ImageFile.ImageFile, content: bytes, smallest: int, box: Box | None) -> Edges | None:
    """Let a JPEG be decoded at ½, ¼ or ⅛ of its size, so that the sides of the box are still at least `smallest`.

    Returns:
        The edges of the photo in the decoded image; None if it is decoded in full.
    """
    wanted = (smallest, smallest)
    if box is not None:
        turned = (orientation_in(content) or 1) >= 5
        shortest = shortest_side(box, image.size[::-1] if turned else image.size)
        scale = max(1, int(shortest / smallest))
        wanted = (max(1, image.width // scale), max(1, image.height // scale))
    drafted = image.draft(None, wanted)
    return None if drafted is None else drafted[1]


def _memory_of_samples(layout: Layout) -> int:
    """Upper bound of the bytes that reading the samples of a TIFF takes."""
    return layout.width * layout.height * (12 + layout.samples * layout.bits)


def _memory(image: ImageFile.ImageFile, full: int) -> int:
    """Upper bound of the bytes that decoding takes; `full` is the number of pixels before `draft`."""
    plain = image.mode in ("1", "L", "RGB", "YCbCr") and "transparency" not in image.info
    held = 8 * full if image.info.get("progressive") else 0  # libjpeg keeps all coefficients
    return (8 if plain else 20) * image.width * image.height + held


def _orientation(image: Image.Image, as_stored: Callable[[], int | None]) -> int | None:
    """Orientation in the EXIF or XMP of an image; None if it cannot be read.

    Args:
        image: a decoded image.
        as_stored: reads the orientation from the EXIF without Pillow. It is called if Pillow warns about other tags and
            the program turns warnings into errors.
    """
    try:
        found: int = image.getexif().get(ORIENTATION, 1)
        return found
    except Warning:
        return as_stored()
    except Exception:  # metadata may be damaged in any way while the pixels are sound
        return None


def turned(image: Image.Image) -> tuple[Image.Image, Edges]:
    """A Pillow image turned upright by its EXIF orientation, with its edges."""
    if 0 in image.size:
        raise UnreadableError(f"has no pixels ({image.width} × {image.height})", "choose another image")
    check_size(*image.size)
    image.load()
    exif = image.info.get("exif")
    orientation = _orientation(image, lambda: orientation_of(exif) if isinstance(exif, bytes) else None)
    return upright(image, (0, 0, *image.size), orientation)
