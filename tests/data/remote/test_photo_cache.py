"""The cache of remote photos: its limit, its order, several processes, and processes that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from siamesekit.data.photo_files import CONTENTS, UnreadableError, content_of
from siamesekit.data.remote import photo_cache
from siamesekit.data.remote.photo_cache import LIMIT
from siamesekit.errors import DataError, OutputError
from siamesekit.files.remote_address import RemoteFolder

ROOT = RemoteFolder.of("memory://cache-test")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of an empty cache; the photos 0 … 9 of 1,000 bytes are on the other machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    memory = fsspec.filesystem("memory")
    for number in range(10):
        memory.pipe(f"/cache-test/{number}.jpg", bytes([number]) * 1000)
    yield tmp_path / "siamesekit" / "remote-photos"
    memory.rm("/cache-test", recursive=True)


def read(number: int) -> bytes:
    with content_of(ROOT.photo(f"{number}.jpg")) as content:
        return content


def kept(cache: Path) -> set[int]:
    """The photos in the cache."""
    return {file.read_bytes()[0] for file in cache.rglob("*") if file.is_file()}


def limited(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setenv(LIMIT, str(limit / 2**30))


def test_the_least_recently_used_photos_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 4000)
    for number in (0, 1, 2, 3, 0):
        assert read(number) == bytes([number]) * 1000
    assert kept(cache) == {0, 1, 2, 3}
    read(4)
    assert kept(cache) == {0, 3, 4}  # 1 and 2: a sixteenth of the limit is made free as well
    stranger = cache / "notes.txt"
    stranger.write_text("9" * 5000)
    read(5)
    read(6)
    assert stranger.exists()
    assert sum(file.stat().st_size for file in cache.rglob("*") if file.is_file() and file != stranger) <= 4000


@pytest.mark.parametrize("limit", [0, 500])
def test_a_limit_below_a_photo_keeps_none_and_reads_all(
    cache: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    limited(monkeypatch, limit)
    assert [read(number) for number in range(10)] == [bytes([number]) * 1000 for number in range(10)]
    assert kept(cache) == set()


@pytest.mark.parametrize("given", ["-1", "1e308", "much", "nan", "inf"])
def test_a_limit_that_is_none(cache: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(LIMIT, given)
    with pytest.raises(DataError, match=rf"{LIMIT} must be a number of GiB"):
        read(0)


def test_a_damaged_file_of_the_cache_is_downloaded_anew(cache: Path) -> None:
    read(0)
    (file,) = (each for each in cache.rglob("*") if each.is_file())
    for damaged in (b"", b"0" * 999):
        file.write_bytes(damaged)
        with content_of(ROOT.photo("0.jpg")) as content:
            assert content == bytes(1000)
            assert CONTENTS.taken == 1000  # no memory is held for what was damaged
    assert file.read_bytes() == bytes(1000)
    assert cache.stat().st_mode & 0o077 == 0  # nobody else's business


def test_threads_and_a_full_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 3000)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, [number % 10 for number in range(60)]))
    assert found == [bytes([number % 10]) * 1000 for number in range(60)]


def test_an_empty_photo_and_a_folder_are_refused(cache: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/cache-test/0.jpg", b"")
    with pytest.raises(UnreadableError, match="is empty"):
        read(0)
    memory.pipe("/cache-test/x.jpg/1.jpg", b"1")
    with pytest.raises(UnreadableError, match="is a folder"), content_of(ROOT.photo("x.jpg")):
        pass
    assert kept(cache) == set()


def test_a_full_disk_is_told_and_leaves_no_half_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("siamesekit.files.atomic.flush", full)
    with pytest.raises(OutputError, match=r"remote-photos.*No space left on device"):
        read(0)
    assert kept(cache) == set()


def test_a_cache_that_cannot_be_used_is_told(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "lock").write_text("not a lock")
    with pytest.raises(DataError, match=r"remote-photos, where photos .* cannot be used: .*set XDG_CACHE_HOME"):
        read(0)
    assert (cache / "lock").read_text() == "not a lock"


def test_without_a_home_the_cache_needs_a_place(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_cache, "cache_folder", lambda: None)
    with pytest.raises(DataError, match="set XDG_CACHE_HOME"):
        read(0)


KILLED = """
import os, sys
from siamesekit.data.remote import photo_cache
from siamesekit.data.photo_files import content_of
from siamesekit.files.remote_address import RemoteFolder
import fsspec

fsspec.filesystem("memory").pipe("/cache-test/0.jpg", b"0" * 1000)
if sys.argv[1] == "killed":
    whole = photo_cache.download

    def half(photo, state, file):
        whole(photo, state, file)
        os.truncate(file, 500)
        os.kill(os.getpid(), 9)

    photo_cache.download = half
with content_of(RemoteFolder.of("memory://cache-test").photo("0.jpg")) as content:
    print(len(content))
"""


@pytest.mark.slow
def test_a_killed_process_leaves_no_half_photo(cache: Path) -> None:
    def process(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", KILLED, how], capture_output=True, text=True, env=os.environ)

    assert process("killed").returncode == -9
    left = [file for file in cache.rglob("*") if file.is_file()]
    assert left
    assert all(".siamesekit-" in str(file) for file in left)
    assert process("whole").stdout == "1000\n"
    assert len([file for file in cache.rglob("*") if file.is_file() and ".siamesekit-" not in str(file)]) == 1


@pytest.mark.slow
def test_two_processes_share_a_full_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 3000)
    script = (
        "import fsspec\nfrom siamesekit.data.photo_files import content_of\n"
        "from siamesekit.files.remote_address import RemoteFolder\n"
        "root, memory = RemoteFolder.of('memory://cache-test'), fsspec.filesystem('memory')\n"
        "for n in range(10): memory.pipe(f'/cache-test/{n}.jpg', bytes([n]) * 1000)\n"
        "for n in range(50):\n"
        "    with content_of(root.photo(f'{n % 10}.jpg')) as content: assert content == bytes([n % 10]) * 1000\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", script], env=os.environ) for _ in range(2)]
    assert [each.wait(60) for each in both] == [0, 0]
    read(0)
    assert len(kept(cache)) <= 3
