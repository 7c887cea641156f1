"""Drawn photos, and versions of them, for the tests of the audit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from siamesekit.audit.auditing import Audit, AuditSettings, audit
from siamesekit.audit.gathering import Gathering
from siamesekit.data.records import Record
from siamesekit.progress import Progress

WIDTH, HEIGHT = 160, 120


def scene(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture of its own: coloured noise at several scales, as of grass, skin and sky."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells, strength in ((4, 40.0), (9, 30.0), (24, 20.0), (70, 14.0)):
        coarse = rng.normal(128, strength * 2, (cells, cells, 3)).clip(0, 255).astype(np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += strength / 104 * np.asarray(layer, np.float64)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def versions(image: Image.Image, rng: np.random.Generator) -> dict[str, Image.Image]:
    """A photo scaled, compressed again, cropped by 5 % at a random place, and brightened."""
    width, height = image.size
    left, top = rng.uniform(0, 0.05, 2)
    box = (round(left * width), round(top * height), round((left + 0.95) * width), round((top + 0.95) * height))
    return {
        "scaled": image.resize((round(width * 0.6), round(height * 0.6)), Image.Resampling.LANCZOS),
        "compressed": compressed(image, 35),
        "cropped": image.crop(box),
        "brightened": ImageEnhance.Brightness(image).enhance(1.3),
    }


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(image.width / 40))


def saved(image: Image.Image, folder: Path, name: str, **options: object) -> Record:
    """A photo saved as `INDIVIDUAL/FILE`, and its record."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **options)
    return Record(name, name.partition("/")[0], file)


def gathered(records: list[Record]) -> Gathering:
    with Gathering() as gathering:
        gathering.begin(records, ())
        gathering.read(Progress())
    return gathering


def audited(records: list[Record], parts: dict[str, str] | None = None, **settings: object) -> Audit:
    return audit(records, gathered(records), AuditSettings(parts or {}, **settings))  # type: ignore[arg-type]
