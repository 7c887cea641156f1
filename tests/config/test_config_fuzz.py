"""Five thousand damaged and hostile configs and overrides: each loads, or is refused with its place and a way out.

They are loaded in a process of its own with a limit of memory, so that one that takes too much cannot go unnoticed.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_config import inline

from fuzzing import bound_memory, bound_time, run_child
from siamesekit.config import TABLES, Config, load_config
from siamesekit.errors import ConfigError, UserError
from siamesekit.wording import in_one_line

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNT, FIRST = 5000, 1000
SECONDS = 1.0
"""Of CPU time that one load may take."""
WALL = 60
"""Seconds after which a load counts as hanging, however busy the machine is."""
ROOM = 512 << 20
"""Bytes of address space beyond what loading the good configs has taken."""
LONGEST = 4100
"""Characters of a problem."""
SMALL = """\
name = "small"
seed = 3

[data]
reader = "folder"
root = "photos"

[encoder]
name = "xception"
weights = "random"
"""
FAMILIES = """\
name = "families"
seed = 7

[data]
reader = "csv"
file = "photos.csv"
photo = "Image"
individual = "Id"
group = "site"
root = "photos"
leave_out = ["new_whale", "ünbekannt"]
size = 64
fit = "crop"
singletons = "leave-out"
memory_gib = 0.5

[data.stand_in]
reader = "folder"
root = "others"
groups = "of-photos"
hint = 'say "please"'

[split]
by = "identity"
train = 0.8
validation = 0.1
test = ["a", "b c"]

[augmentation]
name = "sequence"
views = 2

[[augmentation.steps]]
name = "crop"
smallest = 0.8

[[augmentation.steps]]
name = "torchvision/gaussian-blur"
kernel_size = 3
sigma = [0.1, 1.5]

[encoder]
name = "timm/resnet18"
weights = "imagenet"
train_from = "layer4"

[encoder.head]
layers = [64, 32]
dropout = 0.1

[encoder.stand_in]
weights = "calibrated"

[distance]
name = "pml/lp"
p = 3
power = 2

[sampler]
name = "pml/m-per-class"
m = 4
batch_size = 32

[miner]
name = "pml/triplet-margin"
margin = 0.1
distance = { name = "pml/cosine-similarity" }

[loss]
name = "pml/multiple"
weights = [1, 0.5]

[[loss.losses]]
name = "pml/triplet-margin"
margin = 0.3
swap = true

[loss.losses.distance]
name = "pml/lp"
normalize_embeddings = false

[loss.losses.reducer]
name = "pml/per-anchor"
reducer = { name = "pml/threshold", low = 0.1 }

[[loss.losses]]
name = "pml/nt-xent"
temperature = 0.1
embedding_regularizer = { name = "pml/lp", p = 2 }

[loss.optimizer]
name = "torch/sgd"
lr = 0.01
nesterov = true
momentum = 0.9

[optimizer]
name = "torch/adamw"
lr = 1e-3
betas = [0.9, 0.99]
layer_decay = 0.8
clip_norm = 1.0

[schedule]
name = "torch/one-cycle"
max_lr = 0.01
every = "step"

[train]
epochs = 7
select = "validation"
average = 0.99

[evaluation]
bootstrap = 100
confidence = 0.9
false_accept_rate = 0.01

[save]
pickle = "net.pkl"
"""
OWN = """\
plugins = ["flukes.py", "gulls/chebyshev.py", "gulls/small_conv.py"]

[data]
reader = "flukes"
individuals = 5

[augmentation]
name = "photo-id"
rotation = 5.5

[encoder]
name = "gulls-small-conv"
weights = "random"
width = 4

[distance]
name = "gulls-chebyshev"

[sampler]
name = "mined"
kind = "hard"

[miner]
name = "distance-weighted"

[loss]
name = "cross-batch-memory"
loss = { name = "multi-similarity", alpha = 3.0 }

[optimizer]
name = "keras-adam"

[schedule]
name = "warmup-cosine"
warmup = 0.1
"""
VALUES = (
    "0", "1", "-1", "2", "0.5", "-0.0", "1e308", "-1e308", "1e999", "1e-320", "nan", "inf", "-inf", "9" * 30,
    "9" * 5000, "-9223372036854775809", "9223372036854775807", "18446744073709551616", "0x7fff_ffff", "0o7", "0b1",
    "1_000", "true", "false", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.999999", '""',
    "''", '"x"', '" "', '"\\u0000"', '"\\u001b[2J"', '"\\u202e"', '"\\ud800"', '"\\u2028"', '"ünïcode 🐋"', '"a\\nb"',
    '"' + "a" * 5000 + '"', '"../../etc/passwd"', '"/"', '"."', '".."', '"~"', '"photos/"', '"CON"', '"x.pt"',
    '"x.safetensors"', '"' + "/a" * 900 + '"', '"random"', '"imagenet"', '"timm/"', '"timm/*"', '"*"', '"/"',
    '"timm/resnet18.nope"', '"timm/hf-hub:"', '"timm/hf-hub:a/b"', '"timm/resnet 18"', '"pml/"', '"pml/*"', '"pml/lp"',
    '"pml/triplet-margin"', '"torch/sgd"', '"torch/x"', '"torchvision/resize"', '"torchvision/vit_b_16"', '"folder"',
    '"triplet"', '"cosine"', '"name"', '"none"', "[]", "{}", "[[]]", "[{}]", "[{}, 1]", "[1, 'a', 2.0]",
    "[1, 2, 3, 4, 5, 6, 7, 8, 9]", "[nan]", "[-1]", "[0]", "[1e300, 1e300]", "[" + "1," * 3000 + "]",
    "[" * 60 + "]" * 60, "[" * 2000 + "]" * 2000, "{a=" * 60 + "1" + "}" * 60, "{a=" * 900 + "1" + "}" * 900,
    "{ name = 'cosine' }", "{ name = 'pml/lp', p = 0 }", "{ name = 3 }", "{ name = '' }", "[{ name = 'crop' }]",
    "[{ name = 'crop', x = 1 }]", "[{ name = 'sequence', steps = [{ name = 'sequence', steps = [] }] }]",
    "{ name = 'cross-batch-memory', loss = { name = 'cross-batch-memory', loss = { name = 'triplet' } } }",
    "{ '' = 1 }", "{ 'a.b' = 1 }", "{ options = {} }", "{ 'a\\nb' = 1 }", '{ "a\\nb" = 1 }', '{ "\\u001b[2J" = 1 }',
    "'''\nx'''", '"""\n\\\n"""', "07", "+", "=", "", "tru", "[", "{", '"', "#", "a b", "1979-13-45", "1.", ".5", "0x",
    "_1",
)  # fmt: skip
"""As they stand in a TOML file; some are no TOML."""
KEYS = (
    "x", "name", "options", "seed", '""', '"a b"', "'a.b'", "a.b", "a.b.c.d", "name.x", '"\\u001b[2J"', '"a\\nb"',
    '"\\u0000"', '"ü"', '"🐋"', "k" * 5000, '"' + "\\n" * 500 + '"', "__class__", "model", "labels", "distance",
    "params", "self", "model_config", "registry", "component_key", "copy", "stand_in", "1", "-", ".".join("a" * 60),
)  # fmt: skip
PLUGINS = (
    '["missing.py"]', '["../flukes.py"]', '["/flukes.py"]', '[""]', '["."]', '[".."]', '["photos"]', '["c.toml"]',
    '["bad.py"]', '["raises.py"]', '["exits.py"]', '["registers.py"]', '["binary.py"]', '["flukes.py", "flukes.py"]',
    '"flukes.py"', '["flukes.py/x"]', '["' + "a" * 300 + '.py"]', '["a\\nb.py"]', '["\\u001b[2J.py"]', "[1]", "[[]]",
    "{}", '["gulls"]', '["pipe"]',
)  # fmt: skip
ALLOWED = re.compile(
    r"must be |must have |item [^ ]+ must |is required|unknown |this table is required|is supplied by the library|"
    r"needs validation individuals|needs split\.(by|embeddings)|"
    r"is not TOML: .*\(at (line \d+, column \d+|end of document)\)|"
    r"is not UTF-8, line \d+: save|"
    r"plugin .*(no such file|fails at (line \d+|import)|cannot be read|is not a Python file)|"
    r"two plugins are called|"
    r"is nested more than|is not a table|has an option|refuse|kebab-case|is already registered|no such file",
)
"""What a problem says: what must be, or what there is to choose from."""
FORBIDDEN = re.compile(
    r"Traceback|pydantic|validation error|Input should|Field required|Extra inputs|For further|"
    r"type=\w+|Value error|object at 0x"
)
"""What a problem never says: other libraries' words."""


def seeds(folder: Path) -> list[str]:
    """A folder with plugins, and the valid configs that lie in it."""
    folder.mkdir(parents=True)
    shutil.copy(EXAMPLES / "whales/flukes.py", folder)
    (folder / "gulls").mkdir()
    for name in ("chebyshev", "small_conv"):
        shutil.copy(EXAMPLES / f"plugin/src/siamesekit_gulls/{name}.py", folder / "gulls")
    (folder / "photos").mkdir()
    (folder / "bad.py").write_text("def\n")
    (folder / "raises.py").write_text('raise ValueError("a\\x1b[2J\\n" + 100_000 * "b")\n')
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    (folder / "registers.py").write_text(
        'from siamesekit import LOSSES\n\n\n@LOSSES.register("Bad Name")\ndef bad(): ...\n'
    )
    (folder / "binary.py").write_bytes(bytes(range(256)))
    own = {
        path: path.read_text(encoding="utf-8")
        for path in sorted(EXAMPLES.rglob("*.toml"))
        if path.name != "pyproject.toml" and "gulls" not in path.read_text(encoding="utf-8")
    }
    assert len(own) >= 5
    texts = [SMALL, FAMILIES, OWN, *own.values()]
    return [*texts, *(load(folder, text).to_toml(relative_to=folder) for text in texts)]


def load(folder: Path, content: str | bytes, overrides: tuple[str, ...] = ()) -> Config:
    """The config of a file's content."""
    (folder / "c.toml").write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return load_config(folder / "c.toml", overrides)


def lines_changed(lines: list[str], rng: random.Random, seeds: list[str]) -> str:
    """One change of some lines; what was done."""
    place = rng.randrange(len(lines))
    settings = [number for number, line in enumerate(lines) if re.match(r"[\w.]+ = ", line)]
    headers = [number for number, line in enumerate(lines) if line.startswith("[")]
    how = rng.choices(
        ("drop", "double", "swap", "value", "key", "insert", "table", "plugins", "splice", "cut", "elsewhere", "mild"),
        (1, 1, 1, 8, 3, 3, 2, 1, 1, 1, 1, 6),
    )[0]
    if how == "drop":
        del lines[place : place + rng.choice((1, 1, 2, 10))]
    elif how == "double":
        lines.insert(rng.randrange(len(lines)), lines[place])
    elif how == "swap":
        other = rng.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    elif how == "value" and settings:
        chosen = rng.choice(settings)
        lines[chosen] = f"{lines[chosen].partition(' = ')[0]} = {rng.choice(VALUES)}"
    elif how == "key" and settings:
        chosen = rng.choice(settings)
        lines[chosen] = f"{rng.choice(KEYS)} = {lines[chosen].partition(' = ')[2]}"
    elif how == "insert":
        lines.insert(place, f"{rng.choice(KEYS)} = {rng.choice(VALUES)}")
    elif how == "table" and headers:
        chosen, new = (
            rng.choice(headers),
            rng.choice((*KEYS, *TABLES, "loss.distance", "data.stand_in", "encoder.head")),
        )
        lines[chosen] = rng.choice((f"[{new}]", f"[[{new}]]", lines[chosen][1:-1], f"[{lines[chosen]}]",
                                    f"{lines[chosen][:-1]}.{new}]", lines[chosen].upper(), ""))  # fmt: skip
    elif how == "plugins":
        lines.insert(0, f"plugins = {rng.choice(PLUGINS)}")
        lines[1:] = [line for line in lines[1:] if not line.startswith("plugins")]
    elif how == "splice":
        lines[place:] = rng.choice(seeds).splitlines()[place:]
    elif how == "cut":
        del lines[place:]
    elif how == "mild":
        chosen = rng.choice(settings or [place])
        key, equals, value = lines[chosen].partition(" = ")
        number = re.fullmatch(r"-?\d+(\.\d+)?", value)
        other = f"{key} = {float(value) * rng.choice((0.5, 1.01, 2)):.4g}" if number else f"# {lines[chosen]}"
        spaced = f"  {key}\t=\t{value}" if equals else lines[chosen]
        lines[chosen] = rng.choice((f"{key}{equals}{value}    # [x] = ü", spaced, other))
    elif how == "elsewhere":
        lines.insert(rng.randrange(len(lines)), rng.choice(rng.choice(seeds).splitlines()))
    return how


def overriding(text: str, rng: random.Random) -> str:
    """A hostile override."""
    document = tomllib.loads(text)
    table: Any = document
    keys = []
    while isinstance(table, dict) and table:
        keys.append(rng.choice(list(table)))
        table = table[keys[-1]]
        if rng.random() < 0.2:
            break
    if rng.random() < 0.3:
        keys.insert(rng.randrange(len(keys) + 1), rng.choice(KEYS))
    override = f"{'.'.join(keys)}={rng.choice(VALUES)}"
    if rng.random() < 0.2:
        place = rng.randrange(len(override) + 1)
        piece = rng.choice(("", "=", ".", "\0", "\n", "ü", "\x1b", "\ud800", "[", '"', " " * 99))
        override = override[:place] + piece + override[place + rng.randrange(3) :]
    return override


def mutant(seeds: list[str], number: int) -> tuple[str, str | bytes, tuple[str, ...]]:
    """What is done to a config, the content of its file, and overrides: the same for the same number."""
    rng = random.Random(number)
    text = rng.choice(seeds)
    roll = rng.random()
    if roll < 0.12:
        content = bytearray(text.encode())
        for _ in range(rng.choice((1, 1, 3, 30))):
            place = rng.randrange(len(content))
            content[place] = rng.choice((content[place] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 10))
        return "bytes", bytes(content), ()
    if roll < 0.15:
        own = text.encode()
        whole = rng.choice((
            b"", b"\xef\xbb\xbf" + own, text.encode("utf-16"), text.encode("latin-1", "replace"), b"\0" * 1000,
            b"\xff\xfe",
            b"[" * 100_000, b"a = " + b"[" * 100_000, b"[a" + b".a" * 20_000 + b"]", b"a" + b".a" * 20_000 + b" = 1",
            own.replace(b"\n", b"\r\n"), own.replace(b"\n", b"\r"), own + b"\xed\xa0\x80", b"#" * 1_000_000,
            b"x = 1\n" * 1000, b"".join(b"k%d = 1\n" % k for k in range(3000)),
            b"".join(b"[t%d]\n" % k for k in range(3000)),
        ))  # fmt: skip
        return "whole", whole, ()
    if roll < 0.4:
        return "overrides", text, tuple(overriding(text, rng) for _ in range(rng.choice((1, 1, 2, 4))))
    lines = text.splitlines()
    done = {lines_changed(lines, rng, seeds) for _ in range(rng.choice((1, 1, 1, 2, 5))) if lines}
    mixed = "\n".join(lines) + "\n"
    return (done.pop() if len(done) == 1 else "several"), mixed, (overriding(text, rng),) if rng.random() < 0.05 else ()


def outcome(folder: Path, content: str | bytes, overrides: tuple[str, ...] = ()) -> str:
    """What loading gives: "loaded", "refused", or in words what must not be."""
    try:
        config = load(folder, content, overrides)
    except ConfigError as error:
        return wrong_with(error, content) or "refused"
    except UserError as error:
        return f"BAD {type(error).__name__}, not ConfigError: {error}"
    except BaseException as error:
        return f"BAD {type(error).__name__}: {error}"
    try:
        again = load(folder, config.to_toml())
    except BaseException as error:
        return f"BAD does not load again: {type(error).__name__}: {error}"
    return "loaded" if replace(again, source=config.source) == config else "BAD loads again as another"


def is_toml(content: str | bytes) -> bool:
    """Whether the parser takes a file's content, or never comes to see it."""
    try:
        tomllib.loads(content if isinstance(content, str) else content.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError:
        return False
    except (ValueError, RecursionError):
        return True
    return True


def is_line_with_reason(problem: str, content: str | bytes) -> bool:
    """Whether a problem names a line of the text, shows what stands there, and says something of it."""
    text = content if isinstance(content, str) else content.decode("utf-8-sig")
    if "\r" in text.replace("\r\n", ""):
        return problem.startswith("c.toml:1  : lines end with a carriage return only: save the file")
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n")]
    named = re.match(r"c\.toml:(\d+)  ", problem)
    if named is None or int(named[1]) > len(lines):
        return False
    shown = in_one_line(lines[int(named[1]) - 1][:57])
    told = problem[named.end() :]
    return told.startswith(shown) and re.match(r"(.{0,60}): .{8,}", told.removeprefix(shown)) is not None


def wrong_with(error: ConfigError, content: str | bytes) -> str:
    """What is wrong with a refusal's words; empty where nothing is."""
    if not error.problems or "c.toml" not in str(error).partition("\n")[0]:
        return f"BAD no problems or no file: {error}"
    for problem in error.problems:
        whole = re.match(r"is not TOML: |is not UTF-8, line \d", problem)
        if not whole and not re.match(r"(c\.toml:\d+  [^ ]|c\.toml  [^ ]|--set [^ ])", problem):
            return f"BAD no place: {problem}"
        if not ALLOWED.search(problem) and (is_toml(content) or not is_line_with_reason(problem, content)):
            return f"BAD no way out: {problem}"
        if FORBIDDEN.search(problem):
            return f"BAD another library's words: {problem}"
        if not problem.isprintable():
            return f"BAD unprintable: {problem!r}"
        if len(problem) > LONGEST:
            return f"BAD {len(problem)} characters: {problem[:200]}"
    return ""


def child(folder: Path, first: int, last: int) -> dict[str, Any]:
    """Load mutants `first` … `last` − 1: counts by kind and outcome, what must not be, the longest time."""
    sound = seeds(folder)
    assert {outcome(folder, text) for text in sound} == {"loaded"}
    bound_memory(ROOM)
    timed = bound_time(WALL)
    counts: Counter[str] = Counter()
    bad, slowest = [], (0.0, "")
    for number in range(first, last):
        kind, content, overrides = mutant(sound, number)
        found, seconds = timed(partial(outcome, folder, content, overrides))
        slowest = max(slowest, (seconds, f"{kind} {number}"))
        counts[f"{kind}: {'BAD' if found.startswith('BAD') else found}"] += 1
        if found.startswith("BAD") or seconds > SECONDS:
            bad.append(f"{number}, {kind}, {seconds:.2f} s: {found[:400]}")
    return {"counts": dict(sorted(counts.items())), "bad": bad, "slowest": slowest}


def fuzzed(tmp_path: Path, first: int, last: int, mode: str = "configs") -> dict[str, Any]:
    """The child's findings."""
    told, _ = run_child(__file__, mode, tmp_path / "project", first, last)
    assert sum(told["counts"].values()) == last - first
    return told


linux = pytest.mark.skipif(sys.platform != "linux", reason="limits memory by RLIMIT_AS")


@linux
@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(0, FIRST, marks=pytest.mark.slow),
        pytest.param(FIRST, COUNT, marks=[pytest.mark.huge, pytest.mark.timeout(1200)]),
    ],
    ids=["first", "the rest"],
)
def test_every_mutant_loads_or_is_refused(tmp_path: Path, first: int, last: int) -> None:
    told = fuzzed(tmp_path, first, last)
    assert told["bad"] == []
    total = Counter[str]()
    for name, count in told["counts"].items():
        total[name.partition(": ")[2]] += count
    assert min(total["loaded"], total["refused"]) > 0.05 * (last - first), "mutations that all fail alike show little"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.integers(-(2**64), 2**64) | st.integers(-2, 200) | st.floats()
SCALARS = TEXT | NUMBERS | st.booleans() | st.dates() | st.datetimes()
KEYS_OF_ANY = TEXT | st.sampled_from(["name", "p"])
ANYTHING = st.recursive(
    SCALARS | st.sampled_from(["cosine", "pml/lp", "random", "imagenet", "folder", "", "x.pt"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS_OF_ANY, inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([at] if at else []) + [place for key, each in inner for place in places(each, (*at, key))]


PLACES = places(tomllib.loads(FAMILIES))


def with_values(changes: dict[tuple[Any, ...], Any]) -> str:
    """`FAMILIES` with other values at some places."""
    document: Any = tomllib.loads(FAMILIES)
    for (*path, last), value in changes.items():
        inner = document
        for key in path:
            there = key in inner if isinstance(inner, dict) else isinstance(inner, list) and key in range(len(inner))
            inner = inner[key] if there else None
        if isinstance(inner, dict) or (isinstance(inner, list) and last in range(len(inner))):
            inner[last] = value
    return "".join(f"{inline(key)} = {inline(value)}\n" for key, value in document.items())


def refused_or_loads(tmp_path: Path, changes: dict[tuple[Any, ...], Any]) -> None:
    (tmp_path / "photos").mkdir(exist_ok=True)
    found = outcome(tmp_path, with_values(changes))
    assert found in ("loaded", "refused"), found


SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
CHANGES = st.dictionaries(st.sampled_from(PLACES), ANYTHING, min_size=1, max_size=3)


@pytest.mark.slow
@given(CHANGES)
@settings(max_examples=300, **SETTINGS)
def test_any_values_load_or_are_refused(tmp_path: Path, changes: dict[tuple[Any, ...], Any]) -> None:
    refused_or_loads(tmp_path, changes)


@pytest.mark.huge
@given(CHANGES)
@settings(max_examples=3000, **SETTINGS)
def test_many_more_values_load_or_are_refused(tmp_path: Path, changes: dict[tuple[Any, ...], Any]) -> None:
    refused_or_loads(tmp_path, changes)


if __name__ == "__main__":
    found = child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(found))
