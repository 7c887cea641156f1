"""The audit of a run's photos, and the figures without copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.audit.auditing import Audit, AuditSettings, audit
from siamesekit.audit.copies import Copies, copies_of
from siamesekit.audit.gathering import Gathering
from siamesekit.audit.suspects import Neighbours
from siamesekit.config import Config
from siamesekit.data.records import Record
from siamesekit.data.splits import Split
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.retrieval import retrieval_metrics
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.experiment.judgement import Network, bootstrap_of, main_values
from siamesekit.progress import Progress
from siamesekit.wording import with_interval


def audit_of(config: Config, gathered: Gathering, parts: Mapping[str, str], near: Neighbours | None = None) -> Audit:
    """The audit of the photos that were looked at.

    Args:
        config: config of the run.
        gathered: records and facts of the photos.
        parts: part of the split of each photo, by name.
        near: the nearest photos of each photo in the space of a model; None without a model.
    """
    settings = AuditSettings(
        parts,
        config.data.size,
        config.split.encounter,
        config.split.gap_seconds,
        gathered.skipped,
        config.check.accept.patterns(),
    )
    return audit(gathered.records, gathered, settings, near)


def tell(found: Audit, progress: Progress) -> None:
    """Say how much was found; warn of what is serious."""
    if found.findings or found.accepted:
        listing = "; siamesekit check lists them" if found.findings else ""
        progress.say(f"{found.sentence()}{listing}")
    for line in found.told("serious"):
        progress.warn(line)


def parts_by_name(records: Sequence[Record], split: Split) -> dict[str, str]:
    """The part of each photo of a split, by the photo's name."""
    return {records[photo].name: part for part, photos in split.parts().items() for photo in photos}


def copies_among(records: Sequence[Record], split: Split, gathering: Gathering, progress: Progress) -> Copies:
    """The copies among photos of which no audit is made; a photo that cannot be read is none.

    Args:
        records: records of the photos.
        split: their split.
        gathering: has looked at some of the photos; it reads the others.
        progress: shows the photos being looked at.
    """
    gathering.begin(records, ())
    gathering.read(progress)
    return copies_of(records, gathering.facts, parts_by_name(records, split))


def without_copies(
    config: Config,
    named: tuple[Sequence[Record], Split],
    judged: EvaluationSet,
    networks: Mapping[str, Network],
    copies: Copies,
) -> dict[str, Any] | None:
    """The main figures as if each photo were there once: without test photos that have a copy in another part, and with
    one of several copies.

    Args:
        config: config of the run or the evaluation.
        named: records of the photos, and their split.
        judged: the photos that judge the networks.
        networks: the networks by name.
        copies: the copies among the photos.

    Returns:
        The number of test photos that are left out, the number of queries left, the figures of each network, and a
        sentence; None if no test photo is a copy.
    """
    records, split = named
    outside = {records[photo].name for photo in split.searched()}
    left = once(judged.names, judged.tested, copies, outside)
    tested = int(left[: judged.tested].sum())
    if tested == judged.tested:
        return None
    queries = torch.from_numpy(np.flatnonzero(left[: judged.tested]))
    gallery = judged.protocol.gallery[torch.from_numpy(left)[judged.protocol.gallery]]
    protocol, labels = Protocol(queries, gallery, judged.protocol.apart), torch.from_numpy(judged.labels)
    answerable = int((protocol.relevant(labels) > 0).sum()) if len(queries) else 0
    figures = {}
    for name, network in networks.items() if answerable else ():
        found = retrieval_metrics(network.embeddings, labels, network.distance, protocol=protocol)
        owners = judged.labels[queries.numpy()]
        figures[name] = {
            figure: bootstrap_of(config).mean(values, owners)._asdict() for figure, values in main_values(found).items()
        }
    gone = judged.tested - tested
    begin = f"{gone} of {judged.tested} test photos {'is a copy' if gone == 1 else 'are copies'} of other photos"
    left_out = f"{begin}: without {'it' if gone == 1 else 'them'},"
    if figures:
        main = next(iter(figures.values()))
        sentence = f"{left_out} P@1 is {with_interval(main['precision_at_1'])}."
    else:
        sentence = f"{left_out} no test photo has a photo of its individual left."
    return {"copies": gone, "queries": answerable, "networks": figures, "sentence": sentence}


def once(names: Sequence[str], tested: int, copies: Copies, outside: set[str]) -> NDArray[np.bool_]:
    """Which of N photos stay if each is to be there once, bool `[N]`.

    Args:
        names: names of the photos, the test photos first.
        tested: number of test photos.
        copies: the copies among all photos of the data set.
        outside: names of the photos outside the test part; a test photo with a copy there does not stay.
    """
    groups = {name: group for group in copies.groups for name in group}
    stays = np.ones(len(names), dtype=bool)
    seen: set[tuple[str, ...]] = set()
    for place, name in enumerate(names):
        group = groups.get(name)
        if group is None:
            continue
        learnt = place < tested and not outside.isdisjoint(group)
        stays[place] = not learnt and group not in seen
        if not learnt:
            seen.add(group)
    return stays
