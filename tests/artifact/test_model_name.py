"""What a text names where a model is wanted, and that nothing that could be two things is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.artifact.model_name import EncoderName, HubName, ModelName, hub_name, model_name, require_model
from siamesekit.errors import ComponentError, UserError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs/seals", Path("runs/seals")),
        ("seals", Path("seals")),
        ("./timm/resnet50", Path("timm/resnet50")),
        ("/runs/xception", Path("/runs/xception")),
        ("../xception", Path("../xception")),
        (Path("xception"), Path("xception")),
        ("xception", EncoderName("xception")),
        ("timm/resnet50", EncoderName("timm/resnet50")),
        ("timm/resnet50.a1_in1k", EncoderName("timm/resnet50.a1_in1k")),
        ("timm/hf-hub:BVRA/MegaDescriptor-T-224", EncoderName("timm/hf-hub:BVRA/MegaDescriptor-T-224")),
        ("hub:fluke-watch/seals", HubName("fluke-watch/seals")),
        ("hub:fluke-watch/seals@v1.0", HubName("fluke-watch/seals", "v1.0")),
    ],
)
def test_a_text_names_one_thing(here: Path, text: str | Path, expected: ModelName) -> None:
    assert model_name(text) == expected
    if not isinstance(expected, Path):
        assert str(expected) == text


@pytest.mark.parametrize("text", ["xception", "timm/resnet50", "hub:fluke/seals"])
def test_a_folder_of_the_same_name_is_refused_and_can_be_told(here: Path, text: str) -> None:
    (here / text).mkdir(parents=True)
    with pytest.raises(UserError, match=rf"^{text} is a folder here and is also the name of .*write \./{text};"):
        model_name(text)
    assert model_name(f"./{text}") == Path(text)


def test_a_folder_with_the_form_of_an_encoder_is_a_folder(here: Path) -> None:
    (here / "timm" / "mine").mkdir(parents=True)
    assert model_name("timm/mine") == Path("timm/mine")
    with pytest.raises(ComponentError, match=r"timm/resnet5.*did you mean"):
        model_name("timm/resnet5")


@pytest.mark.parametrize(
    "text",
    ["hub:", "hub:seals", "hub:a/b/c", "hub:../b", "hub:a/..", "hub:a/b@", "hub:a/b@x y", "hub:a/b@../c", "hub:a--b/c"],
)
def test_what_the_hub_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no model on the hub: its name must be OWNER/NAME or OWNER/NAME@REVISION"):
        hub_name(text)


def test_a_missing_folder_that_may_be_a_model_of_the_hub_says_how_to_name_it(here: Path) -> None:
    with pytest.raises(UserError, match=r"^no such file: fluke/seals; for a model on the hub: hub:fluke/seals$"):
        require_model("fluke/seals")
    with pytest.raises(UserError, match=r"^no such file: runs/a/b$"):
        require_model("runs/a/b")
    with pytest.raises(UserError, match=r"^no such file: efficientnet-lite \(did you mean 'efficientnet-lite0'\?\)$"):
        require_model("efficientnet-lite")
