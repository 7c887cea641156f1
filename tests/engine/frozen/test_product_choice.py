"""The way of 1 × 1 convolutions: measured once where it may pay, kept for each machine and each run."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path

import pytest
import torch

from conftest import LoadConfig, outcome, run_fp32
from siamesekit.engine.frozen import product_choice
from siamesekit.engine.frozen.product_choice import measured, products_pay, with_product_choice
from siamesekit.hardware.compute import Compute

pytestmark = pytest.mark.usefixtures("plain_charts")

CPU = Compute(torch.device("cpu"), False, "as asked")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with AMX on which nothing has been measured; its cache folder."""
    monkeypatch.setattr(product_choice, "has_amx", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "siamesekit"


def measuring(monkeypatch: pytest.MonkeyPatch, convolutions: float, products: float) -> list[Compute]:
    """Let the measurement give these seconds; the calls."""
    calls = []

    def fixed(compute: Compute) -> dict[str, float]:
        calls.append(compute)
        return {"convolutions": convolutions, "products": products}

    monkeypatch.setattr(product_choice, "measured", fixed)
    return calls


@pytest.mark.parametrize(("products", "pay"), [(0.5, True), (0.94, True), (0.96, False), (2.0, False)])
def test_the_faster_way_is_taken_if_it_is_clearly_faster(
    machine: Path, monkeypatch: pytest.MonkeyPatch, products: float, pay: bool
) -> None:
    measuring(monkeypatch, 1.0, products)
    assert products_pay(CPU) == pay
    assert with_product_choice(CPU).products == pay
    assert ("as matrix products" in with_product_choice(CPU).why) == pay


@pytest.mark.parametrize(("device", "amx"), [("cpu", False), ("cuda", True)])
def test_elsewhere_nothing_is_measured(machine: Path, monkeypatch: pytest.MonkeyPatch, device: str, amx: bool) -> None:
    monkeypatch.setattr(product_choice, "has_amx", lambda: amx)
    calls = measuring(monkeypatch, 1.0, 0.1)
    assert not products_pay(Compute(torch.device(device), False, ""))
    assert not calls and not machine.exists()


def test_what_was_measured_is_kept_by_precision(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = measuring(monkeypatch, 1.0, 0.1)
    bf16 = Compute(torch.device("cpu"), True, "")
    assert products_pay(CPU) and products_pay(bf16)
    measuring(monkeypatch, 1.0, 3.0)
    assert products_pay(CPU) and products_pay(bf16)
    assert calls == [CPU, bf16]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"convolutions": 1, "products": "much"}', '{"products": 0.1}',
                                     '{"convolutions": -1, "products": -1}'])  # fmt: skip
def test_what_cannot_be_read_is_measured_anew(machine: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    measuring(monkeypatch, 1.0, 0.1)
    products_pay(CPU)
    (file,) = (machine / "products").iterdir()
    kept = json.loads(file.read_text())
    file.write_text(content)
    calls = measuring(monkeypatch, 1.0, 0.1)
    assert products_pay(CPU) and len(calls) == 1
    assert json.loads(file.read_text()) == kept == {"convolutions": 1.0, "products": 0.1}


def test_without_a_cache_folder_it_is_measured_each_time(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = measuring(monkeypatch, 1.0, 0.1)
    monkeypatch.setattr(product_choice, "cache_folder", lambda: None)
    assert products_pay(CPU) and products_pay(CPU) and len(calls) == 2


def test_a_cache_folder_that_cannot_be_written_does_no_harm(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write_text("a file in place of the folder")
    calls = measuring(monkeypatch, 1.0, 0.1)
    assert products_pay(CPU) and products_pay(CPU) and len(calls) == 2


def test_the_fastest_of_several_rounds_counts_by_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_choice, "SHAPES", ((2, 3, 4), (1, 5, 2)))
    monkeypatch.setattr(product_choice, "ROUNDS", 2)
    # each way's start and end, in turn: 3 and 5 seconds in the first round, 2 and 7 in the second
    durations = cycle([3.0, 5.0, 2.0, 7.0])
    clock = iter(moment for start in range(0, 800, 100) for moment in (start, start + next(durations)))
    monkeypatch.setattr(product_choice.time, "perf_counter", lambda: next(clock))
    before = torch.random.get_rng_state()
    assert measured(CPU) == {"convolutions": 4.0, "products": 10.0}
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_run_that_continues_keeps_its_way() -> None:
    assert with_product_choice(CPU, {"products": True}).products
    assert not with_product_choice(CPU, {"products": False}).products
    assert not with_product_choice(Compute(torch.device("cuda"), False, ""), {"products": True}).products


def test_a_manifest_of_an_older_version_means_what_it_did(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measuring(monkeypatch, 1.0, 3.0)
    assert with_product_choice(CPU, {}).products
    monkeypatch.setattr(product_choice, "has_amx", lambda: False)
    assert not with_product_choice(CPU, {}).products


@pytest.mark.slow
def test_a_run_goes_on_in_its_way_to_the_same_bytes(
    machine: Path, monkeypatch: pytest.MonkeyPatch, small_config: LoadConfig, tmp_path: Path
) -> None:
    measuring(monkeypatch, 1.0, 0.1)
    run_fp32(small_config("train.epochs=3"), tmp_path / "whole")
    run_fp32(small_config("train.epochs=1"), tmp_path / "parts")
    for file in (machine / "products").iterdir():
        file.unlink()
    measuring(monkeypatch, 1.0, 3.0)
    run_fp32(small_config("train.epochs=3"), tmp_path / "parts", resume=True)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    run_fp32(small_config("train.epochs=3"), tmp_path / "other")
    device = [json.loads((tmp_path / name / "manifest.json").read_text())["device"] for name in ("parts", "other")]
    assert [each["products"] for each in device] == [True, False]
