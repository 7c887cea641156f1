"""Nearest neighbours against a full sort of plain differences, whatever the scan's precision and chunks."""

import subprocess
import sys
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import peak_memory
from hard_embeddings import CASES, normal
from oracles import nearest_by_sort
from siamesekit.components.distances import nearest as retrieval
from siamesekit.components.distances import scan
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.components.distances.nearest import Neighbours, PreparedGallery, nearest
from siamesekit.components.distances.scan import prepare, scan_of
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean


class CityBlock:
    """A distance that no product scans."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().sum(-1)


def name(distance: Distance) -> str:
    return type(distance).__name__


def by_sort(queries: Tensor, gallery: Tensor, k: int, distance: Distance, own: Tensor | None = None) -> Neighbours:
    return Neighbours(*nearest_by_sort(queries, gallery, k, distance, own))


def assert_equal(found: Neighbours, expected: Neighbours) -> None:
    assert torch.equal(found.index, expected.index)
    assert torch.equal(found.distance, expected.distance)


@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine(), Dot(), CityBlock()], ids=name)
@pytest.mark.parametrize("case", CASES)
def test_neighbours_are_those_of_a_full_sort(case: str, distance: Distance, bf16: bool) -> None:
    embeddings = CASES[case]()
    own = torch.arange(len(embeddings))
    expected = by_sort(embeddings, embeddings, 60, distance, own)
    for k in (1, 7, 60):
        found = nearest(embeddings, embeddings, k, distance, own, bf16=bf16)
        assert_equal(found, Neighbours(expected.index[:, :k], expected.distance[:, :k]))


@pytest.mark.slow
@given(
    st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 60), st.integers(1, 9), st.integers(1, 70),
    st.sampled_from([1, 4000, 1 << 20]), st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
@settings(deadline=None)
def test_any_shape_and_memory(
    seed: int, size: int, photos: int, dimensions: int, k: int, memory: int, coarse: bool, bf16: bool, double: bool
) -> None:
    dtype = torch.float64 if double else torch.float32
    queries, gallery = normal(size, dimensions, seed=seed, dtype=dtype), normal(photos, dimensions, seed=1, dtype=dtype)
    if coarse:
        queries, gallery = queries.round(), gallery.round()
    own = torch.from_numpy(np.random.default_rng(seed).integers(photos, size=size))
    for excluded in (None, own):
        for distance in (SquaredEuclidean(), Cosine(), Dot()):
            found = nearest(queries, gallery, k, distance, excluded, bf16=bf16, memory=memory)
            expected = by_sort(queries, gallery, k, distance, excluded)
            assert found.index.shape == (size, min(k, photos - (excluded is not None)))
            assert_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["normal", "few values", "clusters closer than bf16 tells apart"])
@pytest.mark.parametrize("bf16", [False, True])
def test_chunks_do_not_matter_to_the_last_bit(case: str, bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = CASES[case]()
    own = torch.arange(len(embeddings))
    expected = by_sort(embeddings, embeddings, 9, Euclidean(), own)
    for columns, block, pairs, memory in ((64, 8, 100, 1), (100, 32, 7, 10_000), (1000, 4, 1, 200_000)):
        for constant, value in (("COLUMNS", columns), ("BLOCK", block), ("VALUES", 8 * pairs)):
            monkeypatch.setattr(retrieval, constant, value)
        monkeypatch.setattr(scan, "PREPARED", 2 * pairs)
        assert_equal(nearest(embeddings, embeddings, 9, Euclidean(), own, bf16=bf16, memory=memory), expected)


def test_ties_across_the_kth_place_go_to_the_lower_index() -> None:
    gallery = torch.tensor([[3.0], [1.0], [-1.0], [1.0], [0.5], [-1.0]])
    found = nearest(torch.zeros(1, 1), gallery, 3, Euclidean())
    assert found.index.tolist() == [[4, 1, 2]]
    assert found.distance.tolist() == [[0.5, 1, 1]]


class ReversedScan:
    """A negated dot product that sums the other way round where it is asked a query at a time, as the scan does."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        terms = (a * b).unbind(-1)
        return -reduce(torch.add, terms[::-1] if len(a) == 1 else terms)


@pytest.mark.parametrize("lost", [0.0, torch.nan, torch.inf], ids=str)
def test_values_of_either_sign_that_cancel_are_compared_again(lost: float) -> None:
    """The terms are a million times as large as their sums, which differ with the order by more than their last bits;
    of a photo that is not finite only its own rank may suffer.
    """
    queries, gallery = normal(20, 64, seed=1), normal(300, 64, seed=2)
    gallery[:, 32:] = -gallery[:, :32] + 1e-6 * normal(300, 32, seed=3)
    queries[:, 32:] = queries[:, :32]
    gallery[7] = lost
    values = torch.stack([ReversedScan()(query.expand(300, -1), gallery) for query in queries])
    scanned = torch.stack([ReversedScan()(query[None], gallery) for query in queries])
    expected = values.nan_to_num(torch.inf).argsort(dim=1, stable=True)[:, :5]
    if lost == 0:
        assert not torch.equal(scanned.argsort(dim=1, stable=True)[:, :5], expected), "the scan alone would be wrong"
    assert torch.equal(nearest(queries, gallery, 5, ReversedScan()).index, expected)


@pytest.mark.medium
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine(), Dot()], ids=name)
def test_what_ranks_as_products_do_is_scanned_by_them(distance: Distance, bf16: bool) -> None:
    """Few pairs are compared again, none of them a query at a time against all of the gallery."""
    compared = []

    def counted(a: Tensor, b: Tensor) -> Tensor:
        compared.append(len(b))
        return distance(a, b)

    counted.ranks_as = distance.ranks_as  # type: ignore[attr-defined]
    unit = torch.nn.functional.normalize(normal(2000, 16), dim=1)
    assert_equal(nearest(unit, unit, 5, counted, bf16=bf16), nearest(unit, unit, 5, distance, bf16=not bf16))
    assert sum(compared) < 2000 * (200 if bf16 else 8)


def test_copies_that_are_left_out_are_left_out_for_their_own_queries_too() -> None:
    gallery = torch.zeros(6, 2)
    gallery[0] = 1
    found = nearest(gallery, gallery, 2, SquaredEuclidean(), torch.arange(6))
    assert found.index.tolist() == [[1, 2], [2, 3], [1, 3], [1, 2], [1, 2], [1, 2]]


def test_negative_zero_is_zero() -> None:
    gallery = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0]])
    assert nearest(gallery, gallery, 2, Cosine(), torch.arange(3)).index.tolist() == [[1, 2], [0, 2], [0, 1]]


def test_more_than_there_are() -> None:
    one = torch.ones(1, 3)
    assert nearest(one, one, 5, Euclidean(), torch.tensor([0])).index.shape == (1, 0)
    assert nearest(one, one, 5, Euclidean()).index.tolist() == [[0]]
    assert nearest(torch.ones(0, 3), one, 5, Euclidean()).distance.shape == (0, 1)
    assert nearest(one, torch.ones(0, 3), 5, Euclidean()).distance.shape == (1, 0)


@pytest.mark.parametrize("distance", [SquaredEuclidean(), CityBlock()])
def test_nan_is_farthest(distance: Distance) -> None:
    gallery = torch.tensor([[torch.nan], [2.0], [torch.inf], [torch.nan], [1.0]])
    found = nearest(torch.zeros(1, 1), gallery, 5, distance)
    assert found.index.tolist() == [[4, 1, 2, 0, 3]]
    assert nearest(torch.tensor([[torch.nan]]), gallery, 5, distance).index.tolist() == [[0, 1, 2, 3, 4]]


MAGNITUDES = [1e-320, 1e-170, 1e-155, 1e-39, 1e-23, 1e-19, 1e15, 1e18, 1e19, 1e25, 1e38, 1e153, 1e200, 1e300]
"""Lengths at whose squares, or products with others, one of the types concerned under- or overflows, and in between."""


def assert_ranked(queries: Tensor, gallery: Tensor, distance: Distance, ks: tuple[int, ...] = (1, 20)) -> None:
    """As a full sort says, NaN last, by a scan of either precision."""
    own = torch.arange(len(queries)) if len(queries) <= len(gallery) and torch.equal(queries, gallery) else None
    for k in ks:
        expected = by_sort(queries, gallery, k, distance, own)
        for bf16 in (False, True):
            found = nearest(queries, gallery, k, distance, own, bf16=bf16)
            assert torch.equal(found.index, expected.index)
            torch.testing.assert_close(found.distance, expected.distance, rtol=0, atol=0, equal_nan=True)


SWEPT = [Euclidean(), SquaredEuclidean(), Cosine(), Dot(), Manhattan(), CityBlock()]


@pytest.mark.slow
@pytest.mark.parametrize("distance", SWEPT, ids=name)
@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_embeddings_of_any_length_rank_as_their_distances_do(
    magnitude: float, distance: Distance, dtype: torch.dtype
) -> None:
    """All that long, and a gallery of which a part is."""
    if dtype == torch.float32 and not 1e-45 < magnitude < 1e39:
        pytest.skip("beyond float32")
    queries, gallery = normal(2, 6, dtype=torch.float64), normal(150, 6, seed=1, dtype=torch.float64)
    assert_ranked((queries * magnitude).to(dtype), (gallery * magnitude).to(dtype), distance)
    gallery[normal(150, seed=2) < -0.5] *= magnitude
    assert_ranked(queries.to(dtype), gallery.to(dtype), distance)
    assert_ranked(torch.cat([queries, queries * magnitude]).to(dtype), gallery.to(dtype), distance)


@pytest.mark.parametrize("distance", SWEPT, ids=name)
def test_embeddings_of_all_lengths_at_once_rank_as_their_distances_do(distance: Distance) -> None:
    gallery = torch.cat(
        [normal(20, 6, seed=seed, dtype=torch.float64) * magnitude for seed, magnitude in enumerate(MAGNITUDES)]
    )
    assert_ranked(gallery[::7], gallery, distance, ks=(1, 20))


@pytest.mark.parametrize("distance", SWEPT, ids=name)
def test_components_that_bfloat16_flushes_to_zero_count(distance: Distance) -> None:
    """Products with long embeddings are far above what underflows."""
    queries, gallery = normal(4, 6, dtype=torch.float64) * 1e-39, normal(150, 6, seed=1, dtype=torch.float64) * 1e15
    assert_ranked(queries, gallery, distance)
    assert_ranked(gallery[:4], queries.repeat(40, 1) * torch.arange(160)[:, None], distance)


@pytest.mark.medium
@pytest.mark.parametrize("distance", SWEPT, ids=name)
def test_infinite_distances_rank_after_finite_ones_and_before_nan(distance: Distance) -> None:
    gallery = normal(160, 4)
    gallery[5, 0] = torch.inf
    gallery[9, 1] = -torch.inf
    gallery[3, 2] = torch.nan
    gallery[100:110] = 3e38
    gallery[110:120] = -3e38
    gallery[2], gallery[17] = torch.nan, torch.inf
    assert_ranked(gallery, gallery, distance, ks=(1, 5, 159))
    values = by_sort(gallery[:1], gallery, 160, distance).distance[0]
    lost = values.isnan()
    assert lost.any()
    assert lost[lost.nonzero()[0, 0] :].all(), "NaN comes last"
    assert (values[~lost].diff().nan_to_num(0) >= 0).all()


@pytest.mark.medium
def test_queries_that_bf16_leaves_undecided_are_scanned_again_and_only_those(monkeypatch: pytest.MonkeyPatch) -> None:
    spread, close = normal(3000, 16), 20 + 1e-5 * normal(600, 16, seed=1)
    embeddings, own = torch.cat([spread, close]), torch.arange(3600)
    left = []
    into = retrieval._Search.into

    def spied(self: retrieval._Search, found: Neighbours, rows: Tensor, *rest: object) -> Tensor:
        left.append(rows)
        return into(self, found, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(retrieval, "BLOCK", 2)
    monkeypatch.setattr(retrieval._Search, "into", spied)
    found = nearest(embeddings, embeddings, 5, Euclidean(), own, bf16=True)
    assert [len(rows) for rows in left] == [3600, 600]
    assert left[1].sort().values.tolist() == list(range(3000, 3600))
    assert_equal(found, nearest(embeddings, embeddings, 5, Euclidean(), own, bf16=False))


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("ranks_as", ["euclidean", "cosine", "dot"])
@pytest.mark.parametrize("case", CASES)
def test_the_margin_bounds_the_error_of_every_score(case: str, ranks_as: str, dtype: torch.dtype) -> None:
    embeddings = CASES[case]()
    scan = scan_of(embeddings, prepare(embeddings, ranks_as, dtype))  # type: ignore[arg-type]
    assert scan is not None
    scores = (scan.queries.double() @ scan.gallery.double().T).numpy().astype(np.longdouble)
    exact = embeddings.numpy().astype(np.longdouble)
    if ranks_as == "cosine":
        exact = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-8)
    true = ((exact[:, None] - exact) ** 2).sum(-1) / 2 if ranks_as == "euclidean" else -exact @ exact.T
    difference = scores - true
    error = difference - (difference.max(1, keepdims=True) + difference.min(1, keepdims=True)) / 2
    assert (np.abs(error).max(1) <= scan.margin.numpy() / 2).all()


def test_the_margin_is_of_use() -> None:
    for dtype, most in ((torch.bfloat16, 0.01), (torch.float32, 3e-4), (torch.float64, 6e-13)):
        working = torch.float64 if dtype == torch.float64 else torch.float32
        unit = torch.nn.functional.normalize(normal(500, 128, dtype=working), dim=1)
        for ranks_as in ("euclidean", "cosine", "dot"):
            scan = scan_of(unit, prepare(unit, ranks_as, dtype))
            assert scan is not None
            assert 0 < scan.margin.max() < most
            assert scan.queries.shape == unit.shape  # offsets that are equal are not multiplied


def test_settings_that_lower_the_precision_of_products_do_not_reach_in() -> None:
    embeddings = normal(200, 32)
    expected = by_sort(embeddings, embeddings, 5, Euclidean())
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_equal(nearest(embeddings, embeddings, 5, Euclidean(), bf16=False), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="PyTorch before 2.9")
@pytest.mark.parametrize("place", ["cuda", ""])
def test_the_newer_settings_of_tf32_do_not_reach_in_either(place: str) -> None:
    """Next to them the older one cannot even be read."""
    embeddings = normal(200, 32)
    module = torch.backends.cuda.matmul if place else torch.backends
    module.fp32_precision = "tf32"
    try:
        with pytest.raises(RuntimeError, match="mix"):
            torch.get_float32_matmul_precision()
        assert_equal(nearest(embeddings, embeddings, 5, Euclidean()), by_sort(embeddings, embeddings, 5, Euclidean()))
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        module.fp32_precision = "none"


def test_half_precision_counts_as_float32() -> None:
    embeddings = normal(50, 8).half()
    assert_equal(
        nearest(embeddings, embeddings, 4, Cosine()), nearest(embeddings.float(), embeddings.float(), 4, Cosine())
    )


@pytest.mark.parametrize(
    ("queries", "gallery", "k", "own", "says"),
    [
        ((2, 3), (4, 5), 1, None, r"queries \[2, 3\] and gallery \[4, 5\]"),
        ((2, 3), (4, 3), -1, None, "k must be at least 0, not -1"),
        ((2, 3), (4, 3), 1, [0], "own must be the index of each query"),
        ((2, 3), (4, 3), 1, [0, 4], "0 … 3"),
        ((2, 3), (4, 3), 1, [-1, 0], "0 … 3"),
    ],
)
def test_what_does_not_fit_is_an_error(
    queries: tuple[int, int], gallery: tuple[int, int], k: int, own: list[int] | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        nearest(torch.ones(queries), torch.ones(gallery), k, Euclidean(), None if own is None else torch.tensor(own))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory")
@pytest.mark.parametrize("bf16", [False, True])
def test_memory_stays_within_its_budget(bf16: bool) -> None:
    count = 12_000 if bf16 else 20_000  # products in bfloat16 are slow on most processors
    code = (
        Path(peak_memory.__file__).read_text()
        + f"""
import torch
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.nearest import nearest
embeddings = torch.randn({count}, 64)
nearest(embeddings[:5000], embeddings[:5000], 10, Euclidean(), bf16={bf16}, memory=1 << 24)
before = peak_memory()
nearest(embeddings, embeddings, 10, Euclidean(), torch.arange({count}), bf16={bf16}, memory=1 << 24)
print((peak_memory() - before) / 2**20)
"""
    )
    grown = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert grown < 200  # MiB; all distances would be 549 or 1526


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("distance", [Euclidean(), Cosine(), Dot(), CityBlock()], ids=name)
def test_on_a_gpu_as_its_own_full_sort_says_in_any_chunks(distance: Distance) -> None:
    for case in CASES.values():
        embeddings = case().cuda()
        own = torch.arange(len(embeddings), device="cuda")
        found = nearest(embeddings, embeddings, 9, distance, own)
        again = nearest(embeddings, embeddings, 9, distance, own, memory=1)
        assert_equal(found, again)
        on_cpu = by_sort(embeddings.cpu(), embeddings.cpu(), 9, distance, own.cpu())
        torch.testing.assert_close(found.distance.cpu(), on_cpu.distance, rtol=1e-5, atol=1e-6)


@pytest.mark.medium
@pytest.mark.parametrize("lost", [torch.empty(0, 6), torch.full((3, 6), torch.nan)], ids=["finite", "NaN"])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("distance", [Euclidean(), Cosine(), Dot(), CityBlock()], ids=name)
def test_a_gallery_that_is_searched_in_passes_gives_the_same(
    distance: Distance, bf16: bool, lost: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many queries and little memory: several chunks of columns, of which two are kept at a time."""
    monkeypatch.setattr(retrieval, "COLUMNS", 64)
    monkeypatch.setattr(retrieval, "AT_ONCE", 40)
    embeddings = torch.cat([normal(500, 6), normal(150, 6).round(), lost])
    queries, own = embeddings[-200:], torch.arange(len(embeddings) - 200, len(embeddings))
    passes = []
    search = retrieval._Search._search

    def spied(self: retrieval._Search, *given: object) -> None:
        passes.append(given[-1])
        search(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(retrieval._Search, "_search", spied)
    for k, mine in ((1, None), (3, None), (4, own), (9, own)):
        found = nearest(queries, embeddings, k, distance, mine, bf16=bf16, memory=40 * 64 * 4 * 2)
        expected = by_sort(queries, embeddings, k, distance, mine)
        assert torch.equal(found.index, expected.index)
        torch.testing.assert_close(found.distance, expected.distance, rtol=0, atol=0, equal_nan=True)
    assert max(passes) > 0


def test_a_prepared_gallery_gives_the_same_for_every_search_and_is_not_copied() -> None:
    unit = torch.nn.functional.normalize(normal(400, 16), dim=1)
    repeated = torch.cat([unit, unit[:50], unit[:50]])
    for gallery in (unit, repeated, normal(300, 16)):
        for distance in (Cosine(), Euclidean(), Dot()):
            prepared = PreparedGallery(gallery, distance, bf16=False)
            for k in (1, 2, 7, 1):
                assert_equal(prepared.nearest(unit[:20], k), by_sort(unit[:20], gallery, k, distance))
    for ranks_as in ("cosine", "euclidean", "dot"):
        assert prepare(unit, ranks_as, torch.float32).rows.data_ptr() == unit.data_ptr()
    assert prepare(2 * unit, "cosine", torch.float32).rows.data_ptr() != unit.data_ptr()


@pytest.mark.parametrize("distance", [Cosine(), Euclidean(), Manhattan()], ids=lambda each: type(each).__name__)
def test_rows_too_long_for_two_pairs_at_a_time(distance: Distance, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = normal(6, 16), normal(40, 16)
    monkeypatch.setattr(retrieval, "VALUES", 16)
    for k in (1, 5, 40):
        assert_equal(nearest(queries, gallery, k, distance, bf16=False), by_sort(queries, gallery, k, distance))
