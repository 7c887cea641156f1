"""Runs whose loss is a sum: its table in the config, its figures, its checkpoints."""

from pathlib import Path

import pytest

from conftest import LoadConfig, metrics, run_fp32, weights
from siamesekit import Config, ConfigError, load_config

pytestmark = pytest.mark.usefixtures("plain_charts")

TERMS = """
[[loss.terms]]
name = "arcface"
scale = 16

[[loss.terms]]
name = "triplet"
weight = 0.5
margin = 0.2
"""


def summed(project: Path, terms: str = TERMS, *overrides: str) -> Config:
    """The small config with a sum as its loss."""
    file = project / "sum.toml"
    file.write_text((project / "config.toml").read_text() + terms)
    return load_config(file, overrides)


def test_tables_of_terms_are_a_sum_and_are_written_again(project: Path) -> None:
    config = summed(project)
    assert config.loss.name == "sum"
    assert [(term["name"], term["weight"]) for term in config.loss.options["terms"]] == [
        ("arcface", 1.0),
        ("triplet", 0.5),
    ]
    again = project / "again.toml"
    again.write_text(config.to_toml(relative_to=project))
    assert load_config(again).loss == config.loss


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[[loss.terms]]\nname = "triplet"\nweight = -1\n',
            r"loss\.terms\.0\.weight: must be a number above 0, not -1",
        ),
        ('[[loss.terms]]\nname = "triplet"\nwieght = 1\n', r"loss\.terms\.0\.wieght: .*did you mean 'weight'"),
        ("[[loss.terms]]\nmargin = 1\n", r"loss\.terms\.0: must be a table with a name"),
        ('[loss]\nname = "triplet"\n[[loss.terms]]\nname = "arcface"\n', r"loss\.terms: unknown option"),
        ('[loss]\nname = "sum"\n', r"loss\.terms: is required"),
    ],
)
def test_a_mistake_in_a_term_is_named_with_its_place(project: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        summed(project, "\n" + text)


@pytest.mark.parametrize(
    "split",
    [pytest.param("identity", marks=pytest.mark.huge), pytest.param("photo", marks=pytest.mark.slow)],
)
def test_a_run_resumes_to_the_same_weights(project: Path, tmp_path: Path, split: str) -> None:
    options = (f"split.by={split}", "sampler.name=p-by-k", "sampler.individuals=2", "sampler.photos=2")
    run_fp32(summed(project, TERMS, *options), tmp_path / "whole")
    run_fp32(summed(project, TERMS, *options, "train.epochs=1"), tmp_path / "parts")
    run_fp32(summed(project, TERMS, *options), tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    for line in metrics(tmp_path / "whole"):
        assert line["train_loss"] > 0
        assert (line["test_loss"] is None) == (split == "identity")
    report = (tmp_path / "whole" / "report.html").read_text()
    assert "1 arcface + 0.5 triplet" in report


@pytest.mark.slow
def test_the_first_batch_s_loss_is_the_weighted_sum_of_runs_with_each_term(
    small_config: LoadConfig, project: Path, tmp_path: Path
) -> None:
    once = ("train.epochs=1", "sampler.batch_size=100000")
    both = metrics(run_fp32(summed(project, TERMS, *once), tmp_path / "both").folder)[0]["train_loss"]
    one = run_fp32(small_config(*once, "loss.name=arcface", "loss.scale=16"), tmp_path / "one")
    other = run_fp32(small_config(*once, "loss.name=triplet", "loss.margin=0.2"), tmp_path / "other")
    expected = metrics(one.folder)[0]["train_loss"] + 0.5 * metrics(other.folder)[0]["train_loss"]
    assert both == pytest.approx(expected, rel=1e-5)
