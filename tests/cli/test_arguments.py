"""A run and photos in each other's place, and folders to compare: said with the command that was meant."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from patterns import SIDE, turned, view
from siamesekit import Sift
from siamesekit.cli.app import app


def refused(*arguments: object) -> str:
    """What a command says that is refused as the user's mistake."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "remove" not in result.stderr
    return result.stderr


@pytest.fixture
def photos(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos' folder; the working folder is another one."""
    monkeypatch.chdir(tmp_path)
    return project / "photos"


def test_folders_are_no_photos_to_compare(telling: Path, photos: Path) -> None:
    a, b = photos / "striped_0", photos / "striped_1"
    meant = f"siamesekit embed {telling} {a} {b} -o embeddings.csv"
    assert refused("compare", telling, a, b) == (
        f"error: {a} and {b} are folders; compare takes two photos. For all photos in folders: {meant}\n"
    )
    told = refused("compare", telling, a, b / "0.png")
    assert told.startswith(f"error: {a} is a folder; compare takes two photos.")


@pytest.mark.parametrize("place", [1, 2])
def test_a_run_behind_the_photos_is_recognised(telling: Path, photos: Path, place: int) -> None:
    a, b = photos / "striped_0/0.png", photos / "striped_1/0.png"
    given = [a, b]
    given.insert(place, telling)
    told = refused("compare", *given)
    assert told == f"error: the run's folder comes first: siamesekit compare {telling} {a} {b}\n"
    meant = shlex.split(told.partition("siamesekit ")[2])
    assert CliRunner().invoke(app, meant).exit_code == 0


def test_photos_before_the_run_are_recognised(telling: Path, photos: Path) -> None:
    told = refused("embed", photos, telling, "-o", "e.csv")
    assert told == f"error: the run's folder comes first: siamesekit embed {telling} {photos} -o e.csv\n"
    assert CliRunner().invoke(app, shlex.split(told.partition("siamesekit ")[2])).exit_code == 0
    assert Path("e.csv").is_file()


def test_a_photo_in_the_run_s_place_is_recognised(photos: Path) -> None:
    a = photos / "striped_0/0.png"
    assert refused("compare", a, a, a) == (
        f"error: {a} is a file; the run's folder comes first: siamesekit compare RUN {a} {a}\n"
    )


def test_a_run_that_is_not_there_is_still_said(photos: Path) -> None:
    assert "no such file: gone" in refused("compare", "gone", photos / "striped_0/0.png", photos / "striped_0/1.png")


def test_neither_a_run_nor_an_encoder_is_refused_with_both_commands(photos: Path) -> None:
    told = refused("embed", photos, "-o", "e.csv")
    assert told == (
        f"error: neither a run nor an encoder is named: siamesekit embed RUN {photos} -o e.csv, or without a run: "
        f"siamesekit embed --encoder NAME {photos} -o e.csv\n"
    )
    a, b = photos / "striped_0", photos / "striped_1"
    assert refused("embed", a, b, "-o", "e.csv").startswith(
        f"error: {a} is not the folder of a run, and no encoder is named: siamesekit embed RUN {a} {b} -o e.csv, or "
    )


def test_a_run_and_an_encoder_are_refused(telling: Path, photos: Path) -> None:
    told = refused("embed", telling, photos, "-o", "e.csv", "--encoder", "timm/test_resnet")
    assert told == (
        f"error: {telling} is a run, which has its own encoder; leave out the run or --encoder: siamesekit embed "
        f"{telling} {photos} -o e.csv\n"
    )


def test_a_run_without_photos_is_refused(telling: Path, photos: Path) -> None:
    assert refused("embed", telling, "-o", "e.csv") == (
        f"error: no photos are named: siamesekit embed {telling} PHOTOS -o e.csv\n"
    )


@pytest.mark.parametrize("option", [["--weights", "w.pth"], ["--size", "64"]])
def test_options_of_an_encoder_without_an_encoder_are_refused(telling: Path, photos: Path, option: list[str]) -> None:
    assert refused("embed", telling, photos, "-o", "e.csv", *option) == (
        "error: --weights and --size are options of an encoder; a run has its own weights and size\n"
    )


@pytest.mark.parametrize("command", ["embed", "compare", "evaluate", "calibrate", "enrol", "re-embed"])
def test_fit_is_refused_for_a_model_that_has_its_own(telling: Path, photos: Path, tmp_path: Path, command: str) -> None:
    photo = next(photos.rglob("*.png"))
    given = {
        "embed": [telling, photos, "-o", tmp_path / "e.csv"],
        "compare": [telling, photo, photo],
        "evaluate": [telling],
        "calibrate": [telling, "--data", photos, "-o", tmp_path / "mine"],
        "enrol": [telling, photos, "-o", tmp_path / "catalogue"],
        "re-embed": [tmp_path / "catalogue", telling],
    }[command]
    why = "the model of a run, or of the hub, has its own"
    told = refused(command, *given, "--fit", "own")
    assert told == f"error: --fit is only for a ready model, such as timm/resnet50: {why}\n"


@pytest.mark.medium
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--matcher-option", "ratio=0.8"], "--matcher-option is only for --matcher NAME: siamesekit list matchers"),
        (["--matcher", "sift", "--matcher-option", "ratio"], "--matcher-option ratio: must be OPTION=VALUE, such as"),
        (["--matcher", "sift", *["--matcher-option", "ratio=0.8"] * 2], "--matcher-option ratio is given twice"),
        (["--matcher", "sift", "--matcher-option", "ratio='0.8"], "must be TOML, or text without quotes"),
        (["--matcher", "sift", "--matcher-option", "ratio=8"], "  ratio: must be less than 1, not 8"),
        (
            ["--matcher", "sift", "--matcher-option", "ration=0.8"],
            "unknown option of matcher 'sift' (did you mean 'ratio'",
        ),
        (["--matcher", "sif"], "unknown matcher 'sif' (did you mean 'sift'?)"),
        (["-o", "points.png"], "-o draws the points that a matcher finds: name one with --matcher"),
        (["--matcher", "sift", "-o", "points.gif"], "points.gif: a picture's name must end in .png, .jpg, .jpeg"),
        (["--matcher", "sift", "-o", "gone/points.png"], "gone/points.png: there is no folder"),
    ],
)
def test_options_of_a_matcher_that_do_not_fit_are_refused(
    telling: Path, photos: Path, given: list[str], says: str
) -> None:
    a, b = photos / "striped_0/0.png", photos / "striped_1/0.png"
    assert says in refused("compare", telling, a, b, *given)


@pytest.mark.medium
def test_shared_points_are_counted_and_drawn(telling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the matcher itself; the picture is replaced by the next one, and the user's own file never."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    views = view(1, turned(0)), view(1, turned(15))
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    for file, pixels in zip((a, b), views, strict=True):
        Image.fromarray(pixels).save(file)
    matcher = Sift(ratio=0.7)
    count = len(matcher.match(*(matcher.describe(each) for each in views)))
    picture = tmp_path / "points.png"
    command = ["compare", str(telling), str(a), str(b), "--matcher", "sift", "--matcher-option", "ratio=0.7"]
    command += ["--device", "cpu"]
    told = CliRunner().invoke(app, [*command, "-o", str(picture)])
    assert told.exit_code == 0, told.output
    assert f"shared points  {count} (Sift(" in told.stdout and f"drawn in {picture}" in told.stdout
    with Image.open(picture) as drawn:
        assert drawn.size == (4 * SIDE + 8, 2 * SIDE)
    result = CliRunner().invoke(app, [*command, "-o", str(picture), "--json"])
    facts = json.loads(result.stdout)
    assert (facts["shared_points"], facts["picture"]) == (count, str(picture)) and "ratio=0.7" in facts["matcher"]
    before = a.read_bytes()
    refusal = CliRunner().invoke(app, [*command, "-o", str(a)])
    assert refusal.exit_code == 2 and "holds something other than a picture of matched points" in refusal.stderr
    assert a.read_bytes() == before
    jpeg = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "points.jpg")])
    again = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "points.jpg")])
    assert jpeg.exit_code == again.exit_code == 0


def test_boxes_of_megadetector_alone_are_recognised_by_their_content(tmp_path: Path) -> None:
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"images": [{"file": "1.jpg"}], "detection_categories": {"1": "animal"}}))
    words = f"error: {file} has boxes of MegaDetector, which name no individuals: put a table of photos and individuals"
    assert refused("check", file).startswith(words)
    assert refused("embed", "--encoder", "efficientnet-lite0", file, "-o", tmp_path / "e.npz").startswith(words)
    assert refused("init", tmp_path / "project", "--photos", file).startswith(words)
    assert sorted(tmp_path.iterdir()) == [file]
    file.write_text('{"images": 1}')
    assert "expected a folder of photos or a table" in refused("check", file)
