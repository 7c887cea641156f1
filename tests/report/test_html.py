"""The report: self-contained, everything escaped, honest about stand-ins and about training that did not help."""

import base64
import io
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

import siamesekit.report.html as html_module
from siamesekit.engine.doctor import Finding
from siamesekit.experiment.run_result import RunResult
from siamesekit.report.content import HardTriplet, Picture, Ranking, ReportData, StandIn
from siamesekit.report.html import answer, render, shortfalls


@pytest.fixture(autouse=True)
def _drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart of the same figures is drawn once for all tests: drawing takes most of a page's time."""
    for name, draw in CHARTS.items():
        monkeypatch.setattr(html_module, name, draw)


def _remembered(draw: Callable[..., str]) -> Callable[..., str]:
    drawn: dict[bytes, str] = {}

    def of(*given: Any, **how: Any) -> str:
        key = pickle.dumps((given, how))
        if key not in drawn:
            drawn[key] = draw(*given, **how)
        return drawn[key]

    return of


CHARTS = {
    name: _remembered(getattr(html_module, name)) for name in ("comparison_chart", "training_chart", "distance_chart")
}
NASTY = "<script>alert(1)</script>\"'&<!--"
GOOD = {"trained": (0.9, 0.8, 0.7), "untrained": (0.6, 0.5, 0.4), "raw_pixels": (0.5, 0.4, 0.3)}
POINT = {
    "slope": 12.0, "intercept": -6.0, "threshold": 0.5, "criterion": NASTY, "individuals": 5,
    "cross_fit": {
        "folds": 10, "same_pairs": 1234, "different_pairs": 56,
        "false_accept_rate": {"value": 0.125, "low": 0.0, "high": 0.25},
        "false_reject_rate": {"value": 0.0625, "low": None, "high": None},
        "accuracy": {"value": 0.9, "low": 0.8, "high": 1.0},
    },
}  # fmt: skip


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": max(value - 0.1, 0), "high": min(value + 0.1, 1)}


def networks(values: Mapping[str, tuple[float, ...]] = GOOD) -> dict[str, Any]:
    metrics = ("triplet_accuracy", "precision_at_1", "map_at_r")
    return {name: {metric: interval(v) for metric, v in zip(metrics, row, strict=True)} for name, row in values.items()}


def evaluation(**changes: Any) -> dict[str, Any]:
    known = {"individuals": 5, "photos": 50, "triplets": 225, "confidence": 0.95, "bootstrap": 1000,
             "split": "identity", "networks": networks(), "threshold": POINT, "notes": []}  # fmt: skip
    return known | changes


def picture(name: str, tone: int) -> Picture:
    return Picture(f"{name}/0.jpg", name, np.full((16, 16, 3), tone, np.uint8))


def epoch(number: int) -> dict[str, Any]:
    return {"epoch": number, "train_loss": 1 / number, "test_loss": 1.0, "train_accuracy": 0.5, "test_accuracy": 0.5,
            "d_ap_mean": 0.1, "d_an_mean": 0.2, "active_triplets": 0.5, "seconds": 1.5}  # fmt: skip


def ranking(query: str, *found: str) -> Ranking:
    return Ranking(picture(query, 10), tuple((picture(name, 50), 0.25 * k) for k, name in enumerate(found)))


def report(**changes: Any) -> ReportData:
    triplets = tuple(
        HardTriplet(picture(NASTY, 10), picture(NASTY, 100), picture("other", 200), 0.9 - 0.1 * k, 0.55)
        for k in range(10)
    )
    made = ReportData(
        name=NASTY, created="today", version="1.2.3", stand_ins=(), facts=((NASTY, NASTY),),
        epochs=tuple(epoch(n) for n in (1, 2, 3)), kept_epoch=3, loss_by_class=False, findings=(),
        evaluation=evaluation(notes=[NASTY]),
        same=np.array([0.1, 0.2], np.float32), different=np.array([0.7, 0.9, 1.1], np.float32), hardest=triplets,
        rankings=(ranking(NASTY, NASTY), ranking("whale", "whale", NASTY, "whale")),
    )  # fmt: skip
    return replace(made, **changes)


@pytest.mark.medium
def test_nearest_photos_are_marked_right_and_wrong() -> None:
    html = render(report())
    section = html[html.index("Who is it?") : html.index("The hardest test triplets")]
    assert re.findall("<figure class=(right|wrong)>", section) == ["right", "right", "wrong", "right"]
    assert re.findall(r"<b>([✓✗] [0-9.]+)</b>", section) == ["✓ 0.000", "✓ 0.000", "✗ 0.250", "✓ 0.500"]
    assert section.count("<div class=ranking>") == 2
    assert escape(NASTY) in section


@pytest.mark.parametrize("rankings", [(), (ranking("alone"),)])
def test_where_nothing_is_near_there_is_no_section(rankings: tuple[Ranking, ...]) -> None:
    assert "Who is it?" not in render(report(rankings=rankings))


def shown(picture: Picture) -> Image.Image:
    """A picture as a page has it."""
    html = render(report(hardest=(), rankings=(Ranking(picture, ((picture, 0.0),)),)))
    [uri, again] = re.findall("base64,([^']+)", html)
    assert uri == again
    return Image.open(io.BytesIO(base64.b64decode(uri)))


def test_large_photos_are_shown_smaller() -> None:
    large = Picture("a.jpg", "a", np.zeros((500, 1000, 3), np.uint8))
    assert shown(large).size == (512, 256)


def test_the_photo_itself_is_shown_where_it_is_at_hand() -> None:
    """And not the network's square of it, which is small, squashed or with bars."""
    square, photo = np.zeros((32, 32, 3), np.uint8), np.full((300, 400, 3), 200, np.uint8)
    assert shown(Picture("a.jpg", "a", square)).size == (32, 32)
    image = shown(Picture("a.jpg", "a", square, photo))
    assert image.size == (400, 300)
    assert abs(np.asarray(image).astype(int) - 200).max() <= 2


def test_every_photo_opens_by_click_and_by_keyboard() -> None:
    """`<details>` does, without a script; those of one name close each other."""
    page = Page(render(report()))
    photos = [number for number, (_, said) in enumerate(page.tags) if said.get("class") == "photo"]
    assert len(photos) == sum(tag == "img" for tag, _ in page.tags) > 10
    for number in photos:
        assert [tag for tag, _ in page.tags[number : number + 3]] == ["details", "summary", "img"]
        assert page.tags[number][1]["name"] == "photo"
    tiny, large = (Picture("a", "a", np.zeros((side, side, 3), np.uint8)) for side in (96, 400))
    html = render(report(hardest=(), rankings=(Ranking(large, ((tiny, 0.0),)),)))
    assert html.count("<img class=tiny src") == 1


@pytest.mark.parametrize(
    ("name", "folder", "start", "end"),
    [
        ("Hn-011/IMG_0558.jpg", "Hn-011/", "IMG_", "0558.jpg"),
        ("a/b/IMG_0661 copy (2).jpeg", "a/b/", "IMG_0661 copy ", "(2).jpeg"),
        ("0.jpg", "", "", "0.jpg"),
        ("w_0012/3", "w_0012/", "", "3"),
        ("folder/", "folder/", "", ""),
    ],
)
def test_a_name_is_in_parts_between_which_alone_it_may_break(name: str, folder: str, start: str, end: str) -> None:
    asked = Picture(name, "a", picture("a", 1).pixels)
    html = render(report(hardest=(), rankings=(Ranking(asked, ((picture("b", 2), 1.0),)),)))
    told = re.search(r"<b>a</b>(<span class=name>.*?)</figcaption>", html)
    assert told is not None
    assert told[1] == (
        f"<span class=name><span class=folder>{folder}</span><span class=file><span class=start>{start}</span>"
        f"<span>{end}</span></span></span>"
    )
    assert re.sub("<[^>]+>", "", told[1]) == name, "it is copied as it is"


def test_a_chart_is_there_in_two_forms_with_ids_of_their_own() -> None:
    html = render(report())
    forms = re.findall("<div class=broad>(.*?)</div><div class=narrow>(.*?)</div>", html, re.DOTALL)
    assert len(forms) == 3
    for broad, narrow in forms:
        ids = [set(re.findall(r'<clipPath id="([^"]+)"', form)) for form in (broad, narrow)]
        assert ids[0]
        assert not ids[0] & ids[1]


class Page(HTMLParser):
    """All tags with their attributes, and the text outside of `<style>`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_is_loaded_from_elsewhere(finished: RunResult) -> None:
    for html in (render(report()), (finished.folder / "report.html").read_text()):
        page = Page(html)
        loading = [
            value
            for _, attributes in page.tags
            for name, value in attributes.items()
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster")
        ]
        assert len(loading) > 10
        assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in loading)
        assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
        assert not re.search(r"@import|url\((?!#)", html)


def test_names_are_escaped_wherever_they_stand() -> None:
    html = render(report(stand_ins=(StandIn(NASTY, NASTY, NASTY, NASTY, NASTY),)))
    page = Page(html)
    assert "<script" not in html
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    for wanted, key in (("img", "alt"), ("summary", "title")):
        assert next(said[key] for tag, said in page.tags if tag == wanted and key in said) == f"{NASTY}, {NASTY}/0.jpg"
    # title, heading, five in the stand-in, criterion, 4 captions of near photos and 20 of triplets, two facts, a note
    assert page.text.count(NASTY) == 2 + 5 + 1 + 4 + 20 + 2 + 1


def test_stand_ins_are_named_before_any_figure() -> None:
    html = render(report(stand_ins=(StandIn("data", "photos", "drawings", "no folder", "ask"),)))
    head = html[: html.index("Did training help?")]
    for text in ("Stand-in for the data.", "photos: drawings, because no folder", "<code>ask</code>"):
        assert text in head
    assert "Stand-in" not in render(report())


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_hard_triplets_are_shown_as_pictures(count: int) -> None:
    html = render(report(hardest=report().hardest[:count], rankings=()))
    images = [attributes["src"] for tag, attributes in Page(html).tags if tag == "img"]
    assert len(images) == 3 * count
    for k, uri in enumerate(images):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
        assert abs(pixels.astype(int) - (10, 100, 200)[k % 3]).max() <= 2
    assert ("The hardest test triplets" in html) == (count > 0)


def test_a_triplet_is_wrong_where_the_negative_is_not_farther() -> None:
    html = render(report())
    assert html.count("wrong one nearer") == sum(round(0.9 - 0.1 * k, 3) >= 0.55 for k in range(10)) == 4
    assert html.count("right one nearer") == 6


def test_the_answer_is_given_in_a_sentence() -> None:
    text = re.sub("<[^>]*>", "", answer(evaluation()))
    assert text.startswith("On 50 photos of 5 individuals that it had never seen,")
    assert "in 80% of cases (70% to 90%)" in text
    assert "50%" in text
    assert "40%" in text
    assert "that it knew from other photos" in answer(evaluation(split="photo"))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("trained", "found"),
    [
        ((0.9, 0.8, 0.7), []),
        ((0.9, 0.8, 0.4), ["MAP@R: trained 0.400, untrained 0.400"]),
        ((0.55, 0.8, 0.7), ["Triplet accuracy: trained 0.550, untrained 0.600"]),
        (
            (0.9, 0.3, 0.7),
            [
                "Nearest photo right (P@1): trained 0.300, untrained 0.500",
                "Nearest photo right (P@1): trained 0.300, raw pixels 0.400",
            ],
        ),
    ],
)
def test_training_that_did_not_help_is_said_exactly_where_it_did_not(
    trained: tuple[float, ...], found: list[str]
) -> None:
    figures = networks(GOOD | {"trained": trained})
    assert shortfalls(figures) == found
    html = render(report(evaluation=evaluation(networks=figures)))
    assert ("Training did not help everywhere." in html) == bool(found)
    assert (f"Training helped in {6 - len(found)} of 6 comparisons." in html) == bool(found)
    assert all(f"<li>{line}</li>" in html for line in found)


def test_training_that_helped_nowhere_is_counted_and_said() -> None:
    figures = networks(GOOD | {"trained": (0.1, 0.1, 0.1)})
    html = render(report(evaluation=evaluation(networks=figures)))
    assert "<strong>Training helped in 0 of 6 comparisons.</strong>" in html
    assert "This model is no better than comparing plain pixels or than the same network before training" in html
    assert "did not help everywhere" not in html
    assert html.index("no better than comparing plain pixels") < html.index("Did training help?")


def test_the_threshold_and_what_it_is_worth_are_told() -> None:
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", "", render(report())))
    assert "up to a distance of 0.5000" in text
    assert "12.5% (0.0%–25.0%) of 56 pairs of different individuals are called same" in text
    assert "6.2% of 1,234 pairs of one individual are called different" in text


def test_without_a_threshold_the_notes_say_why() -> None:
    html = render(report(evaluation=evaluation(threshold=None, notes=["No threshold: too few."])))
    assert "This model ships no threshold; the notes below say why." in html
    assert html.index("ships no threshold") < html.index("<li>No threshold: too few.</li>")


def test_a_threshold_of_unknown_worth_says_so() -> None:
    html = render(report(evaluation=evaluation(threshold=POINT | {"cross_fit": None})))
    assert "The error rates of this threshold are <strong>unknown</strong>" in html


def test_who_trained_and_who_tested_stands_in_a_list_that_opens() -> None:
    html = render(report(parts={"train": ("ann", NASTY), "validation": (), "test": ("bob",)}))
    listed = html[html.index("<summary>Who trained") :]
    listed = listed[: listed.index("</details>")]
    assert f"<dt>trained</dt><dd>ann, {escape(NASTY)}</dd>" in listed
    assert "<dt>tested</dt><dd>bob</dd>" in listed
    assert "validation" not in listed


def test_photos_that_were_left_out_are_told() -> None:
    html = render(
        report(evaluation=evaluation(left_out=[f"individual {NASTY} has no photos: 3 files skipped: 3 .HEIC"]))
    )
    assert f"<li>individual {escape(NASTY)} has no photos: 3 files skipped: 3 .HEIC</li>" in html
    assert "Photos that were left out" not in render(report())


def test_what_to_do_next_depends_on_what_the_model_is_worth() -> None:
    good = render(report())
    assert "siamesekit compare RUN A.jpg B.jpg" in good
    assert "To get a better model" not in good
    bad = render(report(evaluation=evaluation(networks=networks(GOOD | {"trained": (0.1, 0.1, 0.1)}))))
    assert "To get a better model" in bad
    assert "siamesekit compare" not in bad
    assert "To get a better model" in render(report(evaluation=evaluation(threshold=None)))


@pytest.mark.medium
@pytest.mark.parametrize("epochs", [1, 60])
def test_training_is_told_for_one_epoch_and_for_many(epochs: int) -> None:
    html = render(report(epochs=tuple(epoch(n) for n in range(1, epochs + 1))))
    count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    assert f"<p>{count} in {1.5 * epochs:.0f} seconds" in html
    start = "1.0000 in epoch 1 and " if epochs > 1 else ""
    assert f"the training loss was {start}{1 / epochs:.4f} in epoch {epochs}. A term" in html


def test_what_the_doctor_finds_stands_under_training_and_is_escaped() -> None:
    findings = (Finding("dead-miner", 3, 5, NASTY, "more <b>photos</b>."), Finding("exploding", 4, 4, "Big.", "less."))
    html = render(report(findings=findings))
    text = Page(html).text
    section = text[text.index("3 epochs in") : text.index("Same or different?")]
    assert f"Dead miner, epochs 3 to 5. {NASTY} Try: more <b>photos</b>." in section
    assert "Exploding, epoch 4. Big. Try: less." in section
    assert "<b>photos" not in html
    assert "Try:" not in render(report())


@pytest.mark.medium
def test_figures_that_are_not_known_are_left_out() -> None:
    nothing = {"train_loss": None, "test_loss": None, "d_ap_mean": None, "d_an_mean": None}
    html = render(report(epochs=tuple(epoch(n) | nothing for n in (1, 2))))
    assert "2 epochs in 3 seconds. A term of the loss" in html
    assert "There is no test loss: it was NaN or infinite" in html
    by_class = render(report(epochs=tuple(epoch(n) | nothing for n in (1, 2)), loss_by_class=True))
    assert "There is no test loss: this loss compares photos with the training individuals" in by_class
    some = render(report(epochs=(epoch(1), epoch(2), epoch(3) | nothing)))
    assert "the training loss was 1.0000 in epoch 1 and 0.5000 in epoch 2" in some
    assert "There is no test loss" not in some


@pytest.mark.medium
def test_the_epoch_that_was_chosen_is_named_with_its_figures() -> None:
    chosen = tuple(epoch(n) | {"validation_map_at_r": 0.1 * n * (4 - n)} for n in (1, 2, 3))
    html = render(report(epochs=chosen, kept_epoch=2))
    assert (
        "The model has the weights of epoch 2, the best on the validation individuals: MAP@R 0.400, training loss "
        "0.5000."
    ) in html
    assert "The model has the weights" not in render(report(kept_epoch=2))


MORE = ("r_precision", "mrr_at_10", "recall_at_5", "recall_at_10", "precision_at_5", "precision_at_10", "map_at_5",
        "map_at_10")  # fmt: skip


def test_more_figures_stand_in_a_table_that_opens() -> None:
    figures = networks()
    for row, figure in enumerate(figures.values()):
        figure |= {metric: interval(0.15 + 0.2 * row + 0.01 * column) for column, metric in enumerate(MORE)}
    html = render(report(evaluation=evaluation(networks=figures)))
    inside = html[html.index("<details>") : html.index("</details>")]
    rows = [re.findall(r"<b>([\d.]+)</b>", row) for row in inside.split("<tr>")[2:]]
    assert rows == [[f"{0.15 + 0.2 * row + 0.01 * column:.3f}" for row in range(3)] for column in range(8)]
    for label in ("R-precision", "MRR@10", "Recall@5", "Recall@10", "P@5", "P@10", "MAP@5", "MAP@10"):
        assert f"<td>{label}</td>" in inside
    assert html.index("Triplet accuracy:") < html.index("<details>"), "the three that count stand first"
    assert "<details>" not in render(report()), "of a run that had none"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>",
        "' onmouseover='alert(1)", "javascript:alert(1)", "</title><script src=//x>",
        "</style><link rel=stylesheet href=//x>", "--><iframe src=//x>", "&lt;script&gt;", "$body $title ${x}",
        "<meta http-equiv=refresh content=0>",
    ],
)  # fmt: skip
def test_a_hostile_name_adds_no_tag_and_no_attribute(name: str) -> None:
    def made(text: str) -> Page:
        triplet = HardTriplet(*[Picture(text, text, np.zeros((4, 4, 3), np.uint8))] * 3, 0.1, 0.2)
        return Page(render(report(
            name=text, facts=((text, text),), stand_ins=(StandIn(text, text, text, text, text),), hardest=(triplet,),
            evaluation=evaluation(notes=[text], threshold=POINT | {"criterion": text}),
        )))  # fmt: skip

    hostile, harmless = made(name), made("harmless")
    assert [(tag, sorted(attributes)) for tag, attributes in hostile.tags] == [
        (tag, sorted(attributes)) for tag, attributes in harmless.tags
    ]
    assert hostile.text.count(name) >= harmless.text.count("harmless") > 10, "and it stands there as it is"


def test_a_browser_is_told_to_run_and_to_load_nothing(finished: RunResult) -> None:
    for html in (render(report()), (finished.folder / "report.html").read_text()):
        [policy] = [
            attributes["content"]
            for tag, attributes in Page(html).tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
        assert rules == {
            "default-src": ["'none'"],
            "img-src": ["data:"],
            "style-src": ["'unsafe-inline'"],
            "base-uri": ["'none'"],
            "form-action": ["'none'"],
        }
        assert html.index("Content-Security-Policy") < html.index("<title>"), "before anything that it is to govern"
