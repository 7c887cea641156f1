"""What a prompt or a notebook shows of the library's objects: short, with their figures, and safe."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import siamesekit
from siamesekit import Comparison, Config, Neighbours, Plan, RunResult
from siamesekit.gallery.search import Answer, AnswerList, Candidate, PhotoMatch
from siamesekit.registry import LOSSES, REGISTRIES

EVIL = "<img src=x onerror=alert(1)>'\"&"
PLAN = Plan(
    individuals={"train": 6, "test": 2}, photos={"train": 24, "test": 8}, triplets=1200, batches=3, steps=180,
    parameters=1000, trainable=200, weights="imagenet", stand_ins=("<b>random</b> weights",),
    frozen_part="the frozen part's output is cached", cache_bytes=1, memory_bytes=3 * 2**30, seconds=600, device="cpu",
)  # fmt: skip


class Outline(HTMLParser):
    """The tags and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.pictures += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_a_result_tells_its_folder_and_its_figures(finished: RunResult) -> None:
    networks = finished.evaluation["networks"]
    trained, pixels = networks["trained"]["precision_at_1"], networks["raw_pixels"]["precision_at_1"]
    told = repr(finished)
    assert len(told) < 300
    assert f"'small' in {str(finished.folder)!r}: P@1 {trained['value']:.3f} ({trained['low']:.3f}–" in told
    assert f"raw pixels {pixels['value']:.3f}" in told
    assert finished.report.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_result_draws_itself_with_the_report_s_answer_and_a_link(finished: RunResult) -> None:
    drawn = Outline(finished._repr_html_())
    report = " ".join(re.sub("<[^>]+>", " ", finished.report.read_text(encoding="utf-8")).split())
    [answer] = re.findall(r"On \d+ photos of .*? comparing plain pixels \d+%", " ".join(drawn.text.split()))
    assert answer.replace(" ", "") in report.replace(" ", "")
    for name in ("trained", "untrained", "raw_pixels"):
        for metric in ("triplet_accuracy", "precision_at_1", "map_at_r"):
            assert f"{finished.evaluation['networks'][name][metric]['value']:.3f}" in drawn.text
    assert drawn.links[0] == finished.report.resolve().as_uri()
    for note in finished.evaluation["notes"]:
        assert note in " ".join(drawn.text.split())


def test_a_run_below_the_working_folder_is_linked_as_a_notebook_s_server_reaches_it(
    finished: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder.parent)
    assert Outline(finished._repr_html_()).links == ["small/report.html", "small"]


def test_names_and_notes_cannot_act_in_a_notebook(finished: RunResult) -> None:
    evil = "<img src=x onerror=alert(1)>'\"&"
    stand_in = {"what": evil, "used": evil, "wanted": evil, "hint": evil, "why": evil}
    result = dataclasses.replace(
        finished,
        folder=finished.folder.parent / "a'><script>",
        manifest={"name": evil, "stand_ins": [stand_in]},
        evaluation={**finished.evaluation, "notes": [evil]},
    )
    drawn = Outline(result._repr_html_())
    assert {"script", "img"}.isdisjoint(drawn.tags)
    assert drawn.text.count(evil) == 6
    assert "STAND-IN" in repr(result)


def test_a_plan_is_read_as_lines_and_drawn_as_a_table() -> None:
    lines = repr(PLAN).splitlines()
    assert lines[0] == "Plan"
    assert {"6 train, 2 test", "1200 in 3 batches", "3.2 GB", "10 min"} <= {line[21:].strip() for line in lines}
    drawn = Outline(PLAN._repr_html_())
    assert drawn.tags.count("tr") == len(lines) - 1
    assert "b" not in drawn.tags and "<b>random</b> weights" in drawn.text
    assert "chosen by the miner" in repr(dataclasses.replace(PLAN, triplets=None))


def test_a_config_tells_what_differs_from_its_defaults(small_config: Callable[..., Config], project: Path) -> None:
    assert repr(small_config("loss.margin=0.25", "distance.name=cosine")).splitlines() == [
        f"Config 'small' of {project / 'config.toml'}, seed 5; all values: print(config.to_toml())",
        '  [data] reader = "folder", size = 32, root = "photos"',
        "  [split] train = 0.5",
        '  [encoder] name = "timm/test_resnet", weights = "calibrated", train_from = "layer3", '
        "head = { layers = [32, 16] }",
        '  [distance] name = "cosine"',
        "  [sampler] batch_size = 10, photos = 4",
        "  [loss] margin = 0.25",
        "  [train] epochs = 2",
        "  [evaluation] bootstrap = 100",
    ]


def test_a_config_s_nested_components_are_told_by_name(small_config: Callable[..., Config]) -> None:
    config = small_config('loss={name="cross-batch-memory", size=64, loss={name="contrastive"}}')
    assert '  [loss] name = "cross-batch-memory", loss = "contrastive", size = 64' in repr(config).splitlines()


def test_a_model_tells_what_it_is_and_holds_no_weights(finished: RunResult) -> None:
    model = siamesekit.load(finished.folder, device="cpu")
    limit = "no threshold" if model.threshold is None else f"threshold {model.threshold:.4f}"
    assert repr(model) == (
        "SimilarityModel(encoder 'timm/test_resnet': photos 32 × 32 (squash) → 16 dimensions, "
        f"distance 'squared-euclidean', {limit}, on cpu in fp32, from {str(finished.folder)!r})"
    )
    assert model.source == finished.folder


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (Comparison(0.25, 0.8125, 0.5, True), "distance 0.2500, similarity 0.812, same individual (threshold 0.5000)"),
        (
            Comparison(0.75, 0.25, 0.5, False),
            "distance 0.7500, similarity 0.250, different individuals (threshold 0.5000)",
        ),
        (Comparison(0.25, None, None, None), "distance 0.2500, similarity unknown"),
    ],
)
def test_a_comparison_tells_its_verdict(comparison: Comparison, expected: str) -> None:
    assert repr(comparison) == f"Comparison({expected})"


def test_neighbours_tell_their_shapes() -> None:
    found = Neighbours(torch.zeros(1000, 5, dtype=torch.int64), torch.zeros(1000, 5))
    assert repr(found) == "Neighbours(the 5 nearest of 1000 queries: index int64 [1000, 5], distance float32)"


def test_registries_and_components_are_told_in_a_line() -> None:
    for registry in REGISTRIES:
        assert repr(registry) == f"Registry({len(registry.names())} {registry.plural}: {registry.purpose})"
    assert repr(LOSSES.get("info-nce")).startswith("Component(loss 'info-nce' (temperature: ")
    assert "\n" not in repr(LOSSES.get("pml/triplet-margin"))


def test_a_plan_names_the_trackers() -> None:
    assert "tracked by" not in repr(PLAN)
    row = next(
        line for line in repr(dataclasses.replace(PLAN, tracked=("wandb", "mlflow"))).splitlines() if "track" in line
    )
    assert row.split(maxsplit=2) == ["tracked", "by", "wandb, mlflow"]


def size_of(uri: str) -> tuple[int, int]:
    """Width and height of a photo within a page."""
    kind, _, content = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content))).size


def test_a_comparison_draws_its_photos_and_its_verdict(tmp_path: Path) -> None:
    photo = tmp_path / "a<b>'.png"
    Image.new("RGB", (400, 200)).save(photo)
    pixels = np.zeros((30, 20, 3), np.uint8)
    drawn = Outline(Comparison(0.25, 0.8125, 0.5, True).of(photo, pixels)._repr_html_())
    assert [size_of(each) for each in drawn.pictures] == [(112, 56), (20, 30)]
    assert "Same individual  (threshold 0.5000): distance 0.2500, similarity 0.812" in drawn.text
    assert {"script", "b", "link", "style"}.isdisjoint(drawn.tags)
    photo.unlink()
    again = Outline(Comparison(0.25, None, None, None).of(photo)._repr_html_())
    assert again.pictures == []
    assert "a<b>'.png" in again.text
    assert "No verdict : distance 0.2500, similarity unknown" in again.text


def test_a_comparison_with_photos_is_that_without_them() -> None:
    bare = Comparison(0.25, 0.8125, 0.5, True)
    shown = dataclasses.replace(bare).of("a.png", io.BytesIO())
    assert (shown, repr(shown), dataclasses.asdict(shown)) == (bare, repr(bare), dataclasses.asdict(bare))
    assert Outline(shown._repr_html_()).text.count("a.png") == 1


def answer_of(path: Path, count: int = 14) -> Answer:
    """An answer of so many candidates, whose names could act in a page."""
    best = PhotoMatch(1, f"{EVIL}.png", str(path), EVIL, 0.25, 0.8)
    return Answer(EVIL, 0.125, (Candidate(EVIL, 0.25, 0.8, 0.5, best, 3, 17),) * count, (best,), "known")


def test_an_answer_draws_its_candidates_with_photos_of_the_best(tmp_path: Path) -> None:
    Image.new("RGB", (30, 60)).save(tmp_path / "a.png")
    drawn = Outline(answer_of(tmp_path / "a.png")._repr_html_())
    assert [size_of(each) for each in drawn.pictures] == [(30, 60)] * 5
    assert drawn.tags.count("tr") == 1 + 12
    assert drawn.tags.count("img") == 5
    assert drawn.text.count(EVIL) == 1 + 2 * 12
    assert "known, probability of a new individual 12.5%" in drawn.text
    assert all(figure in drawn.text for figure in ("0.2500", "0.800", "50.0%", "17"))
    bare = dataclasses.replace(answer_of(tmp_path / "gone.png", 1), new=None, verdict=None)
    candidate = dataclasses.replace(bare.candidates[0], similarity=None, probability=None, points=None)
    told = Outline(dataclasses.replace(bare, candidates=(candidate,))._repr_html_())
    assert told.tags.count("th") == 4
    assert (told.pictures, "gone.png" in told.text) == ([], True)


def test_a_list_of_answers_draws_the_first_and_counts_the_others(tmp_path: Path) -> None:
    answers = AnswerList([answer_of(tmp_path / "gone.png", 1)] * 7)
    assert answers == [answers[0]] * 7
    drawn = Outline(answers._repr_html_())
    assert drawn.tags.count("table") == 5
    assert "and 2 more answers" in drawn.text


def test_neighbours_draw_the_first_queries_with_index_and_distance() -> None:
    index = torch.arange(12 * 11).reshape(12, 11)
    drawn = Outline(Neighbours(index, index.double() / 8)._repr_html_())
    assert drawn.tags.count("tr") == 1 + 10
    assert drawn.tags.count("td") == 10 * 10
    assert "108 (13.5)" in drawn.text
