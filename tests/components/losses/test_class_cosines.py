"""Cosines with classes, against a loop."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from siamesekit.components.distances.distance import unit
from siamesekit.components.losses.class_cosines import class_cosines


def test_equals_the_loop_and_a_zero_row_is_at_zero() -> None:
    embeddings, weights = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    embeddings[2] = 0
    found = class_cosines(embeddings, weights)
    expected = [[F.cosine_similarity(a, b, dim=0).item() for b in weights] for a in embeddings]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert not found[2].any()


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_autocast_does_not_lower_the_precision(given: torch.dtype, expected: torch.dtype) -> None:
    embeddings, weights = torch.randn(5, 64).to(given), torch.randn(4, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = class_cosines(embeddings, weights)
    assert found.dtype == expected
    exact = F.cosine_similarity(embeddings.double()[:, None], weights.double(), dim=2)
    np.testing.assert_allclose(found, exact, atol=1e-6)


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="PyTorch before 2.9")
def test_tf32_does_not_lower_the_precision_either() -> None:
    embeddings, weights = torch.randn(50, 64), torch.randn(40, 64)
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        found = class_cosines(embeddings, weights)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32", "the caller's setting stays"
    finally:
        torch.backends.cuda.matmul.fp32_precision = "none"
    in_float64 = (unit(embeddings).double() @ unit(weights).double().T).float()
    assert torch.equal(found, in_float64), "products in float64, which no setting lowers"
