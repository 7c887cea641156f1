"""A config's file: plain or piped, of bounded size; what is said where it is a folder or something else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from siamesekit.config import load_config, source
from siamesekit.errors import ConfigError

SMALL = '[data]\nreader = "folder"\nroot = "photos"\n[encoder]\nname = "xception"\nweights = "random"\n'


def problem(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(path)
    [only] = error.value.problems
    return only


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "is a picture; a config must be a text file in TOML"),
        (b"\xff\xd8\xff\xe0", "is a picture"),
        (b"PK\x03\x04zip", "is an archive"),
        (b"%PDF-1.7", "is a PDF"),
        (b"", "c.toml  is empty, and must be TOML; siamesekit init DIR --photos FOLDER writes a config"),
        (b"\xef\xbb\xbf \n", "c.toml  is empty"),
        ("[data]\n".encode("utf-16"), "is not UTF-8, line 1: save the file as UTF-8, not as UTF-16"),
        (
            "[data]\n".encode("utf-16-le"),
            "c.toml:1  the file contains a NUL character, but must be text: save it as UTF-8",
        ),
        (b"[data]\rreader = 3\r", "c.toml:1  : lines end with a carriage return only"),
        (b'{"data": {}}', "is JSON"),
        (b"#" * (source.MAX_TEXT_BYTES + 1), "cannot be read: larger than 16,777,216 bytes"),
    ],
)
def test_what_is_no_config_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    assert problem(tmp_path / "c.toml").startswith(expected)


def test_a_folder_in_place_of_its_config_gets_the_right_command(tmp_path: Path) -> None:
    folder = tmp_path / "my seals"
    folder.mkdir()
    assert problem(folder).endswith(f"siamesekit init '{folder}' writes one for photos in it")
    (folder / "a.toml").write_text(SMALL)
    assert problem(folder) == f"{folder} is a folder; its TOML files: {folder / 'a.toml'}"
    (folder / "config.toml").write_text(SMALL)
    config = folder / "config.toml"
    assert problem(folder) == f"{folder} is a folder; its config is {config}: siamesekit run '{config}'"
    (folder / "manifest.json").write_text("{}")
    assert problem(folder).startswith(f"is a run's folder: its config is {config}")


def test_a_config_that_is_not_there_has_near_matches(tmp_path: Path) -> None:
    (tmp_path / "whales").mkdir()
    for name in ("modern.toml", "whales/config.toml"):
        (tmp_path / name).write_text(SMALL)
    assert problem(tmp_path / "modrn.toml").endswith(f"(did you mean {str(tmp_path / 'modern.toml')!r}?)")
    assert problem(tmp_path / "modern").endswith(f"(did you mean {str(tmp_path / 'modern.toml')!r}?)")
    assert problem(tmp_path / "config.toml").endswith(f"(did you mean {str(tmp_path / 'whales/config.toml')!r}?)")
    assert problem(tmp_path / "whales" / "zzz.toml").endswith(
        f"TOML files in that folder: {tmp_path / 'whales/config.toml'}"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes POSIX's special files")
def test_a_pipe_is_read_and_its_paths_are_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(SMALL))
    writer.start()
    config = load_config(tmp_path / "pipe")
    writer.join()
    assert config.data.options["root"] == tmp_path / "photos"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes POSIX's special files")
def test_a_pipe_that_nothing_comes_from_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PATIENCE", 0.2)
    os.mkfifo(tmp_path / "pipe")
    assert problem(tmp_path / "pipe") == "cannot be read: the pipe did not end within 0.2 seconds"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="reads a device of Unix")
def test_a_device_is_no_config() -> None:
    assert problem(Path("/dev/zero")) == "cannot be read: not a plain file"


def test_links_in_a_circle_are_said_to_be_so(tmp_path: Path) -> None:
    circle = "cannot be followed: its links lead in a circle"
    for name in ("loop.toml", "loop", "loop.py"):
        (tmp_path / name).symlink_to(tmp_path / name)
    assert problem(tmp_path / "loop.toml") == "cannot be read: its links lead in a circle"
    (tmp_path / "c.toml").write_text(SMALL.replace('"photos"', '"loop"'))
    assert problem(tmp_path / "c.toml") == f"c.toml:3  data.root: loop {circle}"
    (tmp_path / "c.toml").write_text(SMALL.replace('"random"', '"loop/w.pth"'))
    (tmp_path / "w.pth").symlink_to(tmp_path / "w.pth")
    (tmp_path / "c.toml").write_text(SMALL.replace('"random"', '"w.pth"'))
    assert problem(tmp_path / "c.toml") == f"c.toml:6  encoder.weights: w.pth {circle}"
    (tmp_path / "c.toml").write_text('plugins = ["loop.py"]\n' + SMALL)
    assert problem(tmp_path / "c.toml") == f"c.toml:1  plugins: 'loop.py' {circle}"


def test_a_path_of_windows_whose_backslashes_happen_to_be_escapes_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(SMALL.replace("photos", r"C:\temp\new"))
    assert problem(tmp_path / "c.toml").startswith(
        r"c.toml:3  data.root: a backslash in double quotes begins an escape: write 'C:\temp\new' in single quotes, or "
    )
