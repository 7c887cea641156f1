"""Matchers `lightglue/disk` and `lightglue/aliked`: learnt keypoints, matched by a transformer, through kornia."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from siamesekit.components.encoders.backbone import fetch
from siamesekit.components.encoders.downloads import HubModel
from siamesekit.components.encoders.weights import differences, read_state
from siamesekit.components.matchers.matcher import NO_MATCHES, Keypoints, PointMatches
from siamesekit.errors import MissingWeightsError, UserError, WeightsError
from siamesekit.files.untrusted import fingerprint
from siamesekit.hardware.compute import choose_compute
from siamesekit.options import Limited, OpenFraction
from siamesekit.registry import MATCHERS
from siamesekit.wording import line_of_name

DESCRIPTOR = 128
"""Dimension of the descriptors of DISK and of ALIKED."""
HUB = {
    "disk": ("kornia/disk", "depth-save.pth"),
    "aliked": ("kornia/aliked", "aliked-n16.pth"),
    "lightglue/disk": ("kornia/lightglue", "disk_lightglue.pth"),
    "lightglue/aliked": ("kornia/lightglue", "aliked_lightglue.pth"),
}
"""Repository and file of each network's weights on the Hugging Face hub."""
FILES_INSTEAD = (
    "connect to the internet once, or name files (.safetensors or .pth) by the matcher's options weights and "
    "detector_weights: --matcher-option weights=FILE"
)
DERIVED = re.compile(r"(.*\.)?(num_batches_tracked|hw_grid|confidence_thresholds)")
"""Tensors of the networks that are no weights: they follow from the options, or count."""
OLD_NAMES = re.compile(r"(?:matcher\.)?(self_attn|cross_attn)\.(\d+)\.")
"""Names of LightGlue's layers in the published files, which the network calls `transformers.N.self_attn.`."""
SHOWN = 12
"""Digits shown of a file's SHA-256."""


@MATCHERS.register("lightglue/disk")
def lightglue_disk(
    size: Limited = 512,
    keypoints: Limited = 512,
    threshold: OpenFraction = 0.1,
    weights: Path | None = None,
    detector_weights: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> LightGlueMatcher:
    """DISK keypoints, matched by LightGlue.

    Tyszkiewicz et al. 2020, "DISK: learning local features with policy gradient" (weights `depth`, Apache License 2.0),
    and Lindenberger et al. 2023, "LightGlue: local feature matching at light speed" (Apache License 2.0), by kornia:
    `pip install 'siamesekit[matchers]'`. LightGlue sees where all keypoints
    of both photos are, and says for each pair how sure it is. On one core of a CPU, a photo takes about three seconds
    once, and a pair of photos one: look at few individuals, or use a GPU.

    Shapes: a photo, uint8 RGB `[height, width, 3]` → K keypoints `[K, 2]` with descriptors `[K, 128]`.

    Args:
        size: photos are scaled so that the longer side has so many pixels; smaller ones are not enlarged.
        keypoints: most keypoints of a photo, the strongest.
        threshold: least confidence of a pair.
        weights: file of LightGlue's weights. Default: those on the Hugging Face hub, downloaded once.
        detector_weights: file of DISK's weights. Default: those on the Hugging Face hub, downloaded once.
        device: where the networks compute.

    Raises:
        MissingWeightsError: weights are not in the cache and cannot be downloaded, or a file is missing.
        UserError: kornia is not installed, or there is no such device.
        WeightsError: a file holds the weights of another network.
    """
    feature = _kornia("lightglue/disk")
    disk = feature.DISK(DESCRIPTOR)

    def detect(images: Tensor) -> Any:
        return disk(images, n=keypoints, pad_if_not_divisible=True)[0]

    setting = Setting("disk", size, threshold, {"keypoints": keypoints}, device)
    return LightGlueMatcher(feature, setting, disk, detect, weights, detector_weights)


@MATCHERS.register("lightglue/aliked")
def lightglue_aliked(
    size: Limited = 512,
    keypoints: Limited = 512,
    threshold: OpenFraction = 0.1,
    weights: Path | None = None,
    detector_weights: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> LightGlueMatcher:
    """ALIKED keypoints, matched by LightGlue.

    Zhao et al. 2023, "ALIKED: a lighter keypoint and descriptor extraction network via deformable transformation"
    (network and weights `aliked-n16`, BSD 3-Clause License), and Lindenberger et al. 2023, "LightGlue: local feature
    matching at light speed" (Apache License 2.0), by kornia: `pip install 'siamesekit[matchers]'`. See
    `lightglue/disk`; ALIKED is faster, and its keypoints lie between pixels.

    Shapes: a photo, uint8 RGB `[height, width, 3]` → K keypoints `[K, 2]` with descriptors `[K, 128]`.

    Args:
        size: photos are scaled so that the longer side has so many pixels; smaller ones are not enlarged.
        keypoints: most keypoints of a photo, the strongest.
        threshold: least confidence of a pair.
        weights: file of LightGlue's weights. Default: those on the Hugging Face hub, downloaded once.
        detector_weights: file of ALIKED's weights. Default: those on the Hugging Face hub, downloaded once.
        device: where the networks compute.

    Raises:
        MissingWeightsError: weights are not in the cache and cannot be downloaded, or a file is missing.
        UserError: kornia is not installed, or there is no such device.
        WeightsError: a file holds the weights of another network.
    """
    feature = _kornia("lightglue/aliked")
    aliked = feature.ALIKED("aliked-n16", max_num_keypoints=keypoints, detection_threshold=0.0)

    def detect(images: Tensor) -> Any:
        return aliked(images)[0]

    setting = Setting("aliked", size, threshold, {"keypoints": keypoints}, device)
    return LightGlueMatcher(feature, setting, aliked, detect, weights, detector_weights)


@dataclass(frozen=True)
class Setting:
    """The options of a matcher; see `lightglue_disk`. `others` are those that only its text form needs."""

    detector: str
    size: int
    threshold: float
    others: Mapping[str, Any]
    device: Literal["auto", "cpu", "cuda"]


class LightGlueMatcher:
    """Keypoints of a network, and LightGlue.

    Args:
        feature: the module `kornia.feature`.
        setting: the options.
        detector: the network that finds and describes keypoints.
        detect: from an image `[1, 3, height, width]`, 0 … 1, to an object with `keypoints` and `descriptors`.
        weights: file of LightGlue's weights, or None for the hub's.
        detector_weights: file of the detector's weights, or None for the hub's.

    Attributes:
        digests: SHA-256 of the file of each network.
    """

    def __init__(
        self,
        feature: Any,
        setting: Setting,
        detector: nn.Module,
        detect: Callable[[Tensor], Any],
        weights: Path | None,
        detector_weights: Path | None,
    ) -> None:
        self.setting = setting
        self.name = f"lightglue/{setting.detector}"
        self.device = choose_compute(setting.device).device
        flash = torch.backends.cuda.flash_sdp_enabled()
        self._glue = feature.LightGlue(None, input_dim=DESCRIPTOR, filter_threshold=setting.threshold)
        torch.backends.cuda.enable_flash_sdp(flash)  # kornia switches it on for the whole process
        self._detect = detect
        self._lock = Lock()  # one photo or pair at a time: torch itself uses all cores, and memory stays small
        self.digests = {
            "weights": _load(self._glue, self.name, weights),
            "detector_weights": _load(detector, setting.detector, detector_weights),
        }
        for network in (self._glue, detector):
            network.eval().requires_grad_(False).to(self.device)

    def __repr__(self) -> str:
        told = {"size": self.setting.size, **self.setting.others, "threshold": self.setting.threshold}
        told |= {name: f"sha256 {digest[:SHOWN]}" for name, digest in self.digests.items()}
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in told.items())})"

    @torch.inference_mode()
    def describe(self, photo: NDArray[np.uint8]) -> Keypoints:
        """Find the keypoints of a photo, uint8 RGB `[height, width, 3]`."""
        height, width = photo.shape[:2]
        across, down = self._scaled(width, height)
        pixels = torch.from_numpy(np.ascontiguousarray(photo)).to(self.device).permute(2, 0, 1)[None].float() / 255
        if (across, down) != (width, height):
            pixels = F.interpolate(pixels, (down, across), mode="bilinear", align_corners=False, antialias=True)
        with self._lock:
            found = self._detect(pixels)
        points = (found.keypoints.float().cpu().numpy() + 0.5) * (width / across, height / down) - 0.5
        descriptors = found.descriptors.float().cpu().numpy()
        return Keypoints(points.astype(np.float32), descriptors, (width, height))

    @torch.inference_mode()
    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        """Find the points that two photos share."""
        if not len(first) or not len(second):
            return NO_MATCHES
        with self._lock:
            found = self._glue({"image0": self._as_image(first), "image1": self._as_image(second)})
        one, other = found["matches"][0].cpu().numpy().T
        return PointMatches(first.points[one], second.points[other])

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in which a photo is seen."""
        scale = min(1.0, self.setting.size / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _as_image(self, keypoints: Keypoints) -> dict[str, Tensor]:
        """Keypoints in the pixels of the scaled photo, as LightGlue takes them."""
        seen = np.array(self._scaled(*keypoints.size))
        points = (keypoints.points + 0.5) * (seen / keypoints.size) - 0.5
        given = {
            "keypoints": torch.from_numpy(points.clip(0, seen - 1).astype(np.float32)),
            "descriptors": torch.from_numpy(keypoints.descriptors),
            "image_size": torch.from_numpy(seen),
        }
        return {name: value[None].to(self.device) for name, value in given.items()}


def _load(network: nn.Module, name: str, file: Path | None) -> str:
    """Load a network's weights from a file, or else from the hub; return the SHA-256 of the file."""
    if file is not None:
        file = file.expanduser()
        if not file.is_file():
            raise MissingWeightsError(f"no such weights file: {line_of_name(str(file))}")
        _load_file(network, name, file)
        return fingerprint(file)
    repository, wanted = HUB[name]
    found: list[Path] = []

    def create() -> nn.Module:
        found.append(HubModel(repository).file(wanted))
        _load_file(network, name, found[0])
        return network

    fetch(create, name, FILES_INSTEAD)
    return fingerprint(found[0])


def _load_file(network: nn.Module, name: str, file: Path) -> None:
    """Load weights; tensors of the file that the network lacks are not used, as in kornia.

    Raises:
        WeightsError: The file cannot be read, or does not have all weights of the network in their shapes.
    """
    state = {OLD_NAMES.sub(r"transformers.\2.\1.", key): value for key, value in read_state(file).items()}
    own = {key: value for key, value in network.state_dict().items() if not DERIVED.fullmatch(key)}
    problems = [f"{key} is not in the file" for key in own if key not in state]
    problems += [problem for key in own if key in state for problem in differences(key, state[key], own[key])]
    if problems:
        raise WeightsError(
            f"{line_of_name(str(file))} does not hold the weights of {name}, {len(problems)} differences:", problems[:5]
        )
    network.load_state_dict({key: state[key] for key in own}, strict=False)


def _kornia(name: str) -> Any:
    """The module `kornia.feature`.

    Raises:
        UserError: kornia is not installed.
    """
    try:
        import kornia.feature
    except ImportError:
        raise UserError(f"matcher {name!r} needs kornia: pip install 'siamesekit[matchers]'") from None
    return kornia.feature
