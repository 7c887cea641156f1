"""The same photo in every form gives the same pixels; what is no photo is refused in words."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from helpers import encoded
from siamesekit.data.photo_inputs import check_batch, one_by_one, prepared
from siamesekit.errors import DataError

SIZE = 24


def textured(width: int = 60, height: int = 44) -> Image.Image:
    blotches = np.random.default_rng(4).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC)


def turned(form: str, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(textured(), form, exif=exif, **options)


def clear() -> Image.Image:
    image = textured().convert("RGBA")
    image.putalpha(textured().convert("L"))
    return image


def big_endian(values: np.ndarray) -> bytes:
    """A TIFF of 16-bit greys as scanners and microscopes write it, which Pillow opens in a mode of its own."""
    (height, width), pixels = values.shape, values.tobytes()
    short, long = 3, 4
    tags = [(256, short, width), (257, short, height), (258, short, 16), (259, short, 1), (262, short, 1),
            (273, long, 122), (277, short, 1), (278, short, height), (279, long, len(pixels))]  # fmt: skip
    directory = b"".join(
        struct.pack(">HHI", tag, kind, 1)
        + (struct.pack(">HH", value, 0) if kind == short else struct.pack(">I", value))
        for tag, kind, value in tags
    )
    return b"MM\0*" + struct.pack(">IH", 8, len(tags)) + directory + bytes(4) + pixels


GREY = np.asarray(textured().convert("L"))
DEEP = Image.fromarray(GREY.astype(np.uint16) * 251)
FRAMES = {"save_all": True, "append_images": [textured().transpose(Image.Transpose.ROTATE_180)]}
FILES = {
    "jpg": encoded(textured(), "JPEG"),
    "large jpg": encoded(textured(611, 413), "JPEG"),
    **{f"jpg turned {n}": turned("JPEG", n) for n in range(2, 9)},
    "png turned": turned("PNG", 6),
    "webp turned": turned("WEBP", 7),
    "tif turned": turned("TIFF", 8),
    "tif turned, compressed": turned("TIFF", 6, compression="tiff_lzw"),
    "rgba": encoded(clear(), "PNG"),
    "rgba webp": encoded(clear(), "WEBP", lossless=True),
    "la": encoded(clear().convert("LA"), "PNG"),
    "palette": encoded(textured().quantize(9), "PNG"),
    "clear palette": encoded(textured().quantize(9), "PNG", transparency=3),
    "clear colour": encoded(textured().convert("L"), "PNG", transparency=int(GREY[0, 0])),
    "16 bits": encoded(DEEP, "PNG"),
    "16 bits tif": encoded(DEEP, "TIFF"),
    "16 bits tif, big-endian": big_endian(GREY.astype(">u2") * 251),
    "32 bits": encoded(Image.fromarray(GREY.astype(np.int32) * 251), "TIFF"),
    "floats": encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
    "cmyk": encoded(textured().convert("CMYK"), "JPEG"),
    "cmyk tif": encoded(textured().convert("CMYK"), "TIFF"),
    "1 bit": encoded(textured().convert("1"), "PNG"),
    "gif": encoded(textured(), "GIF", **FRAMES),
    "animated webp": encoded(textured(), "WEBP", **FRAMES),
    "animated png": encoded(textured(), "PNG", **FRAMES),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_the_same_photo_has_the_same_pixels_in_every_form(tmp_path: Path, name: str, fit: Any) -> None:
    content = FILES[name]
    file = tmp_path / "photo"
    file.write_bytes(content)
    expected = prepared(file, SIZE, fit)
    assert expected.std() > 5, "a flat picture would show nothing"
    with Image.open(file) as image, Image.open(io.BytesIO(content)) as other, file.open("rb") as stream:
        stream.read(7)
        for photo in (str(file), content, bytearray(content), memoryview(content), io.BytesIO(content), stream, stream,
                      image, other):  # fmt: skip
            assert np.array_equal(prepared(photo, SIZE, fit), expected), type(photo)


@pytest.mark.parametrize("name", FILES)
def test_a_decoded_pillow_image_has_those_of_full_decoding(tmp_path: Path, name: str) -> None:
    """A copy has the file's EXIF and transparency with it, so it is turned and laid over black like the file."""
    file = tmp_path / "photo"
    file.write_bytes(FILES[name])
    expected = prepared(file, SIZE, "squash").astype(int)
    with Image.open(file) as image:
        decoded = image.copy()
        image.load()
        for photo in (image, decoded):
            found = prepared(photo, SIZE, "squash").astype(int)
            assert np.abs(found - expected).mean() < (0.32 if name == "large jpg" else 1e-9)


@pytest.mark.parametrize("name", ["jpg", "large jpg", "jpg turned 6", "cmyk", "gif"])
def test_decoded_pixels_agree_with_the_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "photo"
    file.write_bytes(FILES[name])
    expected = prepared(file, SIZE, "pad").astype(int)
    with Image.open(file) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for photo in (pixels, tensor, pixels[::-1][::-1], np.asfortranarray(pixels)):
        found = prepared(photo, SIZE, "pad").astype(int)
        assert np.abs(found - expected).mean() < (0.32 if name == "large jpg" else 1e-9)


def test_the_users_image_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(FILES["large jpg"])
    with Image.open(file) as image, Image.open(file) as untouched:
        for _ in range(2):
            prepared(image, SIZE, "squash")
        assert (image.size, image.mode, image.tile, image.info) == (
            untouched.size,
            untouched.mode,
            untouched.tile,
            untouched.info,
        )
        assert np.array_equal(np.asarray(image), np.asarray(untouched))


def other_frame(image: Image.Image) -> None:
    image.seek(1)


def draft(image: Image.Image) -> None:
    image.draft("L", (100, 100))


def orientation(image: Image.Image) -> None:
    image.getexif()[0x0112] = 3


@pytest.mark.parametrize(
    ("name", "change"), [("gif", other_frame), ("large jpg", draft), ("jpg turned 6", orientation)]
)
def test_what_a_program_has_done_to_an_image_counts(tmp_path: Path, name: str, change: Any) -> None:
    def opened() -> Image.Image:
        image = Image.open(io.BytesIO(FILES[name]))
        change(image)
        return image

    plain = prepared(FILES[name], SIZE, "squash").astype(int)
    found = prepared(opened(), SIZE, "squash").astype(int)
    assert np.abs(found - plain).mean() > 5
    expected = ImageOps.exif_transpose(opened()).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    assert np.abs(found - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBa", "La", "HSV", "YCbCr", "PA"])
def test_modes_that_only_live_in_memory_have_their_colours(mode: str) -> None:
    if mode == "PA":
        image = textured().quantize(9).convert("PA")
        expected = np.asarray(textured().quantize(9).convert("RGB")).astype(int)
    elif mode in ("RGBa", "La"):
        image = clear().convert("LA" if mode == "La" else "RGBA").convert(mode)
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        expected = np.asarray(
            Image.alpha_composite(black, clear().convert("LA" if mode == "La" else "RGBA").convert("RGBA")).convert(
                "RGB"
            )
        ).astype(int)
    else:
        image = textured().convert(mode)
        expected = np.asarray(textured()).astype(int)
    found = prepared(image, SIZE, "squash").astype(int)
    resized = Image.fromarray(expected.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    assert np.abs(found - np.asarray(resized).astype(int)).mean() < 2


IMAGE = np.zeros((4, 5, 3), np.uint8)
BOMB = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "URL": (lambda: "https://example.org/a.jpg", r"^https://example.org/a.jpg is a URL, .* download it"),
    "URL as a path": (lambda: Path("http://example.org/a.jpg"), "is a URL"),
    "other URL": (lambda: "s3://bucket/a.jpg", "is a URL"),
    "URL of data": (lambda: "data:image/png;base64," + "A" * 10**6, r"^data:.{75} … is a URL"),
    "None": (lambda: None, "^NoneType is not a photo; a photo must be a file's path, its content as bytes"),
    "number": (lambda: 3, "^int is not a photo"),
    "list": (lambda: [IMAGE, IMAGE], "^expected one photo, not a list of 2"),
    "grey": (lambda: IMAGE[..., 0], r"uint8 \[height, width, 3\], not uint8 \[4, 5\]; pass grey .* Image.fromarray"),
    "grey of one channel": (lambda: IMAGE[..., :1], r"not uint8 \[4, 5, 1\]; pass grey"),
    "with transparency": (
        lambda: np.zeros((4, 5, 4), np.uint8),
        r"not uint8 \[4, 5, 4\]; pass grey or transparent photos as",
    ),
    "floats": (lambda: IMAGE / 255, r"not float64 \[4, 5, 3\]; scale its values to 0 … 255 and convert it to uint8"),
    "16 bits": (lambda: IMAGE.astype(np.uint16), r"not uint16 \[4, 5, 3\]"),
    "channels first": (lambda: IMAGE.transpose(2, 0, 1), r"not uint8 \[3, 4, 5\]"),
    "several": (lambda: IMAGE[None], r"not uint8 \[1, 4, 5, 3\]; pass one photo or a list"),
    "no pixels": (lambda: IMAGE[:0], r"not uint8 \[0, 5, 3\]"),
    "tensor, channels last": (
        lambda: torch.from_numpy(IMAGE),
        r"uint8 \[3, height, width\], not uint8 \[4, 5, 3\]; use .permute",
    ),
    "tensor of floats": (lambda: torch.rand(3, 4, 5), r"not float32 \[3, 4, 5\]; scale its values"),
    "grey tensor": (lambda: torch.zeros(4, 5, dtype=torch.uint8), r"not uint8 \[4, 5\]"),
    "Pillow image without pixels": (lambda: Image.new("RGB", (0, 3)), r"^a Pillow image: has no pixels \(0 × 3\)"),
    "nearly black floats": (lambda: Image.new("F", (3, 2), 1.5), "holds float values 1.5 … 1.5"),
    "no content": (lambda: b"", r"^a photo as bytes: is empty \(0 bytes\)"),
    "other content": (lambda: b"%PDF-1.4", "^a photo as bytes: is not a supported image .* but a PDF document"),
    "half a photo": (lambda: FILES["jpg"][:-200], r"^a photo as bytes: is damaged"),
    "half a photo as an image": (
        lambda: Image.open(io.BytesIO(FILES["jpg"][:-200])),
        r"^a Pillow image: is damaged",
    ),
    "text": (lambda: io.StringIO("x"), "gives str, not bytes; open it in binary mode"),
    "too large": (lambda: BOMB, r"^a photo as bytes: is too large: 60000 × 60000"),
    "closed": (lambda: closed(), "cannot be read"),
}


def closed() -> io.BytesIO:
    stream = io.BytesIO(b"x")
    stream.close()
    return stream


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photo_is_refused_in_words(name: str) -> None:
    make, says = REFUSED[name]
    with pytest.raises(DataError, match=says):
        prepared(make(), SIZE, "squash")


def test_one_photo_or_several() -> None:
    assert one_by_one("a.jpg") == ["a.jpg"]
    assert one_by_one(b"abc") == [b"abc"]
    assert [array.shape for array in one_by_one(np.zeros((2, 4, 5, 3), np.uint8))] == [(4, 5, 3)] * 2
    assert len(one_by_one(IMAGE)) == 1
    assert one_by_one(np.array(["a.jpg", "b.jpg"])) == ["a.jpg", "b.jpg"]
    assert one_by_one(name for name in ("a.jpg", "b.jpg")) == ["a.jpg", "b.jpg"]
    for nothing in ([], (), np.zeros((0, 4, 5, 3), np.uint8)):
        with pytest.raises(DataError, match="no photos to embed"):
            one_by_one(nothing)
    for wrong in (None, 3, 2.5):
        with pytest.raises(DataError, match="is neither a photo nor a list of photos"):
            one_by_one(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 3, SIZE, SIZE - 1), r"must be \[N, 3, 24, 24\] with values 0 … 255, not \[2, 3, 24, 23\]"),
        (torch.zeros(2, SIZE, SIZE, 3), r"not \[2, 24, 24, 3\]"),
        (torch.zeros(2, 5), r"not \[2, 5\]"),
        (torch.zeros(0, 3, SIZE, SIZE), "no photos to embed"),
        (torch.rand(2, 3, SIZE, SIZE), "multiply them by 255"),
        (torch.rand(2, 3, SIZE, SIZE) * 4 - 2, "the model scales them itself"),
        (torch.full((1, 3, SIZE, SIZE), torch.nan), "the model scales them itself"),
        (torch.full((1, 3, SIZE, SIZE), 256), "the model scales them itself"),
        (torch.zeros(1, 3, SIZE, SIZE, dtype=torch.bool), "not bool"),
    ],
)
def test_a_batch_of_another_shape_or_range_is_refused(images: torch.Tensor, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_batch(images, SIZE)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.float64])
def test_a_batch_of_pixels_of_any_type_is_taken(dtype: torch.dtype) -> None:
    check_batch((torch.rand(2, 3, SIZE, SIZE) * 255).to(dtype), SIZE)
    check_batch(torch.zeros(1, 3, SIZE, SIZE, dtype=dtype), SIZE)
