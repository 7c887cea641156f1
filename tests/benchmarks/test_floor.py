"""The floor: the products that are counted are those that PyTorch counts, and the table has their share."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.floor import TOLD, products_of, rows_of
from conftest import FP32, small_encoder


@pytest.mark.parametrize("train_from", ["", "layer3", "head"])
def test_products_are_those_that_pytorch_counts(train_from: str) -> None:
    encoder = small_encoder(train_from=train_from)
    images = torch.zeros(3, 3, 32, 32)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(images)
    counted = counter.get_flop_counts()
    frozen = {name for name, module in encoder.named_modules() if all(not p.requires_grad for p in module.parameters())}
    leaves = {name for name, module in encoder.named_modules() if not list(module.children())}
    expected = sum(sum(counted.get(f"Encoder.{name}", {}).values()) for name in leaves - frozen)
    found = products_of(encoder, lambda tensors: encoder(tensors[0]), [images], FP32)
    assert sum(2 * each.rows * each.depth * each.columns for each in found) == expected > 0


def test_the_table_has_shares_and_marks_the_way_of_a_run() -> None:
    seconds = {f"{way} {part}": 4.0 for way in TOLD for part in ("forward", "both")}
    found = {"seconds": seconds | {"alone forward": 1.0, "alone both": 3.0}, "here": "products"}
    alone, *ways = rows_of(found, "fp32")
    assert alone == ["fp32", "its products alone", "1.00", "", "3.00", ""]
    assert [way[2:] for way in ways] == [["4.00", "0.25", "4.00", "0.75"]] * 3
    assert [("(*here*)" in way[1]) for way in ways] == [False, False, True]
