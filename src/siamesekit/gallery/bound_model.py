"""The model of a catalogue: a copy of a run's saved model, known by the digest of its description."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from pathlib import Path

from siamesekit.artifact.loading import load
from siamesekit.artifact.saving import DESCRIPTION, WEIGHTS
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.untrusted import MAX_TEXT_BYTES, fingerprint, open_regular, read_plain
from siamesekit.hardware.compute import DeviceChoice
from siamesekit.wording import line_of_name

MODELS = "models"
"""Folder of the models in a catalogue, each in a folder named by the first characters of its digest."""
SHORT = 16
"""Characters of a digest in names of files."""
BLOCK = 1 << 20


def model_digest(folder: Path) -> str:
    """Digest of a saved model: SHA-256 of its description, which holds the SHA-256 of its weights.

    Raises:
        ArtifactError: the description cannot be read.
    """
    try:
        return sha256(read_plain(folder / DESCRIPTION, MAX_TEXT_BYTES)).hexdigest()
    except OSError as error:
        raise ArtifactError(f"{line_of_name(str(folder / DESCRIPTION))} cannot be read: {error.strerror}") from None


def copy_model(source: Path, catalogue: Path, digest: str) -> None:
    """Copy a saved model into a catalogue; a copy that is complete already is kept.

    Raises:
        OutputError: the copy cannot be written.
    """
    target = catalogue / MODELS / digest[:SHORT]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{line_of_name(str(target))} cannot be created: {error.strerror}") from error
    for name in (WEIGHTS, DESCRIPTION):  # the description last: it makes the copy complete
        if not (target / name).is_file() or fingerprint(target / name) != fingerprint(source / name):
            write_atomic(target / name, partial(_copy, source / name))


def load_bound(catalogue: Path, digest: str, device: DeviceChoice = "auto") -> SimilarityModel:
    """Load the model to which a catalogue is bound.

    Raises:
        ArtifactError: the model is missing or damaged, or it is another one.
    """
    folder = catalogue / MODELS / digest[:SHORT]
    if model_digest(folder) != digest:
        raise ArtifactError(f"{line_of_name(str(folder))} is altered: it is not the catalogue's model; restore a copy")
    return load(folder, device)


def remove_model(catalogue: Path, digest: str) -> None:
    """Remove a model to which the catalogue is no longer bound.

    Raises:
        OSError: a file cannot be removed.
    """
    folder = catalogue / MODELS / digest[:SHORT]
    for name in (DESCRIPTION, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def _copy(source: Path, target: Path) -> None:
    with open_regular(source) as read, target.open("wb") as written:
        while block := read.read(BLOCK):
            written.write(block)
