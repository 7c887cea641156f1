"""The names read from timm's sources against timm's own list."""

import subprocess
import sys

import timm

from siamesekit.encoders.model_names import timm_models


def test_names_are_timms_own() -> None:
    assert timm_models() == tuple(sorted(timm.list_models()))
    assert "resnet18" in timm_models()


def test_neither_timm_nor_torch_is_imported_for_them() -> None:
    code = (
        "import sys; from siamesekit.encoders.model_names import timm_models; "
        "print(len(timm_models()) > 1000, {'timm', 'torch'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True", "set()"]
