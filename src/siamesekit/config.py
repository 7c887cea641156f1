"""A run's config: one typed table per stage, loaded from TOML, all its errors reported at once.

```
config.toml ─ load_config ─ Config(name, seed, data, split, encoder, distance, sampler, loss, …)
```

A table that holds a component (`[loss] name = "triplet"`) has the table's own keys and, beside them, the
component's options, which the registry checks against the component's signature. Loading a config imports its
plugins, and never torch on its own account.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from siamesekit.errors import ComponentError, ConfigError, PluginError, near
from siamesekit.options import Count, Fraction, OpenFraction
from siamesekit.plugins import load_plugin_file
from siamesekit.registry import (
    DISTANCES,
    ENCODERS,
    LOSSES,
    OPTIMIZERS,
    READERS,
    SAMPLERS,
    Registry,
    explain,
)

NAMED_WEIGHTS = ("imagenet", "random", "calibrated")
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


class Table(BaseModel):
    """A stage's table: its fields are the keys that may stand in it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    registry: ClassVar[Registry | None] = None
    component_key: ClassVar[str] = "name"


class ComponentTable(Table):
    """A table that names a component; the component's options stand in it beside the table's own keys."""

    options: dict[str, Any] = Field(default_factory=dict, repr=False)

    @property
    def component(self) -> str:
        """The component's registered name."""
        return str(getattr(self, self.component_key))


class DataStandInTable(ComponentTable):
    """`[data.stand_in]`: the reader that takes over when the data set is not there."""

    registry = READERS
    component_key = "reader"
    reader: str
    hint: str = ""
    """How to get the real data: shown wherever the stand-in is named."""


class DataTable(ComponentTable):
    """`[data]`: where photos come from, and the square size in pixels that the network sees."""

    registry = READERS
    component_key = "reader"
    reader: str
    size: Annotated[int, Ge(8)] = 128
    fit: Literal["squash", "pad", "crop"] = "squash"
    """A photo that is not square: squashed, padded with black, or cropped to its middle."""
    singletons: Literal["refuse", "leave-out"] = "refuse"
    """Individuals with a single photo make no positive pair: an error, or left out and said."""
    stand_in: DataStandInTable | None = None


class SplitTable(Table):
    """`[split]`: which individuals (or photos) train, validate and test."""

    by: Literal["identity", "photo"] = "identity"
    """`identity`: test individuals are never seen in training. `photo`: every individual is in all parts."""
    train: OpenFraction = 0.9
    """Share of the individuals (or of each individual's photos) that train."""
    validation: Fraction = 0.0
    """Share of the *training* individuals (or photos) set aside to select the epoch."""
    test: tuple[str, ...] = ()
    """With `by = "identity"`: these individuals test, all others train; `train` is then not used."""


class HeadTable(Table):
    """`[encoder.head]`: dense layers from the backbone's features to the embedding."""

    layers: tuple[Count, ...] = (512, 256)
    """Units of each layer; the last is the embedding's dimension. Empty: the features are the embedding."""
    activation: Literal["relu", "gelu", "none"] = "relu"
    last_activation: bool = True
    """Whether the activation also follows the last layer."""
    batchnorm: bool = True
    """BatchNorm after every layer but the last."""
    normalize: bool = True
    """Whether embeddings are scaled to length 1."""


class EncoderStandInTable(Table):
    """`[encoder.stand_in]`: the weights that take over when the wanted ones cannot be had."""

    weights: str
    hint: str = ""


class EncoderTable(ComponentTable):
    """`[encoder]`: backbone, weights, and what of it trains."""

    registry = ENCODERS
    name: str
    weights: str = "imagenet"
    """`imagenet`, `random`, `calibrated` (random, with BatchNorm statistics of the training photos) or a file."""
    train_from: str = ""
    """The first block that trains; everything before it is frozen. Empty: all of it trains. `head`: only the head."""
    batchnorm: Literal["inference", "train"] = "inference"
    """Whether BatchNorm layers that train use their stored statistics or the batch's."""
    head: HeadTable = HeadTable()
    stand_in: EncoderStandInTable | None = None


class DistanceTable(ComponentTable):
    """`[distance]`."""

    registry = DISTANCES
    name: str = "squared-euclidean"


class SamplerTable(ComponentTable):
    """`[sampler]`: batch_size counts what the sampler enumerates: triplets for `all-pairs`."""

    registry = SAMPLERS
    name: str = "all-pairs"
    batch_size: Count = 128


class LossTable(ComponentTable):
    """`[loss]`."""

    registry = LOSSES
    name: str = "triplet"


class OptimizerTable(ComponentTable):
    """`[optimizer]`."""

    registry = OPTIMIZERS
    name: str = "adam"


class TrainTable(Table):
    """`[train]`."""

    epochs: Count = 60
    select: Literal["last", "validation"] = "last"
    """Which epoch's weights are kept: the last, or the best on the validation individuals. Never the test's."""


class EvaluationTable(Table):
    """`[evaluation]`: intervals and the operating point."""

    bootstrap: Annotated[int, Ge(100)] = 1000
    """Resamples of the individuals for each interval."""
    confidence: OpenFraction = 0.95
    false_accept_rate: Fraction = 0.0
    """Threshold at this share of different pairs accepted; 0: where same and different are equally likely."""


class SaveTable(Table):
    """`[save]`: what is written beside the standard files of a run."""

    pickle: str = ""
    """File name for a pickle of the `SiameseNetwork`; empty: none."""


TABLES: dict[str, type[Table]] = {
    "data": DataTable,
    "split": SplitTable,
    "encoder": EncoderTable,
    "distance": DistanceTable,
    "sampler": SamplerTable,
    "loss": LossTable,
    "optimizer": OptimizerTable,
    "train": TrainTable,
    "evaluation": EvaluationTable,
    "save": SaveTable,
}
REQUIRED_TABLES = ("data", "encoder")
_NESTED: dict[tuple[str, ...], type[Table]] = {
    ("data", "stand_in"): DataStandInTable,
    ("encoder", "head"): HeadTable,
    ("encoder", "stand_in"): EncoderStandInTable,
}


@dataclass(frozen=True)
class Config:
    """A whole run's config, checked: every default filled in, every path absolute."""

    name: str
    seed: int
    plugins: tuple[Path, ...]
    source: Path
    data: DataTable
    split: SplitTable
    encoder: EncoderTable
    distance: DistanceTable
    sampler: SamplerTable
    loss: LossTable
    optimizer: OptimizerTable
    train: TrainTable
    evaluation: EvaluationTable
    save: SaveTable

    def tables(self) -> dict[str, dict[str, Any]]:
        """All tables as nested plain values, defaults included, in the order of a run."""
        return {name: _plain(getattr(self, name)) for name in TABLES}

    def to_toml(self, relative_to: Path | None = None, plugins: Sequence[str] | None = None) -> str:
        """The config as TOML, every default written out; it reruns the run.

        Args:
            relative_to: write paths relative to this folder, where they lie below its drive's root.
            plugins: the plugin entries to write in place of this config's own.
        """
        names = [str(path) for path in self.plugins] if plugins is None else list(plugins)
        top = {"name": self.name, "seed": self.seed, "plugins": names}
        return dump_toml({**top, **self.tables()}, relative_to)


@dataclass
class _Reading:
    """What is collected while a config is read: the text for line numbers, the overrides, the problems."""

    path: Path
    text: str
    overridden: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def problem(self, place: Sequence[str], what: str) -> None:
        dotted = ".".join(place)
        if any(dotted == key or dotted.startswith(key + ".") for key in self.overridden):
            where = f"--set {dotted}"
        else:
            line = line_of(self.text, place)
            where = f"{self.path.name}:{line}  {dotted}" if line else f"{self.path.name}  {dotted}"
        self.problems.append(f"{where}: {what}")

    def base(self, place: Sequence[str]) -> Path:
        """What a path is relative to: the config's folder, or for an override the current one."""
        return Path.cwd() if ".".join(place) in self.overridden else self.path.parent


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read and check a config file.

    Args:
        path: the TOML file.
        overrides: `table.key=value` pairs, the value in TOML's spelling (a bare word is a string).

    Raises:
        ConfigError: anything wrong with it, all problems together, each with its place.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(str(path), ["there is no such file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(str(path), [f"is not TOML: {error}"]) from None
    reading = _Reading(path.resolve(), text)
    for override in overrides:
        _override(raw, override, reading)

    plugins = _plugins(raw.get("plugins", []), reading)
    name = _checked(raw, "name", str, reading, path.stem if path.stem != "config" else path.resolve().parent.name)
    if not re.fullmatch(r"[\w][\w.-]*", name):
        reading.problem(["name"], f"must be letters, digits, '.', '_' and '-', not {name!r}: it names the run's folder")
    seed = _checked(raw, "seed", int, reading, 0)
    if not 0 <= seed < 2**63:
        reading.problem(["seed"], f"must be at least 0 and below 2**63, not {seed}")
    known = ["name", "seed", "plugins", *TABLES]
    for key in raw:
        if key not in known:
            reading.problem([key], f"unknown table or key{near(key, known)}; choices: {', '.join(known)}")
    tables: dict[str, Any] = {}
    for key, table in TABLES.items():
        if key not in raw and key in REQUIRED_TABLES:
            reading.problem([key], "this table is required")
        else:
            tables[key] = _table(table, raw.get(key, {}), (key,), reading)
    if not reading.problems:
        _check_together(tables, reading)
    if reading.problems:
        raise ConfigError(str(path), reading.problems)
    return Config(name=name, seed=seed, plugins=plugins, source=reading.path, **tables)


AnyTable = TypeVar("AnyTable", bound=Table)


def _table(model: type[AnyTable], raw: Any, place: tuple[str, ...], reading: _Reading) -> AnyTable | None:
    """Validate one table; problems go into `reading` and None is returned where there are any."""
    if not isinstance(raw, dict):
        reading.problem(place, f"must be a table, not {json.dumps(raw, default=str)}")
        return None
    before = len(reading.problems)
    own = [key for key in model.model_fields if key != "options"]
    nested = {key: table for (*parent, key), table in _NESTED.items() if tuple(parent) == place}
    values: dict[str, Any] = {}
    for key, table in nested.items():
        if key in raw:
            values[key] = _table(table, raw[key], (*place, key), reading)
    rest = {key: value for key, value in raw.items() if key not in own}
    if model.registry is not None:
        values["options"] = _options(model, raw, rest, own, place, reading)
    else:
        for key in rest:
            reading.problem((*place, key), f"unknown key{near(key, own)}; choices: {', '.join(own)}")
    plain = {key: value for key, value in raw.items() if key in own and key not in nested}
    try:
        checked = model.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        for problem in error.errors():
            reading.problem((*place, str(problem["loc"][0])), explain(dict(problem)))
        return None
    return checked.model_copy(update=values) if len(reading.problems) == before else None


def _options(
    model: type[Table], raw: dict[str, Any], rest: dict[str, Any], own: list[str], place: tuple[str, ...],
    reading: _Reading,
) -> dict[str, Any]:  # fmt: skip
    """Check a component table's options; with an unknown component there is nothing to check them against."""
    assert model.registry is not None
    name = raw.get(model.component_key, model.model_fields[model.component_key].default)
    if not isinstance(name, str):
        return {}  # the table's own validation says so
    try:
        options, problems = model.registry.check(name, rest, also=own)
    except ComponentError as error:
        reading.problem((*place, model.component_key), str(error))
        return {}
    for option, problem in problems:
        reading.problem((*place, option), problem)
    return {
        key: (reading.base((*place, key)) / value).resolve() if isinstance(value, Path) else value
        for key, value in options.items()
    }


def _check_together(tables: dict[str, Any], reading: _Reading) -> None:
    """What single tables cannot see; also turns a weights file's path into an absolute one."""
    if tables["train"].select == "validation" and tables["split"].validation == 0:
        reading.problem(
            ["train", "select"],
            'selecting by "validation" needs individuals for it: set split.validation = 0.1',
        )
    if tables["split"].test and tables["split"].by != "identity":
        reading.problem(["split", "test"], 'a list of test individuals needs split.by = "identity"')
    pickle = tables["save"].pickle
    if pickle and (Path(pickle).name != pickle or pickle in (".", "..")):
        reading.problem(["save", "pickle"], f"must be a plain file name, not {pickle!r}")
    encoder: EncoderTable = tables["encoder"]
    weights = _weights(encoder.weights, ("encoder", "weights"), reading)
    stand_in = encoder.stand_in
    if stand_in is not None:
        chosen = _weights(stand_in.weights, ("encoder", "stand_in", "weights"), reading)
        stand_in = stand_in.model_copy(update={"weights": chosen})
    tables["encoder"] = encoder.model_copy(update={"weights": weights, "stand_in": stand_in})


def _weights(weights: str, place: tuple[str, ...], reading: _Reading) -> str:
    if weights in NAMED_WEIGHTS:
        return weights
    if not weights.endswith(WEIGHT_SUFFIXES):
        choices = ", ".join(NAMED_WEIGHTS)
        reading.problem(place, f"unknown weights {weights!r}{near(weights, NAMED_WEIGHTS)}; choices: {choices}, "
                               f"or a file ({', '.join(WEIGHT_SUFFIXES)})")  # fmt: skip
    return str((reading.base(place) / weights).resolve())


def _checked(raw: dict[str, Any], key: str, kind: type[Any], reading: _Reading, default: Any) -> Any:
    value = raw.get(key, default)
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    reading.problem([key], f"must be {'a string' if kind is str else 'a whole number'}, not {value!r}")
    return default


def _plugins(names: Any, reading: _Reading) -> tuple[Path, ...]:
    """Load the plugin files that the config names: relative paths, inside the config's folder."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        reading.problem(["plugins"], f"must be a list of file names, not {names!r}")
        return ()
    folder, loaded = reading.path.parent, []
    for name in names:
        file = (folder / name).resolve()
        if Path(name).is_absolute() or not file.is_relative_to(folder):
            reading.problem(["plugins"], f"{name!r} must be a path inside the config's folder")
            continue
        try:
            load_plugin_file(file)
        except (PluginError, ComponentError) as error:
            reading.problem(["plugins"], str(error))
        loaded.append(file)
    return tuple(loaded)


def _override(raw: dict[str, Any], override: str, reading: _Reading) -> None:
    """Apply one `table.key=value`."""
    dotted, equals, value = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        reading.problems.append(f"--set {override}: must be table.key=value")
        return
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    table = raw
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            reading.problems.append(f"--set {override}: {key!r} is not a table")
            return
    table[keys[-1]] = parsed
    reading.overridden.add(".".join(keys))


def line_of(text: str, place: Sequence[str]) -> int | None:
    """The line (from 1) where a dotted key stands in a TOML text; of its table, where the key is not there."""
    table: list[str] = []
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            table = [part.strip(" \"'") for part in header.group(1).split(".")]
            if table == list(place):
                return number
            if table == list(place[: len(table)]):
                best = number
        elif key and [*table, *(part.strip("\"'") for part in key.group(1).split("."))] == list(place):
            return number
    return best


def _plain(table: Table) -> dict[str, Any]:
    """A table as plain values: its own keys first, then its component's options, then its nested tables."""
    own: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for key in type(table).model_fields:
        value = getattr(table, key)
        if key == "options" or value is None:
            continue
        (nested if isinstance(value, Table) else own)[key] = _plain(value) if isinstance(value, Table) else value
    return {**own, **getattr(table, "options", {}), **nested}


def dump_toml(values: Mapping[str, Any], relative_to: Path | None = None) -> str:
    """Write nested mappings of strings, numbers, booleans, lists and paths as TOML."""

    def lines(table: Mapping[str, Any], place: str) -> Iterator[str]:
        for key, value in table.items():
            if not isinstance(value, Mapping):
                yield f"{key} = {spell(value)}"
        for key, value in table.items():
            if isinstance(value, Mapping):
                yield f"\n[{place}{key}]"
                yield from lines(value, f"{place}{key}.")

    def spell(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
            return f"{value:.1f}"
        if isinstance(value, int | float):
            return repr(value)
        if isinstance(value, list | tuple):
            return "[" + ", ".join(spell(item) for item in value) + "]"
        if isinstance(value, Path):
            value = value.as_posix() if relative_to is None else _relative(value, relative_to)
        # JSON's string escapes are TOML's, but for the unescaped DEL
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")

    return "\n".join(lines(values, "")) + "\n"


def _relative(path: Path, folder: Path) -> str:
    """`path` relative to `folder`, climbing where needed, so that a moved project still finds it."""
    folder = folder.resolve()
    climb = 0
    while not path.is_relative_to(folder):
        folder, climb = folder.parent, climb + 1
    return Path(*[".."] * climb, path.relative_to(folder)).as_posix()
