"""Models on the hub: published, loaded again where the run never was, and every way in which a hub can refuse.

The hub is a local server, `tests/local_hub.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import HfApi, ModelCard, constants

import siamesekit
from helpers import serving
from local_hub import TOKEN, LocalHub, Repository, State, in_place_of_the_hub
from siamesekit import RunResult
from siamesekit.artifact import hub_model, hub_requests
from siamesekit.artifact.hub_push import public_description
from siamesekit.components.encoders import backbone
from siamesekit.errors import ArtifactError, OutputError, SiamesekitError, UserError

FILES = ("README.md", "model.json", "model.safetensors")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[State]:
    """A hub of no models in the place of huggingface.co, a good token, and an empty cache."""
    state = State()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with in_place_of_the_hub(state, monkeypatch, tmp_path / "cache" / "hub"):
        yield state


def published(hub: State, run: Path) -> str:
    """A run published as `fluke/tiny`; its commit."""
    return siamesekit.push_to_hub(run, "fluke/tiny", "mit").commit


CLIENT = """
import sys, numpy, siamesekit
model = siamesekit.from_pretrained("fluke/tiny", device="cpu")
numpy.savez(sys.argv[1], embeddings=model.embed(sys.argv[2:]).numpy(), hub=model.hub, threshold=model.threshold)
"""


@pytest.mark.slow
def test_a_process_that_never_saw_the_run_has_the_same_embeddings_and_then_without_a_network(
    hub: State, telling: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = published(hub, telling)
    photos = [str(project / "photos" / "striped_2" / f"{n}.png") for n in range(2)]
    expected = siamesekit.load(telling, "cpu").embed(photos)
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "fresh")}
    command = [sys.executable, "-c", CLIENT, str(tmp_path / "found.npz"), *photos]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(found["embeddings"], expected)
    assert (str(found["hub"]), float(found["threshold"])) == (f"hub:fluke/tiny@{commit}", 0.95)
    names = [path.rpartition("/")[2] for method, path in hub.asked if method == "GET" and "/resolve/" in path]
    assert sorted(names) == ["model.json", "model.safetensors"], "nothing else is downloaded"

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "fresh" / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    again = siamesekit.from_pretrained("fluke/tiny", device="cpu")
    assert again.hub == f"hub:fluke/tiny@{commit}" and torch.equal(again.embed(photos), expected)


def test_what_is_sent_is_what_huggingface_hub_would_send(
    hub: State, telling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle of the protocol: huggingface_hub publishes the same files, and its requests say the same."""
    siamesekit.push_to_hub(telling, "fluke/tiny", "mit", dry_run=tmp_path / "dry")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo("fluke/tiny")
    summary = "Publish a model with siamesekit"
    api.upload_folder(repo_id="fluke/tiny", folder_path=tmp_path / "dry", commit_message=summary)
    theirs, hub.told = [each for each in hub.told if each[0] != "/api/validate-yaml"], []
    expected = hub.repositories.pop("fluke/tiny").commits[0][1]
    hub.stored.clear()

    done = siamesekit.push_to_hub(telling, "fluke/tiny", "mit")
    assert hub.repositories["fluke/tiny"].commits == [(done.commit, expected)]
    assert set(expected) == set(FILES)

    def plain(told: list[tuple[str, Any]]) -> list[str]:
        """Requests without the order of files and what is told of ways to send that are not used."""
        return sorted(
            json.dumps([path, sorted(map(str, content)) if isinstance(content, list) else content], sort_keys=True)
            for path, content in told
            if "transfers" not in content and "files" not in content
        )

    def of(told: list[tuple[str, Any]], key: str) -> list[str]:
        lists = [content[key] for _, content in told if isinstance(content, dict) and key in content]
        assert len(lists) == 1
        return sorted(json.dumps(each, sort_keys=True) for each in lists[0])

    create = "/api/repos/create"
    assert plain([each for each in hub.told if each[0] != create]) == plain([e for e in theirs if e[0] != create])
    assert [of(hub.told, key) for key in ("files", "objects")] == [of(theirs, key) for key in ("files", "objects")]
    ours, other = (next(content for path, content in told if path == create) for told in (hub.told, theirs))
    assert {key: ours[key] for key in ("name", "organization")} == {key: other[key] for key in ("name", "organization")}


def test_the_card_has_the_figures_of_the_run_and_metadata_that_huggingface_hub_reads(
    finished: RunResult, telling: Path, tmp_path: Path
) -> None:
    siamesekit.push_to_hub(telling, "fluke/tiny", "cc-by-4.0", datasets=["fluke/photos"], dry_run=tmp_path / "dry")
    text = (tmp_path / "dry" / "README.md").read_text()
    told = yaml.safe_load(text.split("---\n")[1])
    assert (told["library_name"], told["license"], told["pipeline_tag"]) == (
        "siamesekit",
        "cc-by-4.0",
        "image-feature-extraction",
    )
    assert told["datasets"] == ["fluke/photos"]
    card = ModelCard.load(tmp_path / "dry" / "README.md")
    trained = finished.evaluation["networks"]["trained"]
    results = {each.metric_type: each for each in card.data.eval_results}
    assert set(results) == {"precision_at_1", "recall_at_5", "map_at_r", "triplet_accuracy"}
    for metric, result in results.items():
        assert result.metric_value == pytest.approx(trained[metric]["value"], abs=1e-6)
        assert result.metric_name.endswith(f"interval {trained[metric]['low']:.3f}–{trained[metric]['high']:.3f}")
    figure = trained["map_at_r"]
    assert f"| MAP@R | {figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f}) |" in text
    assert "On 16 test photos of 4 individuals, 4 of which the model had never seen" in text
    assert "Split by identity: no individual of the test photos was trained on." in text
    assert "distance of 0.95 are called the same individual, set so that same and different equally likely" in text
    assert "of 96 different pairs 12.5% are called same, and of 24 same pairs 25.0% different" in text
    assert "32 photos of 8 individuals: 16 train, 16 test" in text
    assert 'siamesekit.from_pretrained("fluke/tiny")' in text


@pytest.fixture
def with_stand_in(telling: Path, tmp_path: Path) -> Path:
    """A run that a stand-in trained, and whose reason names a folder of this machine."""
    folder = Path(shutil.copytree(telling, tmp_path / "standing"))
    file = folder / "model" / "model.json"
    stand_in = {
        "what": "weights",
        "wanted": "imagenet",
        "used": "random weights",
        "why": "there is no /home/someone/secret",
        "hint": "put it into /home/someone",
    }
    file.write_text(json.dumps(json.loads(file.read_text()) | {"stand_ins": [stand_in]}))
    return folder


def test_stand_ins_are_named_and_nothing_of_this_machine_is_published(with_stand_in: Path, tmp_path: Path) -> None:
    done = siamesekit.push_to_hub(with_stand_in, "fluke/tiny", "mit", dry_run=tmp_path / "dry")
    assert sorted(done.files) == sorted(FILES) == sorted(file.name for file in (tmp_path / "dry").iterdir())
    card = (tmp_path / "dry" / "README.md").read_text()
    assert "> **Stand-in for the weights:** random weights in place of imagenet." in card
    for name in ("README.md", "model.json"):
        text = (tmp_path / "dry" / name).read_text()
        for secret in ("someone", str(tmp_path), "striped_"):
            assert secret not in text
    again = siamesekit.load(tmp_path / "dry", "cpu")
    assert again.threshold == 0.95
    assert again.description["stand_ins"][0]["used"] == "random weights"


def test_a_file_of_weights_is_named_without_its_folder() -> None:
    told = public_description({"weights": {"source": "/home/someone/w.pth", "sha256": "0"}})
    assert told["weights"] == {"source": "w.pth", "sha256": "0"}


def test_a_model_without_its_run_says_that_nothing_was_measured(telling: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(telling / "model", tmp_path / "alone" / "model"))
    (alone.parent / "manifest.json").write_text('{"name": "another run", "complete": true}')
    siamesekit.push_to_hub(alone, "fluke/tiny", "mit", dry_run=tmp_path / "dry")
    text = (tmp_path / "dry" / "README.md").read_text()
    assert "Nothing was measured" in text and "model-index" not in text


@pytest.mark.medium
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "^no licence: say with --license"),
        ({"license": "MIT License"}, "^MIT License is no identifier of a licence: small letters"),
        ({"license": "mit", "datasets": ["photos"]}, "^photos is no data set on the hub"),
        ({"license": "mit", "repository": "tiny"}, "^tiny is no name on the hub: it must be OWNER/NAME$"),
        ({"license": "mit", "repository": "hub:fluke/tiny"}, "it must be OWNER/NAME; without hub:$"),
        ({"license": "mit", "repository": "a/../b"}, "is no name on the hub"),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_asked(
    hub: State, telling: Path, given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        siamesekit.push_to_hub(telling, **{"repository": "fluke/tiny", **given})
    assert not hub.asked


def test_a_folder_with_content_is_not_written_into(telling: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists and is not an empty folder"):
        siamesekit.push_to_hub(telling, "fluke/tiny", "mit", dry_run=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def refused(call: Any, *given: Any) -> str:
    with pytest.raises(SiamesekitError) as caught:
        call(*given)
    return caught.value.message


def test_refusals_of_the_hub_are_told_in_words_and_nothing_is_committed(
    hub: State, telling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    said = refused(siamesekit.push_to_hub, telling, "fluke/tiny", "mit")
    assert "answers 401: the token is not valid: log in with `hf auth login`, or set HF_TOKEN (Invalid cred" in said
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    assert "cannot publish without a token" in refused(siamesekit.push_to_hub, telling, "fluke/tiny", "mit")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = refused(siamesekit.push_to_hub, telling, "others/tiny", "mit")
    assert said.endswith(
        "answers 404: it has no others/tiny, or the token may not see it (Repository not found); nothing was committed"
    )
    assert not hub.repositories


def test_a_public_repository_is_not_taken_for_a_private_one(hub: State, telling: Path) -> None:
    hub.repositories["fluke/tiny"] = Repository()
    said = refused(siamesekit.push_to_hub, telling, "fluke/tiny", "mit", True)
    assert said.startswith("fluke/tiny is public on 127.0.0.1:")
    assert not hub.repositories["fluke/tiny"].commits and not hub.stored
    siamesekit.push_to_hub(telling, "fluke/new", "mit", private=True)
    assert hub.repositories["fluke/new"].private and len(hub.repositories["fluke/new"].commits) == 1


def test_a_second_push_sends_the_weights_only_once(hub: State, telling: Path) -> None:
    first = published(hub, telling)
    hub.asked.clear()
    second = published(hub, telling)
    assert first != second and [method for method, _ in hub.asked].count("PUT") == 0
    assert siamesekit.from_pretrained("fluke/tiny", first, "cpu").hub == f"hub:fluke/tiny@{first}"


def test_the_token_goes_to_the_hub_alone(hub: State, telling: Path) -> None:
    """Another server, to which the hub has large files sent, does not get it."""
    with serving(type("Elsewhere", (LocalHub,), {"state": hub})) as hub.store:
        commit = published(hub, telling)
    assert hub.tokens_of_files == [None]
    assert hub.repositories["fluke/tiny"].commits[-1][0] == commit


@pytest.mark.medium
@pytest.mark.parametrize("path", ["/api/repos/create", "/lfs/", "/commit/main"])
def test_a_hub_that_stands_still_is_given_up_within_the_bound(
    hub: State, telling: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(hub_requests, "PATIENCE", 0.5)
    hub.silent = path
    start = time.monotonic()
    said = refused(siamesekit.push_to_hub, telling, "fluke/tiny", "mit")
    assert "timed out: no answer for 0.5 s; nothing was committed: try again" in said
    assert time.monotonic() - start < 10
    assert not any(repository.commits for repository in hub.repositories.values())


def test_no_server_is_one_sentence(hub: State, telling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    said = refused(siamesekit.push_to_hub, telling, "fluke/tiny", "mit")
    assert said == "127.0.0.1:9 cannot be reached (Connection refused); nothing was committed: try again"
    said = refused(siamesekit.from_pretrained, "fluke/tiny")
    assert said.startswith("hub:fluke/tiny cannot be downloaded: 127.0.0.1:9 cannot be reached (Connection refused)")
    assert said.endswith(", and the files are not in the cache")


def test_what_the_hub_does_not_give_is_told_in_words(
    hub: State, telling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(hub, telling)
    assert "has no model fluke/gone, or it is private" in refused(siamesekit.from_pretrained, "fluke/gone")
    assert "has no revision v9 of fluke/tiny" in refused(siamesekit.from_pretrained, "fluke/tiny@v9")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    hub.repositories["fluke/tiny"].gated = True
    assert "requires permission: log in with `hf auth login`" in refused(siamesekit.from_pretrained, "fluke/tiny")
    hub.repositories["fluke/tiny"] = Repository(private=True)
    assert "has no model fluke/tiny, or it is private" in refused(siamesekit.from_pretrained, "fluke/tiny")
    hub.repositories["fluke/tiny"] = Repository(commits=[("1" * 40, {"config.json": b"{}"})])
    said = refused(siamesekit.from_pretrained, "fluke/tiny")
    assert said.startswith("hub:fluke/tiny is no model of siamesekit: ")
    assert said.endswith("; a model of timm on the hub is timm/hf-hub:fluke/tiny")


@pytest.mark.medium
def test_a_download_that_stands_still_is_given_up_within_the_bound(
    hub: State, telling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(hub, telling)
    monkeypatch.setattr(backbone, "STALL_SECONDS", 0.5)
    hub.silent = "/resolve/"
    start = time.monotonic()
    assert "timed out: no answer for 0.5 s" in refused(siamesekit.from_pretrained, "fluke/tiny")
    assert time.monotonic() - start < 5


def test_sizes_are_bounded_before_anything_is_downloaded(
    hub: State, telling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(hub, telling)
    size = len(hub.repositories["fluke/tiny"].commits[-1][1]["model.safetensors"])
    monkeypatch.setattr(hub_model, "MAX_WEIGHTS_BYTES", size - 1)
    said = refused(siamesekit.from_pretrained, "fluke/tiny")
    assert said.endswith(f"has a model.safetensors of {size:,} bytes, and at most {size - 1:,} are taken")
    commit, files = hub.repositories["fluke/tiny"].commits[-1]
    hub.repositories["fluke/tiny"].commits = [("2" * 40, {**files, "model.json": b" " * ((1 << 20) + 1)})]
    assert "has a model.json of 1,048,577 bytes, and at most 1,048,576" in refused(
        siamesekit.from_pretrained, "fluke/tiny"
    )
    asked = [path for method, path in hub.asked if method == "GET"]
    assert f"/fluke/tiny/resolve/{commit}/model.safetensors" not in asked
    assert not any("2" * 40 in path for path in asked)


def test_a_hostile_description_is_refused_and_the_weights_are_not_asked(hub: State, telling: Path) -> None:
    published(hub, telling)
    _, files = hub.repositories["fluke/tiny"].commits[-1]
    told = json.loads(files["model.json"])
    told["encoder"]["head"]["layers"] = [1 << 30]
    hub.repositories["fluke/tiny"].commits = [("3" * 40, {**files, "model.json": json.dumps(told).encode()})]
    hub.asked.clear()
    with pytest.raises(ArtifactError, match="layers must be at most 64 layers"):
        siamesekit.from_pretrained("fluke/tiny")
    assert not any("model.safetensors" in path for _, path in hub.asked)


@pytest.mark.medium
def test_a_model_of_the_hub_is_a_model_like_any_other(hub: State, telling: Path, project: Path) -> None:
    commit = published(hub, telling)
    model = siamesekit.from_pretrained("fluke/tiny", device="cpu")
    assert f"from 'hub:fluke/tiny@{commit}'" in repr(model)
    photo = project / "photos" / "striped_2" / "1.png"
    assert torch.equal(model.embed(photo), siamesekit.load(telling, "cpu").embed(photo))
    assert torch.equal(model.embed(photo), siamesekit.load("hub:fluke/tiny", "cpu").embed(photo))
    again = siamesekit.push_to_hub(model, "fluke/again", "mit")
    files = hub.repositories["fluke/again"].commits[-1][1]
    assert again.commit and files["model.json"] == hub.repositories["fluke/tiny"].commits[-1][1]["model.json"]
