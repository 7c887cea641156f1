"""Which page of a TIFF is the photo, and which TIFFs are raw files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.images import decode, pixels_of_content
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.tiff_directories import directories, is_raw, with_largest_page_first

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
SMALL = np.random.default_rng(1).integers(0, 256, (15, 22, 3), dtype=np.uint8)


def pages(*written: tuple[NDArray[Any], dict[str, Any]], bigtiff: bool = False) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=bigtiff) as file:
        for values, options in written:
            file.write(values, photometric=options.pop("photometric", "rgb"), **options)
    return stream.getvalue()


def raw(**options: Any) -> bytes:
    """As a NEF is: a thumbnail first, and the sensor's data in a sub-directory."""
    pattern = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]
    sensor = {"photometric": 32803, "extratags": pattern} | options
    return pages((SMALL, {"subifds": 1, "subfiletype": 1}), (np.zeros((60, 90), np.uint16), sensor))


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("thumbnail", [{"subfiletype": 1}, {}, {"subifds": 1, "subfiletype": 1}, {"subifds": 1}])
def test_the_thumbnail_before_a_photo_is_not_the_photo(thumbnail: dict[str, Any], bigtiff: bool) -> None:
    content = pages((SMALL, dict(thumbnail)), (PHOTO, {}), bigtiff=bigtiff)
    assert np.array_equal(pixels_of_content(content), PHOTO)


def test_of_pages_of_one_size_the_first_is_taken_and_of_others_the_largest() -> None:
    other = PHOTO[::-1]
    assert np.array_equal(pixels_of_content(pages((PHOTO, {}), (other, {}))), PHOTO)
    assert np.array_equal(pixels_of_content(pages((SMALL, {}), (PHOTO, {}), (other[:50], {}))), PHOTO)
    alone = pages((PHOTO, {}))
    assert with_largest_page_first(alone) is alone


def test_a_large_reduced_copy_or_mask_is_no_photo() -> None:
    double = PHOTO.repeat(2, 0).repeat(2, 1)
    content = bytearray(pages((PHOTO, {}), (double, {"subfiletype": 1})))
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        place = file.pages[1].tags[254].valueoffset  # type: ignore[union-attr]
    for kind in (1, 4):
        content[place] = kind
        assert np.array_equal(pixels_of_content(bytes(content)), PHOTO)
    content[place] = 0
    assert np.array_equal(pixels_of_content(bytes(content)), double)


def test_the_largest_page_of_16_bits_is_read_too() -> None:
    deep = PHOTO.astype(np.uint16) * 257
    content = pages((SMALL, {"subifds": 1, "subfiletype": 1}), (deep, {}))
    assert np.array_equal(pixels_of_content(content), PHOTO)


@pytest.mark.parametrize("name", ["a.NEF", "a.tif", "a.jpg", "a"])
def test_a_raw_file_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(raw())
    with pytest.raises(UnreadableError, match="but a camera's raw file"):
        decode(tmp_path / name)


def test_each_sign_of_a_raw_file_suffices() -> None:
    assert is_raw(pages((SMALL, {}), (PHOTO.astype(np.uint16), {"photometric": 34892})))
    assert is_raw(pages((SMALL, {"extratags": [(50706, 1, 4, bytes([1, 4, 0, 0]), True)]})))
    assert is_raw(b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(400))
    assert not is_raw(pages((SMALL, {"subifds": 1, "subfiletype": 1}), (PHOTO, {})))


@pytest.mark.parametrize("name", ["photo.tif", "photo.jpg"])
def test_an_ordinary_photo_is_not_taken_for_raw(tmp_path: Path, name: str) -> None:
    Image.fromarray(PHOTO).save(tmp_path / name, "TIFF")
    assert np.array_equal(decode(tmp_path / name), PHOTO)


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    content = bytearray(pages((SMALL, {}), (PHOTO, {})))
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        first, second = (page.offset for page in file.pages)  # type: ignore[union-attr]
        end = second + 2 + 12 * len(file.pages[1].tags)  # type: ignore[union-attr]
    content[end : end + 4] = first.to_bytes(4, "little")
    assert [directory.place for directory in directories(bytes(content))] == [first, second]
    assert np.array_equal(pixels_of_content(bytes(content)), PHOTO)


def test_a_damaged_tiff_has_no_directories() -> None:
    assert directories(b"II*\0\xff\xff\xff\xff") == []
    assert with_largest_page_first(b"II*\0\x08\0\0\0") == b"II*\0\x08\0\0\0"
