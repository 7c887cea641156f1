"""Publish a model on the Hugging Face hub: safetensors, JSON and a card, in one commit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from siamesekit.artifact.hub_requests import HubRepository, PublishedFile
from siamesekit.artifact.loading import load_folder
from siamesekit.artifact.model_card import Facts, Publication, model_card
from siamesekit.artifact.model_name import HUB, REPOSITORY
from siamesekit.artifact.named_model import SavedModel, saved_model
from siamesekit.artifact.saving import DESCRIPTION, WEIGHTS
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.artifact.tables import MAX_BYTES
from siamesekit.errors import ArtifactError, OutputError, UserError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_full_folder
from siamesekit.files.run_files import EVALUATION, MANIFEST, run_of
from siamesekit.files.untrusted import MAX_TABLE_BYTES, open_regular
from siamesekit.files.untrusted_json import read_json
from siamesekit.registry import DISTANCES, ENCODERS
from siamesekit.registry.component_faults import is_own
from siamesekit.wording import line_of_name

CARD = "README.md"
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,60}")
"""An identifier of a licence, as the hub takes it."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Pushed:
    """What was published.

    Attributes:
        repository: `OWNER/NAME`.
        files: size of each file in bytes, by its name.
        commit: the commit on the hub; empty for a dry run.
        address: address of the model's page; for a dry run, the folder of the files.
    """

    __module__ = "siamesekit"

    repository: str
    files: Mapping[str, int]
    commit: str
    address: str


def push_to_hub(
    model: str | Path | SimilarityModel,
    repository: str,
    license: str | None = None,
    private: bool = False,
    datasets: Sequence[str] = (),
    dry_run: str | Path | None = None,
) -> Pushed:
    """Publish a model on the Hugging Face hub, with a card that tells what its run has measured.

    Three files are sent in one commit: `model.safetensors`, `model.json` and `README.md`. They name no photo, no
    individual and no path. The repository is created if it is missing. The token is that of `hf auth login` or
    `HF_TOKEN`, the endpoint that of `HF_ENDPOINT`. Each request waits 60 seconds at most for an answer.

    Args:
        model: folder of a run or its folder `model/`, a model, or another name of one, as on the command line.
        repository: `OWNER/NAME` on the hub.
        license: identifier of the licence under which the model is published, such as `mit` or `cc-by-nc-4.0`.
        private: whether only its owner sees it. A repository that is public already is refused.
        datasets: data sets on the hub that trained the model, `OWNER/NAME`, for the card.
        dry_run: folder into which the files are written instead; it is created, or empty.

    Raises:
        ArtifactError: there is no model, or it is damaged.
        OutputError: the hub refuses or does not answer, or the folder cannot be written. Nothing is committed.
        UserError: there is no licence, or a name is none of the hub.
    """
    publication = _checked(repository, license, datasets)
    target: HubRepository | Path
    if dry_run is None:
        target = HubRepository(repository)
    else:
        target = Path(dry_run)
        refuse_full_folder(target)
    with saved_model(model) as saved:
        files = _files(saved, publication)
        sizes = {file.name: file.size for file in files}
        if isinstance(target, Path):
            _write(target, files)
            return Pushed(repository, sizes, "", str(target))
        target.create(private)
        commit = target.commit(files, "Publish a model with siamesekit")
    return Pushed(repository, sizes, commit, f"{target.endpoint}/{repository}")


def _checked(repository: str, license: str | None, datasets: Sequence[str]) -> Publication:
    if not REPOSITORY.fullmatch(repository):
        hint = f"; without {HUB}" if repository.startswith(HUB) else ""
        raise UserError(f"{line_of_name(repository)} is no name on the hub: it must be OWNER/NAME{hint}")
    if license is None:
        raise UserError(
            "no licence: say with --license (license=) how others may use the model, such as apache-2.0, mit, "
            "cc-by-4.0 or cc-by-nc-4.0; a licence of its pretrained weights or of its photos may restrict that"
        )
    if not LICENSE.fullmatch(license):
        raise UserError(
            f"{line_of_name(license)} is no identifier of a licence: small letters, digits, '.', '+' and '-', such as "
            "apache-2.0; all are listed at huggingface.co/docs/hub/repositories-licenses"
        )
    for name in datasets:
        if not REPOSITORY.fullmatch(name):
            raise UserError(f"{line_of_name(name)} is no data set on the hub: it must be OWNER/NAME")
    return Publication(repository, license, tuple(datasets))


def _files(saved: SavedModel, publication: Publication) -> list[PublishedFile]:
    """The files of a model; the model is loaded first, as those who download it will."""
    folder, inside = saved
    model = load_folder(folder, inside, "cpu", "fp32")
    description = public_description(read_json(folder / DESCRIPTION, inside, MAX_BYTES))
    run = run_of(folder)
    manifest, evaluation = (_table(run / name) for name in (MANIFEST, EVALUATION))
    if not _is_of(description, manifest):
        manifest = evaluation = None
    foreign = [
        f"{registry.kind} {description[key]['name']}"
        for registry, key in ((ENCODERS, "encoder"), (DISTANCES, "distance"))
        if not is_own(registry.get(description[key]["name"]))
    ]
    facts = Facts(description, int(model.encoder.head.embedding_dim), manifest, evaluation, foreign)
    try:
        card = model_card(publication, facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        shown = line_of_name(str(run))
        raise ArtifactError(f"{MANIFEST} or {EVALUATION} in {shown} is damaged: copy the run again") from error
    text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return [
        PublishedFile(CARD, card.encode()),
        PublishedFile(DESCRIPTION, text.encode()),
        PublishedFile(WEIGHTS, folder / WEIGHTS),
    ]


def public_description(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description without what names places on this machine: reasons of stand-ins, and files of weights."""
    told = dict(description)
    told["stand_ins"] = [{**each, "why": "", "hint": ""} for each in told.get("stand_ins", [])]
    weights = told.get("weights")
    if isinstance(weights, Mapping) and "sha256" in weights:
        told["weights"] = {**weights, "source": Path(str(weights.get("source", ""))).name}
    return told


def _is_of(description: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> bool:
    """Whether a manifest is that of the complete run that made a model, as against one that lies beside it."""
    return manifest is not None and bool(manifest.get("complete")) and manifest.get("name") == description.get("run")


def _table(file: Path) -> dict[str, Any] | None:
    """A file of a run; None if it is not there."""
    if not file.is_file():
        return None
    found = read_json(file, most=MAX_TABLE_BYTES)
    return found if isinstance(found, dict) else None


def _write(folder: Path, files: Sequence[PublishedFile]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{line_of_name(str(folder))} cannot be created: {error.strerror}") from error
    for file in files:
        content = file.content
        write_atomic(folder / file.name, content if isinstance(content, bytes) else partial(_copy, content))


def _copy(source: Path, target: Path) -> None:
    with open_regular(source) as read, target.open("wb") as written:
        while block := read.read(BLOCK):
            written.write(block)
