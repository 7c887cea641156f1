"""Configs: what is read, every way to be wrong, overrides, and the way back to TOML."""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siamesekit.config import TABLES, ComponentTable, Config, dump_toml, line_of, load_config
from siamesekit.config.tables import OPTIONAL_TABLES, HeadTable
from siamesekit.errors import ConfigError
from siamesekit.registry import LOSSES, REGISTRIES, registry_of
from siamesekit.wording import near

SMALL = """\
[data]
reader = "folder"
root = "photos"

[encoder]
name = "xception"
weights = "random"
"""
FULL = """\
name = "full"
seed = 3

[data]
reader = "folder"
root = "photos"
size = 64
fit = "pad"
singletons = "leave-out"
memory_gib = 0.5

[data.stand_in]
reader = "folder"
root = "../others"
hint = 'say "please"'

[split]
train = 0.5
validation = 0.25
test = ["ann", "b c"]

[encoder]
name = "timm/resnet18"
weights = "w/resnet.pth"
train_from = "layer4"
batchnorm = "train"

[encoder.head]
layers = [8]
activation = "gelu"
last_activation = false
batchnorm = false
dropout = 0.25
normalize = false
neck = "batchnorm"

[encoder.stand_in]
weights = "calibrated"
hint = "connect"

[distance]
name = "cosine"

[sampler]
name = "all-pairs"
photos = 4
batch_size = 16

[augmentation]
name = "photo-id"
rotation = 5.5
flip = 0.5
views = 2

[miner]
name = "batch-hard"

[loss]
name = "triplet"
margin = 0.30000000000000004
reduction = "sum"

[optimizer]
name = "keras-adam"
lr = 1e-20
epsilon = 0.1

[train]
epochs = 7
select = "validation"

[evaluation]
bootstrap = 100
confidence = 0.9
false_accept_rate = 0.01

[save]
pickle = "net.pkl"
"""
NAMES = {registry.kind: f"choices: {', '.join(registry.names())}" for registry in REGISTRIES}
KEYS = {
    name: f"choices: {', '.join(key for key in table.model_fields if key != 'options')}"
    for name, table in TABLES.items()
}
TRIPLET = {option.name: option.default for option in LOSSES.get("triplet").options}
TOP = "choices: name, seed, plugins, " + ", ".join(TABLES)


def named(kind: str) -> list[str]:
    """All names of a kind, those of families' members too."""
    registry = registry_of(kind)
    members = [f"{c.name.removesuffix('*')}{member}" for c in registry.components() for member in c.members()]
    return [*registry.names(), *members]


Load = Callable[..., Config]
Problems = Callable[..., list[str]]


pytestmark = pytest.mark.usefixtures("no_traces")


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text as `tmp_path/c.toml`, with overrides."""

    def load(text: str, *overrides: str) -> Config:
        (tmp_path / "c.toml").write_text(text, encoding="utf-8")
        return load_config(tmp_path / "c.toml", overrides)

    return load


@pytest.fixture
def problems(load: Load) -> Problems:
    """The problems of a text, sorted."""

    def problems(text: str, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            load(text, *overrides)
        return sorted(error.value.problems)

    return problems


def test_defaults_are_filled_in(load: Load, tmp_path: Path) -> None:
    config = load(SMALL)
    assert (config.name, config.seed, config.plugins, config.source) == ("c", 0, (), tmp_path / "c.toml")
    assert (config.data.component, config.data.size, config.data.stand_in) == ("folder", 128, None)
    assert (config.loss.component, config.loss.options) == ("triplet", TRIPLET)
    assert {"margin": 1.0, "reduction": "mean", "mining": "all", "hinge": "linear"}.items() <= TRIPLET.items()
    assert config.encoder.head.layers == (512, 256)
    assert config.optimizer.options["lr"] == 1e-3


def test_every_key_is_read(load: Load, tmp_path: Path) -> None:
    config = load(FULL)
    assert config.data.stand_in is not None
    assert config.data.stand_in.options["root"] == tmp_path.parent / "others"
    assert (config.split.test, config.split.validation) == (("ann", "b c"), 0.25)
    assert config.encoder.head.model_dump() == tomllib.loads(FULL)["encoder"]["head"] | {"layers": (8,)}
    assert config.loss.options == TRIPLET | {"margin": 0.1 + 0.2, "reduction": "sum"}
    assert config.miner is not None
    assert (config.miner.component, config.miner.options) == ("batch-hard", {})
    assert (config.train.select, config.save.pickle) == ("validation", "net.pkl")


def test_a_run_is_named_by_its_file_or_by_the_folder_of_config_toml(tmp_path: Path) -> None:
    for name in ("config.toml", "other.toml"):
        (tmp_path / name).write_text(SMALL)
    assert load_config(tmp_path / "config.toml").name == tmp_path.name
    assert load_config(str(tmp_path / "other.toml")).name == "other"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALL + "[los]\n", f"c.toml:8  los: unknown table or key (did you mean 'loss'?); {TOP}"),
        ("sed = 1\n" + SMALL, f"c.toml:1  sed: unknown table or key (did you mean 'seed'?); {TOP}"),
        (
            SMALL + "[train]\nepoch = 3\n",
            f"c.toml:9  train.epoch: unknown key (did you mean 'epochs'?); {KEYS['train']}",
        ),
        (
            SMALL + "[encoder.head]\nlayer = [3]\n",
            "c.toml:9  encoder.head.layer: unknown key (did you mean 'layers'?); "
            f"choices: {', '.join(HeadTable.model_fields)}",
        ),
        (
            SMALL + '[loss]\nname = "tripet"\n',
            f"c.toml:9  loss.name: unknown loss 'tripet' (did you mean 'triplet'?); {NAMES['loss']}",
        ),
        (
            SMALL + "[loss]\nmargn = 1\n",
            "c.toml:9  loss.margn: unknown option of loss 'triplet' (did you mean 'margin'?); "
            f"{KEYS['loss']}, {', '.join(TRIPLET)}",
        ),
        (
            SMALL + "[loss]\noptions = {}\n",
            f"c.toml:9  loss.options: unknown option of loss 'triplet'; {KEYS['loss']}, {', '.join(TRIPLET)}",
        ),
        (
            SMALL + "[loss]\ndistance = 1\n",
            "c.toml:9  loss.distance: 'distance' is supplied by the library and cannot be set",
        ),
        (SMALL + '[train]\nepochs = "3"\n', 'c.toml:9  train.epochs: must be a whole number, not "3"'),
        (SMALL + "[train]\nepochs = true\n", "c.toml:9  train.epochs: must be a whole number, not true"),
        (SMALL + "[train]\nepochs = -1\n", "c.toml:9  train.epochs: must be greater than or equal to 0, not -1"),
        (SMALL + "[split]\ntrain = 1.0\n", "c.toml:9  split.train: must be less than 1, not 1.0"),
        (SMALL + "[split]\ntrain = nan\n", "c.toml:9  split.train: must be a finite number, not NaN"),
        (SMALL + "[loss]\nmargin = inf\n", "c.toml:9  loss.margin: must be a finite number, not Infinity"),
        (SMALL + "[loss]\nmargin = -inf\n", "c.toml:9  loss.margin: must be a finite number, not -Infinity"),
        (
            SMALL + '[split]\nby = "id"\n',
            "c.toml:9  split.by: must be 'identity', 'photo', 'column', 'time', 'encounter', 'open-set' or "
            "'similarity', not \"id\"",
        ),
        (SMALL + "[split]\ntest = [1]\n", "c.toml:9  split.test: item 0 must be a string, not 1"),
        (SMALL + "[[loss]]\n", "c.toml:8  loss: must be a table, not [{}]"),
        ("loss = 3\n" + SMALL, "c.toml:1  loss: must be a table, not 3"),
        ("seed = 1.0\n" + SMALL, "c.toml:1  seed: must be a whole number, not 1.0"),
        ("seed = true\n" + SMALL, "c.toml:1  seed: must be a whole number, not True"),
        ("seed = -1\n" + SMALL, "c.toml:1  seed: must be at least 0 and below 2**63, not -1"),
        (f"seed = {2**63}\n" + SMALL, "c.toml:1  seed: must be a whole number of at most 64 bits"),
        ("name = 3\n" + SMALL, "c.toml:1  name: must be a string, not 3"),
        (
            'name = "a/b"\n' + SMALL,
            "c.toml:1  name: must be letters, digits, '.', '_' and '-', not 'a/b': it names the run's folder",
        ),
        (SMALL.replace('reader = "folder"\n', ""), "c.toml:1  data.reader: is required"),
        (SMALL.replace('root = "photos"\n', ""), "c.toml:1  data.root: is required"),
        (SMALL.partition("[encoder]")[0], "c.toml  encoder: this table is required"),
        (SMALL + "[augmentation]\n", "c.toml:8  augmentation.name: is required"),
        (
            SMALL + '[augmentation]\nname = "photoid"\n',
            "c.toml:9  augmentation.name: unknown augmentation 'photoid' (did you mean 'photo-id' or "
            f"'photo-id-strong'?); {NAMES['augmentation']}",
        ),
        (
            SMALL + '[augmentation]\nname = "flip"\nviews = 0\n',
            "c.toml:10  augmentation.views: must be greater than or equal to 1, not 0",
        ),
        (
            SMALL + '[augmentation]\nname = "flip"\nhorizontal = 1.5\n',
            "c.toml:10  augmentation.horizontal: must be less than or equal to 1, not 1.5",
        ),
        (
            SMALL.replace("[encoder]", "memory_gib = -1\n[encoder]"),
            "c.toml:5  data.memory_gib: must be greater than or equal to 0, not -1",
        ),
        (SMALL + "[miner]\n", "c.toml:8  miner.name: is required"),
        (
            SMALL + '[miner]\nname = "hard"\n',
            f"c.toml:9  miner.name: unknown miner 'hard'{near('hard', named('miner'))}; {NAMES['miner']}",
        ),
        (
            SMALL + '[miner]\nname = "all"\nseed = 1\n',
            "c.toml:10  miner.seed: 'seed' is supplied by the library and cannot be set",
        ),
        (SMALL.partition("\n\n")[2], "c.toml  data: this table is required"),
        (
            SMALL.replace('"random"', '"imagnet"'),
            "c.toml:7  encoder.weights: unknown weights 'imagnet' (did you mean 'imagenet'?); "
            "choices: imagenet, random, calibrated, or a file (.safetensors, .pth, .pt, .bin)",
        ),
        (
            SMALL + '[train]\nselect = "validation"\n',
            'c.toml:9  train.select: "validation" needs validation individuals: set split.validation = 0.1',
        ),
        (
            SMALL + '[split]\nby = "photo"\ntest = ["a"]\n',
            'c.toml:10  split.test: a list of test individuals needs split.by = "identity"',
        ),
        (SMALL + '[save]\npickle = "a/b"\n', "c.toml:9  save.pickle: must be a plain file name, not 'a/b'"),
        (SMALL + '[save]\npickle = ".."\n', "c.toml:9  save.pickle: must be a plain file name, not '..'"),
        *(
            (
                SMALL + f'[save]\npickle = "{name}"\n',
                f"c.toml:9  save.pickle: '{name}' is reserved for the run's own files: choose another name",
            )
            for name in ("config.toml", "Report.html", "model", "plugins", ".partial-x")
        ),
        ("plugins = 3\n" + SMALL, "c.toml:1  plugins: must be a list of file names, not 3"),
        (
            SMALL.replace('"photos"', '"\\u0000"'),
            "c.toml:3  data.root: must be valid UTF-8 text without NUL characters, not '\\x00'",
        ),
        (
            SMALL.replace('"photos"', "2024-05-06"),
            "c.toml:3  data.root: must be in quotes: 2024-05-06 is a date or time in TOML, which no key accepts",
        ),
        (
            SMALL.replace('"folder"', "07:32:00"),
            "c.toml:2  data.reader: must be in quotes: 07:32:00 is a date or time in TOML, which no key accepts",
        ),
        (SMALL + f"[split]\ntest = {'[' * 60}{']' * 60}\n", "c.toml:9  split.test: is nested more than 50 levels deep"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_way_out(problems: Problems, text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_a_misspelt_encoder_of_a_family_gets_near_models(problems: Problems) -> None:
    [problem] = problems(SMALL.replace("xception", "timm/resnet81"))
    assert problem.startswith("c.toml:6  encoder.name: unknown encoder 'timm/resnet81': timm has no 'resnet81'")
    assert "'resnet18'" in problem
    assert problem.endswith("choices: siamesekit list encoders timm")


def test_all_problems_are_reported_together(problems: Problems) -> None:
    text = (
        'name = ""\nseed = -1\nplugins = ["gone.py"]\nextra = 1\n'
        + SMALL.replace('"random"', '"rnd"')
        + '[loss]\nmargin = -1\nmargn = 2\n[train]\nepochs = -1\nbad = 1\n[save]\npickle = "/x"\n'
    )
    places = sorted(problem.partition(": ")[0] for problem in problems(text, "evaluation.bootstrap=1", "="))
    assert places == sorted([
        "--set =", "--set evaluation.bootstrap", "c.toml:11  encoder.weights", "c.toml:13  loss.margin",
        "c.toml:14  loss.margn", "c.toml:16  train.epochs", "c.toml:17  train.bad", "c.toml:19  save.pickle",
        "c.toml:1  name", "c.toml:2  seed", "c.toml:3  plugins", "c.toml:4  extra",
    ])  # fmt: skip


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[loss\n", r"c.toml:1  \[loss: write a table's name between"),
        (b"a = 1\na = 2\n", r"c.toml:2  a = 2: a is already set on line 1"),
        (b"a = 1\nb = <5\n", r"c.toml:2  b = <5: is not TOML: Invalid value \(column 5\)"),
        (b"[loss]\n\xff\xfe", r"is not UTF-8, line 2: save the file as UTF-8"),
        (b"\nseed = " + b"1" * 5000, r"c.toml:2  a value must be a whole number of at most 64 bits"),
        (b"\n\na = " + b"[" * 5000, r"c.toml:3  a value is nested more than 50 levels deep"),
        (b"a" + b".a" * 20_000 + b" = 1", r"c.toml:1  a value is nested more than 50 levels deep"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as error:
        load_config(tmp_path / "c.toml")
    assert len(error.value.problems) == 1


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("train.epochs=9", lambda c: c.train.epochs, 9),
        (" train.epochs = 9", lambda c: c.train.epochs, 9),
        ("loss.reduction=mean", lambda c: c.loss.options["reduction"], "mean"),
        ('loss.reduction="mean"', lambda c: c.loss.options["reduction"], "mean"),
        ("loss.margin=2", lambda c: c.loss.options["margin"], 2.0),
        ("encoder.head.layers=[4, 5]", lambda c: c.encoder.head.layers, (4, 5)),
        ("encoder.head.normalize=true", lambda c: c.encoder.head.normalize, True),
        ('encoder.head={layers=[], activation="none"}', lambda c: c.encoder.head.layers, ()),
        ("data.stand_in={reader='folder', root='/x'}", lambda c: c.data.stand_in.options["root"], Path("/x")),
        ("encoder.stand_in.weights=random", lambda c: c.encoder.stand_in.weights, "random"),
        ("encoder.train_from=", lambda c: c.encoder.train_from, ""),
        ("save.pickle=a=b", lambda c: c.save.pickle, "a=b"),
        ("name=other", lambda c: c.name, "other"),
        ("name=2024-05-06", lambda c: c.name, "2024-05-06"),
        ("seed=9", lambda c: c.seed, 9),
    ],
)
def test_an_override_sets_a_key(load: Load, override: str, read: Callable[[Config], Any], expected: Any) -> None:
    assert read(load(FULL)) != expected
    assert read(load(FULL, override)) == expected


def test_the_last_override_of_a_key_counts(load: Load) -> None:
    assert load(SMALL + "[train]\nepochs = 5\n", "train.epochs=6", "train.epochs=7").train.epochs == 7


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "--set train.epochs: must be table.key=value"),
        ("epochs=3", "--set epochs: unknown table or key (did you mean 'train.epochs'?); "),
        ("train.lr=3", "--set train.lr: unknown key (did you mean 'optimizer.lr' or 'loss.optimizer.lr'?); "),
        ("loss.margin=0,2", '--set loss.margin: must be a number, not "0,2": write a decimal number with a point: 0.2'),
        ("split.train=90%", '--set split.train: must be a number, not "90%": a share must be from 0 to 1: 0.9'),
        ("encoder.head.normalize=True", '--set encoder.head.normalize: must be a boolean, not "True": write true'),
        ("encoder.head.layers=8,4", '--set encoder.head.layers: must be a list, not "8,4": write a list in brackets: '
                                    "[8, 4]"),
        ('loss.name="triplet', '--set loss.name: must be TOML, or text without quotes, not "triplet: the '
                               'string is not closed: "triplet"'),
        ("=3", "--set =3: must be table.key=value"),
        ("train.=3", "--set train.=3: must be table.key=value"),
        ("train.epochs=many", '--set train.epochs: must be a whole number, not "many"'),
        ("train.epochs=" + "[" * 5000, "--set train.epochs: is nested more than 50 levels deep"),
        ("train.epochs=" + "1" * 5000, "--set train.epochs: must be a whole number of at most 64 bits"),
        ("train=3", "--set train: must be a table, not 3"),
        ("train={epochs=-1}", "--set train.epochs: must be greater than or equal to 0, not -1"),
        ("loss.margn=3", "--set loss.margn: unknown option of loss 'triplet' (did you mean 'margin'?); "
                         f"{KEYS['loss']}, {', '.join(TRIPLET)}"),
        ("lss.margin=3", f"c.toml  lss: unknown table or key (did you mean 'loss'?); {TOP}"),
        ("data.reader.x=3", "--set data.reader.x=3: 'reader' is not a table"),
        ("data.root=\udcff", "--set data.root: must be valid UTF-8 text without NUL characters, not '\\udcff'"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_named(problems: Problems, override: str, expected: str) -> None:
    [problem] = problems(SMALL, override)
    assert problem.startswith(expected)


STEPS = """
[augmentation]
name = "sequence"

[[augmentation.steps]]
name = "flip"
horizontal = 0.5

[[augmentation.steps]]
name = "crop"
"""


def test_an_override_reaches_into_a_list_by_number(load: Load) -> None:
    config = load(
        SMALL + STEPS,
        "augmentation.steps.0.horizontal=0.25",
        "augmentation.steps.1.smallest=0.9",
        "encoder.head.layers=[8, 4]",
        "encoder.head.layers.1=2",
    )
    assert config.augmentation is not None
    flip, crop = config.augmentation.options["steps"]
    assert (flip["horizontal"], crop["smallest"]) == (0.25, 0.9)
    assert config.encoder.head.layers == (8, 2)


@pytest.mark.parametrize("number", ["x", "2", "-1", "00x"])
def test_an_override_into_a_list_names_one_that_is_there(problems: Problems, number: str) -> None:
    override = f"augmentation.steps.{number}.p=3"
    assert problems(SMALL + STEPS, override) == [
        f"--set augmentation.steps.{number}.p: an item of the list 'steps' must be addressed by its number, steps.0"
    ]


def test_an_override_into_an_empty_list_must_give_the_whole(problems: Problems) -> None:
    assert problems("plugins = []\n" + SMALL, "plugins.0=x.py") == [
        "--set plugins.0: the list 'plugins' is empty and must be set as a whole"
    ]


@pytest.mark.parametrize("given", ["~/photos", "~nobody-of-this-name/photos"])
def test_a_home_folder_is_found_or_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load, problems: Problems, given: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = SMALL.replace('"photos"', f'"{given}"')
    if given.startswith("~/"):
        assert load(text).data.options["root"] == tmp_path / "home" / "photos"
        weights = load(text.replace('"random"', '"~/w.safetensors"')).encoder.weights
        assert weights == tmp_path / "home" / "w.safetensors"
    else:
        [problem] = problems(text)
        assert problem == f"c.toml:3  data.root: {given} names a home folder that does not exist: write the full path"


def test_paths_in_a_plugin_s_tuples_are_absolute_too(tmp_path: Path, load: Load) -> None:
    (tmp_path / "places.py").write_text(
        "from pathlib import Path\n"
        "from siamesekit import READERS\n"
        "@READERS.register('places')\n"
        "def places(roots: tuple[Path, ...]): return []\n"
    )
    text = SMALL.replace('"folder"\nroot = "photos"', '"places"\nroots = ["a", "b"]')
    config = load('plugins = ["places.py"]\n' + text)
    assert config.data.options["roots"] == (tmp_path / "a", tmp_path / "b")
    assert 'roots = ["a", "b"]' in config.to_toml(relative_to=tmp_path)


def test_paths_are_relative_to_the_config_and_in_overrides_to_the_current_directory(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    here = load(SMALL.replace('"random"', '"w.pt"'))
    assert here.data.options["root"] == tmp_path / "photos"
    assert here.encoder.weights == tmp_path / "w.pt"
    there = load(SMALL, "data.root=../x", "encoder.weights=w.pt", "encoder.stand_in.weights=v.pt")
    assert there.data.options["root"] == tmp_path / "x"
    assert there.encoder.weights == tmp_path / "elsewhere" / "w.pt"
    assert there.encoder.stand_in is not None
    assert there.encoder.stand_in.weights == tmp_path / "elsewhere" / "v.pt"
    whole = load(SMALL, 'data={reader="folder", root="x"}')
    assert whole.data.options["root"] == tmp_path / "elsewhere" / "x"
    assert load(SMALL, "data.root=/abs").data.options["root"] == Path("/abs")


PLUGIN = """\
from siamesekit import LOSSES

@LOSSES.register("mine")
def mine(a: int, b: float = 1.0, c: int | None = None, d: dict[str, int] = {{}}, {more}):
    return a
"""


def test_a_plugin_in_the_config_s_folder_brings_its_components(load: Load, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/p.py").write_text(PLUGIN.format(more="e: str = 'x'"))
    config = load('plugins = ["sub/p.py"]\n' + SMALL + '[loss]\nname = "mine"\na = 4\nd = {"x y" = 1}\n')
    assert [plugin.path for plugin in config.plugins] == [tmp_path / "sub/p.py"]
    assert config.loss.options == {"a": 4, "b": 1.0, "c": None, "d": {"x y": 1}, "e": "x"}
    assert reloaded(config, tmp_path) == config


@pytest.mark.parametrize("name", ["../p.py", "/tmp/p.py", "sub/../../p.py", "link.py"])
def test_a_plugin_outside_the_config_s_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "p.py").write_text("raise AssertionError('must not be run')")
    (folder / "link.py").symlink_to(tmp_path / "p.py")
    (folder / "c.toml").write_text(f'plugins = ["{name}"]\n' + SMALL)
    with pytest.raises(ConfigError) as error:
        load_config(folder / "c.toml")
    assert error.value.problems == (f"c.toml:1  plugins: {name!r} must be a path inside the config's folder",)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\n\ny = x / 0\n", "plugin 'p.py' fails at line 3: ZeroDivisionError: division by zero"),
        ("x = 1\nif x\n", "plugin 'p.py' fails at line 2: SyntaxError: expected ':' (p.py, line 2)"),
        ("import sys\nsys.exit(3)\n", "plugin 'p.py' fails at line 2: SystemExit: 3"),
        (PLUGIN.format(more="**rest"), "plugin 'p.py' fails at line 3: loss 'mine' of {file} has the variadic "
                                       "parameter 'rest': name every option, so that a misspelt one is refused"),
        (PLUGIN.format(more="e: int = 1").replace("mine", "triplet"),
         "plugin 'p.py' fails at line 3: loss 'triplet' of {file} is already registered by "
          "siamesekit.components.losses.triplet: "
         "choose another name"),
        (PLUGIN.format(more="e: int = 1").replace('"mine"', '"My_Loss"'),
         "plugin 'p.py' fails at line 3: loss name 'My_Loss' is not kebab-case (letters, digits, hyphens)"),
    ],
)  # fmt: skip
def test_a_plugin_that_fails_is_named_with_its_line_or_its_fault(
    problems: Problems, tmp_path: Path, code: str, expected: str
) -> None:
    (tmp_path / "p.py").write_text(code)
    [problem] = problems('plugins = ["p.py"]\n' + SMALL)
    assert problem == "c.toml:1  plugins: " + expected.format(file=tmp_path / "p.py")


def test_an_option_that_a_table_s_own_key_would_hide_is_refused(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PLUGIN.format(more="optimizer: str = 'x'"))
    assert problems('plugins = ["p.py"]\n' + SMALL + '[loss]\nname = "mine"\na = 1\n') == [
        f"c.toml:10  loss.name: loss 'mine' of {tmp_path / 'p.py'} has an option 'optimizer', "
        "which is this table's own key: rename the option"
    ]


def test_two_plugins_of_one_file_name_are_refused(problems: Problems, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.py").write_text("")
    assert problems('plugins = ["a/p.py", "a/p.py", "b/p.py"]\n' + SMALL) == [
        "c.toml:1  plugins: two plugins are called 'p.py', but a run's folder stores them by name: rename one"
    ]


@pytest.mark.parametrize("name", ["gone.py", "a" * 300 + ".py", ".", ""])
def test_a_plugin_that_is_no_file_is_refused(problems: Problems, name: str) -> None:
    [problem] = problems(f'plugins = ["{name}"]\n' + SMALL)
    assert problem.startswith("c.toml:1  plugins: plugin ")


def test_two_plugins_that_register_one_name_are_refused(problems: Problems, tmp_path: Path) -> None:
    for name in ("p.py", "q.py"):
        (tmp_path / name).write_text(PLUGIN.format(more="e: int = 1"))
    assert problems('plugins = ["p.py", "q.py"]\n' + SMALL) == [
        f"c.toml:1  plugins: plugin 'q.py' fails at line 3: loss 'mine' of {tmp_path / 'q.py'} is already registered "
        f"by {tmp_path / 'p.py'}: choose another name"
    ]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (["a"], 1),
        (["loss", "margin"], 4),
        (["loss", "gone"], 3),
        (["encoder", "head", "layers"], 6),
        (["encoder", "head", "gone"], 7),
        (["encoder", "head"], 7),
        (["data", "root", "x"], 10),
        (["gone"], None),
        (["gone", "key"], None),
        (["augmentation", "steps"], 12),
        (["augmentation", "steps", "0", "name"], 13),
        (["augmentation", "steps", "0"], 12),
        (["augmentation", "steps", "1", "p"], 16),
        (["augmentation", "steps", "1", "gone"], 14),
        (["augmentation", "steps", "1", "miner"], 17),
        (["augmentation", "steps", "1", "miner", "name"], 18),
        (["augmentation", "steps", "2", "name"], 11),
        (["augmentation", "name"], 11),
        (["lists"], 19),
        (["lists", "1"], 21),
        (["lists", "1", "steps", "0", "a"], 23),
    ],
)
def test_line_of_finds_the_key_or_else_its_table(place: list[str], line: int | None) -> None:
    text = """a = 1
# [loss]
[ loss ]  # [train]
"margin" = 2
[encoder]
head.layers = []
[encoder.'head']
batchnorm = true
[data]
root = {x = 1}
[augmentation]
[[augmentation.steps]]
name = "a"
[[ augmentation.steps ]]  # [loss]
name = "b"
p = 1
[augmentation.steps.miner]
name = "c"
[[lists]]
a = 1
[[lists]]
[[lists.steps]]
a = 1
"""
    assert line_of(text, place) == line


def reloaded(config: Config, folder: Path, **how: Any) -> Config:
    """The config written as TOML into a folder, loaded again; its own file does not count."""
    (folder / "again.toml").write_text(config.to_toml(**how), encoding="utf-8")
    return replace(load_config(folder / "again.toml"), source=config.source)


@pytest.mark.parametrize("text", [SMALL, FULL], ids=["small", "full"])
def test_to_toml_loads_as_the_same_config(load: Load, tmp_path: Path, text: str) -> None:
    config = load(text)
    assert reloaded(config, tmp_path) == config
    away = tmp_path / "runs/deep"
    away.mkdir(parents=True)
    assert reloaded(config, away, relative_to=away) == config


@pytest.mark.parametrize("example", ["shared", "disjoint"])
def test_to_toml_loads_as_the_same_config_for_the_examples(tmp_path: Path, example: str) -> None:
    config = load_config(Path(__file__).parents[2] / f"examples/digits/{example}.toml")
    assert reloaded(config, tmp_path) == config


def test_to_toml_writes_every_default_and_relative_paths_where_asked(load: Load, tmp_path: Path) -> None:
    config = load(SMALL)
    written = tomllib.loads(config.to_toml(relative_to=tmp_path / "runs/r", plugins=["plugins/p.py"]))
    assert (written["plugins"], written["name"], written["seed"]) == (["plugins/p.py"], "c", 0)
    assert written["data"]["root"] == "../../photos"
    assert all(getattr(config, name) is None for name in OPTIONAL_TABLES)
    assert set(written) == {"name", "seed", "plugins", *TABLES} - {*OPTIONAL_TABLES}
    for name in {*TABLES} - {*OPTIONAL_TABLES}:
        table = getattr(config, name)
        own = {key for key in type(table).model_fields if key != "options" and getattr(table, key) is not None}
        options = set(table.options) if isinstance(table, ComponentTable) else set()
        assert set(written[name]) == own | options


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = TEXT | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@pytest.mark.medium
@given(st.dictionaries(TEXT, VALUES, max_size=5))
@settings(max_examples=200, deadline=None)
def test_dump_toml_is_read_back_exactly(values: dict[str, Any]) -> None:
    """As JSON, so that 1, 1.0 and true, or 0.0 and -0.0, are not the same."""
    back = tomllib.loads(dump_toml(values))
    assert json.dumps(back, sort_keys=True) == json.dumps(values, sort_keys=True)


def test_dump_toml_leaves_none_out_and_writes_paths_and_tuples() -> None:
    text = dump_toml({"a": None, "p": Path("/x/y"), "t": (1, (2.0,)), "d": {"n": None}}, Path("/x/z"))
    assert tomllib.loads(text) == {"p": "../y", "t": [1, [2.0]], "d": {}}
    steps = [{"name": "a", "fill": None, "p": Path("/x/y"), "inner": {"n": None, "m": [1]}}]
    assert tomllib.loads(dump_toml({"steps": steps}, Path("/x/z"))) == {
        "steps": [{"name": "a", "p": "../y", "inner": {"m": [1]}}]
    }


def places(table: dict[str, Any], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The places of all values and tables of a document."""
    found = []
    for key, value in table.items():
        found.append((*at, key))
        found += places(value, (*at, key)) if isinstance(value, dict) else []
    return found


WORDS = st.sampled_from(["timm/resnet18", "random", "x.pt", "identity", "validation", "", "..", "/", "\0", "folder"])
ANYTHING = VALUES | WORDS | st.floats() | st.integers(-2, 200) | st.dates()


@pytest.mark.medium
@given(st.dictionaries(st.sampled_from(places(tomllib.loads(FULL))), ANYTHING, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_config_is_refused_or_loads_and_reloads(
    tmp_path: Path, mutations: dict[tuple[str, ...], Any]
) -> None:
    document = tomllib.loads(FULL)
    for place, value in mutations.items():
        table = document
        for key in place[:-1]:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            table[place[-1]] = value
    text = "".join(f"{json.dumps(key)} = {inline(value)}\n" for key, value in document.items())
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    try:
        config = load_config(tmp_path / "c.toml")
    except ConfigError as error:
        assert error.problems
        assert all(problem.startswith("c.toml:") for problem in error.problems)
        return
    assert reloaded(config, tmp_path) == config


@pytest.mark.medium
@given(st.sampled_from(places(tomllib.loads(FULL))), st.text(max_size=20) | ANYTHING.map(str))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_override_is_refused_or_loads(tmp_path: Path, place: tuple[str, ...], value: str) -> None:
    (tmp_path / "c.toml").write_text(FULL)
    override = f"{'.'.join(place)}={value}"
    try:
        config = load_config(tmp_path / "c.toml", [override])
    except ConfigError as error:
        assert error.problems
        assert all(problem.startswith(("--set ", "c.toml:")) for problem in error.problems)
        return
    assert reloaded(config, tmp_path) == config


def inline(value: Any) -> str:
    """A value in TOML's inline spelling."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inline(key)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return str(value).lower()  # true, nan, 1e-05


NESTED = """
[loss]
name = "pml/triplet-margin"
margin = 0.3

[loss.distance]
name = "pml/lp"
p = 3

[loss.reducer]
name = "pml/per-anchor"
reducer = { name = "pml/threshold", low = 0.1 }

[augmentation]
name = "sequence"
views = 2

[[augmentation.steps]]
name = "crop"
smallest = 0.8

[[augmentation.steps]]
name = "torchvision/gaussian-blur"
kernel_size = 3
"""


def test_nested_components_have_all_their_options(load: Load) -> None:
    config = load(SMALL + NESTED)
    assert config.loss.options["distance"] == {"name": "pml/lp", "normalize_embeddings": True, "p": 3.0, "power": 1.0}
    inner = config.loss.options["reducer"]["reducer"]
    assert inner == {"name": "pml/threshold", "low": 0.1, "high": None}
    assert config.augmentation is not None
    assert config.augmentation.views == 2
    assert config.augmentation.options == {
        "steps": [
            {"name": "crop", "smallest": 0.8, "flip": 0.0},
            {"name": "torchvision/gaussian-blur", "kernel_size": 3, "sigma": (0.1, 2.0)},
        ]
    }
    inline = (
        SMALL
        + NESTED.partition("[augmentation]")[0]
        + """[augmentation]
name = "sequence"
views = 2
steps = [{ name = "crop", smallest = 0.8 }, { name = "torchvision/gaussian-blur", kernel_size = 3 }]
"""
    )
    assert load(inline) == config


def test_nested_components_are_written_and_loaded_again(load: Load, tmp_path: Path) -> None:
    config = load(SMALL + NESTED)
    assert reloaded(config, tmp_path) == config
    written = tomllib.loads(config.to_toml())
    assert written["loss"]["reducer"]["reducer"] == {"name": "pml/threshold", "low": 0.1}
    assert [step["name"] for step in written["augmentation"]["steps"]] == ["crop", "torchvision/gaussian-blur"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("p = 3", "pp = 3", "c.toml:15  loss.distance.pp: unknown option of distance 'pml/lp' (did you mean 'p'?); "
                            "choices: name, normalize_embeddings, p, power"),
        ("p = 3", "p = 0", "c.toml:15  loss.distance.p: must be greater than 0, not 0"),
        ("p = 3", 'p = "3"', 'c.toml:15  loss.distance.p: must be a number, not "3"'),
        ("pml/lp", "pml/lpp", "c.toml:14  loss.distance.name: unknown distance 'pml/lpp': pml has no 'lpp' "
                              "(did you mean 'lp'?); 4 choices: siamesekit list distances pml"),
        ('name = "pml/lp"\n', "", "c.toml:13  loss.distance: must be a table with a name; choices: cosine, "),
        ("[loss.distance]", "[[loss.distance]]", 'c.toml:13  loss.distance: must be a table with name = "…", not [{'),
        ("margin = 0.3", "margin = 0.3\nloss = 3", "c.toml:12  loss.loss: unknown option of loss 'pml/triplet-margin'"),
        ("[loss.distance]", "[loss.distanc]", "c.toml:13  loss.distanc: unknown option of loss 'pml/triplet-margin' "
                                              "(did you mean 'distance'?); choices: name, "),
        ("low = 0.1", "lo = 0.1", "c.toml:19  loss.reducer.reducer.lo: unknown option of reducer 'pml/threshold' "
                                  "(did you mean 'low'?); choices: name, low, high"),
        ("pml/threshold", "pml/mea", "c.toml:19  loss.reducer.reducer.name: unknown reducer 'pml/mea': pml has no "
                                     "'mea' (did you mean 'mean'?); "),
        ("smallest", "smalest", "c.toml:27  augmentation.steps.0.smalest: unknown option of augmentation 'crop' "
                                "(did you mean 'smallest'?); choices: name, smallest, flip"),
        ("kernel_size = 3", "kernel_size = 0",
         "c.toml:31  augmentation.steps.1.kernel_size: must be greater than or equal to 1, not 0"),
        ("\nkernel_size = 3", "", "c.toml:29  augmentation.steps.1.kernel_size: is required"),
        ('"crop"', '"crp"', "c.toml:26  augmentation.steps.0.name: unknown augmentation 'crp' (did you mean 'crop'"),
        ('name = "crop"\n', "", "c.toml:25  augmentation.steps.0: must be a table with a name; choices: crop, "),
        ('name = "crop"', "name = 3", "c.toml:25  augmentation.steps.0: must be a table with a name; choices: crop, "),
    ],
)  # fmt: skip
def test_a_mistake_in_a_nested_table_is_named_with_its_place_and_line(
    problems: Problems, old: str, new: str, expected: str
) -> None:
    assert NESTED.count(old) == 1
    [problem] = problems(SMALL + NESTED.replace(old, new))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('name = "pml/triplet-margin"\ndistance = "cosine"', "c.toml:10  loss.distance: must be a table with a name; "),
        ('name = "pml/triplet-margin"\ndistance = { name = "cosine", p = 2 }',
         "c.toml:10  loss.distance.p: unknown option of distance 'cosine'; choices: name"),
        ('name = "pml/triplet-margin"\ndistance.name = "cosin"', "c.toml:10  loss.distance.name: unknown distance "),
        ('name = "pml/cross-batch-memory"', "c.toml:8  loss.loss: is required"),
        ('name = "pml/cross-batch-memory"\nloss = { name = "pml/nt-xent", distance = { name = "pml/lp", q = 1 } }',
         "c.toml:10  loss.loss.distance.q: unknown option of distance 'pml/lp'"),
        ('name = "pml/multiple"\nlosses = { name = "pml/nt-xent" }',
         'c.toml:10  loss.losses: must be a list of tables, [[…losses]] with name = "…", not {"name"'),
        ('name = "pml/multiple"\nlosses = [{ name = "pml/nt-xent" }, { name = "pml/nt-xnt" }]',
         "c.toml:10  loss.losses.1.name: unknown loss 'pml/nt-xnt': pml has no 'nt-xnt' (did you mean 'nt-xent'?)"),
        ('name = "pml/multiple"\nlosses = ["pml/nt-xent"]', "c.toml:10  loss.losses.0: must be a table with a name; "),
        ('name = "pml/multiple"\nlosses = []\nweights = [1, "2"]',
         'c.toml:11  loss.weights: item 1 must be a number, not "2"'),
    ],
)  # fmt: skip
def test_a_mistake_in_an_inline_table_has_the_line_of_its_key(problems: Problems, lines: str, expected: str) -> None:
    [problem] = problems(f"{SMALL}[loss]\n{lines}\n")
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("loss.distance.pp=3", "--set loss.distance.pp: unknown option of distance 'pml/lp' (did you mean 'p'?)"),
        ("loss.distance={name='pml/lp', p=0}", "--set loss.distance.p: must be greater than 0, not 0"),
        ("augmentation.steps=[{name='crp'}]", "--set augmentation.steps.0.name: unknown augmentation 'crp'"),
        ("augmentation.steps.0.smallest=2", "--set augmentation.steps.0.smallest: must be less than or equal to 1"),
    ],
)
def test_a_wrong_override_of_a_nested_option_is_named(problems: Problems, override: str, expected: str) -> None:
    [problem] = problems(SMALL + NESTED, override)
    assert problem.startswith(expected)


def test_an_override_sets_a_nested_option(load: Load) -> None:
    config = load(SMALL + NESTED, "loss.distance.p=4", "augmentation.steps=[{name='flip'}]")
    assert config.loss.options["distance"]["p"] == 4.0
    assert config.augmentation is not None
    assert [step["name"] for step in config.augmentation.options["steps"]] == ["flip"]


WITH_PATHS = """\
from pathlib import Path
from siamesekit import AUGMENTATIONS, DISTANCES
from siamesekit.options import ADistance, Augmentations

@DISTANCES.register("of-file")
def of_file(file: Path, also: ADistance | None = None): ...

@AUGMENTATIONS.register("textures")
def textures(file: Path, more: Augmentations = ()): ...
"""


def test_paths_of_nested_components_are_relative_to_the_config(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.py").write_text(WITH_PATHS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = (
        'plugins = ["p.py"]\n'
        + SMALL
        + """
[distance]
name = "of-file"
file = "/abs"
also = { name = "of-file", file = "b", also = { name = "of-file", file = "../c" } }

[augmentation]
name = "sequence"

[[augmentation.steps]]
name = "textures"
file = "t"

[[augmentation.steps.more]]
name = "textures"
file = "u"
"""
    )
    config = load(text)
    also = config.distance.options["also"]
    assert config.distance.options["file"] == Path("/abs")
    assert (also["file"], also["also"]["file"]) == (tmp_path / "b", tmp_path.parent / "c")
    assert config.augmentation is not None
    [step] = config.augmentation.options["steps"]
    assert (step["file"], step["more"][0]["file"]) == (tmp_path / "t", tmp_path / "u")
    assert reloaded(config, tmp_path) == config
    away = tmp_path / "runs/deep"
    away.mkdir(parents=True)
    (away / "p.py").write_text(WITH_PATHS)
    written = tomllib.loads(config.to_toml(relative_to=away))
    assert written["distance"]["also"]["file"] == "../../b"
    assert written["augmentation"]["steps"][0]["more"][0]["file"] == "../../u"
    overridden = load(text, "distance.also.file=v")
    assert overridden.distance.options["also"]["file"] == tmp_path / "elsewhere" / "v"
    assert overridden.distance.options["also"]["also"]["file"] == tmp_path.parent / "c"


HOSTILE_KEYS = {
    '"\\u001b[2J" = 1': r"\x1b[2J",
    '"a\\nb" = 1': r"a\nb",
    '"\\u0000" = 1': r"\x00",
    '"\\u202e" = 1': r"\u202e",
    "k" * 5000 + " = 1": "k" * 60 + "...",
}


@pytest.mark.parametrize(("line", "shown"), HOSTILE_KEYS.items(), ids=range(len(HOSTILE_KEYS)))
def test_a_hostile_key_stays_on_its_line(problems: Problems, line: str, shown: str) -> None:
    [problem] = problems(f"{SMALL}[train]\n{line}\n")
    place, _, what = problem.partition(f"  train.{shown}: ")
    assert place in ("c.toml:8", "c.toml:9")  # the table's line, where the key is spelt by escapes
    assert what.startswith("unknown key; choices: epochs, ")
    assert problem.isprintable()


def test_a_long_value_is_cut_in_the_middle(problems: Problems) -> None:
    [problem] = problems(f"name = [{'1, ' * 3000}]\n{SMALL}")
    assert problem.startswith("c.toml:1  name: must be a string, not [1, 1, ")
    assert " … " in problem
    assert len(problem) < 4100


def test_thousands_of_problems_are_told_soon(problems: Problems) -> None:
    began = time.process_time()
    found = problems("".join(f"k{number} = 1\n" for number in range(3000)) + SMALL)
    assert len(found) == 3000
    assert time.process_time() - began < 3
    assert any(problem.startswith("c.toml:100  k99: unknown table or key") for problem in found)


def test_a_plugin_s_long_message_stays_on_its_line(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text('raise ValueError("a\\x1b[2J\\n" + 100_000 * "b")\n')
    [problem] = problems('plugins = ["p.py"]\n' + SMALL)
    assert problem.startswith("c.toml:1  plugins: plugin 'p.py' fails at line 1: ValueError: a\\x1b[2J bbb")
    assert len(problem) < 4100


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("encoder.head.layers=[1000000000]", "item 0 must be less than or equal to 65536, not 1000000000"),
        ("encoder.head.layers=[8, 65536, 65536]",
         "layers of 65,536 and 65,536 units have 4,294,967,296 weights between them; must be at most 268,435,456"),
        ("data.size=1000000000", "must be less than or equal to 4096, not 1000000000"),
        ("evaluation.bootstrap=1000000000", "must be less than or equal to 100000, not 1000000000"),
        ("train.memory_gib=1e308", "must be less than or equal to 1000000, not 1e+308"),
        ("encoder.cache_gib=1e308", "must be less than or equal to 1000000, not 1e+308"),
        ("data.memory_gib=1e308", "must be less than or equal to 1000000, not 1e+308"),
        ("augmentation={name='flip', views=1000000000}", "must be less than or equal to 1000, not 1000000000"),
        ("sampler={name='random-triplets', triplets=1000000000}",
         "must be less than or equal to 10000000, not 1000000000"),
        ("sampler={name='mined', triplets=1000000000}", "must be less than or equal to 10000000, not 1000000000"),
        ("sampler={name='pml/fixed-set-of-triplets', num_triplets=1000000}",
         "must be less than or equal to 100000, not 1000000"),
        ("augmentation={name='torchvision/rand-augment', num_ops=1000000}",
         "must be less than or equal to 100, not 1000000"),
        ("loss={name='pml/fast-ap', num_bins=1000000000}", "must be less than or equal to 1000000, not 1000000000"),
        ("loss={name='cross-batch-memory', loss={name='triplet'}, size=1000000000}",
         "must be less than or equal to 1000000, not 1000000000"),
    ],
)  # fmt: skip
def test_what_would_take_absurdly_much_is_refused(problems: Problems, override: str, expected: str) -> None:
    [problem] = problems(SMALL, override)
    assert problem.endswith(f": {expected}")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"root = 'p'": "root = 'loop/p'"}, "data.root"),
        ({"[encoder]": "[encoder]\nweights = 'loop.pth'"}, "encoder.weights"),
        ({"seed = 5": "plugins = ['loop.py']"}, "plugins"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_links_in_a_circle_are_said(tmp_path: Path, change: dict[str, str], place: str) -> None:
    for name in ("loop", "loop.pth", "loop.py"):
        (tmp_path / name).symlink_to(name)
    text = "seed = 5\n[data]\nreader = 'folder'\nroot = 'p'\nsize = 32\n[encoder]\nname = 'timm/test_resnet'\n"
    for old, new in change.items():
        text = text.replace(old, new)
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"{re.escape(place)}.*cannot be followed: its links lead in a circle"):
        load_config(tmp_path / "config.toml")
