"""A file's content: whole, or refused before it is opened; memory shared between threads."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from siamesekit.data import photo_files
from siamesekit.data.photo_files import Room, UnreadableError, content_of
from siamesekit.files.untrusted import MAX_PHOTO_BYTES


def refusal(file: Path, root: Path | None = None) -> str:
    with pytest.raises(UnreadableError) as caught, content_of(file, root):
        pass
    return str(caught.value.args[0])


def test_the_content_is_the_files_and_the_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 999)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with content_of(tmp_path / "a", tmp_path) as content:
        assert content == bytes(range(256)) * 999
    assert refusal(tmp_path) == "is a folder, not a photo"
    after = len(list(Path("/proc/self/fd").iterdir())) if before else 0
    assert after == before


def test_a_file_larger_than_any_photo_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(MAX_PHOTO_BYTES + 1)
    assert refusal(tmp_path / "sparse") == "is too large: 800 MB, the limit is 800 MB"


@pytest.mark.parametrize("by", ["file", "folder", "root"])
def test_links_may_lead_anywhere_inside_but_not_out(tmp_path: Path, by: str) -> None:
    for name in ("root/a", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.jpg").write_bytes(b"photo")
    root = tmp_path / "root"
    if by == "file":
        (root / "in.jpg").symlink_to("a/1.jpg")
        (root / "out.jpg").symlink_to(tmp_path / "outside/1.jpg")
        inside, outside = root / "in.jpg", root / "out.jpg"
    elif by == "folder":
        (root / "in").symlink_to("a")
        (root / "out").symlink_to("../outside")
        inside, outside = root / "in/1.jpg", root / "out/1.jpg"
    else:
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
        inside, outside = root / "a/1.jpg", root / "../outside/1.jpg"
    with content_of(inside, root) as content:
        assert content == b"photo"
    assert refusal(outside, root).startswith(f"is a link to '{tmp_path}/outside/1.jpg', outside '{root}'")
    with content_of(outside) as content:
        assert content == b"photo", "without a root it may be anywhere"


def test_a_root_is_not_its_namesake(tmp_path: Path) -> None:
    """`/photos-2` begins with `/photos`, and does not lie in it."""
    for name in ("photos", "photos-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"photo")
    (tmp_path / "photos" / "2.jpg").symlink_to(tmp_path / "photos-2" / "1.jpg")
    assert refusal(tmp_path / "photos" / "2.jpg", tmp_path / "photos").startswith("is a link to")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_files, "open_regular", lambda *_: pytest.fail("it was opened"))
    assert refusal(Path("/dev/null")) == "is not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "is not a regular file"


@pytest.mark.timeout(10)
def test_a_pipe_put_in_its_place_after_the_look_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"photo")
    real = photo_files.open_regular

    def swapped(path: Path) -> object:
        path.unlink()
        os.mkfifo(path)
        return real(path)

    monkeypatch.setattr(photo_files, "open_regular", swapped)
    assert refusal(tmp_path / "a").startswith("cannot be opened")


def test_a_path_that_no_file_can_have_is_refused() -> None:
    assert refusal(Path("a\0b")).startswith("cannot be opened")


def test_a_room_never_holds_more_than_its_size_except_one_alone() -> None:
    room, seen, lock, inside = Room(10), [], threading.Lock(), [0]

    def work(wanted: int) -> None:
        with room.take(wanted):
            with lock:
                inside[0] += wanted
                seen.append((inside[0], wanted))
            time.sleep(0.002)
            with lock:
                inside[0] -= wanted

    threads = [threading.Thread(target=work, args=(wanted,)) for wanted in [3, 4, 5, 25, 10, 1, 0, 6] * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == len(threads)
    assert all(held <= 10 or held == wanted for held, wanted in seen)
    assert max(held for held, wanted in seen if wanted < 10) > 5, "they do work side by side"
    assert room.taken == 0


def test_a_room_is_left_when_the_work_fails() -> None:
    room = Room(10)
    with pytest.raises(ZeroDivisionError), room.take(10):
        raise ZeroDivisionError
    assert room.taken == 0
