"""Copies of photos: of the same bytes, of the same pixels, and near-copies; within individuals, across them, across the
split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from siamesekit.audit.facts import PhotoFacts
from siamesekit.audit.finding import Finding
from siamesekit.audit.near_copies import near_pairs
from siamesekit.data.images import read_pixels
from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.records import Record
from siamesekit.files.remote_address import RemotePhoto

SAME_BYTES, SAME_PIXELS, NEAR_COPY = "the same bytes", "the same pixels", "nearly the same picture"
SAME_PICTURE = 0.995
"""Correlation of thumbnails from which photos of the same size are decoded in full, and their pixels compared."""
MOST_DECODED = 2000
"""Most photos that are decoded in full for it."""
OTHERS = 5
"""Most photos named beside a copy."""
PART_ORDER = ("train", "gallery", "validation", "test", "")
"""Of copies, that in the first of these parts is the original."""


@dataclass(frozen=True)
class Copies:
    """Photos that are copies of each other.

    Attributes:
        groups: names of the photos of each group of copies, the original first.
        exact: whether all photos of each group have the same bytes or pixels.
        relation: for each pair of names in a group that was found, `SAME_BYTES`, `SAME_PIXELS` or `NEAR_COPY`.
    """

    groups: tuple[tuple[str, ...], ...]
    exact: tuple[bool, ...]
    relation: Mapping[frozenset[str], str]

    def group_of(self) -> dict[str, int]:
        """Number of the group of each photo that has a copy."""
        return {name: number for number, names in enumerate(self.groups) for name in names}


def copies_of(
    records: Sequence[Record],
    facts: Mapping[str, PhotoFacts],
    parts: Mapping[str, str],
    alike: Sequence[tuple[str, str]] = (),
) -> Copies:
    """The copies among photos. Two boxes of one file are no copies.

    Args:
        records: records of all photos.
        facts: facts by the names of the photos.
        parts: part of the split of each photo, by name; the original of a group is taken from the training part.
        alike: further pairs of photos that may be near-copies, such as those of near embeddings.
    """
    by_name = {record.name: record for record in records if record.name in facts}
    rank = {
        name: (PART_ORDER.index(parts.get(name, "")), len(name), number)  # `a (1).jpg` is the copy of `a.jpg`
        for number, name in enumerate(by_name)
    }
    relation: dict[frozenset[str], str] = {}
    same_bytes = _grouped(by_name, lambda name: facts[name].file and (facts[name].file, by_name[name].box))
    _relate(relation, same_bytes, SAME_BYTES)
    extra = {name for group in same_bytes for name in group[1:]}
    single = [name for name in by_name if name not in extra]
    place = {name: number for number, name in enumerate(single)}
    more = [(place[first], place[second]) for first, second in alike if first in place and second in place]
    near = [
        (single[pair.first], single[pair.second], pair.correlation)
        for pair in near_pairs([facts[name] for name in single], more)
        if not _boxes_of_one_file(by_name[single[pair.first]], by_name[single[pair.second]])
    ]
    same_pixels = _same_pixels(single, near, by_name, facts)
    _relate(relation, same_pixels, SAME_PIXELS)
    for first, second, _ in near:
        relation.setdefault(frozenset((first, second)), NEAR_COPY)
    groups = _components([tuple(pair) for pair in relation])
    ordered = sorted((sorted(group, key=rank.__getitem__) for group in groups), key=lambda group: rank[group[0]])
    exact_of = _components([tuple(pair) for pair, how in relation.items() if how != NEAR_COPY])
    exact = {frozenset(group) for group in exact_of}
    return Copies(tuple(map(tuple, ordered)), tuple(frozenset(group) in exact for group in ordered), relation)


def copy_findings(records: Sequence[Record], copies: Copies, parts: Mapping[str, str]) -> list[Finding]:
    """A finding for each copy but the original of its group; for all of a group that shows several individuals.

    Args:
        records: records of all photos.
        copies: the copies among them.
        parts: part of the split of each photo, by name.
    """
    who = {record.name: record.individual for record in records}
    found = []
    for names, exact in zip(copies.groups, copies.exact, strict=True):
        several = len({who[name] for name in names} - {""}) > 1
        for name in names if several else names[1:]:
            others = sorted((other for other in names if other != name), key=lambda o: _nearness(copies, name, o))
            found.append(_finding(name, others, (who, parts), copies, exact))
    return found


def _finding(
    name: str,
    others: Sequence[str],
    about: tuple[Mapping[str, str], Mapping[str, str]],
    copies: Copies,
    exact: bool,
) -> Finding:
    who, parts = about
    stranger = next((other for other in others if who[other] and who[name] and who[other] != who[name]), None)
    outside = next((other for other in others if parts.get(other, "") != parts.get(name, "")), None)
    shown = stranger or outside or others[0]
    how = _relation(copies, name, shown)
    what = f"{how} as {shown}" if how != NEAR_COPY else f"{how} as {shown}: scaled, cropped or compressed again"
    near = "" if exact or _relation(copies, name, others[0]) != NEAR_COPY else "near_"
    if stranger is not None:
        kind = f"{near}copy_of_another_individual"
        what += f", which is said to show {who[stranger]}"
    elif outside is not None:
        kind = f"{near}copy_across_split"
    else:
        kind = "near_copy" if near else "exact_copy"
    if parts.get(shown, "") != parts.get(name, ""):
        what += f"; the parts of the split: {parts.get(name) or 'none'}, {parts.get(shown) or 'none'}"
    rest = [other for other in others if other != shown]
    return Finding(kind, name, who[name], what, (shown, *rest)[:OTHERS])


def _relation(copies: Copies, first: str, second: str) -> str:
    return copies.relation.get(frozenset((first, second)), NEAR_COPY)


def _nearness(copies: Copies, name: str, other: str) -> int:
    return (SAME_BYTES, SAME_PIXELS, NEAR_COPY).index(_relation(copies, name, other))


def _relate(relation: dict[frozenset[str], str], groups: Iterable[Sequence[str]], how: str) -> None:
    """Relate each photo of a group to all others of it, in a small group, or else to the first."""
    for group in groups:
        for number, first in enumerate(group[: OTHERS + 1]):
            for other in group[number + 1 :]:
                relation.setdefault(frozenset((first, other)), how)


def _grouped(names: Iterable[str], value: Callable[[str], Hashable]) -> list[list[str]]:
    """Names with equal values, in groups of two or more; names without a value are in none."""
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for name in names:
        if key := value(name):
            groups[key].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _same_pixels(
    names: Sequence[str],
    near: Iterable[tuple[str, str, float]],
    records: Mapping[str, Record],
    facts: Mapping[str, PhotoFacts],
) -> list[list[str]]:
    """Groups of photos with the same pixels. Only photos that look the same are decoded in full."""
    looks = [name for group in _grouped(names, lambda name: facts[name].picture) for name in group]
    for first, second, alike in near:
        one, other = facts[first], facts[second]
        if alike >= SAME_PICTURE and (one.width, one.height) == (other.width, other.height):
            looks += [first, second]
    digests: dict[str, bytes] = {}
    for name in list(dict.fromkeys(looks))[:MOST_DECODED]:
        with suppress(UnreadableError):
            pixels = read_pixels(records[name])
            digests[name] = blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest()
    return _grouped(digests, digests.__getitem__)


def _boxes_of_one_file(first: Record, second: Record) -> bool:
    return isinstance(first.source, Path | RemotePhoto) and first.source == second.source


def _components(pairs: Iterable[tuple[str, ...]]) -> list[list[str]]:
    """The connected groups of names that pairs join."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for first, second in pairs:
        above[top(second)] = top(first)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in above:
        groups[top(name)].append(name)
    return list(groups.values())
