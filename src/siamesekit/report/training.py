"""The report on training, in sentences: how the loss fell, which epoch was kept, what the doctor says."""

from __future__ import annotations

from html import escape

from siamesekit.doctor import Finding
from siamesekit.report.charts import VALIDATION
from siamesekit.report.data import ReportData


def told(data: ReportData) -> list[str]:
    """What stands above the curves, of a run with epochs."""
    seconds = sum(line["seconds"] for line in data.epochs)
    count = f"{len(data.epochs)} epoch{'s' if len(data.epochs) > 1 else ''}"
    why = "it was no finite number, or the test photos make no batch with a term of this loss"
    if data.loss_by_class:
        why = "this loss compares photos with the training individuals, and the test individuals are none of them"
    untested = all(line["test_loss"] is None for line in data.epochs)
    sentences = (
        f"{count} in {_duration(seconds)}{_losses(data)}.",
        "A term of the loss, such as a triplet, is active while it is above zero: only those still teach.",
        _kept(data),
        f"There is no test loss: {why}." if untested else "",
    )
    return [sentence for sentence in sentences if sentence]


def finding_told(finding: Finding) -> str:
    """What the doctor has found, in HTML."""
    return f"<strong>{escape(_title(finding))}.</strong> {escape(finding.meaning)} Try: {escape(finding.advice)}"


def vital_signs(data: ReportData) -> list[str]:
    """What the doctor looks at beside the curves, in sentences."""
    told = []
    for key, label, meaning in (
        ("embedding_variance", "Embedding variance", "0: all photos alike, 1: spread in all directions"),
        ("gradient_norm", "Gradient norm", "how hard an average step pulls"),
    ):
        values = [line[key] for line in data.epochs if line.get(key) is not None]
        if values:
            told.append(f"{label} {values[0]:.3g} in the first epoch, {values[-1]:.3g} in the last ({meaning}).")
    if not data.findings:
        told.append(
            "The training doctor has nothing to remark: no collapse, no dead miner, no exploding loss, no overfitting."
        )
    return told


def _losses(data: ReportData) -> str:
    """The first training loss that is known and the last one."""
    known = [(line["epoch"], line["train_loss"]) for line in data.epochs if line["train_loss"] is not None]
    if not known:
        return ""
    (first, before), (last, after) = known[0], known[-1]
    return f"; the training loss is {after:.4f} in epoch {last}" + (
        f", after {before:.4f} in epoch {first}" if last > first else ""
    )


def _kept(data: ReportData) -> str:
    """Which epoch's weights the model has, where they were chosen."""
    kept = next((line for line in data.epochs if line["epoch"] == data.kept_epoch), {})
    if kept.get(VALIDATION) is None:
        return ""
    loss = "" if kept["train_loss"] is None else f", their training loss {kept['train_loss']:.4f}"
    return (f"The model has the weights of epoch {data.kept_epoch}, the best on the validation individuals: MAP@R "
            f"{kept[VALIDATION]:.3f}{loss}.")  # fmt: skip


def _title(finding: Finding) -> str:
    epochs = f"epoch {finding.first}" if finding.first == finding.last else f"epochs {finding.first} to {finding.last}"
    return f"{finding.name.replace('-', ' ').capitalize()}, {epochs}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"
