"""Points that pairs of photos in the report share, by the matcher of the config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from siamesekit.data.records import Record
from siamesekit.experiment.evaluation_set import EvaluationSet
from siamesekit.experiment.setup import Setup
from siamesekit.gallery.shared_points import Points, SharedPoints, sightings
from siamesekit.gallery.sighting import Sighting
from siamesekit.registry.component_faults import told
from siamesekit.report.content import ReportData


def with_shared_points(content: ReportData, setup: Setup, judged: EvaluationSet) -> ReportData:
    """The content with the points that queries share with their neighbours, and confused photos with each other.

    If the matcher fails, the content says why, and no points are drawn: the report does not depend on it.

    Args:
        content: content of the report.
        setup: setup of the run; without a matcher the content stays as it is.
        judged: the evaluation set, whose names the pictures have.
    """
    if setup.matcher is None:
        return content
    records = {judged.names[place]: setup.dataset.records[photo] for place, photo in enumerate(judged.photos.tolist())}
    pairs = [(each.query, found) for each in content.rankings for found, _ in each.found]
    pairs += [(each.query, each.nearest) for each in content.confused]
    try:
        points = iter(_points(SharedPoints(setup.matcher), [(records[a.name], records[b.name]) for a, b in pairs]))
    except Exception as error:  # another package's
        return replace(content, no_points=f"No shared points are drawn: the matcher failed ({told(error)}).")
    rankings = tuple(replace(each, shared=tuple(next(points) for _ in each.found)) for each in content.rankings)
    confused = tuple(replace(each, points=next(points)) for each in content.confused)
    return replace(content, rankings=rankings, confused=confused)


def _points(shared: SharedPoints, pairs: Sequence[tuple[Record, Record]]) -> list[Points | None]:
    """The points of pairs of records; photos that are no files are matched, too, and their points not kept."""
    photos = {id(record): record for pair in pairs for record in pair}
    files = [record for record in photos.values() if isinstance(record.source, Path)]
    seen = {number: Sighting(record) for number, record in photos.items()}
    seen |= {id(each.record): each for each in sightings(files)}
    return shared.points([(seen[id(first)], seen[id(second)]) for first, second in pairs])
