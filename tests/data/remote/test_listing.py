"""The photos below a folder on another machine, beside those of the same folder on this one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from siamesekit.components.readers.folder import read_folder
from siamesekit.data.photo_files import content_of
from siamesekit.data.remote.listing import remote_walk
from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.remote_address import RemoteFolder

NAMES = ["b/10.jpg", "b/9.jpg", "a/x/1.png", "a/notes.txt", "a/1.psd", ".hidden/1.jpg", "a/._1.jpg", "@eaDir/a.jpg",
         "a/Thumbs.db", "loose.jpg", "unknown/1.jpg"]  # fmt: skip


@pytest.fixture
def remote() -> Iterator[RemoteFolder]:
    """A folder of photos in memory."""
    memory = fsspec.filesystem("memory")
    for name in NAMES:
        memory.pipe(f"/listing-test/seals/{name}", b"x")
    memory.pipe("/listing-test/seals-other/c/1.jpg", b"x")
    yield RemoteFolder.of("memory://listing-test/seals")
    memory.rm("/listing-test", recursive=True)


def test_the_reader_folder_finds_what_it_finds_on_this_machine(remote: RemoteFolder, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for options in ({}, {"pattern": "{individual}/"}, {"leave_out": ("b",)}):
        here, there = read_folder(tmp_path, **options), read_folder(remote, **options)  # type: ignore[arg-type]
        assert [(each.name, each.individual) for each in there] == [(each.name, each.individual) for each in here]
        assert [note for note in there.notes if "left alone" not in note] == [
            note for note in here.notes if "left alone" not in note
        ]
        assert there.passed_over == here.passed_over
    assert {str(each.source) for each in read_folder(remote)} >= {"memory://listing-test/seals/b/9.jpg"}


def test_hidden_files_and_names_that_lead_upwards_are_left_alone(remote: RemoteFolder) -> None:
    fsspec.filesystem("memory").store["/listing-test/seals/a/../../secret.jpg"] = fsspec.filesystem("memory").open(
        "/listing-test/seals/b/9.jpg"
    )
    try:
        found = remote_walk(remote)
    finally:
        del fsspec.filesystem("memory").store["/listing-test/seals/a/../../secret.jpg"]
    assert [file.below for file in found.photos()] == ["a/x/1.png", "b/9.jpg", "b/10.jpg", "loose.jpg", "unknown/1.jpg"]
    assert found.left_alone["with '..' or a control character in their names"] == 1
    assert found.left_alone["@eaDir"] == 1


def test_what_cannot_be_listed(remote: RemoteFolder) -> None:
    with pytest.raises(MissingDataError, match="nothing below memory://listing-test/none"):
        remote_walk(RemoteFolder.of("memory://listing-test/none"))
    with pytest.raises(DataError, match="do not list their folders: name the photos in a table"):
        read_folder(RemoteFolder.of("https://host/photos"))


class Azure(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Azure's file system in memory: containers are its topmost folders."""

    protocol = "abfss"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    opened: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.opened.append(options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("abfss://")))


def test_an_account_of_azure_is_told_beside_the_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The account is the file system's option, and no part of a path in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "adlfs", ModuleType("adlfs"))
    fsspec.register_implementation("abfss", Azure, clobber=True)
    Azure(skip_instance_cache=True).pipe("/photos/seals/a/1@2.jpg", b"x")
    folder = RemoteFolder.of("abfss://photos@acct.dfs.core.windows.net/seals")
    (photo,) = remote_walk(folder).photos()
    assert photo.url == "abfss://photos@acct.dfs.core.windows.net/seals/a/1@2.jpg"
    with content_of(photo) as content:
        assert content == b"x"
    assert Azure.opened[-1]["account_name"] == "acct"
    assert [each.below for each in remote_walk(RemoteFolder.of("abfss://photos/seals")).photos()] == ["a/1@2.jpg"]
    assert "account_name" not in Azure.opened[-1]
