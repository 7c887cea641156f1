"""Reader `flukes`: humpback-like flukes, drawn from a seed, as a stand-in for photos that are not available.

A fluke is drawn in its own coordinates (x from tip to tip, −1 … 1; y up, 0 at the middle of the trailing edge) and
photographed: every pixel is mapped back onto the fluke.

Features of the *individual*: outline (tips, notch, curvature, asymmetry), nicks of the trailing edge, pigmentation of
the underside, scars. Features of the *photo*: pose, distance, light, sea and sky, waves in front of the tail, splash,
blur, noise, colour or grey.

The same seed gives the same bytes. Photo 3 of individual 7 does not depend on how many others are drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from siamesekit import READERS, Record
from siamesekit.options import Count, Fraction

Floats = NDArray[np.float32]

SIDE = 160
"""Width and height of a photo, in pixels."""
SQUASHED = 0.68
"""Ratio of the frame's sides: photos of flukes are wide, and are squashed into squares."""
SKIN = (240, 420)
"""Rows and columns of an individual's skin texture; y from −0.75 to 0.45, x from −1.05 to 1.05."""
X_RANGE, Y_RANGE = 1.05, (-0.75, 0.45)


@READERS.register("flukes")
def flukes(individuals: Count = 50, photos: Count = 10, difficulty: Fraction = 0.5, *, seed: int) -> list[Record]:
    """Drawn humpback flukes: `individuals` × `photos` pictures, uint8 RGB `[160, 160, 3]`.

    Args:
        individuals: number of whales.
        photos: number of pictures of each whale.
        difficulty: 0 for frontal, clear photos of very different whales; 1 for strong poses, light, waves and blur,
            and whales that look alike.
        seed: supplied by the run.

    Returns:
        A list of N = individuals · photos records, sorted by individual.
    """
    return [
        Record(f"fluke_{whale:03d}/{photo}", f"fluke_{whale:03d}", partial(draw_photo, seed, whale, photo, difficulty))
        for whale in range(individuals)
        for photo in range(photos)
    ]


class Whale(NamedTuple):
    """Features of an individual.

    Attributes:
        trailing: y of the trailing (upper) edge at `SKIN[1]` positions of x.
        leading: y of the leading (lower) edge at the same positions.
        stock: half of the tail stock's width.
        skin: brightness 0 … 1 of the underside, `SKIN`.
    """

    trailing: Floats
    leading: Floats
    stock: float
    skin: Floats


@lru_cache(maxsize=4096)
def whale(seed: int, number: int, difficulty: float) -> Whale:
    """Draw an individual."""
    rng = np.random.default_rng([seed, number])
    spread = 1.25 - 0.5 * difficulty  # how far individuals differ from the average one
    trailing, leading = outline(rng, spread)
    skin = pigmentation(rng, spread) + scars(rng)
    rim = np.clip((trailing - _skin_y()) / 0.05, 0, 1)  # the trailing edge is dark
    return Whale(trailing, leading, 0.055 + 0.02 * rng.random(), np.clip(skin * (0.35 + 0.65 * rim), 0, 1))


def outline(rng: np.random.Generator, spread: float) -> tuple[Floats, Floats]:
    """The trailing and the leading edge: y at each column of the skin."""
    x = _skin_x()
    u = np.abs(x)
    jitter = partial(_around, rng, spread)
    tip, crest, low = jitter(0.10, 0.10), jitter(0.27, 0.06), jitter(-0.25, 0.05)
    crest_at, sweep = jitter(0.42, 0.08), jitter(2.1, 0.45)
    hollow, notch, notch_width = jitter(0.09, 0.06), jitter(0.24, 0.07), jitter(0.11, 0.035)
    trailing = np.zeros_like(x)
    leading = np.zeros_like(x)
    for side in (-1, 1):
        own = partial(_around, rng, 0.35 * spread)  # left and right differ a little
        here = np.sign(x) == side if side == 1 else x <= 0
        tip_y, crest_y = tip + own(0, 0.06), crest + own(0, 0.04)
        rise = crest_y * (1 - ((u - crest_at) / crest_at).clip(-1, 0) ** 2 * 0.35)
        fall = tip_y + (crest_y - tip_y) * (1 - ((u - crest_at) / (1 - crest_at)).clip(0, 1) ** 1.6)
        fall -= (hollow + own(0, 0.03)) * np.sin(np.pi * ((u - crest_at) / (1 - crest_at)).clip(0, 1))
        edge = np.where(u < crest_at, rise, fall) - notch * np.exp(-(np.abs(u / max(notch_width, 0.03)) ** 1.3))
        trailing[here] = edge[here]
        bow = low + (tip_y - low) * u ** max(sweep + own(0, 0.2), 1.3)
        leading[here] = bow[here]
    trailing -= nicks(rng, x) * np.clip((1 - u) / 0.15, 0, 1)
    return trailing.astype(np.float32), np.minimum(leading, trailing).astype(np.float32)


def nicks(rng: np.random.Generator, x: Floats) -> Floats:
    """Depth of the trailing edge's nicks and serration at x."""
    depth = np.zeros_like(x)
    for _ in range(rng.integers(2, 9)):
        at, width, deep = rng.uniform(-0.92, 0.92), rng.uniform(0.012, 0.05), rng.uniform(0.02, 0.11)
        depth += deep * np.clip(1 - np.abs(x - at) / width, 0, 1)
    teeth = _smooth_noise(rng, len(x), int(rng.integers(40, 90)))
    return depth + np.clip(teeth, 0, None) * rng.uniform(0.004, 0.03)


def pigmentation(rng: np.random.Generator, spread: float) -> Floats:
    """Pigmentation from black to white, as brightness `SKIN`; the two halves are similar, not equal."""
    x, y = _skin_x()[None, :], _skin_y()
    rough = _smooth_field(rng, 5, 9)
    mirrored = (rough + rough[:, ::-1]) * 0.7
    field = mirrored + 0.75 * _smooth_field(rng, 4, 8) + 0.35 * _smooth_field(rng, 16, 30)
    whiteness = rng.uniform(-1.5, 1.2) * spread
    outward, upward = rng.uniform(-1.2, 2.2) * spread, rng.uniform(-1.5, 1.5)
    score = field + whiteness + outward * (np.abs(x) - 0.45) + upward * y - 1.6 * np.exp(-((x / 0.09) ** 2))
    white = 1 / (1 + np.exp(-score * rng.uniform(3, 8)))
    speckle = np.abs(_smooth_field(rng, 60, 110)) * rng.uniform(0, 0.16)
    dark, bright = rng.uniform(0.07, 0.16), rng.uniform(0.72, 0.95)
    return (dark + (bright - dark) * white + speckle * (1 - 2 * white)).astype(np.float32)


def scars(rng: np.random.Generator) -> Floats:
    """Brightness `SKIN` added by rake marks, scratches and barnacle rings."""
    x, y = np.broadcast_arrays(_skin_x()[None, :], _skin_y())
    marks = np.zeros(SKIN, dtype=np.float32)
    for _ in range(rng.integers(0, 4)):  # an orca's teeth leave parallel lines
        at_x, at_y = rng.uniform(-0.8, 0.8), rng.uniform(-0.15, 0.25)
        angle, tone = rng.uniform(0, np.pi), rng.choice([-0.45, 0.5])
        along = (x - at_x) * np.cos(angle) + (y - at_y) * np.sin(angle)
        across = -(x - at_x) * np.sin(angle) + (y - at_y) * np.cos(angle)
        gap, lines, length = rng.uniform(0.025, 0.05), rng.integers(1, 5), rng.uniform(0.06, 0.2)
        for line in range(lines):
            bent = across - line * gap - 0.6 * along**2
            marks += tone * np.exp(-((bent / 0.006) ** 2)) * (np.abs(along) < length)
    for _ in range(rng.integers(0, 9)):
        at_x, at_y, radius = rng.uniform(-0.85, 0.85), rng.uniform(-0.2, 0.25), rng.uniform(0.012, 0.04)
        away = np.hypot(x - at_x, y - at_y)
        marks += rng.uniform(0.25, 0.6) * np.exp(-(((away - radius) / 0.008) ** 2))
    return marks


def draw_photo(seed: int, number: int, photo: int, difficulty: float) -> NDArray[np.uint8]:
    """One photo of one whale: uint8 RGB `[160, 160, 3]`."""
    subject = whale(seed, number, difficulty)
    rng = np.random.default_rng([seed, number, photo, 1])
    hard = 0.15 + 0.85 * difficulty
    columns, rows = np.meshgrid(np.linspace(-1, 1, SIDE, dtype=np.float32), np.linspace(1, -1, SIDE, dtype=np.float32))
    waterline = rng.uniform(-0.88, -0.62) + 0.12 * hard * rng.random()
    scene, tint = sea_and_sky(rng, hard, columns, rows)
    fluke_x, fluke_y = pose(rng, hard, columns, rows)
    tail, cover = photograph(subject, rng, hard, fluke_x, fluke_y)
    tail = tail[..., None] * (0.82 + 0.18 * tint / tint.max()) + 0.05 * tint
    image = scene * (1 - cover[..., None]) + tail * cover[..., None]
    image = water_in_front(rng, hard, image, scene, columns, rows, fluke_x, waterline)
    return develop(rng, hard, image)


def pose(rng: np.random.Generator, hard: float, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Coordinates on the fluke of each pixel, for a random pose: rotation, tilt, distance and shift."""
    roll, yaw, pitch = rng.normal(0, 0.16) * hard, rng.normal(0, 0.42) * hard, rng.normal(0, 0.3) * hard
    scale = 0.9 * np.exp(rng.normal(0, 0.08) * hard)
    x = (columns - rng.normal(0, 0.07) * hard) / scale
    y = (rows - 0.1 - rng.normal(0, 0.06) * hard) / scale
    x, y = x * np.cos(roll) + y * np.sin(roll), y * np.cos(roll) - x * np.sin(roll)
    nearer = 1 + 0.32 * np.sin(yaw) * x  # the half that is turned towards the camera is larger
    x = x / np.cos(np.clip(yaw, -1, 1)) * nearer
    y = y * nearer / np.clip(np.cos(pitch), 0.6, 1) * SQUASHED
    droop = rng.normal(0.0, 0.10) * hard  # tips curl with the stroke
    return x.astype(np.float32), (y - droop * x**2).astype(np.float32)


def photograph(subject: Whale, rng: np.random.Generator, hard: float, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Brightness of the tail, and the share of each pixel that it covers, both `[160, 160]`."""
    column = np.clip((x + X_RANGE) / (2 * X_RANGE) * (SKIN[1] - 1), 0, SKIN[1] - 1)
    row = np.clip((Y_RANGE[1] - y) / (Y_RANGE[1] - Y_RANGE[0]) * (SKIN[0] - 1), 0, SKIN[0] - 1)
    left = np.floor(column).astype(np.intp).clip(0, SKIN[1] - 2)
    part = column - left
    trailing = subject.trailing[left] * (1 - part) + subject.trailing[left + 1] * part
    leading = subject.leading[left] * (1 - part) + subject.leading[left + 1] * part
    edge = 2.2 / SIDE
    blade = _step((trailing - y) / edge) * _step((y - leading) / edge) * (np.abs(x) < 1)
    width = subject.stock + 0.16 * np.exp((np.minimum(y, -0.12) + 0.12) / 0.09) + 0.05 * np.clip(-y - 0.4, 0, 1)
    stock = _step((width - np.abs(x)) / edge) * _step((-0.1 - y) / edge)
    brightness = subject.skin[row.astype(np.intp), column.astype(np.intp)]
    thickness = np.exp(-((x / 0.10) ** 2)) * np.clip(0.25 - y, 0, 1)
    brightness = np.where((stock > 0.5) & (y < -0.2), 0.10 + 0.4 * thickness * 0.2, brightness)
    slope, lift = rng.normal(0, 0.5) * hard, rng.uniform(-0.2, 0.5)
    light = 1 + 0.4 * slope * x + hard * lift * (y - 0.1) + 0.12 * thickness
    gloss = np.clip(_field_at(rng, 7, x, y) - 1.1, 0, None) * rng.uniform(0, 0.35)  # wet skin
    against_the_light = rng.random() < 0.25 * hard
    strength = rng.uniform(0.3, 0.55) if against_the_light else 1 + rng.uniform(-0.3, 0.15) * hard
    return (np.clip(brightness * light * strength + gloss, 0, 1)), np.maximum(blade, stock)


def sea_and_sky(rng: np.random.Generator, hard: float, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """The background `[160, 160, 3]`, and the light's colour `[3]`."""
    tint = np.array([0.93, 0.98, 1.04]) + rng.normal(0, 0.06, 3) * hard
    hue = np.array([0.25, 0.37, 0.45]) + rng.normal(0, 0.07, 3) * hard + rng.uniform(-0.12, 0.12) * hard
    horizon = 0.85 + rng.uniform(-0.75, 0.6) * hard  # above 1 the horizon is outside the picture
    depth = np.clip(horizon - rows, 0.015, None)
    ripple = np.zeros_like(rows)
    for _ in range(7):  # waves crowd towards the horizon
        stretch, along, phase = rng.uniform(2, 9), rng.uniform(-2.5, 2.5), rng.uniform(0, 6.3)
        ripple += np.sin(stretch * np.log(depth) * 3 + along * columns / np.sqrt(depth) + phase)
    ripple = ripple * rng.uniform(0.012, 0.035) * np.clip(depth * 2.5, 0.25, 1) + 0.02 * _field_at(
        rng, 22, columns, rows
    )
    sea = hue * (0.75 + 0.35 * np.clip(1 - depth, 0, 1))[..., None] + ripple[..., None] * np.array([0.9, 1.0, 1.1])
    glare = np.clip(ripple * 9 - 0.5, 0, None)[..., None] * rng.uniform(0, 0.5)
    sky = (np.array([0.72, 0.79, 0.86]) + rng.uniform(-0.2, 0.15) * hard) * (1 - 0.12 * (rows - horizon))[..., None]
    sky = sky + 0.03 * _field_at(rng, 4, columns, rows * 3)[..., None]
    above = _step((rows - horizon - 0.01 * np.sin(3 * columns)) * SIDE / 3)[..., None]
    return (sky * above + (sea + glare) * (1 - above)).astype(np.float32), tint.astype(np.float32)


def water_in_front(
    rng: np.random.Generator, hard: float, image: Floats, scene: Floats, columns: Floats, rows: Floats, x: Floats,
    waterline: float,
) -> Floats:  # fmt: skip
    """The sea and waves in front of the tail, and the splash at its foot."""
    wave = sum(
        rng.uniform(0.01, 0.05) * hard * np.sin(rng.uniform(1.5, 7) * columns + rng.uniform(0, 6.3)) for _ in range(4)
    )
    surface = waterline + wave
    sunk = _step((surface - rows) * SIDE / 2.5)[..., None]
    front = np.roll(scene, SIDE // 5, axis=0) if scene.shape[0] else scene
    front = np.where(rows[..., None] < 0, front, scene) * (0.92 + 0.1 * _field_at(rng, 14, columns, rows)[..., None])
    image = image * (1 - sunk) + np.clip(front, 0, 1) * sunk
    foam_at = np.exp(-((x / rng.uniform(0.15, 0.5)) ** 2)) * np.exp(
        -(((rows - surface) / rng.uniform(0.03, 0.12)) ** 2)
    )
    foam = np.clip(foam_at * (0.9 + 0.9 * _field_at(rng, 26, columns, rows)) - 0.15, 0, 1) * rng.uniform(0.3, 1)
    return image * (1 - foam[..., None]) + 0.93 * foam[..., None]


def develop(rng: np.random.Generator, hard: float, image: Floats) -> NDArray[np.uint8]:
    """Haze, exposure, contrast, colour or grey, blur and noise."""
    haze = 0.35 * hard * rng.random() ** 2
    image = image * (1 - haze) + 0.75 * haze
    image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.22) * hard) * np.exp(rng.normal(0, 0.14) * hard)
    if rng.random() < 0.45 * hard:
        image = np.repeat((image @ np.array([0.3, 0.59, 0.11], dtype=np.float32))[..., None], 3, axis=2)
    else:
        image = image * (1 + rng.normal(0, 0.03, 3).astype(np.float32))
    photo = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    photo = photo.filter(ImageFilter.GaussianBlur(0.4 + 1.1 * hard * rng.random() ** 2))
    noisy = np.asarray(photo, dtype=np.float32) + rng.normal(0, 1 + 7 * hard * rng.random(), (SIDE, SIDE, 1))
    return np.asarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _around(rng: np.random.Generator, spread: float, mean: float, deviation: float) -> float:
    return mean + deviation * spread * float(np.clip(rng.normal(), -2.2, 2.2))


def _step(distance: Floats) -> Floats:
    """A soft edge: 0 below −½, 1 above ½."""
    return np.clip(distance + 0.5, 0, 1)


@lru_cache(maxsize=1)
def _skin_x() -> Floats:
    return np.linspace(-X_RANGE, X_RANGE, SKIN[1], dtype=np.float32)


@lru_cache(maxsize=1)
def _skin_y() -> Floats:
    return np.linspace(Y_RANGE[1], Y_RANGE[0], SKIN[0], dtype=np.float32)[:, None]


def _smooth_noise(rng: np.random.Generator, length: int, knots: int) -> Floats:
    """Noise of variance 1 along a line, smooth between `knots` values."""
    return np.interp(np.linspace(0, knots - 1, length), np.arange(knots), rng.normal(size=knots)).astype(np.float32)


def _smooth_field(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Noise over the skin, smooth between rows × columns values."""
    values = Image.fromarray(rng.normal(size=(rows, columns)).astype(np.float32))
    return np.asarray(values.resize((SKIN[1], SKIN[0]), Image.Resampling.BICUBIC))


def _field_at(rng: np.random.Generator, knots: int, x: Floats, y: Floats) -> Floats:
    """Noise over the picture, smooth between knots × knots values."""
    values = Image.fromarray(rng.normal(size=(knots, knots)).astype(np.float32))
    return np.asarray(values.resize((x.shape[1], x.shape[0]), Image.Resampling.BICUBIC))


def sheet(individuals: int, photos: int, difficulty: float, seed: int) -> Image.Image:
    """A contact sheet with one row per individual."""
    gap = 4
    page = Image.new("RGB", (photos * (SIDE + gap) - gap, individuals * (SIDE + gap) - gap), "white")
    for number in range(individuals):
        for photo in range(photos):
            picture = Image.fromarray(draw_photo(seed, number, photo, difficulty))
            page.paste(picture, (photo * (SIDE + gap), number * (SIDE + gap)))
    return page


def main() -> None:
    """Write a contact sheet, or a folder of photos."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sheet", type=Path, help="picture file to write")
    parser.add_argument("--folder", type=Path, help="folder to write INDIVIDUAL/0.jpg … into")
    parser.add_argument("--individuals", type=int, default=6)
    parser.add_argument("--photos", type=int, default=6)
    parser.add_argument("--difficulty", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    if given.sheet is not None:
        sheet(given.individuals, given.photos, given.difficulty, given.seed).save(given.sheet, quality=85)
    if given.folder is not None:
        for record in flukes(given.individuals, given.photos, given.difficulty, seed=given.seed):
            file = given.folder / f"{record.name}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            draw: Callable[[], NDArray[np.uint8]] = record.source  # type: ignore[assignment]
            Image.fromarray(draw()).save(file, quality=95)


if __name__ == "__main__":
    main()
