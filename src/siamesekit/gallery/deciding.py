"""Apply a person's decisions to a catalogue, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siamesekit.data.loading import UnusablePhoto
from siamesekit.errors import DataError
from siamesekit.gallery import database, who
from siamesekit.gallery.decisions import Decision
from siamesekit.gallery.enrolling import NewPhoto, box_text, fingerprints
from siamesekit.gallery.sighting import Sighting
from siamesekit.gallery.storage import Storage
from siamesekit.gallery.table_lines import refuse
from siamesekit.progress import Progress
from siamesekit.wording import line_of_name, near


@dataclass(frozen=True)
class Decided:
    """What `Catalogue.decide` did.

    Attributes:
        same: number of photos that were given to individuals of the catalogue.
        new: number of photos that were given to new individuals.
        individuals: number of new individuals.
        unsure: number of photos whose individual stays open.
        bad: number of photos that were called bad.
        there: number of decisions that had been applied before.
    """

    same: int
    new: int
    individuals: int
    unsure: int
    bad: int
    there: int


def decide(
    storage: Storage, decisions: Sequence[Decision], progress: Progress, instead_of: int | None = None
) -> tuple[Decided, int]:
    """Apply decisions; photos that the catalogue does not know are embedded and stored first.

    Args:
        storage: the catalogue.
        decisions: the decisions.
        progress: progress display.
        instead_of: a change that is undone in the same step.

    Returns:
        What was done, and the number of its change; 0 if all had been applied before.

    Raises:
        DataError: decisions contradict each other or the catalogue, or photos are not there; nothing is changed.
        OutputError: another process changes the catalogue, or the disk refuses.
        UserError: the other change cannot be undone any more.
    """
    with storage.writing():
        with storage.rehearsal(instead_of):
            todo, there, problems = _compared(storage, decisions)
        _refuse(storage, todo, problems, progress)
        numbers = _stored(storage, todo, progress)
        counts = {word: sum(decision.word == word for decision in todo) for word in ("same", "new", "unsure", "bad")}
        created = {decision.record.individual for decision in todo if decision.word == "new"}
        if not todo and instead_of is None:
            return Decided(0, 0, 0, 0, 0, there), 0
        with storage.transaction():
            if instead_of is not None:
                storage.reverse(instead_of)
            if not todo:
                return Decided(0, 0, 0, 0, 0, there), 0
            placed = [decision for decision in todo if decision.record.individual]
            individuals = who.numbers_of(storage.connection, {decision.record.individual for decision in placed})
            summary = (
                f"{counts['same']} photos of known individuals, {counts['new']} of {len(created)} new ones, "
                f"{counts['unsure']} unsure, {counts['bad']} bad"
            )
            change = storage.change("decide", summary)
            moves = [(numbers[_identity(each)], individuals[each.record.individual]) for each in placed]
            database.assign(storage.connection, change, moves)
            known = who.individuals(storage.connection)
            rejected = {
                numbers[_identity(each)]: [known[name] for name in each.rejected if name in known] for each in todo
            }
            words = {numbers[_identity(each)]: each.word for each in todo}
            database.keep_decisions(storage.connection, change, words, rejected)
    return Decided(counts["same"], counts["new"], len(created), counts["unsure"], counts["bad"], there), change


def _compared(storage: Storage, decisions: Sequence[Decision]) -> tuple[list[Decision], int, list[str]]:
    """The decisions to apply, each once; the number of those that the catalogue has already; and contradictions."""
    individuals = who.individuals(storage.connection)
    first: dict[tuple[str, str], Decision] = {}
    problems: list[str] = []
    there = 0
    for decision in decisions:
        shown = f"{decision.place}: {line_of_name(decision.record.name)}"
        name, earlier = decision.record.individual, first.setdefault(_identity(decision), decision)
        if earlier is not decision:
            there += _what(earlier) == _what(decision)
            if _what(earlier) != _what(decision):
                problems.append(f"{shown} is {_said(decision)}, and {_said(earlier)} in {earlier.place}")
            continue
        known = who.known_photo(storage.connection, _identity(decision))
        if known is not None and known[1] is not None:
            there += known[1] == name
            if known[1] != name:
                problems.append(f"{shown} is {_said(decision)}, and the catalogue has it as {known[1]}")
            del first[_identity(decision)]
        elif known is not None and not name and who.last_decision(storage.connection, known[0]) == decision.word:
            there += 1
            del first[_identity(decision)]
        elif decision.word == "same" and name not in individuals:
            problems.append(f"{shown}: the catalogue has no individual {name!r}{near(name, individuals)}")
        elif decision.word == "new" and name in individuals:
            problems.append(f"{shown} is called new, and the catalogue has an individual {name!r}: choose another name")
    return list(first.values()), there, problems


def _refuse(storage: Storage, decisions: Sequence[Decision], problems: list[str], progress: Progress) -> None:
    """Refuse decisions that contradict something, or on photos that are not there as they were.

    Raises:
        DataError: there are some.
    """
    unknown = [each for each in decisions if who.known_photo(storage.connection, _identity(each)) is None]
    digests = fingerprints([decision.record for decision in unknown], progress)
    for decision, digest in zip(unknown, digests, strict=True):
        where = f"{decision.place}: {line_of_name(str(decision.record.source))}"
        if isinstance(digest, UnusablePhoto):
            problems.append(f"{where}: {digest.reason}")
        elif digest != decision.sha256:
            problems.append(f"{where} is not the photo that was decided on: its file has changed")
    refuse(problems, f"{len(problems)} decisions cannot be applied; nothing was changed:")


def _stored(storage: Storage, decisions: Sequence[Decision], progress: Progress) -> dict[tuple[str, str], int]:
    """The numbers of the photos; those that are unknown are embedded and stored without an individual."""
    numbers: dict[tuple[str, str], int] = {}
    new: list[NewPhoto] = []
    for decision in decisions:
        known = who.known_photo(storage.connection, _identity(decision))
        if known is None:
            record = decision.record
            new.append(NewPhoto(record, record.individual, decision.sha256, box_text(record.box)))
        else:
            numbers[_identity(decision)] = known[0]
    unusable: list[UnusablePhoto] = []
    numbers.update((photo.identity, number) for number, photo in storage.store(new, progress, unusable))
    if unusable:
        raise DataError(f"{len(unusable)} photos cannot be read; nothing was decided:", list(map(str, unusable[:10])))
    return numbers


def _identity(decision: Decision) -> tuple[str, str]:
    return Sighting(decision.record, decision.sha256).identity


def _what(decision: Decision) -> tuple[str, str]:
    return decision.word, decision.record.individual


def _said(decision: Decision) -> str:
    """The decision in words."""
    return f"{decision.record.individual} ({decision.word})" if decision.record.individual else decision.word
