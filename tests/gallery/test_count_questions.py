"""Which pairs are asked for the number of individuals, round after round, with a person who knows the individuals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from siamesekit.gallery.count_questions import OTHERS, Counted, counted
from siamesekit.gallery.counting import draws, estimate
from siamesekit.gallery.links import Links, ordered
from siamesekit.gallery.pair_answers import PairAnswer, linked

INDIVIDUALS = np.repeat(np.arange(30), [1, 2, 3, 4, 5, 6] * 5)
NAMES = {f"{number}.jpg": number for number in range(len(INDIVIDUALS))}


@pytest.fixture(scope="module")
def chances() -> NDArray[np.float32]:
    """Probabilities that are high for the same individual, and high for few others."""
    rng = np.random.default_rng(0)
    same = INDIVIDUALS[:, None] == INDIVIDUALS[None]
    found = np.where(same, 0.8, np.where(rng.random(same.shape) < 0.05, 0.5, 0.01))
    found = np.minimum(found, found.T)
    np.fill_diagonal(found, 0)
    return found.astype(np.float32)


def answered(found: Counted) -> list[PairAnswer]:
    """The answers of a person who knows."""
    return [
        PairAnswer(f"{a}.jpg", f"{b}.jpg", bool(INDIVIDUALS[a] == INDIVIDUALS[b]), each.draw, "line 2")
        for each in found.questions
        for a, b in [each.photos]
    ]


def asked(chances: NDArray[np.float32], answers: list[PairAnswer], most: int) -> Counted:
    return counted(chances, NAMES, linked(NAMES, Links(len(NAMES)), answers), answers, most)


def test_rounds_of_questions_narrow_the_interval(chances: NDArray[np.float32]) -> None:
    answers: list[PairAnswer] = []
    widths = []
    for _ in range(4):
        found = asked(chances, answers, 60)
        assert 0 < len(found.questions) <= 60
        pairs = {ordered(NAMES[each.photo], NAMES[each.other]) for each in answers}
        assert not pairs & {each.photos for each in found.questions}
        answers += answered(found)
        if found.estimate:
            widths.append(found.estimate.high - found.estimate.low)
            assert found.estimate.low <= 30 <= found.estimate.high
    assert len(widths) == 3 and widths[-1] < widths[0]


def test_the_estimate_is_that_of_the_first_draws(chances: NDArray[np.float32]) -> None:
    answers = answered(asked(chances, [], 80))
    last = max(each.draw or 0 for each in answers)
    first = [draw for number, draw in enumerate(draws(chances), 1) if number <= last]
    most = len(np.unique(linked(NAMES, Links(len(NAMES)), answers).components))
    assert asked(chances, answers, 0).estimate == estimate(
        first, lambda a, b: bool(INDIVIDUALS[a] == INDIVIDUALS[b]), most
    )


def test_a_pair_left_open_ends_the_draws_that_count_and_is_asked_again(chances: NDArray[np.float32]) -> None:
    answers = answered(asked(chances, [], 120))
    whole = asked(chances, answers, 0).estimate
    draw = max(each.draw or 0 for each in answers) - 2
    for left in [each for each in answers if each.draw == draw]:
        rest = [each for each in answers if each != left]
        if linked(NAMES, Links(len(NAMES)), rest).same(NAMES[left.photo], NAMES[left.other]) is None:
            break  # the others do not tell
    found = asked(chances, rest, 50)
    assert whole is not None and found.estimate is not None and found.estimate.draws == draw - 1 < whole.draws
    assert found.questions[0].photos == ordered(NAMES[left.photo], NAMES[left.other])


def test_links_alone_count_nothing_but_spare_questions(chances: NDArray[np.float32]) -> None:
    hand = [PairAnswer("0.jpg", f"{number}.jpg", False, None, "line 2") for number in range(1, len(NAMES))]
    found = asked(chances, hand, 100)
    assert found.estimate is None and found.notes == ()
    assert all(0 not in each.photos for each in found.questions)


def test_answers_for_other_photos_give_no_number(chances: NDArray[np.float32]) -> None:
    answers = answered(asked(chances, [], 60))
    found = asked(chances[::-1, ::-1], answers, 60)
    assert found == Counted((), None, (OTHERS,))
    far = [PairAnswer("0.jpg", "1.jpg", False, 99_999, "line 2")]
    assert asked(chances, far, 60) == Counted((), None, (OTHERS,))


def test_too_few_draws_say_so(chances: NDArray[np.float32]) -> None:
    answers = [each for each in answered(asked(chances, [], 60)) if each.draw == 1]
    found = asked(chances, answers, 10)
    assert found.estimate is None and found.notes == (
        "the number of individuals needs 5 draws answered whole, in order",
    )
