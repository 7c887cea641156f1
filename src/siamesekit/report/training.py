"""Sentences of the report on training: the loss, the epoch whose weights were kept, the doctor's findings."""

from __future__ import annotations

from html import escape

from siamesekit.engine.doctor import Finding
from siamesekit.report.charts import VALIDATION
from siamesekit.report.content import ReportData
from siamesekit.wording import full_duration


def training_summary(data: ReportData) -> list[str]:
    """Sentences above the training curves, for a run with at least one epoch."""
    seconds = sum(line["seconds"] for line in data.epochs)
    count = f"{len(data.epochs)} epoch{'s' if len(data.epochs) > 1 else ''}"
    why = "it was NaN or infinite, or the test photos form no batch with a term of this loss"
    if data.loss_by_class:
        why = "this loss compares photos with the training individuals, and the test individuals are not among them"
    untested = all(line["test_loss"] is None for line in data.epochs)
    sentences = (
        f"{count} in {full_duration(seconds)}{_losses(data)}.",
        "A term of the loss, such as a triplet, is active while it is above zero; only active terms teach the network.",
        _kept(data),
        f"There is no test loss: {why}." if untested else "",
    )
    return [sentence for sentence in sentences if sentence]


def finding_html(finding: Finding) -> str:
    """A finding of the training doctor as HTML."""
    return f"<strong>{escape(_title(finding))}.</strong> {escape(finding.meaning)} Try: {escape(finding.advice)}"


def vital_signs(data: ReportData) -> list[str]:
    """Sentences on the figures that the training doctor checks and the curves do not show."""
    sentences = []
    for key, label, meaning in (
        ("embedding_variance", "Embedding variance", "0: all photos alike, 1: spread in all directions"),
        ("gradient_norm", "Gradient norm", "length of the gradient in an average step"),
    ):
        values = [line[key] for line in data.epochs if line.get(key) is not None]
        if values:
            sentences.append(f"{label} {values[0]:.3g} in the first epoch, {values[-1]:.3g} in the last ({meaning}).")
    if not data.findings:
        sentences.append(
            "The training doctor found no problem: no collapse, no dead miner, no exploding loss, no overfitting."
        )
    return sentences


def _losses(data: ReportData) -> str:
    """First and last known training loss."""
    known = [(line["epoch"], line["train_loss"]) for line in data.epochs if line["train_loss"] is not None]
    if not known:
        return ""
    (first, before), (last, after) = known[0], known[-1]
    start = f"{before:.4f} in epoch {first} and " if last > first else ""
    return f"; the training loss was {start}{after:.4f} in epoch {last}"


def _kept(data: ReportData) -> str:
    """Sentence on the epoch whose weights the model has, if validation chose it."""
    kept = next((line for line in data.epochs if line["epoch"] == data.kept_epoch), {})
    if kept.get(VALIDATION) is None:
        return ""
    loss = "" if kept["train_loss"] is None else f", training loss {kept['train_loss']:.4f}"
    return (
        f"The model has the weights of epoch {data.kept_epoch}, the best on the validation individuals: MAP@R "
        f"{kept[VALIDATION]:.3f}{loss}."
    )


def _title(finding: Finding) -> str:
    epochs = f"epoch {finding.first}" if finding.first == finding.last else f"epochs {finding.first} to {finding.last}"
    return f"{finding.name.replace('-', ' ').capitalize()}, {epochs}"
