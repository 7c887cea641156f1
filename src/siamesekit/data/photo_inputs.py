"""Photos as Python objects: a file's path or content, a Pillow image, an array, a tensor.

This imports torch for tensors alone, so that `siamesekit.runtime` reads photos without it.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.images import (
    decode,
    pixels_of_content,
    pixels_of_image,
    read_square,
    square_of_content,
    square_of_image,
)
from siamesekit.data.photo_colours import Pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_geometry import Fit, square
from siamesekit.data.photo_reading import FOR_PICTURES, PLAIN, Reading
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.files.untrusted import MAX_PHOTO_BYTES
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from torch import Tensor

Photo = Union[str, Path, Image.Image, NDArray[np.uint8], "Tensor", bytes, bytearray, memoryview, IO[bytes]]
"""A file's path, a Pillow image, uint8 RGB as an array `[height, width, 3]` or a tensor `[3, height, width]`, a file's
content, or an open file."""
EXPECTED = (
    "a photo must be a file's path, its content as bytes, a file opened in binary mode, a Pillow image, a NumPy "
    "array uint8 [height, width, 3] or a tensor uint8 [3, height, width]"
)
_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]+:/|data:")
_SHOWN = 80
"""Maximum number of characters of a URL that are shown."""


def prepared(photo: Photo, size: int, fit: Fit, reading: Reading = PLAIN) -> Pixels:
    """Read one photo and make it square, uint8 RGB `[size, size, 3]`.

    A photo gives the same pixels as a path, as the content of its file, and as a Pillow image that is not decoded yet.
    A decoded photo (image, array or tensor) gives the pixels of full decoding (`read_square`).

    Raises:
        DataError: the photo cannot be read, or the object is not a photo.
    """
    try:
        return _square(photo, size, fit, reading)
    except UnreadableError as error:
        raise DataError(f"{_called(photo)}: {'; '.join(error.args)}") from None


def pixels_of(photo: Photo) -> Pixels:
    """Read one photo at its full size, upright, uint8 RGB `[height, width, 3]`, as for pictures (`FOR_PICTURES`).

    Raises:
        DataError: the photo cannot be read, or the object is not a photo.
    """
    try:
        return _whole(photo)
    except UnreadableError as error:
        raise DataError(f"{_called(photo)}: {'; '.join(error.args)}") from None


def _square(photo: Any, size: int, fit: Fit, reading: Reading) -> Pixels:
    if isinstance(photo, str | Path):
        _refuse_url(str(photo))
        return read_square(Record("", "", Path(photo)), size, fit, reading)
    if isinstance(photo, Image.Image):
        return square_of_image(photo, size, fit, reading)
    if isinstance(photo, bytes | bytearray | memoryview):
        return square_of_content(bytes(photo), size, fit, reading)
    if callable(getattr(photo, "read", None)):
        return square_of_content(_read(photo), size, fit, reading)
    return square(_of_numbers(photo), size, fit, reading)


def _whole(photo: Any) -> Pixels:
    if isinstance(photo, str | Path):
        _refuse_url(str(photo))
        return decode(Path(photo), reading=FOR_PICTURES)
    if isinstance(photo, Image.Image):
        return pixels_of_image(photo, FOR_PICTURES)
    if isinstance(photo, bytes | bytearray | memoryview):
        return pixels_of_content(bytes(photo), reading=FOR_PICTURES)
    if callable(getattr(photo, "read", None)):
        return pixels_of_content(_read(photo), reading=FOR_PICTURES)
    return _of_numbers(photo)


def _of_numbers(photo: Any) -> Pixels:
    """The pixels of an array or tensor; anything else is refused."""
    if isinstance(photo, np.ndarray):
        return _of_array(photo)
    if _is_tensor(photo):
        return _of_tensor(photo)
    if isinstance(photo, Sequence):
        raise DataError(f"expected one photo, not a {type(photo).__name__} of {len(photo)}; {EXPECTED}")
    raise DataError(f"{type(photo).__name__} is not a photo; {EXPECTED}")


def one_by_one(photos: Photo | Iterable[Photo]) -> list[Photo]:
    """Return one photo or several photos as a list.

    Raises:
        DataError: the object is neither, or there are no photos.
    """
    alone = (str, Path, Image.Image, bytes, bytearray, memoryview)
    if isinstance(photos, alone) or callable(getattr(photos, "read", None)):
        return [photos]  # type: ignore[list-item]
    if isinstance(photos, np.ndarray) and photos.ndim != 4 and not (photos.ndim == 1 and photos.dtype.kind in "OU"):
        return [photos]  # several are pixels [N, height, width, 3], or an array of paths
    if _is_tensor(photos):
        return [photos]
    try:
        several = list(photos)
    except TypeError:
        raise DataError(f"{type(photos).__name__} is neither a photo nor a list of photos; {EXPECTED}") from None
    if not several:
        raise DataError("no photos to embed")
    return several


def check_batch(images: Tensor, size: int) -> None:
    """Check a tensor of photos: `[N, 3, size, size]`, values 0 … 255.

    Raises:
        DataError: its shape or its values differ.
    """
    import torch

    wanted = f"photos as one tensor must be [N, 3, {size}, {size}] with values 0 … 255"
    if images.ndim != 4 or images.shape[1:] != (3, size, size):
        raise DataError(
            f"{wanted}, not {list(images.shape)}; to have photos of other sizes resized, pass a list of tensors "
            "uint8 [3, height, width]"
        )
    if not images.numel():
        raise DataError("no photos to embed")
    if images.is_complex() or images.dtype == torch.bool:
        raise DataError(f"{wanted}, not {_type_of(images)}")
    if (
        images.dtype == torch.uint8
    ):  # no other values are possible: skip the pass over the pixels and the wait for a GPU
        return
    low, high = (float(value) for value in images.detach().aminmax())
    scaled = images.is_floating_point() and 0 < high <= 1
    if not (low >= 0 and high <= 255) or scaled:  # "not" also catches NaN
        advice = "multiply them by 255" if scaled else "the model scales them itself"
        raise DataError(f"{wanted}, not {low:.4g} … {high:.4g}; {advice}")


def _refuse_url(name: str) -> None:
    if _URL.match(name):
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]} …"
        raise DataError(
            f"{line_of_name(shown)} is a URL, and photos are not downloaded; download it and pass the file's path or "
            "its content as bytes"
        )


def _of_array(array: NDArray[Any]) -> Pixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise DataError(
            f"a photo as an array must be uint8 [height, width, 3], not {array.dtype} {list(array.shape)}; "
            f"{_advice(array.dtype == np.uint8, array.ndim, array.shape[-1:])}"
        )
    return np.ascontiguousarray(array)


def _is_tensor(photo: object) -> TypeGuard[Tensor]:
    """Whether an object is a tensor; there is none if torch has not been imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(photo, torch.Tensor)


def _of_tensor(tensor: Tensor) -> Pixels:
    import torch

    if tensor.dtype != torch.uint8 or tensor.ndim != 3 or tensor.shape[0] != 3 or 0 in tensor.shape:
        transposed = tensor.ndim == 3 and tensor.shape[-1] == 3
        advice = "use .permute(2, 0, 1)" if transposed else _advice(tensor.dtype == torch.uint8, tensor.ndim, ())
        raise DataError(
            f"a photo as a tensor must be uint8 [3, height, width], not {_type_of(tensor)} {list(tensor.shape)}; "
            f"{advice}"
        )
    return np.ascontiguousarray(tensor.detach().cpu().permute(1, 2, 0).numpy())


def _advice(bytes_already: bool, dimensions: int, channels: tuple[int, ...]) -> str:
    if not bytes_already:
        return "scale its values to 0 … 255 and convert it to uint8"
    if dimensions == 2 or (dimensions == 3 and channels and channels[0] in (1, 2, 4)):
        return "pass grey or transparent photos as Pillow images: Image.fromarray(array)"
    return "pass one photo or a list of photos"


def _type_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _read(file: IO[bytes]) -> bytes:
    """Read the whole content of an open file, from its beginning if it is seekable, as Pillow does."""
    try:
        if file.seekable():
            file.seek(0)
        content = file.read(MAX_PHOTO_BYTES + 1)
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(f"cannot be read ({reason})", "open it again") from None
    if not isinstance(content, bytes | bytearray | memoryview):
        raise DataError(
            f"{_called(file)} gives {type(content).__name__}, not bytes; open it in binary mode: open(FILE, 'rb')"
        )
    return bytes(content)


def _called(photo: Any) -> str:
    """A photo's name in an error."""
    if isinstance(photo, str | Path):
        return line_of_name(str(photo))
    if isinstance(photo, Image.Image):
        name = getattr(photo, "filename", "")
        return f"the Pillow image {line_of_name(str(name))}" if name else "a Pillow image"
    name = getattr(photo, "name", None)
    if isinstance(photo, io.IOBase) and isinstance(name, str):
        return f"the file {line_of_name(name)}"
    return f"a photo as {type(photo).__name__}"
