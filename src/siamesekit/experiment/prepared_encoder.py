"""The encoder of a run: built, loaded with weights, frozen before the first block that trains, moved to the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siamesekit.components.encoders.accepted import refuse_wrong_features
from siamesekit.components.encoders.head import Head
from siamesekit.components.encoders.lora import Adapted, add_lora, refuse_what_is_not_called
from siamesekit.components.encoders.weights import calibrate_batchnorm, load_weights
from siamesekit.components.projections.projection import Projection
from siamesekit.config import NAMED_WEIGHTS, Config
from siamesekit.engine.doctor import above_random_layers
from siamesekit.engine.frozen.stored import EMBEDDED_CHUNK
from siamesekit.engine.random_state import drawing_from
from siamesekit.errors import MissingWeightsError
from siamesekit.files.untrusted import fingerprint
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.memory import memory_for
from siamesekit.model import Architecture, Encoder, build
from siamesekit.progress import Progress
from siamesekit.randomness import torch_seed
from siamesekit.registry import ENCODERS, PROJECTIONS
from siamesekit.registry.component_faults import is_own
from siamesekit.report.content import StandIn


@dataclass(frozen=True)
class PreparedEncoder:
    """The encoder, ready to train.

    Attributes:
        encoder: the encoder on its device, channels last.
        architecture: description of the encoder.
        weights: source of the weights, and their SHA-256 if they are a file of their own or of a package.
        stand_in: stand-in for the wanted weights, if one is in use.
        lora: the layers with LoRA; None without `[encoder.lora]`.
    """

    encoder: Encoder
    architecture: Architecture
    weights: Mapping[str, str]
    stand_in: StandIn | None
    lora: Adapted | None = None


def prepare_encoder(
    config: Config,
    images: Tensor,
    compute: Compute,
    progress: Progress,
    weights_needed: bool = True,
    training: Sequence[int] | None = None,
    individuals: int = 0,
) -> PreparedEncoder:
    """Build the encoder with its weights, freeze what does not train, and move it to the device.

    Args:
        config: config of the run.
        images: images uint8 `[N, 3, size, size]`, on which weights may be calibrated.
        compute: device and number format.
        progress: warns of stand-ins.
        weights_needed: whether to download or calibrate weights; False gives random weights unless they are a file.
        training: photos that train and calibrate, as indices into `images`; all by default.
        individuals: number of individuals that train, on which the dimensions of a projection may depend.

    Raises:
        MissingWeightsError: the weights are missing and there is no stand-in.
        WeightsError: a weights file does not fit.
    """
    table = config.encoder
    head = table.head.model_dump()
    architecture = Architecture(table.name, table.options, head, table.batchnorm, table.pooling)
    seed = torch_seed(config.seed, "weights")

    def at_hand(weights: str | Path) -> str | Path:
        return weights if weights_needed or weights not in NAMED_WEIGHTS else "random"

    weights, stand_in = at_hand(table.weights), None
    try:
        encoder = _with_weights(architecture, weights, seed)
    except MissingWeightsError as error:
        if table.stand_in is None:
            raise
        weights, used = at_hand(table.stand_in.weights), f"{spell(table.stand_in.weights)} weights"
        why = str(error).partition(";")[0].partition(". ")[0].removesuffix(".")  # first sentence of the message
        stand_in = StandIn(
            "weights", spell(table.weights), used, why, table.stand_in.hint or 'encoder.weights = "FILE.safetensors"'
        )
        random = above_random_layers(
            spell(table.stand_in.weights), table.train_from, config.train.epochs, table.lora is not None
        )
        progress.warn(stand_in.warning + ("" if random is None else f". {random.meaning}"))
        encoder = _with_weights(architecture, weights, seed)
    encoder.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.backbone.freeze_before(table.train_from)
    encoder.eval()
    component = ENCODERS.get(table.name)
    if not is_own(component):
        with memory_for("a pass over two photos", "lower data.size, or take a smaller encoder"):
            refuse_wrong_features(encoder.backbone, component, images[:2].to(compute.device))
    if (options := projection_options(config, encoder.backbone.num_features, individuals)) is not None:
        architecture = replace(architecture, head=options)
        with drawing_from(torch_seed(config.seed, "projection")):
            encoder.head = Head(encoder.backbone.num_features, **options).to(compute.device).eval()
    if weights == "calibrated":
        photos = torch.arange(len(images)) if training is None else torch.tensor(training)
        _calibrate(encoder, images, photos, compute, progress)
    adapted = None
    if table.lora is not None:
        with drawing_from(torch_seed(config.seed, "lora")):
            adapted = add_lora(encoder.backbone, **table.lora.model_dump())
        with memory_for("a pass over a photo", "lower data.size, or take a smaller encoder"):
            refuse_what_is_not_called(encoder.backbone, images[:1].to(compute.device))
        encoder.eval()
    encoder.checkpoint_activations, encoder.sharded = config.train.checkpoint_activations, config.train.shard_encoder
    source = {"source": spell(weights), **encoder.backbone.origin}
    if weights not in NAMED_WEIGHTS:
        source["sha256"] = fingerprint(Path(weights))
    return PreparedEncoder(encoder, architecture, source, stand_in, adapted)


def projection_options(config: Config, num_features: int, individuals: int) -> dict[str, Any] | None:
    """The options of a head that begins with the config's projection; None without a projection.

    Args:
        config: config of the run.
        num_features: number of the backbone's features.
        individuals: number of individuals that train.
    """
    table = config.projection
    if table is None:
        return None
    projection: Projection = PROJECTIONS.build(table.component, table.options)
    width = projection.width(num_features, individuals)
    return {
        **config.encoder.head.model_dump(),
        "projection": width,
        "normalize_features": table.normalize_features,
    }


def _with_weights(architecture: Architecture, weights: str | Path, seed: int) -> Encoder:
    advice = "lower encoder.head.layers or the encoder's own options"
    with drawing_from(seed), memory_for(f"encoder {architecture.encoder!r}", advice):
        encoder = build(architecture, pretrained=weights == "imagenet")
    if weights not in NAMED_WEIGHTS:
        load_weights(encoder.backbone, Path(weights))
    return encoder


def _calibrate(encoder: Encoder, images: Tensor, photos: Tensor, compute: Compute, progress: Progress) -> None:
    def scaled() -> Iterator[Tensor]:
        shown = progress.track(range(len(photos)), len(photos), "Calibrating BatchNorm", "images")
        for chunk in photos.split(EMBEDDED_CHUNK):
            channels_last = images[chunk].to(compute.device).contiguous(memory_format=torch.channels_last)
            yield encoder.backbone.scale(channels_last)
            for _ in range(len(chunk)):
                next(shown, None)
        next(shown, None)

    with compute.autocast():
        calibrate_batchnorm(encoder.backbone.network, scaled())


def spell(weights: str | Path) -> str:
    """The source of weights, in words."""
    return "random, BatchNorm-calibrated" if weights == "calibrated" else str(weights)
