"""Load the model that is named: a run's, one on the hub, or an encoder with its pretrained weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from siamesekit.artifact.hub_model import hub_folder, load_hub
from siamesekit.artifact.loading import load as load_run
from siamesekit.artifact.loading import model_folder
from siamesekit.artifact.model_name import EncoderName, HubName, model_name
from siamesekit.artifact.pretrained_model import USUAL, ReadyFit, pretrained
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import UserError
from siamesekit.files.run_files import MODEL
from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice
from siamesekit.model import Architecture
from siamesekit.wording import line_of_name


def load(
    run: str | Path,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "fp32",
    fit: ReadyFit | None = None,
) -> SimilarityModel:
    """Load a trained model from a run's folder, or another model by the name that commands take as RUN.

    Args:
        run: folder of the run, or its `model/` folder; `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`, as for
            `from_pretrained`; or an encoder such as `timm/resnet50`, as for `pretrained`. A `Path`, and a text that
            begins with `./`, `../` or `/`, is always a folder.
        device: device on which the model runs.
        precision: `fp32` gives the same embeddings on all devices up to rounding; `auto` chooses bf16 on devices with
            native bf16 products.
        fit: how photos are made square for an encoder, as for `pretrained`; None: as it does by default.

    Raises:
        ArtifactError: the model is missing or damaged, or it needs a plugin that is not loaded.
        ComponentError: there is no such encoder.
        MissingWeightsError: the encoder's weights cannot be downloaded.
        UserError: the name is both a folder's and another model's, or is no name of a model on the hub; or `fit` is for
            a model that has its own.
    """
    named = model_name(run)
    if fit is not None and not isinstance(named, EncoderName):
        raise UserError(f"fit: {line_of_name(str(run))} is no encoder's name, and such a model has its own")
    if isinstance(named, Path):
        return load_run(named, device, precision)
    if isinstance(named, HubName):
        return load_hub(named, device, precision)
    return pretrained(named.name, fit=fit or USUAL, device=device, precision=precision)


class SavedModel(NamedTuple):
    """A saved model.

    Attributes:
        folder: folder of its two files.
        inside: folder that holds the files to which links in `folder` may lead.
    """

    folder: Path
    inside: Path


@contextmanager
def saved_model(model: str | Path | SimilarityModel) -> Iterator[SavedModel]:
    """The folder of the two files of a model, for those who copy them.

    An encoder with its pretrained weights is saved into a temporary folder, which is removed afterwards.

    Args:
        model: a model, or its name as for `load`.

    Raises:
        SiamesekitError: as for `load`.
    """
    if isinstance(model, SimilarityModel):
        name: str | Path | None = model.hub if model.source is None else model.source
        if name is None:
            with _saved(model) as folder:
                yield SavedModel(folder, folder)
            return
        model = name
    named = model_name(model)
    if isinstance(named, Path):
        yield SavedModel(model_folder(named), named)
    elif isinstance(named, HubName):
        found = hub_folder(named)
        yield SavedModel(found.folder, found.inside)
    else:
        with _saved(pretrained(named.name, device="cpu")) as folder:
            yield SavedModel(folder, folder)


@contextmanager
def _saved(model: SimilarityModel) -> Iterator[Path]:
    """Save a model that has no folder into a temporary one."""
    with tempfile.TemporaryDirectory(prefix="siamesekit-") as place:
        folder = Path(place) / MODEL
        save_copy(model, folder, model.description["operating_point"])
        yield folder


def save_copy(model: SimilarityModel, folder: Path, operating_point: Mapping[str, Any] | None) -> None:
    """Save a model with a threshold and calibration, which may be others than its own, or none.

    Args:
        model: the model.
        folder: folder of the two files; it is created.
        operating_point: threshold and calibration, as in the description of a saved model.

    Raises:
        OutputError: the files cannot be written.
    """
    told = model.description
    encoder = told["encoder"]
    architecture = Architecture(
        encoder["name"],
        encoder["options"],
        encoder["head"],
        encoder.get("batchnorm", "inference"),
        encoder.get("pooling", "default"),
    )
    written = {"format", "siamesekit", "encoder", "input", "distance", "operating_point", "weights_sha256"}
    notes = {key: value for key, value in told.items() if key not in written}
    if operating_point is not None:
        notes["no_threshold"] = None
    preprocessing = Preprocessing(model.size, model.fit, model.reading)
    save_model(folder, model.encoder, architecture, preprocessing, told["distance"], operating_point, notes)
