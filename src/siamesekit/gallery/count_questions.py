"""Which pairs a person is asked about for the number of individuals, and the number from the answers.

The draws of `counting` depend on the photos and the model only. So a later call makes the same draws, finds their pairs
among the answers, and asks about further ones. Only the first draws count, up to one that is not answered whole: if
anyone could choose which draws count, the number would be biased.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from siamesekit.gallery.clustering import Matrix
from siamesekit.gallery.counting import FEWEST, MOST_DRAWS, CountEstimate, Draw, draws, estimate
from siamesekit.gallery.links import Links, Pair, ordered
from siamesekit.gallery.pair_answers import PairAnswer

OTHERS = (
    "no number of individuals: its pairs were drawn for other photos or another model; empty their column draw, and "
    "they still count as links, or leave the answers out to get new questions"
)
"""Why answers give no number."""


@dataclass(frozen=True)
class CountQuestion:
    """A pair to ask about for the number of individuals.

    Attributes:
        photos: indices of the two photos.
        probability: probability of "same".
        draw: number of the first draw to which it belongs, from 1 on.
    """

    photos: Pair
    probability: float
    draw: int


@dataclass(frozen=True)
class Counted:
    """The number of individuals so far.

    Attributes:
        questions: pairs to ask about, in order.
        estimate: the estimate, or None.
        notes: why there is none, as sentences.
    """

    questions: tuple[CountQuestion, ...]
    estimate: CountEstimate | None
    notes: tuple[str, ...]


def counted(
    probabilities: Matrix,
    photos: Mapping[str, int],
    links: Links,
    answers: Sequence[PairAnswer],
    asked: int,
    odds: float = 1.0,
) -> Counted:
    """The number of individuals from the answers, and the next questions.

    Args:
        probabilities: probabilities of "same", `[N, N]`, 0 on the diagonal, without links.
        photos: indices of the photos, by name.
        links: the links, with those of the answers.
        answers: the answers.
        asked: most questions; those of a draw are asked together.
        odds: factor by which the odds of the probabilities are corrected before pairs are drawn.
    """
    given: dict[int, set[Pair]] = {}
    for each in answers:
        if each.draw is not None:
            given.setdefault(each.draw, set()).add(ordered(photos[each.photo], photos[each.other]))
    last = max(given, default=0)
    if last > MOST_DRAWS:
        return Counted((), None, (OTHERS,))
    complete: list[Draw] = []
    open_pairs: dict[Pair, CountQuestion] = {}
    whole = True
    for number, draw in enumerate(draws(probabilities, odds), 1):
        pairs = {ordered(draw.photo, int(partner)) for partner in draw.partners}
        if not given.get(number, set()) <= pairs:
            return Counted((), None, (OTHERS,))
        new = {pair: _question(probabilities, pair, number) for pair in sorted(pairs) if links.same(*pair) is None}
        whole = whole and not new
        if number <= last and whole:
            complete.append(draw)
        if number > last and len(open_pairs.keys() | new.keys()) > asked and (open_pairs or not asked):
            break
        open_pairs = {**new, **open_pairs}
    several = len(np.unique(links.components))
    found = estimate(complete, lambda a, b: bool(links.same(a, b)), several)
    notes = () if found or not last else (f"the number of individuals needs {FEWEST} draws answered whole, in order",)
    order = sorted(open_pairs.values(), key=lambda each: (each.draw, each.photos))
    return Counted(tuple(order), found, notes)


def _question(probabilities: Matrix, pair: Pair, draw: int) -> CountQuestion:
    return CountQuestion(pair, float(probabilities[pair]), draw)
