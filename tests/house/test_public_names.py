"""The public names, and what is known before torch is loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import siamesekit
from siamesekit.registry import REGISTRIES

HEAVY = ("torch", "timm", "torchvision", "matplotlib")
BASE = '[data]\nreader = "folder"\nroot = "x"\n[encoder]\nname = "timm/resnet18"\nweights = "random"\n'


def heavy_after(code: str) -> set[str]:
    """Which of the heavy packages a fresh Python has imported after running some code."""
    check = f"import sys\n{code}\nprint(*({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_all_is_sorted_and_each_name_loads() -> None:
    assert siamesekit.__all__ == sorted(siamesekit.__all__)
    assert dir(siamesekit) == siamesekit.__all__
    for name in siamesekit.__all__:
        value = getattr(siamesekit, name)
        assert value.purpose if name.isupper() else value.__doc__
        assert name not in siamesekit._PUBLIC or value is getattr(
            sys.modules[f"siamesekit.{siamesekit._PUBLIC[name]}"], name
        )


def test_type_checkers_see_the_same_names_at_the_same_places() -> None:
    tree = ast.parse(Path(siamesekit.__file__).read_text(encoding="utf-8"))
    [seen] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for node in seen.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)  # else it is not exported
    found = {alias.name: str(node.module) for node in imports for alias in node.names}
    assert found == {name: f"siamesekit.{module}" for name, module in siamesekit._PUBLIC.items()}


def test_every_registry_is_public() -> None:
    assert {id(getattr(siamesekit, registry.variable)) for registry in REGISTRIES} == set(map(id, REGISTRIES))
    assert {registry.variable for registry in REGISTRIES} <= set(siamesekit.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'siamesekit' has no attribute 'Tripletz'"):
        siamesekit.Tripletz  # noqa: B018


@pytest.mark.slow
def test_the_check_notices_torch() -> None:
    assert "torch" in heavy_after("import siamesekit; siamesekit.SimilarityModel")


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import siamesekit",
        "import siamesekit; dir(siamesekit), siamesekit.__version__",
        "from siamesekit import Config, Record, SiamesekitError, load_config, LOSSES",
        "import siamesekit.config, siamesekit.experiment.run_folder, siamesekit.files.atomic, siamesekit.randomness",
        "import siamesekit.cli.app, siamesekit.cli.rich_tables",
        "from siamesekit.registry import REGISTRIES\n"
        "for r in REGISTRIES: [(c.options_type(), c.members()) for c in r.components()]",
    ],
)
def test_importing_and_listing_load_nothing_heavy(code: str) -> None:
    assert heavy_after(code) == set()


@pytest.mark.slow
def test_loading_a_config_and_all_its_errors_load_nothing_heavy(tmp_path: Path) -> None:
    """One config that is right, and for each way to be wrong one that raises."""
    wrong = [
        "[", "[los]", "[loss]\nmargn = 1", "[loss]\nmargin = -1", "[loss]\nmargin = nan", '[loss]\nname = "x"',
        "[loss]\ndistance = 1", "[train]\nepochs = true", '[optimizer]\nname = "adm"', '[split]\nby = "x"',
        '[encoder.stand_in]\nweights = "x"', '[data.stand_in]\nreader = "x"', '[sampler]\nname = "x"',
        "[encoder.head]\nlayers = [0]", '[distance]\nname = "x"', '[save]\npickle = "/"', "[evaluation]\nbootstrap = 1",
    ]  # fmt: skip
    texts = [BASE + extra for extra in wrong] + [
        BASE.replace("resnet18", "resnet19"),
        "",
        'plugins = ["p.py"]\n' + BASE,
    ]
    (tmp_path / "p.py").write_text("import siamesekit\n1 / 0")
    code = f"""
from pathlib import Path
from siamesekit.config import load_config
from siamesekit.errors import ConfigError
file = Path({str(tmp_path / "c.toml")!r})
file.write_text({BASE!r})
load_config(file).to_toml()
for text in {texts!r}:
    file.write_text(text)
    try:
        load_config(file)
    except ConfigError:
        continue
    raise SystemExit("no error: " + text)
"""
    assert heavy_after(code) == set()
