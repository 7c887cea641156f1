"""The card of a model on the hub: README.md with YAML metadata, written from what the run has measured.

It names no photo, no individual and no path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from siamesekit._version import __version__
from siamesekit.artifact.verdict_worth import worth_of_verdict
from siamesekit.data.photo_reading import PLAIN
from siamesekit.wording import in_one_line, in_place_of, with_interval

FIGURES = {
    "precision_at_1": "nearest photo right (P@1)",
    "recall_at_5": "right among the nearest 5 (R@5)",
    "map_at_r": "MAP@R",
    "triplet_accuracy": "triplet accuracy",
}
"""Figures of the card, with their names."""
NETWORKS = {"trained": "this model", "untrained": "before training", "raw_pixels": "comparing plain pixels"}
TAGS = ("siamesekit", "metric-learning", "re-identification", "individual-identification", "animal-re-identification")
SPLITS = {
    "identity": "no individual of the test photos was trained on",
    "photo": "each test individual was trained on, by other photos",
    "time": "the test photos are the latest ones",
    "encounter": "no encounter of the test photos was trained on",
    "open-set": "some individuals of the test photos were trained on, others not",
    "similarity": "no photo like a test photo was trained on",
    "column": "the data set marks the test photos itself",
}
"""What each way to split the photos means for the figures."""


@dataclass(frozen=True)
class Publication:
    """What the user says of a model that is published.

    Attributes:
        repository: `OWNER/NAME`.
        license: identifier of its licence, such as `mit`.
        datasets: data sets on the hub that trained it, `OWNER/NAME`.
    """

    repository: str
    license: str
    datasets: Sequence[str] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of a model.

    Attributes:
        description: content of its model.json.
        embedding_dim: dimension of its embeddings.
        manifest: content of its run's manifest.json; None without a run.
        evaluation: content of its run's evaluation.json; None without a run.
        plugins: components of the model that come from plugins.
    """

    description: Mapping[str, Any]
    embedding_dim: int
    manifest: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    plugins: Sequence[str] = ()


def model_card(publication: Publication, facts: Facts) -> str:
    """The text of README.md."""
    name = publication.repository.partition("/")[2]
    parts = [
        f"# {name}",
        _what(facts),
        *_stand_ins(facts.description),
        _use(publication.repository, facts.plugins),
        *_figures(facts),
        _threshold(facts),
        *_training(facts),
        _limits(publication.repository, facts),
        _made_with(facts),
    ]
    return f"---\n{_metadata(publication, facts)}\n---\n\n" + "\n\n".join(parts) + "\n"


def _metadata(publication: Publication, facts: Facts) -> str:
    results = list(_results(facts))
    data = ModelCardData(
        library_name="siamesekit",
        pipeline_tag="image-feature-extraction",
        license=publication.license,
        tags=list(TAGS),
        datasets=list(publication.datasets) or None,
        metrics=[result.metric_type for result in results] or None,
        model_name=publication.repository.partition("/")[2] if results else None,
        eval_results=results or None,
    )
    return data.to_yaml().strip()


def _results(facts: Facts) -> Sequence[EvalResult]:
    """The figures of the trained network for the metadata."""
    evaluation = facts.evaluation
    if evaluation is None:
        return []
    measured = evaluation["networks"]["trained"]
    run = (facts.manifest or {}).get("name", "test photos")
    confidence = f"{evaluation['confidence']:.0%} interval"
    return [
        EvalResult(
            task_type="image-feature-extraction",
            task_name="Re-identification of individuals",
            dataset_type=in_one_line(str(run)),
            dataset_name=f"{in_one_line(str(run))} ({evaluation['photos']} test photos)",
            dataset_split="test",
            metric_type=metric,
            metric_name=f"{name}, {confidence} {_bounds(measured[metric])}",
            metric_value=round(float(measured[metric]["value"]), 6),
        )
        for metric, name in FIGURES.items()
        if measured.get(metric, {}).get("value") is not None
    ]


def _bounds(figure: Mapping[str, Any]) -> str:
    return "unknown" if figure["low"] is None else f"{figure['low']:.3f}–{figure['high']:.3f}"


def _what(facts: Facts) -> str:
    told = facts.description
    return (
        f"A network that tells individuals apart: it turns a photo into {facts.embedding_dim} numbers, and photos of "
        f"one individual should be near to each other by the distance `{_text(told['distance']['name'])}`. Encoder "
        f"`{_text(told['encoder']['name'])}`, photos of {told['input']['size']} × {told['input']['size']} pixels "
        f"({_preprocessing(told['input'])})."
    )


def _preprocessing(told: Mapping[str, Any]) -> str:
    """How photos are made square and resized; what is usual is left out."""
    parts = [told["fit"]]
    if told.get("crop_share") is not None:
        parts.append(f"a share of {told['crop_share']:g} of the shorter side")
    if told.get("resampling", PLAIN.resampling) != PLAIN.resampling:
        parts.append(told["resampling"])
    return ", ".join(parts)


def _stand_ins(description: Mapping[str, Any]) -> list[str]:
    """A warning for each stand-in that trained or measured the model."""
    return [
        f"> **Stand-in for the {_text(each['what'])}:** {_text(in_place_of(each['used'], each['wanted']))}. The "
        "figures below are those of the stand-in."
        for each in description.get("stand_ins", [])
    ]


def _use(repository: str, plugins: Sequence[str]) -> str:
    needs = (
        f"\n\nIt needs components of plugins that are not part of it: {', '.join(map(_text, plugins))}. Load their "
        "files first: `siamesekit.load_plugin_file(FILE)`, or `--plugin FILE`."
        if plugins
        else ""
    )
    return (
        "## Use\n\n```python\nimport siamesekit\n\n"
        f'model = siamesekit.from_pretrained("{repository}")\n'
        'print(model.compare("a.jpg", "b.jpg"))\n```\n\n'
        f"Or on the command line: `siamesekit embed hub:{repository} photos -o embeddings.npz`, and a catalogue of "
        f"known individuals: `siamesekit enrol hub:{repository} photos -o catalogue`. The model is safetensors and "
        f"JSON; no code is downloaded.{needs}"
    )


def _figures(facts: Facts) -> list[str]:
    evaluation = facts.evaluation
    if evaluation is None:
        return ["## Figures\n\nNothing was measured: the model comes without the evaluation of a run."]
    networks = {name: evaluation["networks"][name] for name in NETWORKS if name in evaluation["networks"]}
    metrics = [metric for metric in FIGURES if metric in networks["trained"]]
    split = evaluation["split"]
    lines = [
        "| | " + " | ".join(NETWORKS[name] for name in networks) + " |",
        "| --- |" + " ---: |" * len(networks),
        *(
            f"| {FIGURES[metric]} | " + " | ".join(with_interval(of[metric]) for of in networks.values()) + " |"
            for metric in metrics
        ),
    ]
    said = (
        f"On {evaluation['photos']:,} test photos of {evaluation['individuals']} individuals, "
        f"{evaluation.get('untrained_individuals', 0)} of which the model had never seen. In brackets: "
        f"{evaluation['confidence']:.0%} intervals over individuals. Each photo is searched among "
        f"{_text(evaluation.get('searched', 'the other test photos'))}. Split by {_text(split)}"
        f"{': ' + SPLITS[split] if split in SPLITS else ''}."
    )
    worth = ((evaluation.get("training") or {}).get("sentence") or "").partition(" Try:")[0]  # advice is for trainers
    copies = (evaluation.get("without_copies") or {}).get("sentence")
    warnings = [f"**{_text(sentence)}**" for sentence in (worth, copies) if sentence]
    return ["## Figures", said, "\n".join(lines), *warnings]


def _threshold(facts: Facts) -> str:
    told = facts.description
    point = told.get("operating_point")
    if point is None or told.get("no_threshold"):
        reason = (told.get("no_threshold") or "").partition(" Try:")[0]
        return f"## Threshold\n\nThe model gives distances only. {_text(reason)}".rstrip()
    criterion = f", set so that {_text(point['criterion'])}" if "criterion" in point else ""
    lines = [
        f"Two photos up to a distance of {point['threshold']:.6g} are called the same individual{criterion}.",
        f"{_sentence(worth_of_verdict(told) or 'the error rates of such verdicts are unknown')}",
        _calibration(facts.evaluation),
    ]
    return "## Threshold\n\n" + " ".join(lines)


def _calibration(evaluation: Mapping[str, Any] | None) -> str:
    found = (evaluation or {}).get("reliability")
    if found is None:
        return "How well its similarities are calibrated could not be measured."
    return (
        f"Its similarities, from 0 to 1, are off by {found['expected_calibration_error']:.3f} on average (expected "
        f"calibration error, cross-fitted on {found['individuals']} individuals)."
    )


def _training(facts: Facts) -> list[str]:
    manifest = facts.manifest
    if manifest is None:
        return []
    data, weights = manifest["data"], manifest.get("weights", {})
    parts = ", ".join(f"{count:,} {_text(name)}" for name, count in data["split"].items())
    source = _text(str(weights["source"])) if _is_word(weights.get("source")) else "a file"
    licence = "" if source.startswith("random") else "; their licence still holds"
    return [
        f"## Training\n\n{data['photos']:,} photos of {data['individuals']:,} individuals: {parts}. The training began "
        f"with weights `{source}`{licence}."
    ]


def _is_word(source: object) -> bool:
    """Whether a source of weights is named, as against the path of a file."""
    return isinstance(source, str) and "/" not in source and "\\" not in source


def _limits(repository: str, facts: Facts) -> str:
    measured = "" if facts.evaluation is None else " The figures are those of these photos; other populations differ."
    return (
        "## Limits\n\nThe model answers which known individual is most like a photo; a person decides."
        f"{measured} Before you rely on it, measure it on your own photos: "
        f"`siamesekit evaluate hub:{repository} --data photos`."
    )


def _made_with(facts: Facts) -> str:
    version = facts.description.get("siamesekit", __version__)
    return (
        f"Made with siamesekit {_text(str(version))}; SHA-256 of the weights `{facts.description['weights_sha256']}`."
    )


def _sentence(text: str) -> str:
    return _text(f"{text[:1].upper()}{text[1:]}.")


def _text(value: str) -> str:
    """Text for Markdown: one line, without tags and without what would end a cell of a table."""
    return escape(in_one_line(str(value)), quote=False).replace("|", "\\|").replace("`", "'")
