"""Read the file of a config within limits of size and time, and explain files that are not configs."""

from __future__ import annotations

import os
import select
import shlex
import stat
import time
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from siamesekit.errors import ConfigError
from siamesekit.files.paths import resolved
from siamesekit.files.run_files import CONFIG, MANIFEST
from siamesekit.files.untrusted import MAX_TEXT_BYTES, read_plain
from siamesekit.wording import did_you_mean

PATIENCE = 30.0
"""Seconds to wait for a config from a pipe, as in `run <(…)`."""
MAGIC = {
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"RIFF": "a picture or a sound",
    b"II*\0": "a picture", b"MM\0*": "a picture", b"PK\x03\x04": "an archive", b"\x1f\x8b": "an archive",
    b"%PDF": "a PDF", b"\x7fELF": "a program", b"MZ": "a program", b"\x80\x02": "a pickle", b"\x80\x04": "a pickle",
    b"\xd0\xcf\x11\xe0": "an Office document", b"\x93NUMPY": "an array of NumPy",
}  # fmt: skip
"""First bytes of files of other kinds."""
BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_config_text(path: Path) -> tuple[str, Path]:
    """The text of a config and its absolute path; for a pipe, a path in the current folder.

    Raises:
        ConfigError: the file is missing, too large, not a plain file or not text.
    """
    try:
        content, place = _content(path)
    except FileNotFoundError:
        raise ConfigError(str(path), [f"no such file{_near(path)}"]) from None
    except IsADirectoryError:
        raise ConfigError(str(path), [about_folder(path)]) from None
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from None
    kind = next((kind for magic, kind in MAGIC.items() if content.startswith(magic)), None)
    kind = kind or ("a picture" if content[4:12] in (b"ftypheic", b"ftypavif", b"ftypmif1") else None)
    kind = kind or ("a file of weights" if path.suffix in (".safetensors", ".pth", ".pt") else None)
    if kind is not None:
        raise ConfigError(str(path), [f"is {kind}; a config must be a text file in TOML"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        coding = next((f", not as {name}" for bom, name in BOMS.items() if content.startswith(bom)), "")
        raise ConfigError(str(path), [f"is not UTF-8, line {line}: save the file as UTF-8{coding}"]) from None
    return text, place


def about_folder(path: Path, command: str = "run") -> str:
    """Explain a folder given in place of a config: what it is, and the right command.

    Args:
        path: the folder.
        command: name of the command that was called.
    """
    config = path / CONFIG
    if (path / MANIFEST).is_file() and config.is_file():
        return (
            f"is a run's folder: its config is {config}, which starts a new run in another folder (--out); to continue "
            "this run, pass the config that it was started with, --out and --resume"
        )
    if config.is_file():
        return f"{path} is a folder; its config is {config}: siamesekit {command} {shlex.quote(str(config))}"
    others = sorted(entry.name for entry in _entries(path) if entry.suffix == ".toml")
    if others:
        return f"{path} is a folder; its TOML files: {', '.join(str(path / name) for name in others[:10])}"
    init = f"siamesekit init {shlex.quote(str(path))}"
    return f"cannot be read: {path} is a folder without a {CONFIG}; {init} writes one for photos in it"


def _content(path: Path) -> tuple[bytes, Path]:
    whole = resolved(path)
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError
    if stat.S_ISFIFO(mode):
        return _piped(path), Path.cwd() / path.name
    return read_plain(path, MAX_TEXT_BYTES), whole


def _piped(path: Path) -> bytes:
    """The bytes from a pipe, awaited for at most `PATIENCE` seconds."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    content, end = bytearray(), time.monotonic() + PATIENCE
    try:
        while True:
            ready, _, _ = select.select([handle], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise OSError(0, f"the pipe did not end within {PATIENCE:g} seconds")
            block = os.read(handle, 1 << 16)
            if not block:
                return bytes(content)
            content += block
            if len(content) > MAX_TEXT_BYTES:
                raise OSError(0, f"larger than {MAX_TEXT_BYTES:,} bytes")
    finally:
        os.close(handle)


def _near(path: Path) -> str:
    """A hint at files of a similar name in the same folder and one level below."""
    here = [entry for entry in _entries(path.parent) if entry.name != path.name]
    files = [str(entry) for entry in here if entry.suffix == ".toml"]
    if path.with_name(f"{path.name}.toml").is_file():
        return did_you_mean([str(path.with_name(f"{path.name}.toml"))])
    below = [str(entry / path.name) for entry in here if (entry / path.name).is_file()]
    if path.suffix == ".toml" and below:
        return did_you_mean(below[:3])
    close = get_close_matches(path.name, [Path(file).name for file in files], n=3, cutoff=0.6)
    if close:
        return did_you_mean(str(path.with_name(name)) for name in close)
    return f"; TOML files in that folder: {', '.join(files[:10])}" if files else ""


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())[:10_000]
    except OSError:
        return []
