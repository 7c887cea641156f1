"""Check, before torch is imported, whether a model can be exported to a file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from siamesekit.artifact.onnx_description import KEY
from siamesekit.errors import OutputError, UserError
from siamesekit.files.replaceable import refuse_no_file, refuse_what_is_not_ours


def check_onnx_output(path: Path) -> None:
    """Check, before any work, that a model can be exported to a file.

    Raises:
        OutputError: the suffix is not `.onnx`, the folder is missing, or the file holds something other than a model
            of `siamesekit export`.
        UserError: a package is missing.
    """
    if path.suffix != ".onnx":
        raise OutputError(f"{path}: the suffix must be .onnx")
    refuse_no_file(path)
    if any(find_spec(package) is None for package in ("onnx", "onnxruntime", "onnxscript")):
        raise UserError("an export needs onnx, onnxruntime and onnxscript: pip install 'siamesekit[onnx]'")
    refuse_what_is_not_ours(path, "a model of siamesekit export", _is_exported)


def _is_exported(path: Path) -> bool:
    import onnx

    try:
        found = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's errors have types of their own
        return False
    return any(each.key == KEY for each in found.metadata_props)
