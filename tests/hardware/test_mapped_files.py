"""Tensors in files: their values are the file's, and what was read leaves the memory of the process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from siamesekit.hardware.mapped_files import MappedFiles

MIB = 2**20
READING = """
import re, sys
from pathlib import Path
from siamesekit.hardware.mapped_files import MappedFiles
def mapped_mib():
    return int(re.search(r"RssFile:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
files = MappedFiles()
tensor = files.tensor(Path(sys.argv[1]), 64 * 2**20)
before = mapped_mib()
tensor.fill_(7)
full = mapped_mib()
files.release()
print(full - before, mapped_mib() - before, int((tensor == 7).sum()))
"""


def test_what_is_written_is_in_the_file_also_after_a_release(tmp_path: Path) -> None:
    file = tmp_path / "0.bin"
    file.write_bytes(bytes(3 * 4096 + 5))
    files = MappedFiles()
    tensor = files.tensor(file, 3 * 4096 + 5)
    tensor.copy_(torch.arange(len(tensor)) % 251)
    files.release()
    expected = bytes(number % 251 for number in range(3 * 4096 + 5))
    assert (bytes(tensor.numpy()), file.read_bytes()) == (expected, expected)


def test_a_shorter_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.bin").write_bytes(bytes(10))
    with pytest.raises(ValueError, match="greater than file size"):
        MappedFiles().tensor(tmp_path / "0.bin", 11)


@pytest.mark.medium
@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's pages of files")
def test_released_pages_are_no_memory_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "0.bin").write_bytes(bytes(64 * MIB))
    command = [sys.executable, "-c", READING, str(tmp_path / "0.bin")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    filled, released, right = map(float, re.findall(r"[-\d.]+", told))
    assert filled > 60
    assert released < 4
    assert right == 64 * MIB
