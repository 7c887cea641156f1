"""The tables of encoders: the figures of a sample are computed anew, and every model of the packages is a row."""

import random
import re
from importlib import metadata

import pytest

import encoder_figures
from docs_site import encoders
from docs_site.catalogue import catalogue
from siamesekit.components.adapted.model_names import HUB_MODELS, timm_models, torchvision_models
from siamesekit.registry import ENCODERS

NAMES = list(encoder_figures.names())
SAMPLE = sorted({"timm/resnet18", "torchvision/resnet18", *random.Random(5).sample(NAMES, 6)})
ADVISED = [each.figures or each.name for each in encoders.ADVICE]


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_the_figures_of_a_sample_are_computed_anew(name: str) -> None:
    if encoders.versions() != encoder_figures.versions():
        pytest.skip(f"the table is of {encoders.versions()}")
    assert {key: str(value) for key, value in vars(encoder_figures.figures(name)).items()} == encoders.measured()[name]


def test_a_figure_is_the_number_of_parameters_that_a_run_would_have() -> None:
    """Counted in a network with numbers, not on the meta device."""
    network = ENCODERS.build("timm/resnet18").network
    known = encoders.measured()["timm/resnet18"]
    assert int(known["parameters"]) == sum(parameter.numel() for parameter in network.parameters()) == 11_176_512
    assert (known["features"], known["size"], known["family"]) == ("512", "224", "resnet")


def test_every_model_of_the_packages_has_figures() -> None:
    installed = ", ".join(
        f"{package} {metadata.version(package).partition('+')[0]}" for package in ("timm", "torchvision")
    )
    assert encoder_figures.versions() == installed
    if encoders.versions() == installed:
        assert set(encoders.measured()) == set(NAMES)
    assert len(set(encoders.measured()) & set(NAMES)) > 0.9 * len(NAMES)
    assert len(NAMES) == len(timm_models()) - 1 + len(torchvision_models())


@pytest.mark.medium
@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_every_model_is_a_row_below_the_name_of_its_kind(package: str) -> None:
    page = catalogue()[f"catalogue/encoders/{package}/index.md"]
    below = page.partition("\n## All ")[2]
    rows = re.findall(rf"^\| `{package}/([^`]+)` \|", below, re.M)
    assert sorted(rows) == sorted(
        ENCODERS.family(package).members()
        if package == "torchvision"
        else [name for name in timm_models() if name != HUB_MODELS]
    )
    kinds = re.findall(r"^### (\S+) \{ #(\S+) \}$", below, re.M)
    assert len(kinds) > 10
    assert re.findall(r"\[(\S+)\]\(#(\S+)\)", below.partition("\n###")[0]) == kinds
    widths = {line.count("|") for line in re.sub(r"`[^`]*`", "", below).splitlines() if line.startswith("|")}
    assert len(widths) == 1
    some = re.search(r"^\| `\w+/resnet50` \|.*$", below, re.M)
    assert some is not None
    assert "| 23.5 M | 2,048 | 224 |" in some[0]


@pytest.mark.medium
def test_advice_stands_before_all_names_and_names_what_is_there() -> None:
    pages = catalogue()
    for page in ("catalogue/encoders/index.md", "catalogue/encoders/timm/index.md"):
        text = pages[page]
        assert text.index("## Which one") < text.index("## timm/…" if page.endswith("encoders/index.md") else "## All ")
        assert encoders.MEGADESCRIPTOR in text
    assert set(ADVISED) <= set(NAMES)
    for each in encoders.ADVICE:
        ENCODERS.get(each.name)
        assert encoders.measured()[each.figures or each.name]["weights"]


def test_a_model_that_was_not_measured_is_a_row_without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: row for name, row in encoders.measured().items() if name != "torchvision/resnet50"}
    monkeypatch.setattr(encoders, "measured", lambda: known)
    text = "\n".join(encoders.tables(ENCODERS.family("torchvision")))
    assert "| `torchvision/resnet50` | – | – | – | `IMAGENET1K_V1`, `IMAGENET1K_V2` |" in text
