"""Hundreds of damaged photo folders: each is read and split, or refused with the place and a way out."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siamesekit.config import Config, load_config
from siamesekit.config.project.survey import survey
from siamesekit.errors import DataError
from siamesekit.experiment.dataset import prepare_dataset
from siamesekit.progress import Progress

COUNT = 300
NAMES: tuple[bytes, ...] = (
    b" ", b"...", b"-rf", b"~", b"a" * 255, b"a\nb", b"\x1b[2J", b"\xff\xfe", b"caf\xc3\xa9", b"cafe\xcc\x81",
    b"\xf0\x9f\x90\x8b", b"\xe2\x80\xae", b"*", b"%s", b"'\"", b"\\", b"CON", b"a.jpg", b"0", b"00", b"\xd9\xa1",
    b"\xc2\xb2", b"9" * 200, b".hidden", b"=1+1", b"<b>", b"&amp;", b"a b", b"\t", b"I0", b"x.JPG", b".jpg",
)  # fmt: skip
"""Of files and folders, as a disk keeps them."""
CONTENTS: tuple[bytes, ...] = (
    b"", b"\0", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\0\0\0\0WEBP", b"II*\0",
    b"P6\n1 1\n255\n\0\0\0", b"<svg/>", b"text", b"\0" * 5000,
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0",
)  # fmt: skip
TEXT = """\
[data]
reader = "folder"
root = "photos"
size = 8
groups = "{groups}"
singletons = "{singletons}"
fit = "{fit}"

[split]
by = "{by}"
train = {train}
validation = {validation}

[encoder]
name = "timm/test_resnet"
weights = "random"
"""


def sound(folder: Path) -> Path:
    """Eight individuals with three or four photos each."""
    for individual in range(8):
        (folder / f"i{individual}").mkdir(parents=True)
        for photo in range(3 + individual % 2):
            pixels = np.random.default_rng([individual, photo]).integers(0, 256, (9, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"i{individual}" / f"{photo}.png")
    return folder


def below(root: Path, folders: bool) -> list[Path]:
    """What lies below a folder, links not followed."""
    return sorted(
        path
        for path in root.rglob("*")
        if not path.is_symlink() and path.is_dir() == folders and (folders or path.is_file())
    )


def place(folder: Path, name: bytes) -> Path:
    return folder / os.fsdecode(name)


def renamed(root: Path, rng: random.Random) -> None:
    chosen = rng.choice(below(root, folders=rng.random() < 0.5) or [root / "i0"])
    name = rng.choice(NAMES)
    target = place(chosen.parent, name[:251] + b".png" if chosen.is_file() and rng.random() < 0.7 else name)
    if chosen.exists() and not os.path.lexists(target):
        chosen.rename(target)


def emptied(root: Path, rng: random.Random) -> None:
    chosen = rng.choice([*below(root, folders=True), root])
    shutil.rmtree(chosen)
    if rng.random() < 0.7:
        chosen.mkdir()


def exchanged(root: Path, rng: random.Random) -> None:
    """A file for a folder, or a folder for a file."""
    if rng.random() < 0.5:
        chosen = rng.choice([*below(root, folders=True), root])
        shutil.rmtree(chosen)
        chosen.write_bytes(rng.choice(CONTENTS))
    else:
        chosen = rng.choice(below(root, folders=False))
        chosen.unlink()
        chosen.mkdir()


def unreadable(root: Path, rng: random.Random) -> None:
    rng.choice([*below(root, folders=rng.random() < 0.5), root]).chmod(rng.choice((0o000, 0o200, 0o444, 0o111)))


def damaged(root: Path, rng: random.Random) -> None:
    chosen = rng.choice(below(root, folders=False))
    content = chosen.read_bytes()
    chosen.write_bytes(rng.choice((*CONTENTS, content[: rng.randrange(len(content))], content + b"x")))


def linked(root: Path, rng: random.Random) -> None:
    place = rng.choice([*below(root, folders=True), root]) / rng.choice(("link", "link.png", "i1", "9.png"))
    others = [Path(other) for other in ("/dev/zero", "/dev/null", "nowhere", "/etc/passwd", "..")]
    aims = [root, root / "i0", root / "i0/0.png", place, *others]
    if not os.path.lexists(place):
        place.symlink_to(rng.choice(aims))


def special(root: Path, rng: random.Random) -> None:
    place = rng.choice([*below(root, folders=True), root]) / rng.choice(("pipe.png", "pipe", "0.jpg"))
    if not os.path.lexists(place):
        os.mkfifo(place)


def deeper(root: Path, rng: random.Random) -> None:
    chosen = rng.choice(below(root, folders=True))
    deep = chosen.joinpath(*["d"] * rng.choice((1, 3, 60)))
    deep.mkdir(parents=True, exist_ok=True)
    for file in below(chosen, folders=False)[: rng.choice((1, 9))]:
        if not (deep / file.name).exists():
            file.rename(deep / file.name)


def added(root: Path, rng: random.Random) -> None:
    target = place(rng.choice([*below(root, folders=True), root]), rng.choice(NAMES))
    if os.path.lexists(target):
        return
    if rng.random() < 0.5:
        target.mkdir()
    else:
        target.write_bytes(rng.choice(CONTENTS))


KINDS: tuple[Callable[[Path, random.Random], None], ...] = (
    renamed, emptied, exchanged, unreadable, damaged, linked, special, deeper, added,
)  # fmt: skip


def any_config(folder: Path, rng: random.Random) -> Config:
    """Any ways of reading and splitting."""
    ways: dict[str, Any] = {
        "groups": rng.choice(("none", "none", "none", "of-photos", "of-individuals")),
        "singletons": rng.choice(("refuse", "leave-out", "leave-out")),
        "fit": rng.choice(("squash", "pad", "crop")),
        "by": rng.choice(("identity", "photo")),
        "train": rng.choice((0.5, 0.5, 0.6, 0.01, 0.99)),
        "validation": rng.choice((0.0, 0.0, 0.0, 0.3, 1.0)),
    }
    (folder / "c.toml").write_text(TEXT.format(**ways))
    return load_config(folder / "c.toml")


def outcome(config: Config, skip_bad: bool) -> str:
    """What reading gives: "read", "refused", or in words what must not be."""
    try:
        looked_at = survey(config.data.options["root"])  # of `siamesekit init`
        if sum(looked_at.counts.values()) != len(looked_at.records):
            return f"BAD counts {looked_at.counts}"
    except DataError as error:
        if not str(error).replace("\n", "").isprintable():
            return f"BAD unprintable: {str(error)!r}"
    except Exception as error:
        return f"BAD survey: {type(error).__name__}: {error}"
    try:
        data = prepare_dataset(config, Progress(), skip_bad)
    except DataError as error:
        told = str(error)
        if not told.replace("\n", "").isprintable():
            return f"BAD unprintable: {told!r}"
        return "refused" if 10 < len(told) < 6000 and "Traceback" not in told else f"BAD words: {told!r}"
    except Exception as error:
        return f"BAD {type(error).__name__}: {error}"
    count = len(data.records)
    split = sorted(index for part in data.split.parts().values() for index in part)
    if tuple(data.images.shape) != (count, 3, 8, 8) or len(data.labels) != count or split != sorted(set(split)):
        return f"BAD {count} records, images {tuple(data.images.shape)}, split {data.split}"
    if set(data.labels.tolist()) != set(range(len(data.individuals))) or len(data.individuals) < 2:
        return f"BAD labels {set(data.labels.tolist())} of {data.individuals}"
    if any(not note.isprintable() for note in data.notes):
        return f"BAD unprintable: {data.notes!r}"
    return "read" if len(data.fingerprint()) == 64 else "BAD fingerprint"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes POSIX's special files")
def test_every_mutant_folder_is_read_or_refused(tmp_path: Path) -> None:
    whole = sound(tmp_path / "whole")
    counts: Counter[str] = Counter()
    bad = []
    for number in range(COUNT):
        rng = random.Random(number)
        folder = tmp_path / str(number)
        root = folder / "photos"
        shutil.copytree(whole, root)
        done = []
        for _ in range(rng.choice((1, 1, 2, 4))):
            kind = rng.choice(KINDS)
            try:
                kind(root, rng)
            except (OSError, IndexError):  # an earlier change left nothing for this one
                continue
            done.append(kind.__name__)
        found = outcome(any_config(folder, rng), skip_bad=rng.random() < 0.7)
        kinds = done[0] if len(done) == 1 else "several"
        counts[f"{kinds}: {'BAD' if found.startswith('BAD') else found}"] += 1
        if found.startswith("BAD"):
            bad.append(f"{number} {done}: {found[:400]}")
        for path in (folder, *folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
    print(dict(sorted(counts.items())))
    assert bad == []
    outcomes = Counter(name.rpartition(": ")[2] for name in counts.elements())
    assert min(outcomes["read"], outcomes["refused"]) > 0.1 * COUNT
