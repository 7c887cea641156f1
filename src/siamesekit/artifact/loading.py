"""Load an artifact: safetensors weights and a JSON description; no code of the artifact runs.

The network is built from registered components. An artifact may come from anyone, so it is checked before memory is
allocated for it (docs/threat-model.md).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from siamesekit.artifact.description import EncoderTable, read_description
from siamesekit.artifact.saving import DESCRIPTION, WEIGHTS, Preprocessing
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.components.distances.distance import Distance
from siamesekit.components.encoders.weights import WeightLayout, safetensors_layouts, safetensors_state
from siamesekit.engine.random_state import OwnRandomness
from siamesekit.errors import ArtifactError, ComponentError, WeightsError, out_of_memory
from siamesekit.evaluation.calibration import Calibration
from siamesekit.files.run_files import CONFIG, MANIFEST, MODEL
from siamesekit.files.untrusted import fingerprint
from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice
from siamesekit.hardware.no_values import without_values
from siamesekit.model import Architecture, Encoder, build
from siamesekit.registry import DISTANCES, ENCODERS
from siamesekit.registry.component_faults import is_own, told
from siamesekit.wording import in_one_line, line_of_name


def load(run: str | Path, device: DeviceChoice = "auto", precision: PrecisionChoice = "fp32") -> SimilarityModel:
    """Load a trained model from a run's folder, or from its `model/` folder.

    Args:
        run: folder of the run, or its `model/` folder.
        device: device on which the model runs.
        precision: `fp32` gives the same embeddings on all devices up to rounding; `auto` chooses bf16 on devices with
            native bf16 products.

    Raises:
        ArtifactError: the model is missing or damaged, or it needs a plugin that is not loaded.
    """
    root = Path(run)
    model = load_folder(model_folder(root), root, device, precision)
    model.source = root
    return model


def load_folder(folder: Path, inside: Path, device: DeviceChoice, precision: PrecisionChoice) -> SimilarityModel:
    """Load the model of a folder with its two files; arguments and errors are those of `load`.

    Args:
        folder: folder of the two files.
        inside: folder that must contain them after links are resolved.
        device: device on which the model runs.
        precision: number format.
    """
    shown = line_of_name(str(folder))
    description = read_description(folder / DESCRIPTION, inside)
    try:
        distance: Distance = DISTANCES.build(description.distance.name, description.distance.options)
        encoder = _network(description.encoder, description.weights_sha256, folder / WEIGHTS, inside)
    except ComponentError as error:
        raise ArtifactError(
            f"{shown} needs a component that is not registered: {in_one_line(str(error))}; if a plugin "
            "registers it, load the plugin first (--plugin FILE)"
        ) from None
    except WeightsError as error:
        raise ArtifactError(f"{shown} is damaged: {error}") from error
    point, photos = description.operating_point, description.input
    guessing = None if point is None or point.cross_fit is None else point.cross_fit.guessing
    calibration = None
    if point is not None and guessing is None:
        calibration = Calibration(point.slope, point.intercept, point.threshold)
    plain = description.as_json()
    plain["no_threshold"] = guessing or (description.no_threshold if calibration is None else None)
    return SimilarityModel(
        encoder, distance, Preprocessing(photos.size, photos.fit, photos.reading), calibration, plain, device, precision
    )


def model_folder(run: Path) -> Path:
    """The folder of a saved model: the run's folder itself, or the folder `model/` in it.

    Raises:
        ArtifactError: there is no model; if the run is unfinished, the message has the command that continues it.
    """
    folder = run if (run / DESCRIPTION).is_file() else run / MODEL
    if not (folder / DESCRIPTION).is_file():
        raise ArtifactError(
            f"there is no model in {line_of_name(str(run))}: {line_of_name(str(folder))}/{DESCRIPTION} is missing; "
            f"did the run finish?{_how_to_continue(run)}"
        )
    return folder


def _how_to_continue(folder: Path) -> str:
    """Sentence with the command that continues an unfinished run in a folder; empty if the folder holds no run."""
    if not (folder / MANIFEST).is_file():
        return ""
    place = line_of_name(str(folder))
    return f" To continue it: siamesekit run {shlex.join([f'{place}/{CONFIG}', '--out', place, '--resume'])}"


def _network(spec: EncoderTable, sha256: str, weights: Path, inside: Path) -> Encoder:
    """Build the encoder and load its weights; memory is allocated only after the file's tensors have been checked.

    Raises:
        ArtifactError: the file holds other tensors, or is not the file that was saved.
        ComponentError: a component is not registered.
        WeightsError: the file cannot be read.
    """
    layouts = safetensors_layouts(weights, inside)
    architecture = Architecture(spec.name, spec.options, spec.head, spec.batchnorm, spec.pooling)
    shown = line_of_name(str(weights))
    outline = _outline(architecture, shown)
    if outline is not None:
        _same_tensors(shown, outline, layouts)
    if fingerprint(weights) != sha256:
        raise ArtifactError(
            f"{shown} is not the file that was saved: its SHA-256 differs; copy the model's folder again"
        )
    try:
        with OwnRandomness():  # the initial weights are discarded
            encoder = build(architecture)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise ArtifactError(
            f"{shown}: out of memory for encoder {spec.name!r}; free some memory, or raise the memory limit (ulimit -v)"
        ) from error
    if outline is None:
        _same_tensors(shown, encoder, layouts)
    encoder.load_state_dict(safetensors_state(weights))
    encoder.backbone.mean.copy_(torch.tensor(spec.mean).view(1, 3, 1, 1))
    encoder.backbone.std.copy_(torch.tensor(spec.std).view(1, 3, 1, 1))
    return encoder


def _outline(architecture: Architecture, shown: str) -> Encoder | None:
    """Build the encoder on the meta device, without memory; None for a plugin's encoder that does not allow it.

    Raises:
        ArtifactError: the encoder cannot be built.
        ComponentError: a component is not registered.
    """
    ENCODERS.factory(architecture.encoder)  # import outside the meta device, because some imports fail on it
    for mode in (without_values(), _EmptyOnMeta()):  # some networks compute with small real tensors
        try:
            with mode:
                return build(architecture)
        except ComponentError:
            raise
        except Exception as error:  # a network may raise anything
            failure = error
    if is_own(ENCODERS.get(architecture.encoder)):
        raise ArtifactError(f"{shown}: encoder {architecture.encoder!r} cannot be built: {told(failure)}") from failure
    return None


class _EmptyOnMeta(TorchFunctionMode):
    """Put tensors of `torch.empty`, by which layers allocate weights, on the meta device; all others are real."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, on the meta device if it is `torch.empty`."""
        return func(*args, **({**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}))


def _same_tensors(shown: str, encoder: Encoder, layouts: Mapping[str, WeightLayout]) -> None:
    """Check that the file has the tensors of the network, by names, shapes and types.

    Raises:
        ArtifactError: they differ; it lists the first five differences.
    """
    own = {name: WeightLayout(tuple(value.shape), value.dtype) for name, value in encoder.state_dict().items()}
    problems = [f"{name} is not in the file" for name in own if name not in layouts]
    problems += [f"the network has no {line_of_name(name[:100])}" for name in layouts if name not in own]
    problems += [
        f"{name} is {_spelled(layouts[name])} in the file and {_spelled(layout)} in the network"
        for name, layout in own.items()
        if name in layouts and layouts[name] != layout
    ]
    if problems:
        raise ArtifactError(
            f"{shown} holds another network's weights than {DESCRIPTION} describes, {len(problems)} differences; copy "
            "the model's folder again:",
            problems[:5],
        )


def _spelled(layout: WeightLayout) -> str:
    return f"{str(layout.dtype).removeprefix('torch.')} {list(layout.shape)}"
