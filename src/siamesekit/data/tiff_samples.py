"""Read the samples of TIFFs that Pillow reads wrongly or not at all: more than 8 bits, signed, floats, separate planes.

Pillow (through libtiff) only unpacks the bytes: the photo is described to it as a grey picture of 8 bits that is as
wide as a row has bytes, one plane at a time. Prediction, byte order and types are undone here (TIFF 6.0; Adobe
Photoshop TIFF Technical Note 3 for the prediction of floats).
"""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_headers import check_size
from siamesekit.data.tiff_directories import (
    BITS,
    COMPRESSION,
    HEIGHT,
    PHOTOMETRIC,
    SAMPLES,
    WIDTH,
    Directory,
    first_directory,
    long_entry,
    value_of,
    values_of,
    with_entries,
)

MAX_BYTES = 2**31
"""Maximum size of the samples of a photo in bytes."""
MAX_SAMPLES = 8
_FILL_ORDER, _OFFSETS, _ROWS, _LENGTHS, _PLANAR, _PREDICTOR = 266, 273, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_LENGTHS, _EXTRA, _FORMAT = 322, 323, 324, 325, 338, 339
_UNSIGNED, _SIGNED, _FLOAT, _VOID = 1, 2, 3, 4
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED = 0, 1, 2, 3, 5
_PLAIN_COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}
"""None, LZW, Deflate, PackBits, LZMA and Zstandard, which keep any bytes."""
COMPRESSIONS = {1: "uncompressed", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "Deflate",
                32773: "PackBits", 32946: "Deflate", 33003: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG",
                34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard",
                50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}  # fmt: skip
PHOTOMETRICS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "CIELAB",
                9: "ICCLAB", 10: "ITULAB", 32844: "LogL", 32845: "LogLuv"}  # fmt: skip


class Layout(NamedTuple):
    """How a page of a TIFF stores its samples.

    Attributes:
        width: width in pixels.
        height: height in pixels.
        samples: number of samples of a pixel.
        bits: number of bits of a sample; 0 if samples differ.
        kind: `u`, `i` or `f`: unsigned, signed, float; empty if samples differ or are of another type.
        photometric: meaning of the samples.
        compression: compression.
        separate: whether each sample has a plane of its own.
        predictor: prediction before compression; 1: none.
        extra: kind of the first extra sample: 1 and 2 mean opacity.
        ordered: whether the bits of bytes are in the usual order.
    """

    width: int
    height: int
    samples: int
    bits: int
    kind: str
    photometric: int
    compression: int
    separate: bool
    predictor: int
    extra: int
    ordered: bool

    @property
    def beyond_pillow(self) -> bool:
        """Whether Pillow would lose values of this page, or read them wrongly or not at all."""
        wide = self.bits > 8 or self.kind in ("i", "f") or self.bits in (3, 5, 6, 7)
        return wide and self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATED)

    def told(self) -> str:
        """The layout in a message: `3 samples of 16 bits, RGB, LERC`."""
        samples = f"{self.samples} sample{'' if self.samples == 1 else 's'} of {self.bits or 'various'} bits"
        what = PHOTOMETRICS.get(self.photometric, f"photometric {self.photometric}")
        return f"{samples}, {what}, {COMPRESSIONS.get(self.compression, f'compression {self.compression}')}"


def layout_of(tiff: bytes) -> Layout | None:
    """The layout of the first page of a TIFF; None if it is damaged."""
    try:
        page = first_directory(tiff)
        samples = value_of(tiff, page, SAMPLES, 1)
        bits = set(values_of(tiff, page, BITS)[:samples] or (1,))
        kinds = set(values_of(tiff, page, _FORMAT)[:samples] or (_UNSIGNED,))
    except (struct.error, OverflowError):
        return None
    names = {_UNSIGNED: "u", _VOID: "u", _SIGNED: "i", _FLOAT: "f"}
    return Layout(
        width=value_of(tiff, page, WIDTH),
        height=value_of(tiff, page, HEIGHT),
        samples=samples,
        bits=bits.pop() if len(bits) == 1 else 0,
        kind=names.get(kinds.pop(), "") if len(kinds) == 1 else "",
        photometric=value_of(tiff, page, PHOTOMETRIC, BLACK_IS_ZERO),
        compression=value_of(tiff, page, COMPRESSION, 1),
        separate=value_of(tiff, page, _PLANAR, 1) == 2,
        predictor=value_of(tiff, page, _PREDICTOR, 1),
        extra=value_of(tiff, page, _EXTRA),
        ordered=value_of(tiff, page, _FILL_ORDER, 1) == 1,
    )


def samples_of(tiff: bytes, layout: Layout, max_megapixels: int) -> NDArray[np.generic]:
    """The samples of the first page of a TIFF, `[height, width, samples]`, in their own type.

    Samples of unusual numbers of bits, such as 12, become uint8, uint16 or uint32.

    Raises:
        UnreadableError: the page is too large, or of a kind that is not read.
        Exception: any error of Pillow on a damaged file.
    """
    check_size(layout.width, layout.height, max_megapixels)
    if not _is_read(layout):
        raise refusal_of(layout)
    page = first_directory(tiff)
    each = 1 if layout.separate else layout.samples
    row = -(-layout.width * each * layout.bits // 8)
    if row * layout.height * (layout.samples if layout.separate else 1) > MAX_BYTES:
        raise UnreadableError(f"is too large: its samples take more than {MAX_BYTES // 2**30} GiB", "make it smaller")
    planes = layout.samples if layout.separate else 1
    found = [_numbers(_rows(tiff, page, layout, plane), page, layout, each, tiff) for plane in range(planes)]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=2)


def refusal_of(layout: Layout) -> UnreadableError:
    """The error for a page of a kind that is not read."""
    return UnreadableError(
        f"is a TIFF of a kind that is not read ({layout.told()})", "save it as PNG, or as TIFF with 8 or 16 bits"
    )


def _is_read(layout: Layout) -> bool:
    byte_sized = layout.bits in (8, 16, 32, 64)
    packed = layout.kind == "u" and layout.predictor == 1 and 0 < layout.bits <= 32
    floats = layout.kind != "f" or layout.bits in (16, 32, 64)
    return (
        layout.kind != ""
        and layout.compression in _PLAIN_COMPRESSIONS
        and 0 < layout.samples <= MAX_SAMPLES
        and layout.ordered
        and (byte_sized or packed)
        and floats
        and layout.predictor in (1, _DIFFERENCES, _FLOAT_DIFFERENCES)
        and not (layout.predictor == _FLOAT_DIFFERENCES and layout.kind != "f")
        and not (layout.predictor == _DIFFERENCES and layout.kind == "f")
    )


def _tile_width(tiff: bytes, page: Directory) -> int:
    """Width of the tiles; 0 if the page has strips."""
    return value_of(tiff, page, _TILE_WIDTH) if page.entry(_TILE_OFFSETS) is not None else 0


def _rows(tiff: bytes, page: Directory, layout: Layout, plane: int) -> NDArray[np.uint8]:
    """The bytes of one plane as they are after decompression, `[height, bytes of a row]`."""
    each = 1 if layout.separate else layout.samples
    tile = _tile_width(tiff, page)
    if tile * each * layout.bits % 8:
        raise refusal_of(layout)
    unit = each * layout.bits
    width = -(-layout.width * unit // 8)
    pieces = (_TILE_OFFSETS, _TILE_LENGTHS) if tile else (_OFFSETS, _LENGTHS)
    made = {WIDTH: width, HEIGHT: layout.height, BITS: 8, PHOTOMETRIC: BLACK_IS_ZERO, SAMPLES: 1, _PLANAR: 1}
    if tile:
        made |= {_TILE_WIDTH: tile * unit // 8}
    kept = (COMPRESSION, *((_TILE_HEIGHT,) if tile else (_ROWS,)), *pieces)
    entries = {tag: entry for tag, entry in page.entries if tag in kept}
    entries |= {tag: long_entry(page, tag, value) for tag, value in made.items()}
    if layout.separate:
        entries |= {tag: _part(tiff, page, tag, plane, layout.samples) for tag in pieces}
    grey = with_entries(tiff, page, sorted(entries.items()))
    with TiffImagePlugin.TiffImageFile(io.BytesIO(grey), "") as image:
        if image.mode != "L" or image.size != (width, layout.height):
            raise refusal_of(layout)
        return np.array(image)


def _part(tiff: bytes, page: Directory, tag: int, plane: int, planes: int) -> bytes:
    """The entry of one plane's strips or tiles, of those of all planes."""
    entry = page.entry(tag)
    count, length = (struct.unpack_from(page.order + code, entry or bytes(20), at)[0]
                     for code, at in (("Q" if page.big else "I", 4), ("H", 2)))  # fmt: skip
    values = values_of(tiff, page, tag)
    share = count // planes
    if entry is None or len(values) != share * planes:
        raise UnreadableError("is a TIFF with damaged planes", "copy it again, or save it anew as PNG")
    if share == 1:
        return long_entry(page, tag, values[plane])
    size = {3: 2, 4: 4, 13: 4, 16: 8, 18: 8}[length]
    (at,) = struct.unpack_from(page.order + ("Q" if page.big else "I"), entry, 12 if page.big else 8)
    head = entry[:4] + struct.pack(page.order + ("Q" if page.big else "I"), share)
    room = 8 if page.big else 4
    if share * size > room:
        return head + struct.pack(page.order + ("Q" if page.big else "I"), at + plane * share * size)
    mine = values[plane * share : (plane + 1) * share]
    return head + struct.pack(page.order + {2: "H", 4: "I", 8: "Q"}[size] * share, *mine).ljust(room, b"\0")


def _numbers(rows: NDArray[np.uint8], page: Directory, layout: Layout, each: int, tiff: bytes) -> NDArray[np.generic]:
    """The samples `[height, width, each]` of the bytes of all rows."""
    if layout.bits not in (8, 16, 32, 64):
        return _unpacked(rows, layout, each)
    size = layout.bits // 8
    stretch = _tile_width(tiff, page) or layout.width
    type_ = np.dtype(f"{page.order}{layout.kind}{size}")
    if layout.predictor == 1:
        return rows.view(type_).astype(type_.newbyteorder("=")).reshape(layout.height, layout.width, each)
    undone = []
    for start in range(0, layout.width, stretch):  # each tile is predicted by itself
        part = rows[:, start * each * size : (start + stretch) * each * size]
        if part.shape[1] < stretch * each * size and layout.predictor == _FLOAT_DIFFERENCES:
            raise refusal_of(layout)  # the rest of the last tile, which Pillow cuts off, holds bytes of these samples
        undone.append(_undone(part, type_, layout.predictor, each))
    return np.concatenate(undone, axis=1).reshape(layout.height, layout.width, each)


def _undone(part: NDArray[np.uint8], type_: np.dtype[np.generic], predictor: int, each: int) -> NDArray[np.generic]:
    """The samples `[height, width · each]` of predicted rows."""
    height, size = len(part), type_.itemsize
    if predictor == _DIFFERENCES:
        unsigned = np.dtype(f"{type_.byteorder}u{size}") if size > 1 else np.dtype("u1")
        steps = np.ascontiguousarray(part).view(unsigned).astype(unsigned.newbyteorder("="))
        summed = steps.reshape(height, -1, each).cumsum(axis=1, dtype=steps.dtype)
        return summed.reshape(height, -1).view(type_.newbyteorder("="))
    summed = part.reshape(height, -1, each).cumsum(axis=1, dtype=np.uint8).reshape(height, size, -1)
    big = np.ascontiguousarray(summed.transpose(0, 2, 1)).view(np.dtype(f">{type_.kind}{size}"))
    return big.reshape(height, -1).astype(type_.newbyteorder("="))


def _unpacked(rows: NDArray[np.uint8], layout: Layout, each: int) -> NDArray[np.generic]:
    """The samples `[height, width, each]` of bytes in which they lie bit by bit, the highest bit first."""
    type_ = np.dtype("u1" if layout.bits <= 8 else "u2" if layout.bits <= 16 else "u4")
    found = np.empty((layout.height, layout.width * each), type_)
    weights = (1 << np.arange(layout.bits - 1, -1, -1, dtype=np.int64)).astype(np.float64)
    for number, row in enumerate(rows):  # all rows at once would take 64 times the memory
        bits = np.unpackbits(row)[: found.shape[1] * layout.bits].reshape(-1, layout.bits)
        found[number] = bits @ weights
    return found.reshape(layout.height, layout.width, each)
