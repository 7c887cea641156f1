"""Files: there whole or not at all."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers import Crash
from siamesekit.errors import OutputError
from siamesekit.files import atomic as files
from siamesekit.files.atomic import write_atomic, write_json

NEW = "zwei\n\u2028ü\r\n"


@pytest.mark.parametrize(
    "write", [NEW, NEW.encode(), lambda path: path.write_bytes(NEW.encode())], ids=["text", "bytes", "function"]
)
def test_a_file_is_replaced_by_exactly_what_is_given(tmp_path: Path, write: object) -> None:
    file = tmp_path / "f.txt"
    file.write_text("one")
    write_atomic(file, write)
    assert file.read_bytes() == b"zwei\n\xe2\x80\xa8\xc3\xbc\r\n"
    assert list(tmp_path.iterdir()) == [file]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    seen = []

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        seen.append((temporary.parent.parent, temporary.name, file.read_text()))

    write_atomic(file, write)
    assert seen == [(tmp_path, "f", "old")], "beside it, and under its own name: writers go by suffixes"
    assert file.read_text() == "new"


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_atomic(file, write)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("flush"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (steps.append("rename"), replace(self, to))[1])
    write_atomic(tmp_path / "f", b"x")
    assert steps == ["flush", "rename", "flush"]


def test_json_is_read_back_and_readable(tmp_path: Path) -> None:
    value = {"naïve": [1, 2.5, None, True], "inner": {"x": "→"}}
    write_json(tmp_path / "f.json", value)
    text = (tmp_path / "f.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert '  "naïve": [\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    file = tmp_path / "f.json"
    write_json(file, 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(file, {"a": 1, "b": value})
    assert file.read_text() == "1\n"


def test_only_the_seams_steps_touch_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = record(monkeypatch)
    write_atomic(tmp_path / "f", b"x")
    assert taken == ["create", "fill", "flush", "rename", "flush", "remove"]
    assert set(taken) == set(files.STEPS)


def record(monkeypatch: pytest.MonkeyPatch, fault: Callable[[int, str, Path], None] | None = None) -> list[str]:
    """The steps taken from now on; before each, `fault` may raise."""
    taken: list[str] = []

    def through(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            taken.append(name)
            if fault is not None:
                fault(len(taken), name, arguments[0])
            return real(*arguments)

        return step

    for name in files.STEPS:
        monkeypatch.setattr(files, name, through(name, getattr(files, name)))
    return taken


OLD_CONTENT, NEW_CONTENT = b"old" * 1000, b"new!" * 1000


@pytest.mark.parametrize("torn", [False, True], ids=["before the step", "half of it written"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("how", ["error", "crash"])
def test_whichever_step_fails_the_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, there: bool, torn: bool
) -> None:
    """All failures of all steps: the file has its old content or its new one, and the next write cleans up."""
    failed_at: list[str] = []
    for k in range(1, 7):
        folder = tmp_path / str(k)
        folder.mkdir()
        file = folder / "f"
        if there:
            file.write_bytes(OLD_CONTENT)

        def fault(number: int, name: str, path: Path, k: int = k) -> None:
            if number < k or (number > k and how == "error"):
                return
            if torn and name == "fill" and number == k:
                path.write_bytes(NEW_CONTENT[:1000])
            raise Crash if how == "crash" else OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            taken = record(patch, fault)
            raised: BaseException | None = None
            try:
                write_atomic(file, NEW_CONTENT)
            except (Crash, OutputError) as error:
                raised = error
            failed_at.append(taken[k - 1])
        content = file.read_bytes() if file.exists() else None
        before = OLD_CONTENT if there else None
        renamed = k > 4
        assert content == (NEW_CONTENT if renamed else before), f"step {k}"
        rest = [path.name for path in folder.iterdir() if path != file]
        if how == "error":
            assert rest == ([] if k < 6 else [rest[0]]), "only a failing removal leaves anything"
            assert (raised is None) == (k == 6)
            assert raised is None or ("nothing was changed" in str(raised)) == (not renamed)
        else:
            assert isinstance(raised, Crash)
        assert all(name.startswith(".siamesekit-") and name.endswith(".tmp") for name in rest)
        write_atomic(folder / "other", b"next")
        assert {path.name for path in folder.iterdir()} == ({"f"} if content else set()) | {"other"}, "swept"
    assert failed_at == ["create", "fill", "flush", "rename", "flush", "remove"]


def test_what_another_writer_is_writing_is_not_swept(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("slow")
        write_atomic(tmp_path / "quick", "quick")  # another thread or process, as far as the lock goes
        assert temporary.read_text() == "slow"

    write_atomic(tmp_path / "slow", write)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"slow": "slow", "quick": "quick"}


def test_a_writer_that_was_killed_is_swept_after(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from siamesekit.files.atomic import write_atomic\n"
        f"write_atomic(Path({str(tmp_path / 'f')!r}), lambda path: (path.write_text('half'), os._exit(9)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert [path.name[:12] for path in tmp_path.iterdir()] == [".siamesekit-"]
    write_atomic(tmp_path / "f", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_only_our_own_folders_are_swept(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / ".siamesekit-link.tmp").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".siamesekit-file.tmp").touch()
    (tmp_path / ".other.tmp").mkdir()
    write_atomic(tmp_path / "f", b"x")
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        "elsewhere",
        ".siamesekit-link.tmp",
        ".siamesekit-file.tmp",
        ".other.tmp",
        "f",
    }


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "bytes", b"x")
        write_atomic(tmp_path / "tensors", lambda path: save_file({"a": torch.ones(3)}, path))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}


WRITERS: dict[str, Callable[[Path], object] | bytes] = {
    "bytes": b"x" * 400_000,
    "safetensors": lambda path: save_file({"a": torch.ones(100_000)}, path),
    "torch": lambda path: torch.save({"a": torch.ones(100_000)}, path),
    "parquet": lambda path: __import__("pyarrow.parquet").parquet.write_table(
        __import__("pyarrow").table({"a": np.random.default_rng(0).random(50_000)}), path
    ),
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_leaves_what_was_there(small_disk: Path, writer: str) -> None:
    file = small_disk / "f"
    write_atomic(file, b"old")
    with pytest.raises(OutputError, match=r"f cannot be written: No space left on device; nothing was changed; free"):
        write_atomic(file, WRITERS[writer])
    assert [path.name for path in small_disk.iterdir()] == ["f"]
    assert file.read_bytes() == b"old"
    write_atomic(file, b"new")


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_a_limit_of_file_sizes_leaves_what_was_there(tmp_path: Path, writer: str) -> None:
    """In a process of its own, whose limit it is."""
    (tmp_path / "f").write_bytes(b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path; import pyarrow, torch\n"
        "from siamesekit.errors import OutputError; from siamesekit.files.atomic import write_atomic\n"
        "sys.path[:0] = sys.argv[2:]; from test_atomic import WRITERS\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        f"try: write_atomic(Path(sys.argv[1]), WRITERS[{writer!r}])\n"
        "except OutputError as error: print(error)"
    )
    folders = [str(folder) for folder in Path(__file__).parents[:2]]  # its own, and that of the helpers
    call = [sys.executable, "-c", code, str(tmp_path / "f"), *folders]
    done = subprocess.run(call, capture_output=True, text=True)
    assert "f cannot be written: File too large; nothing was changed; raise the limit" in done.stdout, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_disk_that_may_only_be_read_leaves_what_was_there(small_disk: Path) -> None:
    write_atomic(small_disk / "f", b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match=r"Read-only file system; nothing was changed; choose a writable place"):
        write_atomic(small_disk / "f", b"new")
    assert (small_disk / "f").read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_only_be_read_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "f").write_bytes(b"old")
    folder.chmod(0o555)
    with pytest.raises(OutputError, match=r"Permission denied; nothing was changed; choose a writable place"):
        write_atomic(folder / "f", b"new")
    assert (folder / "f").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none/f", "No such file or directory; .*; create the folder first"),
        ("folder", "Is a directory; .*choose another"),
    ],
)
def test_a_place_that_is_none_is_named(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=f"{name} cannot be written: {says}"):
        write_atomic(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "🐋" * 63, "a\nb", "-rf", ".hidden"])
def test_any_name_that_a_file_may_have_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"kept")
    (tmp_path / "f").symlink_to("target")
    write_atomic(tmp_path / "f", b"new")
    assert (tmp_path / "target").read_bytes() == b"kept"
    assert (tmp_path / "f").read_bytes() == b"new"
    assert not (tmp_path / "f").is_symlink()


def test_text_with_the_name_of_a_file_that_is_not_utf_8_is_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / "f", os.fsdecode(b"caf\xe9"))
    assert (tmp_path / "f").read_bytes() == rb"caf\udce9"
    write_json(tmp_path / "f", {"name": os.fsdecode(b"caf\xe9")})
    assert json.loads((tmp_path / "f").read_bytes()) == {"name": os.fsdecode(b"caf\xe9")}


@pytest.mark.parametrize("name", [".siamesekit-notes.tmp", ".siamesekit-abcd1234.tmp", ".siamesekit-________.tmp"])
def test_a_folder_of_a_like_name_with_other_content_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "deep").mkdir(parents=True)
    for file in ("thesis.tex", "deep/thesis.tex", ".tmpAbC123"):
        (tmp_path / name / file).write_text("years of work")
    (tmp_path / name / "link").symlink_to(tmp_path)
    write_atomic(tmp_path / "f", b"x")
    assert {path.name for path in (tmp_path / name).iterdir()} == {"thesis.tex", "deep", ".tmpAbC123", "link"}
    assert (tmp_path / name / "deep" / "thesis.tex").read_text() == "years of work"


def test_of_a_dead_writer_s_folder_only_the_file_that_it_names_goes(tmp_path: Path) -> None:
    place = files.create(tmp_path, "f")
    for name in ("f", ".tmpAbC123", "thesis.tex"):
        (place / name).write_text("?")
    write_atomic(tmp_path / "g", b"x")
    assert {path.name for path in place.iterdir()} == {files.WRITING, "thesis.tex"}
    (place / "thesis.tex").unlink()
    write_atomic(tmp_path / "g", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


SEVERAL = {f"{number}.jpg": b"new!" * (number + 1) for number in range(5)}


@pytest.mark.parametrize("how", ["error", "crash"])
def test_whichever_step_fails_each_of_several_files_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Each step fails in turn: every file has its old content, its new one, or is absent; the next write cleans up."""
    steps = 0
    for k in range(1, 99):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / "2.jpg").write_bytes(OLD_CONTENT)

        def fault(number: int, name: str, path: Path, k: int = k) -> None:
            if number == k or (number > k and how == "crash"):
                raise Crash if how == "crash" else OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            taken = record(patch, fault)
            with suppress(Crash, OutputError):
                files.write_several(folder, SEVERAL)
            steps = len(taken)
        for name, content in SEVERAL.items():
            found = (folder / name).read_bytes() if (folder / name).exists() else None
            assert found in (content, OLD_CONTENT if name == "2.jpg" else None), (k, name)
        if k > steps:
            break
        files.write_several(folder, {"other": b"next"})
        assert {path.name for path in folder.iterdir()} <= {*SEVERAL, "other"}, "swept"
    assert taken == ["create", *["fill"] * 5, *["rename"] * 5, "flush", "remove"], "one flush of the folder"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == SEVERAL


def test_several_files_are_on_disk_before_they_are_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = record(monkeypatch)
    monkeypatch.setattr(os, "sync", lambda: taken.append("sync"))
    files.write_several(tmp_path, SEVERAL)
    assert taken.index("sync") == taken.index("rename") - 1
    monkeypatch.delattr(os, "sync")
    taken.clear()
    files.write_several(tmp_path, SEVERAL)
    assert taken[6:11] == ["flush"] * 5 and taken[11] == "rename"
    files.write_several(tmp_path / "nowhere", {})
    with pytest.raises(OutputError, match="cannot be written to"):
        files.write_several(tmp_path / "nowhere", SEVERAL)
