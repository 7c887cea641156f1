"""Device and number format: what is asked for, and what `auto` makes of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

from siamesekit.artifact.loading import load
from siamesekit.config import Config
from siamesekit.errors import UserError
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.running import check, run
from siamesekit.hardware import compute as precision
from siamesekit.hardware.compute import Compute, choose_compute, deterministic

pytestmark = pytest.mark.usefixtures("plain_charts")


@pytest.mark.parametrize(("native", "name"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_where_the_cpu_multiplies_it(monkeypatch: pytest.MonkeyPatch, native: bool, name: str) -> None:
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: native)
    chosen = choose_compute("cpu", "auto")
    assert (chosen.name, chosen.device.type) == (name, "cpu")
    assert chosen.why == ("native bf16 products" if native else "no native bf16 products")


@pytest.mark.parametrize(("amx", "avx512", "native"), [(0, 0, False), (0, 1, True), (1, 0, True)])
def test_either_instruction_set_is_native(monkeypatch: pytest.MonkeyPatch, amx: int, avx512: int, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx), raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512), raising=False)
    assert choose_compute("cpu", "auto").bf16 == native


def test_a_torch_without_the_probes_counts_as_not_native(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert choose_compute("cpu", "auto").name == "fp32"


@pytest.mark.parametrize(("asked", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_multiplies_in_the_format_that_was_asked_for(asked: str, dtype: torch.dtype) -> None:
    chosen = choose_compute("cpu", asked)
    assert chosen.why == f"--precision {asked}"
    with chosen.autocast():
        assert torch.nn.Linear(4, 4)(torch.zeros(1, 4)).dtype == dtype


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="use --device cpu"):
        choose_compute("cuda")
    assert choose_compute("auto", "fp32").device == torch.device("cpu")


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "fp32"), ((8, 0), "bf16")])
def test_on_a_gpu_auto_goes_by_its_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    chosen = choose_compute()
    assert (chosen.device.type, chosen.name) == ("cuda", name)


ON_GPU = Compute(torch.device("cuda"), False, "")


@pytest.fixture
def settings() -> Iterator[None]:
    """Torch's settings, as they were: by default cuDNN takes TF32."""
    torch.backends.cudnn.allow_tf32 = True
    yield
    if hasattr(torch.backends.cudnn, "conv"):
        torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "tf32"
    torch.backends.cudnn.allow_tf32 = True


@pytest.mark.usefixtures("settings")
def test_fp32_on_a_gpu_is_no_tf32_and_torch_s_setting_comes_back() -> None:
    with pytest.raises(KeyError), ON_GPU.exact():
        assert not torch.backends.cudnn.allow_tf32
        with ON_GPU.exact():
            assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        if hasattr(torch.backends.cudnn, "conv"):
            assert torch.backends.cudnn.conv.fp32_precision != "tf32"
        raise KeyError
    assert torch.backends.cudnn.allow_tf32
    for other in (Compute(torch.device("cuda"), True, ""), Compute(torch.device("cpu"), False, "")):
        with other.exact():
            assert torch.backends.cudnn.allow_tf32, "bf16 multiplies no float32, a CPU has no cuDNN"


@pytest.mark.usefixtures("settings")
@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="settings of PyTorch 2.9")
@pytest.mark.parametrize("theirs", ["conv", "all"])
def test_who_uses_the_newer_settings_finds_them_as_they_were(theirs: str) -> None:
    """Then the older ones raise: neither may be mixed with the other."""
    cudnn = torch.backends.cudnn
    if theirs == "conv":
        cudnn.rnn.fp32_precision = "ieee"
        with pytest.raises(RuntimeError, match="legacy"):
            assert cudnn.allow_tf32
    else:
        torch.backends.fp32_precision = "tf32"
    try:
        before = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
        assert before[0] == "tf32"
        with ON_GPU.exact():
            assert cudnn.conv.fp32_precision == "ieee"
        assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == before
    finally:
        torch.backends.fp32_precision = "none"


@pytest.mark.usefixtures("settings")
def test_of_several_threads_the_last_one_puts_torchs_setting_back() -> None:
    """The first one in is the first one out: each would restore what the other had set."""
    first, second = ON_GPU.exact(), ON_GPU.exact()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not torch.backends.cudnn.allow_tf32, "the second one still computes"
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("before", [(False, False), (True, False), (True, True)])
def test_determinism_is_put_back_as_it_was(before: tuple[bool, bool]) -> None:
    try:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        with pytest.raises(KeyError), deterministic():
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
            raise KeyError
        assert torch.are_deterministic_algorithms_enabled() == before[0]
        assert torch.is_deterministic_algorithms_warn_only_enabled() == before[1]
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.slow
def test_a_run_a_check_and_a_model_compute_within_it(
    monkeypatch: pytest.MonkeyPatch, small_config: Callable[..., Config], finished: RunResult, tmp_path: Path
) -> None:
    """A backward pass, too, which autograd's own threads do: the setting is the process's."""
    inside: list[bool] = [False]
    steps: list[bool] = []

    @contextmanager
    def exact(self: Compute) -> Iterator[None]:
        before, inside[0] = inside[0], True
        yield
        inside[0] = before

    monkeypatch.setattr(Compute, "exact", exact)
    real_autocast, real_backward = Compute.autocast, torch.Tensor.backward

    def autocast(self: Compute) -> AbstractContextManager[None]:
        steps.append(inside[0])
        return real_autocast(self)

    def backward(self: torch.Tensor, *given: object, **options: object) -> None:
        steps.append(inside[0])
        real_backward(self, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Compute, "autocast", autocast)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    check(small_config(), "cpu", "fp32")
    run(small_config("train.epochs=1"), tmp_path / "run", device="cpu", precision="fp32")
    load(finished.folder, "cpu").embed(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert len(steps) > 10 and all(steps)
    assert not inside[0]
