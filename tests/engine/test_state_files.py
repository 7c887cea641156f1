"""State files: what goes in comes out, and nothing else is read."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from siamesekit.engine.state_files import KEY, load_state, save_state
from siamesekit.errors import ArtifactError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 99), inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    """Equality with types, tensors and float bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) and (not isinstance(a, float) or math.copysign(1, a) == math.copysign(1, b))


@given(state=st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
def test_plain_values_come_back_as_they_were(state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("state") / "s.safetensors"
    save_state(file, state)
    assert same(load_state(file), state)


def test_tensors_come_back_with_type_shape_and_memory_format(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    state = {
        "a": {7: [shared, shared[:, 1:]], "b": (torch.tensor(3), torch.zeros(0, 2, dtype=torch.bool))},
        "c": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "d": torch.randn(3, dtype=torch.float64),
        "e": torch.randn(4).bfloat16(),
        "f": torch.get_rng_state(),
    }
    save_state(tmp_path / "s", state)
    back = load_state(tmp_path / "s")
    state["a"][7][1] = shared[:, 1:].contiguous()  # type: ignore[index]
    assert same(back, state)


def test_floats_that_are_not_finite_come_back(tmp_path: Path) -> None:
    save_state(tmp_path / "s", {"x": [math.inf, -math.inf, math.nan]})
    above, below, nan = load_state(tmp_path / "s")["x"]
    assert (above, below) == (math.inf, -math.inf)
    assert math.isnan(nan)


def test_an_optimizer_goes_on_from_its_file_as_if_nothing_had_been(tmp_path: Path) -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(module: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        optimizer.zero_grad()
        images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        module(images).square().sum().backward()
        optimizer.step()

    one, two = network(), network()
    first = torch.optim.Adam(one.parameters(), fused=True)
    second = torch.optim.Adam(two.parameters(), fused=True)
    for seed in range(3):
        step(one, first, seed)
    save_state(tmp_path / "s", {"network": one.state_dict(), "optimizer": first.state_dict()})
    state = load_state(tmp_path / "s")
    two.load_state_dict(state["network"])
    second.load_state_dict(state["optimizer"])
    for seed in range(3, 6):
        step(one, first, seed)
        step(two, second, seed)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("value", [object(), {1.5: 2}, {"x": {None: 1}}, b"bytes", 1j])
def test_other_values_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="a state"):
        save_state(tmp_path / "s", {"x": value})
    assert not (tmp_path / "s").exists()


def test_damaged_files_are_refused_at_every_length(tmp_path: Path) -> None:
    file = tmp_path / "s"
    save_state(file, {"x": torch.arange(5), "y": [1, "a", None]})
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match="is damaged or not a state file"):
            load_state(file)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "[" * 100_000, '{"items": 3}', '{"items": [[1]]}', '{"items": [["a", {"tensor": "9", '
     '"channels_last": false}]]}', '{"items": [["a", {"strange": 1}]]}', '{"items": [["a", {"float": "1"}]]}'],
)  # fmt: skip
def test_strange_headers_are_refused(tmp_path: Path, text: str) -> None:
    save_file({"0": torch.zeros(1)}, tmp_path / "s", metadata={KEY: text})
    with pytest.raises(ArtifactError):
        load_state(tmp_path / "s")


def test_a_file_of_other_tensors_is_refused(tmp_path: Path) -> None:
    save_file({"0": torch.zeros(1)}, tmp_path / "s")
    with pytest.raises(ArtifactError, match="KeyError"):
        load_state(tmp_path / "s")
    (tmp_path / "t").write_text(json.dumps({"items": []}))
    with pytest.raises(ArtifactError):
        load_state(tmp_path / "t")
    with pytest.raises(ArtifactError):
        load_state(tmp_path / "not there")
