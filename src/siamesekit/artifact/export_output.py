"""Check, before torch is imported, whether a model can be exported to a file."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from siamesekit.artifact.onnx_description import KEY
from siamesekit.errors import OutputError, UserError
from siamesekit.files.replaceable import refuse_no_file, refuse_what_is_not_ours

WHAT = "a model of siamesekit export"


def _is_onnx(path: Path) -> bool:
    import onnx

    try:
        found = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's errors have types of their own
        return False
    return any(each.key == KEY for each in found.metadata_props)


def _is_torch_export(path: Path) -> bool:
    try:
        with ZipFile(path) as archive:
            return any(name.endswith(f"/extra/{KEY}") for name in archive.namelist())
    except Exception:  # whatever a damaged archive raises
        return False


def _is_openvino(path: Path) -> bool:
    return f"<{KEY} value=".encode() in path.read_bytes()


class ExportFormat(NamedTuple):
    """A format of `siamesekit export`.

    Attributes:
        suffix: suffix of its files.
        packages: packages that write and check it.
        extra: the extra with these packages; empty for none.
        is_ours: whether a plain file is an earlier export.
    """

    suffix: str
    packages: tuple[str, ...]
    extra: str
    is_ours: Callable[[Path], bool]


FORMATS = {
    "onnx": ExportFormat(".onnx", ("onnx", "onnxruntime", "onnxscript"), "onnx", _is_onnx),
    "torch-export": ExportFormat(".pt2", (), "", _is_torch_export),
    "openvino": ExportFormat(".xml", ("openvino", "onnx", "onnxruntime", "onnxscript"), "openvino", _is_openvino),
}
"""The formats by name."""


def format_of(path: Path) -> str:
    """The format that a file's suffix stands for.

    Raises:
        OutputError: it stands for none.
    """
    for name, kind in FORMATS.items():
        if path.suffix == kind.suffix:
            return name
    raise OutputError(f"{path}: the suffix must be {', '.join(kind.suffix for kind in FORMATS.values())}")


def check_export_output(path: Path, name: str) -> None:
    """Check, before any work, that a model can be exported to a file in a format.

    Raises:
        OutputError: the suffix is wrong, the folder is missing, or the file holds something other than a model of
            `siamesekit export`.
        UserError: a package is missing.
    """
    kind = FORMATS[name]
    if path.suffix != kind.suffix:
        raise OutputError(f"{path}: the suffix must be {kind.suffix}")
    refuse_no_file(path)
    if any(find_spec(package) is None for package in kind.packages):
        needed = f"{', '.join(kind.packages[:-1])} and {kind.packages[-1]}"
        raise UserError(f"an export needs {needed}: pip install 'siamesekit[{kind.extra}]'")
    refuse_what_is_not_ours(path, WHAT, kind.is_ours)
    weights = path.with_suffix(".bin")
    if name == "openvino" and not (path.exists() and path.stat().st_size):
        refuse_what_is_not_ours(weights, WHAT, lambda _: False)
