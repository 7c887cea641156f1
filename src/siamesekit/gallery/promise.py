"""A promise: of the photos of new individuals, at most a certain share is called known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from siamesekit.errors import UserError
from siamesekit.gallery.identification import FEWEST, individuals_needed
from siamesekit.gallery.identifying import FittedIdentification
from siamesekit.gallery.search import Answer, Verdict


@dataclass(frozen=True)
class Promise:
    """A promise that can be kept.

    Attributes:
        false_known: share of the photos of new individuals that are called known, at most.
        limit: the largest probability of "new" with which a query is called known.
    """

    false_known: float
    limit: float

    def verdict(self, new: float) -> Verdict:
        """What a query is called that shows a new individual with this probability."""
        return "known" if new <= self.limit else "maybe new"

    def judged(self, answers: Iterable[Answer]) -> list[Answer]:
        """Answers with their verdicts, by their probabilities of "new"."""
        return [replace(each, verdict=None if each.new is None else self.verdict(each.new)) for each in answers]


def check_share(false_known: float) -> None:
    """Check that a share can be promised at all.

    Raises:
        UserError: it is not above 0 and below 1.
    """
    if not 0 < false_known < 1:
        raise UserError(f"false_known (--false-known) must be above 0 and below 1, such as 0.05, not {false_known:g}")


def promise(fitted: FittedIdentification, false_known: float, size: int) -> Promise:
    """The promise of a share of false "known" for searches among so many individuals.

    Args:
        fitted: the model of identification for such searches.
        false_known: the share, above 0 and below 1.
        size: number of individuals that are searched.

    Raises:
        UserError: too few individuals show how often new ones are called known.
    """
    cannot = f'--false-known {false_known:g} cannot be promised for "known"'
    needed = individuals_needed(false_known)
    if fitted.model is None:
        raise UserError(f"{cannot}: {fitted.note}")
    if fitted.trained:
        raise UserError(
            f"{cannot}: new individuals are unlike those that trained the network, and only {fitted.untrained} of the "
            f"catalogue did not train it; {max(needed, FEWEST)} are needed"
        )
    if size > fitted.model.largest + 1:
        raise UserError(
            f"{cannot}: {size:,} individuals are searched, and it is measured in galleries of up to "
            f"{fitted.model.largest:,}; search a part of them with --where"
        )
    limit = fitted.model.limit(false_known, size)
    if limit is None:
        there = fitted.model.individuals
        least = math.ceil(10_000 / (there + 1)) / 10_000
        raise UserError(
            f"{cannot}: {needed} individuals that did not train the network are needed to measure it, and {there} are "
            f"there ({fitted.note}); {least:g} can be promised"
        )
    return Promise(false_known, limit)


def with_promise(note: str, false_known: float | None) -> str:
    """A note on what probabilities are worth, and the promise, if there is one."""
    if false_known is None:
        return note
    return f'{note}; of the photos of new individuals, at most {100 * false_known:.3g} % are called "known"'
