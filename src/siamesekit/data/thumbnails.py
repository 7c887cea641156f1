"""Small photos within HTML: for pages, and for what a notebook shows."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.data.photo_inputs import Photo, pixels_of
from siamesekit.errors import DataError

LONGEST = 112
"""Length in pixels of the longer side of a photo in a notebook."""


def data_uri(pixels: NDArray[np.uint8], longest: int, quality: int = 85) -> str:
    """A photo `[height, width, 3]` as a JPEG within the page, its longer side at most so many pixels."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((longest, longest))
    image.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def thumbnail(photo: Photo) -> str:
    """A photo as a small `<img>` element; its name alone if it can no longer be read."""
    name = escape(Path(photo).name if isinstance(photo, str | Path) else "photo", quote=True)
    try:
        return f"<img src='{data_uri(pixels_of(photo), LONGEST)}' alt='{name}' title='{name}'>"
    except DataError:
        return f"<em>{name}</em>"
