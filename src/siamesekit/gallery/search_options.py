"""The options of a search."""

from __future__ import annotations

from dataclasses import dataclass

from siamesekit.errors import UserError
from siamesekit.gallery.promise import check_share
from siamesekit.gallery.refinement import Refinement
from siamesekit.gallery.search import Scoring
from siamesekit.gallery.second_look import SecondLook


@dataclass(frozen=True)
class SearchOptions:
    """What is searched, and how; `Catalogue.search` explains each option.

    Raises:
        UserError: the scoring or the promised share is none.
    """

    k: int | None = None
    where: str | None = None
    scoring: Scoring = "nearest"
    second_look: SecondLook | None = None
    refinement: Refinement | None = None
    false_known: float | None = None

    def __post_init__(self) -> None:
        if not (self.scoring in ("nearest", "mean") or (isinstance(self.scoring, int) and self.scoring >= 1)):
            raise UserError(f"scoring: expected nearest, mean or a number of photos, not {self.scoring!r}")
        if self.false_known is not None:
            check_share(self.false_known)
