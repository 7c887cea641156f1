"""Loading a config: from TOML to checked tables, all errors reported at once."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import ValidationError

from siamesekit.config.key_places import TOP_KEYS, places_of
from siamesekit.config.overrides import apply_override
from siamesekit.config.reading import Reading
from siamesekit.config.source import read_config_text
from siamesekit.config.split_options import split_problems
from siamesekit.config.tables import (
    NAMED_WEIGHTS,
    NESTED_TABLES,
    OPTIONAL_TABLES,
    REQUIRED_TABLES,
    TABLES,
    WEIGHT_SUFFIXES,
    ComponentTable,
    Config,
    EncoderTable,
    Table,
)
from siamesekit.config.toml import TOO_DEEP, TOO_LARGE, UnparsableError, parse_toml
from siamesekit.config.toml_mistakes import INIT, mistake_of, other_format
from siamesekit.config.value_mistakes import path_mistake
from siamesekit.data.photo_reading import LEAST_SHARE
from siamesekit.errors import ComponentError, ConfigError, PluginError
from siamesekit.files.paths import resolved
from siamesekit.files.remote_address import PACKAGES
from siamesekit.files.run_files import NAMES
from siamesekit.files.untrusted import MAX_TOML_DEPTH
from siamesekit.registry.plugin_files import PluginFile, load_plugin_file
from siamesekit.registry.problems import problems_of
from siamesekit.wording import did_you_mean, near

ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\f": r"\f", "\b": r"\b"}
"""Control characters, and the escapes that they came from in a Windows path in double quotes."""
MOST_WEIGHTS = 2**28
"""Most weights between two layers of the head: 1 GiB, and 3 GiB more in training."""

LISTS = frozenset(
    {"plugins"}
    | {
        key
        for table in [*TABLES.values(), *NESTED_TABLES.values()]
        for key, field in table.model_fields.items()
        if get_origin(field.annotation) in (list, tuple)
    }
)
"""Keys of tables that take a list."""


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read and check a config file.

    Args:
        path: the TOML file.
        overrides: one `table.key=value` string or several; the value is TOML, and a bare word is a string.

    Raises:
        ConfigError: the config is invalid; the error lists all problems with their places.
    """
    path = Path(path)
    text, file = read_config_text(path)
    raw = _parsed(path, text)
    name = path.stem if path.stem != "config" else path.resolve().parent.name
    return _config(raw, overrides, Reading(file, text), str(path), name)


def config_of(tables: Mapping[str, Any], overrides: Sequence[str] = (), name: str = "config") -> Config:
    """Check a config that is in no file.

    Args:
        tables: tables of the config; paths are relative to the current folder.
        overrides: one `table.key=value` string or several, as for `load_config`.
        name: name of the run.

    Raises:
        ConfigError: the config is invalid; the error lists all problems with their places.
    """
    reading = Reading(Path.cwd() / f"{name}.toml", "")
    return _config({key: dict(table) for key, table in tables.items()}, overrides, reading, name, name)


def _config(raw: dict[str, Any], overrides: Sequence[str], reading: Reading, shown: str, default_name: str) -> Config:
    """Apply the overrides to raw tables and check them."""
    for override in [overrides] if isinstance(overrides, str) else overrides:
        apply_override(raw, override, reading)
    unusable = list(_unusable(raw))
    if unusable:
        for place, what in unusable:
            reading.problem(place, what)
        raise ConfigError(shown, reading.problems)

    plugins = _plugins(raw.get("plugins", []), reading)
    name = _checked(raw, "name", str, reading, default_name)
    if not re.fullmatch(r"[\w][\w.-]*", name):
        reading.problem(["name"], f"must be letters, digits, '.', '_' and '-', not {name!r}: it names the run's folder")
    seed = _checked(raw, "seed", int, reading, 0)
    if not 0 <= seed < 2**63:
        reading.problem(["seed"], f"must be at least 0 and below 2**63, not {seed}")
    known = [*TOP_KEYS, *TABLES]
    for key in raw:
        if key not in known:
            hint = _elsewhere(key) or near(key, known)
            reading.problem([key], f"unknown table or key{hint}; choices: {', '.join(known)}")
    tables: dict[str, Any] = {}
    for key, table in TABLES.items():
        if key not in raw and key in REQUIRED_TABLES:
            reading.problem([key], "this table is required")
        elif key not in raw and key in OPTIONAL_TABLES:
            tables[key] = None
        else:
            tables[key] = _table(table, raw.get(key, {}), (key,), reading)
    _check_together(tables, reading)
    if reading.problems:
        raise ConfigError(shown, reading.problems)
    return Config(name=name, seed=seed, plugins=plugins, source=reading.path, **tables)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    """The values of a config.

    Raises:
        ConfigError: the text is empty or not TOML; the message has the line, the cause and the correct spelling.
    """
    if not text.strip("\0 \t\r\n"):
        raise ConfigError(str(path), [f"{path.name}  is empty, and must be TOML; {INIT}"])
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        if "\0" in text:
            line = text[: text.index("\0")].count("\n") + 1
            what = "the file contains a NUL character, but must be text: save it as UTF-8"
            raise ConfigError(str(path), [f"{path.name}:{line}  {what}"]) from None
        if other := other_format(text):
            raise ConfigError(str(path), [other]) from None
        mistake = mistake_of(text, error, LISTS)
        raise ConfigError(str(path), [f"{path.name}:{mistake.line}  {mistake.excerpt}: {mistake.what}"]) from None
    except UnparsableError as error:
        raise ConfigError(str(path), [f"{path.name}:{error.line}  a value {error}"]) from None


def _unusable(value: Any, place: tuple[str, ...] = (), depth: int = 0) -> Iterator[tuple[tuple[str, ...], str]]:
    """Values that TOML allows and no key accepts. They are checked first, so that later checks need not handle them."""
    if depth > MAX_TOML_DEPTH:
        yield place, TOO_DEEP
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unusable(inner, (*place, key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _unusable(inner, place, depth + 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield place, TOO_LARGE
    elif isinstance(value, date | time):
        yield place, f"must be in quotes: {value} is a date or time in TOML, which no key accepts"
    elif isinstance(value, str) and re.search("[\\0\ud800-\udfff]", value):
        yield place, f"must be valid UTF-8 text without NUL characters, not {value!r}"


AnyTable = TypeVar("AnyTable", bound=Table)


def _table(model: type[AnyTable], raw: Any, place: tuple[str, ...], reading: Reading) -> AnyTable | None:
    """Validate one table. If there are problems, add them to `reading` and return None."""
    if not isinstance(raw, dict):
        reading.problem(place, f"must be a table, not {json.dumps(raw, default=str)}")
        return None
    if issubclass(model, ComponentTable) and model.component_key not in raw:
        named = next((name for key, name in model.named_by.items() if key in raw), None)
        raw = raw if named is None else {**raw, model.component_key: named}
    before = len(reading.problems)
    own = [key for key in model.model_fields if key != "options"]
    nested = {key: table for (*parent, key), table in NESTED_TABLES.items() if tuple(parent) == place}
    values: dict[str, Any] = {}
    for key, table in nested.items():
        if key in raw:
            values[key] = _table(table, raw[key], (*place, key), reading)
    rest = {key: value for key, value in raw.items() if key not in own}
    if model.registry is not None:
        values["options"] = _options(model, raw, rest, own, place, reading)
    else:
        for key in rest:
            hint = near(key, own) or _elsewhere(key)
            reading.problem((*place, key), f"unknown key{hint}; choices: {', '.join(own)}")
    plain = {key: value for key, value in raw.items() if key in own and key not in nested}
    try:
        checked = model.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        kinds = {key: field.annotation for key, field in model.model_fields.items()}
        for key, what in problems_of(map(dict, error.errors()), kinds, plain):
            reading.problem((*place, key), what)
        return None
    return checked.model_copy(update=values) if len(reading.problems) == before else None


def _elsewhere(key: str) -> str:
    """A hint at the tables to which a misplaced key belongs."""
    return did_you_mean(places_of(key))


def _options(
    model: type[Table],
    raw: dict[str, Any],
    rest: dict[str, Any],
    own: list[str],
    place: tuple[str, ...],
    reading: Reading,
) -> dict[str, Any]:
    """Check the options of a component table; those of an unknown component are not checked."""
    assert model.registry is not None
    name = raw.get(model.component_key, model.model_fields[model.component_key].default)
    if not isinstance(name, str):
        return {}  # reported by the validation of the table
    try:
        component = model.registry.get(name)
    except ComponentError as error:
        reading.problem((*place, model.component_key), str(error))
        return {}
    for hidden in sorted({option.name for option in component.options} & {*own}):
        reading.problem(
            (*place, model.component_key),
            f"{component.kind} {name!r} of {component.origin} has an "
            f"option {hidden!r}, which is this table's own key: rename the option",
        )
    options, problems = model.registry.check(name, rest, also=own)
    for option, problem in problems:
        reading.problem((*place, *option.split(".")), problem)
    return {key: _absolute(value, (*place, key), reading) for key, value in options.items()}


def _absolute(value: Any, place: tuple[str, ...], reading: Reading) -> Any:
    """A value with absolute paths, including those of nested components."""
    if isinstance(value, Path):
        return _resolved(value, place, reading)
    if isinstance(value, dict):
        return {key: _absolute(inner, (*place, key), reading) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_absolute(inner, place, reading) for inner in value)
    return value


def _resolved(path: Path, place: tuple[str, ...], reading: Reading) -> Path:
    """The absolute form of a path; `~` is the home folder, as in a shell."""
    protocol = re.match(r"([A-Za-z0-9]+):/", path.as_posix())
    if protocol and protocol[1].lower() in PACKAGES:
        reading.problem(
            place,
            "must be a path of this machine; only data.root of the readers csv, excel, folder and parquet may be an "
            "address elsewhere",
        )
        return path
    if re.match(r"[A-Za-z]:", str(path)) and not str(path).isprintable():  # "C:\temp" contains a tab
        meant = "".join(ESCAPES.get(character, character) for character in str(path))
        reading.problem(place, path_mistake(meant))
        return path
    try:
        return resolved(reading.base(place) / path.expanduser())
    except OSError as error:
        reading.problem(place, f"{path} cannot be followed: {error.strerror}")
        return path
    except RuntimeError:  # `~` of an unknown user
        reading.problem(place, f"{path} names a home folder that does not exist: write the full path")
        return path


def _check_together(tables: dict[str, Any], reading: Reading) -> None:
    """Check the tables against each other, and make the paths of weights files absolute."""
    split, train, save, encoder = (tables.get(key) for key in ("split", "train", "save", "encoder"))
    if train and split and train.select == "validation" and split.validation == 0 and split.by != "column":
        reading.problem(
            ["train", "select"],
            '"validation" needs validation individuals: set split.validation = 0.1',
        )
    if split:
        for key, what in split_problems(split):
            reading.problem(["split", key], what)
        if split.embeddings:
            found = _resolved(Path(split.embeddings), ("split", "embeddings"), reading)
            tables["split"] = split.model_copy(update={"embeddings": found})
    data = tables.get("data")
    if data and data.crop_share and data.fit != "crop":
        reading.problem(["data", "crop_share"], 'needs data.fit = "crop"')
    elif data and 0 < data.crop_share < LEAST_SHARE:
        reading.problem(["data", "crop_share"], f"must be 0, for none, or at least {LEAST_SHARE}")
    if data and data.quarantine:
        found = _resolved(Path(data.quarantine), ("data", "quarantine"), reading)
        tables["data"] = data.model_copy(update={"quarantine": found})
    pickle = save.pickle if save else ""
    if pickle and (Path(pickle).name != pickle or pickle in (".", "..")):
        reading.problem(["save", "pickle"], f"must be a plain file name, not {pickle!r}")
    elif pickle.lower() in NAMES or pickle.startswith("."):
        reading.problem(["save", "pickle"], f"{pickle!r} is reserved for the run's own files: choose another name")
    if encoder is None:
        return
    encoder = _with_projection(tables, encoder, reading)
    if encoder.lora is not None and encoder.train_from == "head":
        what = 'with train.epochs = 0 or encoder.train_from = "head" no layer gets LoRA: remove this table'
        reading.problem(["encoder", "lora"], what)
    units = encoder.head.layers
    for before, after in pairwise(units):
        if before * after > MOST_WEIGHTS:
            reading.problem(
                ["encoder", "head", "layers"],
                f"layers of {before:,} and {after:,} units have "
                f"{before * after:,} weights between them; must be at most {MOST_WEIGHTS:,}",
            )
    weights = _weights(str(encoder.weights), ("encoder", "weights"), reading)
    stand_in = encoder.stand_in
    if stand_in is not None:
        chosen = _weights(str(stand_in.weights), ("encoder", "stand_in", "weights"), reading)
        stand_in = stand_in.model_copy(update={"weights": chosen})
    tables["encoder"] = encoder.model_copy(update={"weights": weights, "stand_in": stand_in})


ONLY_TRAINING = ("augmentation", "miner", "schedule")
"""Optional tables that have no effect without training."""


def _with_projection(tables: dict[str, Any], encoder: EncoderTable, reading: Reading) -> EncoderTable:
    """The encoder's table with the defaults that belong to a projection, and to a run without training."""
    train, projection, head = tables.get("train"), tables.get("projection"), encoder.head
    if projection is not None and "layers" not in head.model_fields_set:
        encoder = encoder.model_copy(update={"head": head.model_copy(update={"layers": ()})})
    if train is None or train.epochs > 0:
        return encoder
    if projection is None:
        what = 'with 0 epochs nothing is fitted: add [projection] with a name, such as "lda", or set train.epochs = 1'
        reading.problem(["train", "epochs"], what)
    elif encoder.head.layers:
        what = "with train.epochs = 0 these layers would stay random: remove them, or train for at least 1 epoch"
        reading.problem(["encoder", "head", "layers"], what)
    for key in ONLY_TRAINING:
        if tables.get(key) is not None:
            reading.problem([key], "has no effect with train.epochs = 0: remove this table")
    if train.select == "validation":
        reading.problem(["train", "select"], '"validation" has no epochs to choose from with train.epochs = 0')
    return encoder if encoder.train_from else encoder.model_copy(update={"train_from": "head"})


def _weights(weights: str, place: tuple[str, ...], reading: Reading) -> str | Path:
    if weights in NAMED_WEIGHTS:
        return weights
    if not weights.endswith(WEIGHT_SUFFIXES):
        choices = ", ".join(NAMED_WEIGHTS)
        reading.problem(
            place,
            f"unknown weights {weights!r}{near(weights, NAMED_WEIGHTS)}; choices: {choices}, "
            f"or a file ({', '.join(WEIGHT_SUFFIXES)})",
        )
    return _resolved(Path(weights), place, reading)


def _checked(raw: dict[str, Any], key: str, kind: type[Any], reading: Reading, default: Any) -> Any:
    value = raw.get(key, default)
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    reading.problem([key], f"must be {'a string' if kind is str else 'a whole number'}, not {value!r}")
    return default


def _plugins(names: Any, reading: Reading) -> tuple[PluginFile, ...]:
    """Load the plugin files that the config names: relative paths, inside the config's folder."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        reading.problem(["plugins"], f"must be a list of file names, not {names!r}")
        return ()
    folder = reading.path.parent
    loaded: list[PluginFile] = []
    for name in names:
        try:
            file = resolved(folder / name)
        except (OSError, ValueError) as error:
            reading.problem(["plugins"], f"{name!r} cannot be followed: {getattr(error, 'strerror', None) or error}")
            continue
        if Path(name).is_absolute() or not file.is_relative_to(folder):
            reading.problem(["plugins"], f"{name!r} must be a path inside the config's folder")
            continue
        if any(file.name == other.path.name and file != other.path for other in loaded):
            reading.problem(
                ["plugins"], f"two plugins are called {file.name!r}, but a run's folder stores them by name: rename one"
            )
            continue
        try:
            loaded.append(load_plugin_file(file))
        except (PluginError, ComponentError) as error:
            reading.problem(["plugins"], str(error))
    return tuple(loaded)
