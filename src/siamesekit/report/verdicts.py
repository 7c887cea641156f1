"""Section of the report on verdicts about pairs: ROC curve, and reliability of the similarity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siamesekit.report.evaluation_charts import verdict_chart
from siamesekit.report.pictures import chart
from siamesekit.report.tables import interval_html, table
from siamesekit.wording import with_interval


def verdicts(evaluation: Mapping[str, Any]) -> str:
    """ROC curve and reliability as HTML; empty for runs of earlier versions."""
    if "roc" not in evaluation:
        return ""
    roc, reliability = evaluation["roc"], evaluation["reliability"]
    if roc is None:
        return "<p>There is no ROC curve: it needs test photos of one individual and of two, with finite distances.</p>"
    label = "ROC curve" if reliability is None else "ROC curve, and reliability of the similarity"
    return (
        chart(label, verdict_chart, roc, reliability)
        + _roc(roc)
        + _reliability(reliability, evaluation["threshold"] is not None)
    )


def _roc(roc: Mapping[str, Any]) -> str:
    who = "all of which trained the network" if roc["trained"] else "which did not train the network"
    sampled = roc["same_pairs"] + roc["different_pairs"]
    which = f"a sample of {sampled:,} of the {roc['pairs']:,} pairs" if sampled < roc["pairs"] else f"{sampled:,} pairs"
    point = roc["at_threshold"]
    marked = (
        ""
        if point is None
        else (
            f" At the threshold of the model, {point['false_accept_rate']:.1%} and {point['true_accept_rate']:.1%} of "
            "these pairs are called same; it was set on the same individuals, so the error rates above are the fairer "
            "ones."
        )
    )
    return (
        "<p>The ROC curve shows, for all thresholds, the shares of different and of same pairs that are called same. "
        f"A same pair is nearer than a different pair in <strong>{with_interval(roc['auc'], '.1%')}</strong> of "
        "cases (AUC, the area under the curve; 50% is guessing). Where both kinds of errors are equally frequent, they "
        f"have a rate of <strong>{with_interval(roc['equal_error_rate'], '.1%')}</strong> (equal error rate).{marked} "
        f"From {which} of photos of {roc['individuals']:,} individuals, {who}.</p>"
    )


def _reliability(reliability: Mapping[str, Any] | None, threshold: bool) -> str:
    if reliability is None:
        why = (
            "it needs four test individuals that did not train"
            if threshold
            else "a model without a threshold has no similarity"
        )
        return f"<p>There is no reliability chart: {why}.</p>"
    rows = [
        [
            f"{each['low']:.0%} – {each['high']:.0%}",
            f"{each['similarity']:.3f}",
            interval_html(each["same_share"]),
            f"{each['same_pairs']:,}",
            f"{each['different_pairs']:,}",
        ]
        for each in reliability["bins"]
    ]
    return (
        "<p>A similarity is reliable if, for example, 80% of the pairs with similarity 0.8 show the same individual. "
        "Each dot is a range of similarities: on the line the similarity is right, below it too high, above it too "
        "low. "
        "Similarities were fitted on other individuals than those of the pair, and same and different pairs have equal "
        "weight. Their mean distance from the line is "
        f"<strong>{reliability['expected_calibration_error']:.3f}</strong> (expected calibration error; 0 is best).</p>"
        "<details><summary>Reliability in numbers</summary>"
        + table(["similarity", "mean", "share of same pairs", "same pairs", "different pairs"], rows)
        + "</details>"
    )
