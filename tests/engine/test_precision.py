"""Device and number format: what is asked for, and what `auto` makes of it."""

import pytest
import torch

from siamesekit.engine import precision
from siamesekit.engine.precision import choose_precision
from siamesekit.errors import UserError


@pytest.mark.parametrize(("native", "name"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_where_the_cpu_multiplies_it(monkeypatch: pytest.MonkeyPatch, native: bool, name: str) -> None:
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: native)
    chosen = choose_precision("cpu", "auto")
    assert (chosen.name, chosen.device.type) == (name, "cpu")
    assert chosen.why == ("native bf16 products" if native else "no native bf16 products")


@pytest.mark.parametrize(("amx", "avx512", "native"), [(0, 0, False), (0, 1, True), (1, 0, True)])
def test_either_instruction_set_is_native(monkeypatch: pytest.MonkeyPatch, amx: int, avx512: int, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx), raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512), raising=False)
    assert choose_precision("cpu", "auto").bf16 == native


def test_a_torch_without_the_probes_counts_as_not_native(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert choose_precision("cpu", "auto").name == "fp32"


@pytest.mark.parametrize(("asked", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_multiplies_in_the_format_that_was_asked_for(asked: str, dtype: torch.dtype) -> None:
    chosen = choose_precision("cpu", asked)
    assert chosen.why == f"--precision {asked}"
    with chosen.autocast():
        assert torch.nn.Linear(4, 4)(torch.zeros(1, 4)).dtype == dtype


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="use --device cpu"):
        choose_precision("cuda")
    assert choose_precision("auto", "fp32").device == torch.device("cpu")


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "fp32"), ((8, 0), "bf16")])
def test_on_a_gpu_auto_goes_by_its_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    chosen = choose_precision()
    assert (chosen.device.type, chosen.name) == ("cuda", name)
