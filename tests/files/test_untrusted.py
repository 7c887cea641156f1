"""Files of others: only plain ones are opened, and none that a link leads out to."""

import hashlib
import os
from pathlib import Path

import pytest

from siamesekit.files.untrusted import fingerprint, open_regular


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 21) + 17])
def test_fingerprint_is_the_sha256_of_the_content(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "f").write_bytes(content)
    assert fingerprint(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_only_plain_files_inside_the_folder_are_opened(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.write_bytes(b"secret")
    (inside / "plain").write_bytes(b"plain")
    (inside / "link").symlink_to("plain")
    (inside / "up").symlink_to("../out")
    (inside / "away").symlink_to(outside)
    (inside / "loop").symlink_to("loop")
    os.mkfifo(inside / "pipe")
    (tmp_path / "entrance").symlink_to(inside)
    for name in ("plain", "link"):
        with open_regular(inside / name, inside) as file:
            assert file.read() == b"plain"
    with open_regular(tmp_path / "entrance" / "plain", tmp_path / "entrance") as file:
        assert file.read() == b"plain", "the folder itself may be named by a link"
    with open_regular(inside / "away") as file:
        assert file.read() == b"secret", "without a folder links are followed"
    for name, says in [
        ("up", "a link that leads out"),
        ("away", "a link that leads out"),
        ("../out", "a link that leads out"),
        ("loop", "Too many levels"),
        ("pipe", "not a plain file"),
        (".", "not a plain file"),
        ("none", "No such file"),
    ]:
        with pytest.raises(OSError, match=says):
            open_regular(inside / name, inside)
    with pytest.raises(OSError, match="not a plain file"):
        open_regular(Path("/dev/zero"))
