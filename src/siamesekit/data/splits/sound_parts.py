"""Checks of a split: parts that can train and judge, and queries that have something to be found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from siamesekit.data.records import Record
from siamesekit.data.splits.split import Kind, Split
from siamesekit.errors import DataError
from siamesekit.wording import first_lines, line_of_name

SHOWN = 10


def unmatched(split: Split, records: Sequence[Record]) -> list[int]:
    """The test photos whose individual has no photo outside the test part: none of them can be found there."""
    known = {records[photo].individual for photo in split.searched()}
    return [photo for photo in split.test if records[photo].individual not in known]


def settled(split: Split, records: Sequence[Record], by: Kind, rule: Literal["refuse", "leave-out", "new"]) -> Split:
    """Refuse, leave out or keep test photos without another photo of their individual outside the test part.

    If a column leaves no test individual outside the test part, the test individuals are unseen ones, as in a split by
    identity, and nothing is refused.

    Raises:
        DataError: there are such photos, and `rule` refuses them.
    """
    alone = unmatched(split, records)
    if not alone or rule == "new" or (by == "column" and len(alone) == len(split.test)):
        return split
    if rule == "leave-out":
        left = {*alone}
        return replace(split, test=tuple(photo for photo in split.test if photo not in left), left_out=tuple(alone))
    who = {records[photo].individual for photo in alone}
    raise DataError(
        f"{len(alone)} of {len(split.test)} test photos show {len(who)} individuals without a photo outside the test "
        'part, so they cannot be found: add photos, or set split.unmatched = "leave-out", or "new" if they are '
        "new individuals",
        first_lines([f"{line_of_name(records[photo].name)}: {records[photo].individual}" for photo in alone], SHOWN),
    )


def lacking(split: Split, records: Sequence[Record], wants_validation: bool, closed: bool) -> str | None:
    """Message on the first part that cannot serve; None if all can.

    Parts need positive and negative pairs: two individuals, one of them with two photos. Of test and validation photos
    that are searched among other photos, one needs a photo of its individual there.

    Args:
        split: the split.
        records: records of all photos.
        wants_validation: whether a validation part is wanted.
        closed: whether the test photos are searched among the photos outside the test part, and validation photos
            among those that train.
    """
    wanted = {"train": split.train, "test": split.test}
    if wants_validation:
        wanted["validation"] = split.validation
    if closed:
        known = {records[photo].individual for photo in split.train}
        if wants_validation and not any(records[photo].individual in known for photo in wanted.pop("validation")):
            return f"none of the {len(split.validation)} validation photos would be of an individual that trains"
        if len(unmatched(split, records)) == len(wanted.pop("test")):
            return f"none of the {len(split.test)} test photos would have another photo of its individual to be found"
    for name, part in wanted.items():
        counts = Counter(records[i].individual for i in part)
        pairs = sum(count >= 2 for count in counts.values())
        if len(counts) < 2 or pairs < 1:
            return (
                f"the {name} part would have {len(counts)} individuals, {pairs} of them with two photos or more; it "
                "needs two individuals, one of them with two photos"
            )
    return None
