"""Random streams: the same for the same seed and purpose, whatever else is drawn."""

import binascii

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.randomness import generator, torch_seed

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
