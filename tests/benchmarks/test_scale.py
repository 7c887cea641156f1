"""The arithmetic of docs/scale.md against values by hand, and its tables against the measurements in scale.json."""

import json
import math

import pytest

from benchmarks.scale import COSTS, OUT
from benchmarks.scale_arithmetic import Step, duration, efficiency, hours, nodes, short, size, slowest
from benchmarks.scale_tables import PLACE, TABLES, codes_read, query, with_tables


def test_hours_and_nodes_are_those_by_hand() -> None:
    assert hours(1_000_000, 0.072, cores=2) == pytest.approx(10)
    assert nodes(100_000_000, 0.1, cores=16) == 8  # 10⁷ s / 16 = 625,000 s, 7.2 days
    assert nodes(10, 0.1) == 1
    assert nodes(86_400, 1.0) == 1
    assert nodes(86_401, 1.0) == 2


def test_a_step_sends_weights_gradients_and_the_others_features() -> None:
    step = Step(parameters=100, features=3, photos=10, seconds=0.5)
    assert step.sent(4) == 8 * (100 * 3 + 3 * 7)  # shares of 3, 3, 2 and 2: seven photos are not the leader's
    assert step.in_turn(4, 1) == pytest.approx(2568 * 8e-9)
    assert step.pipelined(4, 1) == pytest.approx(8 * (100 + 3 * 7) * 8e-9)
    assert step.sent(1) == step.pipelined(1, 1) == 0
    assert [step.computing(ranks) for ranks in (1, 3, 4, 10, 20)] == [5.0, 2.0, 1.5, 0.5, 0.5]


def test_sending_takes_as_long_as_computing_at_the_ranks_by_hand() -> None:
    """10⁹ bytes for each other rank take 0.8 s at 10 Gb/s, and the whole batch takes 12.8 s."""
    step = Step(parameters=125_000_000, features=0, photos=128, seconds=0.1)
    assert step.equal(10, pipelined=False) == 5  # 4 · 0.8 s of sending, 26 photos of 0.1 s; with 4 ranks 2.4 s and 32
    assert step.equal(10, pipelined=True) == 16  # 0.8 s of sending, 8 photos
    assert step.equal(1, pipelined=False) == 2
    assert step.equal(1000, pipelined=True) is None


def test_the_slowest_of_two_ranks_takes_what_the_lognormal_says() -> None:
    """The mean of the larger of two lognormal numbers of mean 1 is 2 Φ(σ / √2)."""
    for spread in (0.1, 0.3, 1.0):
        deviation = math.sqrt(math.log(1 + spread**2))
        larger = 1 + math.erf(deviation / 2)
        assert efficiency(128, 2, spread, steps=20_000) == pytest.approx(1 / larger, rel=0.02)


def test_uneven_shares_alone_have_their_efficiency() -> None:
    assert efficiency(128, 3, 0.0) == pytest.approx(128 / (3 * 43))
    assert efficiency(128, 64, 0.0) == 1.0
    assert efficiency(4, 8, 0.0) == 0.5


def test_searches_are_linear_and_the_index_reads_probes_of_its_partitions() -> None:
    assert query(1_000_000) == pytest.approx(5.254 / 512 / 2)  # half the numbers of benchmark (f)
    assert query(10**9) == pytest.approx(1000 * query(10**6))
    assert codes_read(1_000_000) == 1_000_000 * 64 / 512
    assert codes_read(5_000_000) == 5_000_000 / 8
    assert codes_read(20_000) == 20_000 * 32 / 128


def test_numbers_are_told_in_their_units() -> None:
    assert [duration(each).replace("\xa0", " ") for each in (0.01, 0.2, 12, 71, 73, 2_400, 87_660)] == [
        "36 s", "12 min", "12 h", "71 h", "3.0 days", "100 days", "10 years"
    ]  # fmt: skip
    assert [size(each).replace("\xa0", " ") for each in (0, 512, 150_528e6, 4e15)] == [
        "0 B",
        "512 B",
        "151 GB",
        "4.0 PB",
    ]
    assert [short(each) for each in (0.123, 1.26, 9.96, 1234.5)] == ["0.12", "1.3", "10", "1,234"]
    assert slowest({"a": 1.0, "b": 2.0}) == "b"


def test_the_page_has_the_tables_of_the_measurements() -> None:
    page, costs = OUT.read_text(encoding="utf-8"), json.loads(COSTS.read_text(encoding="utf-8"))
    assert sorted(place[2] for place in PLACE.finditer(page)) == sorted(TABLES)
    assert with_tables(page, costs) == page, "python -m benchmarks.scale writes them"
    costs["decoding"]["2"]["seconds"] *= 2
    assert with_tables(page, costs) != page
