"""Random streams: the same for the same seed and purpose, whatever else is drawn."""

import binascii

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.randomness import Streams, generator, torch_seed

SEEDS = st.integers(0, 2**63 - 1)


@given(SEEDS, st.text(max_size=20))
def test_a_stream_is_pcg64_seeded_by_seed_and_the_purpose_s_crc(seed: int, purpose: str) -> None:
    sequence = np.random.SeedSequence([seed, binascii.crc32(purpose.encode("utf-8"))])
    expected = np.random.Generator(np.random.PCG64(sequence)).integers(2**63, size=3)
    assert generator(seed, purpose).integers(2**63, size=3).tolist() == expected.tolist()


def test_streams_stay_as_they_were_so_that_old_runs_can_be_repeated() -> None:
    assert generator(5, "split").permutation(8).tolist() == [6, 3, 5, 0, 1, 2, 4, 7]
    assert torch_seed(5, "weights") == 7094292187825397140


def test_a_stream_does_not_depend_on_others() -> None:
    alone = generator(1, "a").random(4).tolist()
    generator(1, "b").random(100)
    np.random.default_rng(0).random(3)
    assert generator(1, "a").random(4).tolist() == alone


def test_seeds_and_purposes_give_different_streams() -> None:
    firsts = {generator(seed, purpose).random() for seed in range(20) for purpose in ("split", "triplets", "x", "")}
    assert len(firsts) == 80


@given(SEEDS)
def test_torch_takes_every_seed(seed: int) -> None:
    value = torch_seed(seed, "head")
    assert 0 <= value < 2**63
    assert torch.Generator().manual_seed(value).initial_seed() == value


def test_streams_are_splitmix64() -> None:
    """The first numbers from the state 1234567, as the generator's users publish them; and by plain whole numbers."""
    streams = Streams(np.array([1234567, 0], dtype=np.uint64))
    found = [streams.bits()[0].item() for _ in range(5)]
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def splitmix(state: int) -> int:
    mask = 2**64 - 1
    mixed = (state + 0x9E3779B97F4A7C15) & mask
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
    return mixed ^ (mixed >> 31)


@given(SEEDS, SEEDS, st.lists(SEEDS, min_size=1, max_size=5))
def test_a_stream_is_named_by_its_labels_alone(seed: int, epoch: int, photos: list[int]) -> None:
    found = Streams.of(seed, epoch, photos)
    assert len(found) == len(photos)
    bits = found.bits().tolist()
    for photo, own in zip(photos, bits, strict=True):
        key = splitmix(splitmix(splitmix(splitmix(0) ^ seed) ^ epoch) ^ photo)
        assert own == splitmix(key)


def test_streams_are_even_and_independent() -> None:
    streams = Streams.of(1, np.arange(20_000))
    draws = np.stack([streams.uniform() for _ in range(4)])
    assert (draws.min(), draws.max()) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))
    counts = np.stack([np.histogram(draw, 50, (0, 1))[0] for draw in draws])
    assert np.abs(counts - 400).max() < 5 * 400**0.5
    both = np.corrcoef(np.concatenate([draws, np.roll(draws, 1, axis=1)]))  # draws, and neighbouring streams
    assert np.abs(both - np.eye(8)).max() < 5 / 20_000**0.5


def test_streams_keep_to_their_range() -> None:
    found = Streams.of(2, np.arange(5000)).uniform(-3, 5)
    assert found.min() >= -3
    assert found.max() < 5
    assert found.mean() == pytest.approx(1, abs=0.15)
