"""The check of a config or of a folder of photos: the audit of the photos, and the plan of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siamesekit.artifact.ensemble import Ensemble
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.audit.auditing import Audit, AuditSettings, audit
from siamesekit.audit.gathering import Gathering
from siamesekit.audit.suspects import Neighbours, neighbours
from siamesekit.config import Config
from siamesekit.config.reader_choice import reader_options
from siamesekit.data.reading import read_photos
from siamesekit.data.records import Record
from siamesekit.data.splits.column import parts_told
from siamesekit.engine.random_state import all_left_as_found
from siamesekit.errors import UserError
from siamesekit.experiment.audited import audit_of, parts_by_name
from siamesekit.experiment.compatibility import refuse_what_does_not_fit
from siamesekit.experiment.dataset import labelled, prepare_dataset
from siamesekit.experiment.left_out import without_singletons, without_unknown
from siamesekit.experiment.plan import Plan
from siamesekit.experiment.random_layers import refuse_random_layers
from siamesekit.experiment.running import plan_of
from siamesekit.experiment.splitting import split_of_run
from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice, choose_compute
from siamesekit.progress import Progress
from siamesekit.registry.culprits import plugins_named

Model = SimilarityModel | Ensemble
TRUSTED = 0.5
"""Share of photos whose nearest photo shows the same individual, below which a model is no good judge of labels."""


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        records: records of all photos.
        audit: what was found in them.
        plan: plan of the run; None without a config, or if the run is impossible.
        refusal: why the run is impossible; None if it is possible, or there is no config.
    """

    records: tuple[Record, ...]
    audit: Audit
    plan: Plan | None = None
    refusal: UserError | None = None


def check_config(
    config: Config,
    device: DeviceChoice,
    precision: PrecisionChoice,
    progress: Progress,
    skip_bad: bool = False,
    model: Model | None = None,
) -> Checked:
    """Audit the photos of a config and plan its run. Each photo is decoded once.

    Args:
        config: the checked config.
        device: device on which the run would compute.
        precision: number format of the encoder.
        progress: shows messages and progress.
        skip_bad: whether the run leaves out photos that cannot be used.
        model: a model by whose embeddings labels are suspected; None for none.

    Raises:
        UserError: the config or its data cannot be read at all.
    """
    chosen = choose_compute(device, precision)
    with all_left_as_found(), plugins_named(), chosen.exact():
        refuse_what_does_not_fit(config)
        refuse_random_layers(config)
        dataset, plan, refusal = None, None, None
        with Gathering(config.data.size) as gathering:
            try:
                dataset = prepare_dataset(config, progress, skip_bad, gathering)
            except UserError as error:
                if not gathering.records:
                    raise
                refusal = error
            gathering.read(progress)
        parts = parts_by_name(dataset.records, dataset.split) if dataset else _parts(config, gathering.records)
        found = audit_of(config, gathering, parts, _neighbours(gathering, model, progress))
        if dataset is not None:
            try:
                plan = plan_of(config, dataset, chosen, progress)
            except UserError as error:
                refusal = error
    return Checked(gathering.records, found, plan, refusal)


def check_folder(
    photos: Path,
    reader: str | None,
    progress: Progress,
    model: Model | None = None,
    overrides: Sequence[str] = (),
) -> Checked:
    """Audit a folder or table of photos, without a config. A column `split` of known words tells the parts.

    Args:
        photos: the folder or table.
        reader: name of the reader; by default it follows from the kind of file.
        progress: shows messages and progress.
        model: a model by whose embeddings labels are suspected; None for none.
        overrides: options of the reader, as `data.KEY=VALUE` strings.

    Raises:
        UserError: the photos cannot be found or listed.
    """
    name, options = reader_options(photos, reader, overrides)
    with plugins_named(), Gathering() as gathering:
        records = read_photos(name, options, skip_bad=True)
        for note in records.notes:
            progress.say(note)
        gathering.begin(records, records.notes)
        gathering.read(progress)
    parts = parts_told(gathering.records)
    if parts:
        numbers = ", ".join(f"{count} {part}" for part, count in Counter(parts.values()).most_common())
        progress.say(f"parts of the split, by the column 'split': {numbers}")
    settings = AuditSettings(parts, skipped=gathering.skipped)
    near = _neighbours(gathering, model, progress)
    return Checked(gathering.records, audit(gathering.records, gathering, settings, near))


def _parts(config: Config, records: tuple[Record, ...]) -> dict[str, str]:
    """The parts of the photos of a run that is refused for another reason; empty if they cannot be split."""
    with suppress(UserError):
        known, _, _ = without_unknown(list(records))
        known, _, _ = without_singletons(known, "leave-out")
        made = split_of_run(known, config)
        return parts_by_name(made.records, made.split)
    return {}


def _neighbours(gathered: Gathering, model: Model | None, progress: Progress) -> Neighbours | None:
    """The nearest photos of each photo of a known individual that can be read; None without a model."""
    used = [each for each in gathered.records if each.individual and each.name in gathered.facts]
    if model is None or len(used) < 2:
        return None
    embeddings = model.embed_records(used, progress)
    finite = embeddings.isfinite().all(dim=1).numpy()
    if not np.all(finite):
        raise UserError("the model's embeddings of some photos are not finite: choose another model")
    found = neighbours(embeddings, labelled(used)[1], model.distance)
    own = float((found.labels[found.near[:, 0]] == found.labels).mean())
    told = f"the photo nearest by the model shows the same individual for {own:.0%} of {len(used)} photos"
    if own < TRUSTED:
        progress.warn(f"{told}: this model finds few wrong labels, and suspects right ones")
    else:
        progress.say(told)
    return found
