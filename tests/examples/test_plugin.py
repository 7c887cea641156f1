"""The example package, really installed: its components are listed, checked and run from a config."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from siamesekit.registry.installed_plugins import GROUP

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
COMPONENTS = {
    "readers": "gulls-strips",
    "encoders": "gulls-small-conv",
    "distances": "gulls-chebyshev",
    "miners": "gulls-nearest-negative",
    "losses": "gulls-margin-ranking",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package is installed, beside what is there: pip's own work, into another folder."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(EXAMPLE)]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    return os.environ | {"PYTHONPATH": str(target), "SIAMESEKIT_TARGET": str(target)}


def siamesekit(environment: dict[str, str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "siamesekit", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMPONENTS)
def test_its_components_are_listed_with_the_own_ones(installed: dict[str, str], kind: str, tmp_path: Path) -> None:
    listed = json.loads(siamesekit(installed, "list", kind, "--json", cwd=tmp_path).stdout)
    found = {component["name"]: component for component in listed[kind]}
    assert COMPONENTS[kind] in found
    assert "siamesekit_gulls" in found[COMPONENTS[kind]]["origin"]
    without = json.loads(siamesekit(dict(os.environ), "list", kind, "--json", cwd=tmp_path).stdout)
    assert COMPONENTS[kind] not in {component["name"] for component in without[kind]}


@pytest.mark.slow
def test_a_run_is_composed_of_them(installed: dict[str, str], tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("config.toml", "make_strips.py"):
        (project / name).write_bytes((EXAMPLE / name).read_bytes())
    subprocess.run([sys.executable, "make_strips.py"], cwd=project, check=True, timeout=60)
    done = siamesekit(installed, "run", "config.toml", "--out", str(tmp_path / "run"), cwd=project)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    described = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert "gulls-small-conv" in json.dumps(described)
    embedded = siamesekit(dict(os.environ), "embed", str(tmp_path / "run"), str(project), "-o", "x.npz", cwd=tmp_path)
    assert embedded.returncode == 2  # the artifact runs no code: without the package its components are unknown
    assert "gulls-" in embedded.stderr


@pytest.mark.slow
def test_an_option_of_theirs_is_checked_like_any_other(installed: dict[str, str], tmp_path: Path) -> None:
    text = (EXAMPLE / "config.toml").read_text().replace("margin = 0.2", "margn = 0.2")
    (tmp_path / "config.toml").write_text(text)
    refused = siamesekit(installed, "check", "config.toml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "did you mean 'margin'?" in refused.stderr


@pytest.mark.slow
def test_a_plugin_that_fails_is_named_and_takes_nothing_else_down(installed: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-whales\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text(f"[{GROUP}]\nwhales = broken_whales\n")
    (tmp_path / "broken_whales.py").write_text("import nowhere_to_be_found\n")
    environment = installed | {"PYTHONPATH": os.pathsep.join([str(tmp_path), installed["PYTHONPATH"]])}
    listed = siamesekit(environment, "list", "losses", "--json", cwd=tmp_path)
    assert listed.returncode == 0
    assert "'whales' (broken-whales) fails: ModuleNotFoundError" in listed.stderr
    assert "gulls-margin-ranking" in {component["name"] for component in json.loads(listed.stdout)["losses"]}


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
def test_the_formulas_are_what_they_say(installed: dict[str, str], tmp_path: Path) -> None:
    """In this process: the package's own functions against plain loops."""
    sys.path.insert(0, installed["SIAMESEKIT_TARGET"])
    try:
        from siamesekit_gulls.chebyshev import Chebyshev
        from siamesekit_gulls.margin_ranking import MarginRanking
        from siamesekit_gulls.nearest_negative import NearestNegative
    finally:
        sys.path.remove(installed["SIAMESEKIT_TARGET"])
    embeddings, labels = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) // 3
    d = [[max(abs(x - y) for x, y in zip(a, b, strict=True)) for b in embeddings.tolist()] for a in embeddings.tolist()]
    pairs = [(i, j) for i in range(9) for j in range(9) if i != j]
    positive = [d[i][j] for i, j in pairs if i // 3 == j // 3]
    negative = [d[i][j] for i, j in pairs if i // 3 != j // 3]
    expected = max(0.0, sum(positive) / len(positive) - sum(negative) / len(negative) + 2.0)
    value = MarginRanking(2.0, distance=Chebyshev())(embeddings, labels, None)
    assert value.objective.item() == pytest.approx(expected, abs=1e-12)
    mined = {tuple(row) for row in torch.stack(NearestNegative(distance=Chebyshev())(embeddings, labels), 1).tolist()}
    assert mined == {
        (i, j, min((k for k in range(9) if k // 3 != i // 3), key=lambda k, i=i: d[i][k]))
        for i, j in pairs
        if i // 3 == j // 3
    }
