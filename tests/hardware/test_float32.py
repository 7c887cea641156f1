"""Float32 that is float32: products of full precision, however less was asked for, and narrower types raised."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.hardware import float32
from siamesekit.hardware.float32 import at_least_float32, full_precision

CPU = torch.device("cpu")


class Settings(SimpleNamespace):
    """What float32 products were asked to be, as each of PyTorch's switches tells it."""

    @classmethod
    def now(cls) -> "Settings":
        backends = torch.backends
        try:
            legacy = torch.get_float32_matmul_precision()
        except RuntimeError:  # the newer settings contradict it
            legacy = "?"
        return cls(
            legacy=legacy,
            cuda=getattr(backends.cuda.matmul, "fp32_precision", None),
            mkldnn=getattr(getattr(backends.mkldnn, "matmul", None), "fp32_precision", None),
            everywhere=getattr(backends, "fp32_precision", None),
        )


@pytest.fixture
def restored() -> Iterator[None]:
    """PyTorch as it starts, before and after."""

    def restore() -> None:
        if hasattr(torch.backends, "fp32_precision"):
            torch.backends.fp32_precision = "none"
        torch.set_float32_matmul_precision("highest")
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
            torch.backends.cuda.matmul.fp32_precision = "none"
            torch.backends.mkldnn.matmul.fp32_precision = "none"

    restore()
    yield
    restore()


def low(backend: str, value: str) -> Callable[[], None]:
    def lower() -> None:
        module = torch.backends if backend == "" else getattr(torch.backends, backend).matmul
        module.fp32_precision = value

    return lower


LOWERED: dict[str, list[Callable[[], None]]] = {
    "nothing": [],
    "set_float32_matmul_precision": [lambda: torch.set_float32_matmul_precision("medium")],
    "allow_tf32": [lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True)],
    "cuda": [low("cuda", "tf32")],
    "mkldnn": [low("mkldnn", "bf16")],
    "everywhere": [low("", "tf32")],
    "everywhere but cuda": [low("", "tf32"), low("cuda", "ieee")],
    "both": [lambda: torch.set_float32_matmul_precision("high"), low("mkldnn", "bf16")],
}
NEW = pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="PyTorch before 2.9")
CASES = [
    pytest.param(steps, id=case, marks=[NEW] if set(case.split()) & {"cuda", "mkldnn", "everywhere", "both"} else [])
    for case, steps in LOWERED.items()
]


@pytest.mark.parametrize("steps", CASES)
def test_the_settings_of_the_process_are_never_touched(steps: list[Callable[[], None]], restored: None) -> None:
    for step in steps:
        step()
    before = Settings.now()
    with pytest.raises(ZeroDivisionError), torch.autocast("cpu", dtype=torch.bfloat16), full_precision(CPU):
        assert Settings.now() == before
        assert not torch.is_autocast_enabled("cpu")
        raise ZeroDivisionError
    assert Settings.now() == before


PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "@": lambda a, b: a @ b.T,
    "matmul": lambda a, b: torch.matmul(a, b.T),
    "method": lambda a, b: a.mm(b.T),
    "out": lambda a, b: torch.mm(a, b.T, out=torch.empty(len(a), len(b))),
    "addmm": lambda a, b: torch.addmm(a[:, :1], a, b.T, alpha=-2),
    "einsum": lambda a, b: torch.einsum("nd,md->nm", a, b),
    "linear": torch.nn.functional.linear,
    "cdist": torch.cdist,
    "bmm": lambda a, b: torch.bmm(a[None], b.T[None])[0],
    "inner": torch.inner,
    "tensordot": lambda a, b: torch.tensordot(a, b, dims=([1], [1])),
    "multi_dot": lambda a, b: torch.linalg.multi_dot([a, b.T, b]),
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
@pytest.mark.parametrize("steps", CASES)
def test_products_are_those_of_float32_however_less_was_asked_for(
    steps: list[Callable[[], None]], product: Callable[[Tensor, Tensor], Tensor], restored: None
) -> None:
    """Where less was asked for they are those of float64, rounded: within half a unit in the last place."""
    a, b = torch.randn(8, 200), torch.randn(6, 200)
    wide = PRODUCTS["@"] if product is PRODUCTS["out"] else product
    exact, plain = wide(a.double(), b.double()), product(a, b)
    for step in steps:
        step()
    with full_precision(CPU):
        found = product(a, b)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact.float() if steps else plain)


def test_by_default_nothing_is_computed_otherwise(restored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float32, "_ProductsInFloat64", None)
    with full_precision(CPU):
        assert torch.equal(torch.eye(2) @ torch.eye(2), torch.eye(2))


@NEW
def test_a_distance_of_a_plugin_with_weights_of_its_own_is_taken_in_full_precision(restored: None) -> None:
    class Mahalanobis(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = torch.nn.Parameter(torch.randn(5, 5))

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return ((a - b) @ self.matrix).square().sum(-1)

    distance = Mahalanobis()
    a, b = torch.randn(4, 5), torch.randn(3, 5)
    low("", "tf32")()
    matrix = pairwise(distance, a, b)
    matrix.sum().backward()
    expected = (a[:, None] - b).double() @ distance.matrix.detach().double()
    np.testing.assert_allclose(matrix.detach(), expected.square().sum(-1), rtol=1e-6)
    assert distance.matrix.grad.dtype == torch.float32
    difference = (a[:, None] - b).double().flatten(0, 1)
    np.testing.assert_allclose(
        distance.matrix.grad, 2 * difference.T @ difference @ distance.matrix.detach().double(), rtol=1e-5
    )


@pytest.mark.parametrize("distance", [SquaredEuclidean(), Euclidean(), Cosine(), Dot()], ids=str)
def test_gradients_are_those_of_float64_where_less_was_asked_for(distance: Distance, restored: None) -> None:
    torch.set_float32_matmul_precision("medium")
    a, b = torch.randn(5, 64, requires_grad=True), torch.randn(4, 64)
    pairwise(distance, a, b).square().sum().backward()
    again = a.detach().double().requires_grad_()
    distance(again[:, None], b.double()).square().sum().backward()
    np.testing.assert_allclose(a.grad, again.grad, rtol=2e-4, atol=2e-4)


def test_threads_do_not_see_each_others_precision(restored: None) -> None:
    """A product of a thread that asked for less stays its own, while another one is in full precision."""
    torch.set_float32_matmul_precision("medium")
    inside, checked = threading.Event(), threading.Event()

    def work() -> None:
        with full_precision(CPU):
            inside.set()
            checked.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    try:
        assert torch.get_float32_matmul_precision() == "medium"
        assert not torch.overrides._get_current_function_mode_stack()
    finally:
        checked.set()
        thread.join()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_narrow_types_are_raised_and_the_others_are_what_they_were(dtype: torch.dtype) -> None:
    values = torch.randn(3).to(dtype)
    raised = at_least_float32(values)
    assert raised.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(raised.double(), values.double())
    assert (raised is values) == (dtype in (torch.float32, torch.float64))
