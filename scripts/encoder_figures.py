"""Computes the catalogue's figures of all encoders of timm and torchvision: python scripts/encoder_figures.py

Every network is built on the meta device, which keeps shapes and no numbers, so that nothing is fetched and a network
of 10 GB takes no memory. All of them take about ten minutes. The result is `docs/data/encoders.csv`; the site
reads it, and a test computes a sample anew.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path

import timm
import torch
from torchvision.models import get_model_builder, get_model_weights

from siamesekit.components.adapted.model_names import HUB_MODELS, timm_models, torchvision_models
from siamesekit.registry import ENCODERS

FILE = Path(__file__).parent.parent / "docs" / "data" / "encoders.csv"
PACKAGES = ("timm", "torchvision")


@dataclass(frozen=True)
class Figures:
    """An encoder.

    Attributes:
        name: as a config has it, without a weights tag.
        family: the file of its package in which it is defined.
        parameters: their number, without the classifier.
        features: the dimension of the features.
        size: height and width in pixels of the photos on which its default weights are judged.
        weights: the tag of its default weights; empty where it has none.
        license: of the default weights, where the package names it.
    """

    name: str
    family: str
    parameters: int
    features: int
    size: int
    weights: str
    license: str


def names() -> Iterator[str]:
    """All encoders of the packages, as a config names them, but no model of the hub."""
    yield from (f"timm/{name}" for name in timm_models() if name != HUB_MODELS)
    yield from (f"torchvision/{name}" for name in torchvision_models())


def figures(name: str) -> Figures:
    """An encoder's figures, of the network that the library builds under this name."""
    package, _, model = name.partition("/")
    try:
        with torch.device("meta"):
            backbone = ENCODERS.build(name)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors, which must be real ones
        backbone = ENCODERS.build(name)
    if package == "timm":
        cfg = timm.get_pretrained_cfg(model)
        builder = timm.model_entrypoint(model)
        size, has = cfg.input_size[-1], cfg.has_weights
        weights, license = (cfg.tag or "default", cfg.license or "") if has else ("", "")
    else:
        default = get_model_weights(model).DEFAULT
        builder = get_model_builder(model)
        size, weights, license = default.transforms().crop_size[0], default.name, ""
    family = builder.__module__.rpartition(".")[2]
    parameters = sum(parameter.numel() for parameter in backbone.network.parameters())
    return Figures(name, family, parameters, backbone.num_features, size, weights, license)


def versions() -> str:
    """The installed packages and their versions: `timm 1.0.31, torchvision 0.29.0`."""
    return ", ".join(f"{package} {metadata.version(package).partition('+')[0]}" for package in PACKAGES)


def write(found: Iterable[Figures]) -> None:
    """Write the table, with the packages' versions above it."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {versions()}\n")
        table = csv.DictWriter(file, [field.name for field in fields(Figures)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(each) for each in found)


def main() -> None:
    """Compute them all."""
    found = []
    for number, name in enumerate(names(), 1):
        found.append(figures(name))
        print(f"{number} {name} {found[-1].parameters:,}", file=sys.stderr)
    write(found)


if __name__ == "__main__":
    main()
