"""The names and tags read from other packages' sources against the packages' own lists."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import timm
import torchvision

from siamesekit.components.adapted.model_names import HUB_MODELS, timm_models, torchvision_models
from siamesekit.errors import ComponentError
from siamesekit.registry import ENCODERS


def timms_tags() -> dict[str, set[str]]:
    """By timm's own list, as it is after importing everything."""
    tags: dict[str, set[str]] = {name: set() for name in timm.list_models()}
    for tagged in timm.list_models(include_tags=True):
        name, dot, tag = tagged.partition(".")
        tags[name] |= {tag} if dot else set()
    return tags


def test_names_are_timms_own() -> None:
    assert list(timm_models()) == [*sorted(timm.list_models()), HUB_MODELS]
    assert "resnet18" in timm_models()


def test_tags_are_timms_own_or_none_are_named() -> None:
    found = {name: set(tags) for name, tags in timm_models().items() if name != HUB_MODELS}
    own = timms_tags()
    assert {name: tags for name, tags in found.items() if tags} == {name: own[name] for name in own if found[name]}
    made_at_import = {name for name in own if own[name] and not found[name]}
    assert len(made_at_import) < 0.02 * len(own), made_at_import
    assert sum(map(len, found.values())) > 1000


def test_names_and_tags_are_torchvisions_own() -> None:
    own = torchvision.models.list_models(module=torchvision.models)
    assert dict(torchvision_models()) == {
        name: tuple(weights.name for weights in torchvision.models.get_model_weights(name)) for name in own
    }
    assert torchvision_models()["resnet50"] == ("IMAGENET1K_V1", "IMAGENET1K_V2")
    assert "fcn_resnet50" not in torchvision_models()
    assert list(torchvision_models()) == sorted(torchvision_models())


@pytest.mark.medium
def test_a_config_with_an_unknown_tag_is_refused_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    config = tmp_path / "whales.toml"
    config.write_text('[data]\nreader = "folder"\nroot = "."\n[encoder]\nname = "timm/resnet18.a1_in2k"\n')
    code = (
        "import sys; from siamesekit.config import load_config; from siamesekit.errors import ConfigError\n"
        f"try: load_config({str(config)!r})\n"
        "except ConfigError as error: print(*error.problems, {'timm', 'torch', 'torchvision'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith(
        "whales.toml:5  encoder.name: unknown encoder 'timm/resnet18.a1_in2k': resnet18 has no "
        "weights 'a1_in2k' (did you mean 'a1_in1k'"
    )
    assert out.endswith("gluon_in1k, tv_in1k set()\n")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("timm/resnet18.nonsense", r"resnet18 has no weights 'nonsense'; choices: a1_in1k, .*tv_in1k$"),
        ("torchvision/resnet50.IMAGENET1K_V3", r"did you mean 'IMAGENET1K_V2'.*choices: IMAGENET1K_V1, IMAGENET1K_V2$"),
        ("torchvision/resnet50.", r"no weights ''; choices: IMAGENET1K_V1, IMAGENET1K_V2$"),
        ("torchvision/resnet5O", r"did you mean 'resnet50'.*80 choices: siamesekit list encoders torchvision$"),
        ("torchvision/fcn_resnet50", r"torchvision has no 'fcn_resnet50'"),
        ("timm/hf-hub:timm", r"timm has no 'hf-hub:timm' \(did you mean 'hf-hub:\*/\*'\?\)"),
        ("torchvision/hf-hub:timm/resnet18", r"torchvision has no 'hf-hub:timm/resnet18'"),
    ],
)
def test_an_unknown_name_or_tag_is_refused_with_the_choices(name: str, problem: str) -> None:
    with pytest.raises(ComponentError, match=problem):
        ENCODERS.get(name)


@pytest.mark.parametrize(
    "name", ["timm/resnet18.a1_in1k", "torchvision/resnet50.IMAGENET1K_V2", "timm/hf-hub:BVRA/MegaDescriptor-T-224",
             "timm/hf-hub:timm/resnet18.a1_in1k", "timm/vit_base_patch16_clip_quickgelu_224.openai"],
)  # fmt: skip
def test_a_tag_and_a_hub_model_are_taken(name: str) -> None:
    assert ENCODERS.get(name).name == f"{name.partition('/')[0]}/*"


def test_neither_timm_nor_torch_is_imported_for_them() -> None:
    code = (
        "import sys; from siamesekit.components.adapted.model_names import timm_models, torchvision_models; "
        "print(len(timm_models()) > 1000, len(torchvision_models()) > 70, "
        "{'timm', 'torch', 'torchvision'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True", "True", "set()"]


def test_reading_them_takes_a_moment() -> None:
    """The least of three: other programs may be running."""

    def seconds() -> float:
        start = time.process_time()
        timm_models.__wrapped__()
        torchvision_models.__wrapped__()
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.3
