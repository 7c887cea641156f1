"""A model of this library from the Hugging Face hub: safetensors and JSON, checked like any saved model; no code runs.

Its files are downloaded into the hub's cache (`HF_HOME`) in bounded waits. Both are of one commit, and once they are in
the cache, the model also loads without a network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from siamesekit.artifact.description import read_description
from siamesekit.artifact.loading import load_folder
from siamesekit.artifact.model_name import HubName, hub_name
from siamesekit.artifact.saving import DESCRIPTION, WEIGHTS
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.artifact.tables import MAX_BYTES
from siamesekit.components.encoders.backbone import DownloadError
from siamesekit.components.encoders.downloads import HubModel, NoFileError
from siamesekit.errors import ArtifactError
from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice

MAX_WEIGHTS_BYTES = 32 << 30
"""Maximum size of a weights file that is downloaded."""


class HubFolder(NamedTuple):
    """A downloaded model.

    Attributes:
        folder: folder of its two files, in the hub's cache.
        inside: folder of the cache that holds the files to which links in `folder` lead.
        name: its name, with the commit as its revision.
    """

    folder: Path
    inside: Path
    name: HubName


def from_pretrained(
    name: str, revision: str | None = None, device: DeviceChoice = "auto", precision: PrecisionChoice = "fp32"
) -> SimilarityModel:
    """Load a model of this library from the Hugging Face hub, or from the hub's cache.

    The endpoint is that of `HF_ENDPOINT`, the cache that of `HF_HOME`. `model.hub` has the commit.

    Args:
        name: `OWNER/NAME`, as `siamesekit push` wrote it; or `OWNER/NAME@REVISION`.
        revision: branch, tag or commit; by default the newest.
        device: device on which the model runs.
        precision: number format, as for `load`.

    Raises:
        ArtifactError: the model cannot be downloaded and is not in the cache, it is no model of this library, or is
            damaged, or needs a plugin that is not loaded.
        UserError: the name is none of the hub.
    """
    named = hub_name(name)
    return load_hub(named if revision is None else hub_name(f"{named.repository}@{revision}"), device, precision)


def load_hub(name: HubName, device: DeviceChoice = "auto", precision: PrecisionChoice = "fp32") -> SimilarityModel:
    """Load a model from the hub; arguments and errors are those of `from_pretrained`."""
    found = hub_folder(name)
    try:
        model = load_folder(found.folder, found.inside, device, precision)
    except ArtifactError as error:
        raise ArtifactError(f"{found.name}: {error.message}", error.details) from error
    model.hub = str(found.name)
    return model


def hub_folder(name: HubName) -> HubFolder:
    """Download a model's two files, or find them in the cache. The description is checked before the weights are asked.

    Raises:
        ArtifactError: as for `from_pretrained`.
    """
    try:
        file = HubModel(_spelled(name)).file(DESCRIPTION, most=MAX_BYTES)
        folder = file.parent  # snapshots/COMMIT
        inside = folder.parents[1]
        pinned = replace(name, revision=folder.name)
        read_description(file, inside)
        HubModel(_spelled(pinned)).file(WEIGHTS, most=MAX_WEIGHTS_BYTES)
    except NoFileError as error:
        raise ArtifactError(
            f"{name} is no model of siamesekit: {error}; a model of timm on the hub is timm/hf-hub:{name.repository}"
        ) from error
    except DownloadError as error:
        raise ArtifactError(f"{name} cannot be downloaded: {error}") from error
    return HubFolder(folder, inside, pinned)


def _spelled(name: HubName) -> str:
    return f"{name.repository}@{name.revision}" if name.revision else name.repository
