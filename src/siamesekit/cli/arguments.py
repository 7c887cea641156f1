"""Arguments of `compare` and `embed` that do not go together: the error shows the corrected command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamesekit.errors import UserError
from siamesekit.files.remote_address import RemoteFolder, place_of
from siamesekit.files.run_files import CHECKPOINTS, MANIFEST, MODEL
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from siamesekit.artifact.pretrained_model import ReadyFit
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.cli.command_options import FitName

DESCRIPTION = "model.json"
"""The file that marks a model's folder."""


def with_links(overrides: Sequence[str], follow_links: bool) -> list[str]:
    """Overrides of a config, with that of `--follow-links` if it is given."""
    from siamesekit.config.reader_choice import FOLLOW_LINKS

    return [*overrides, *([FOLLOW_LINKS] if follow_links else [])]


def is_run(path: Path) -> bool:
    """Whether a path is a run's folder, finished or not, or a model's folder."""
    marks = (DESCRIPTION, f"{MODEL}/{DESCRIPTION}", MANIFEST, CHECKPOINTS)
    return any((path / mark).exists() for mark in marks)


def fit_of(option: FitName | None, models: Sequence[str], encoder: str | None = None) -> ReadyFit | None:
    """The option `--fit`, for ready models among those that are named; None without the option.

    Args:
        option: the option.
        models: names of models.
        encoder: the encoder that is used in place of a run, if one is.

    Raises:
        UserError: none is a ready model.
    """
    if option is None:
        return None
    if encoder is None and not any(is_ready(name) for name in models):
        raise UserError(
            "--fit is only for a ready model, such as timm/resnet50: the model of a run, or of the hub, has its own"
        )
    return option.value


def is_ready(name: str) -> bool:
    """Whether a model's name is that of an encoder."""
    from siamesekit.artifact.model_name import EncoderName, model_name

    return isinstance(model_name(name), EncoderName)


def ready_or_named(run: str, fit: ReadyFit | None) -> str | SimilarityModel:
    """What a catalogue takes as its model: a name, or a ready model whose photos are made square as `fit` says."""
    if fit is None:
        return run
    from siamesekit.artifact.named_model import load

    return load(run, "cpu", fit=fit)


def check_compared(run: str, a: Path, b: Path) -> None:
    """Check the arguments of `compare`: the model comes first, then two photos.

    Raises:
        UserError: run and photos are swapped, or a photo is a folder; the message has the corrected command.
    """
    from siamesekit.artifact.model_name import model_name

    named = model_name(run)
    if isinstance(named, Path):
        _run_first("compare", named, [a, b])
    folders = [line_of_name(str(path)) for path in (a, b) if path.is_dir()]
    if folders:
        are = "is a folder" if len(folders) == 1 else "are folders"
        raise UserError(
            f"{' and '.join(folders)} {are}; compare takes two photos. For all photos in folders: "
            f"siamesekit embed {_quoted(Path(run), a, b)} -o embeddings.csv"
        )


def weights_of(option: str, models: int) -> list[float]:
    """The weights in the option `--with-weights` of M joined models, in their order: `1,0.5`.

    Raises:
        UserError: they are not M numbers above 0, or nothing is joined.
    """
    if models == 1:
        raise UserError("--with-weights is only for models that are joined: name another run with --with RUN")
    try:
        weights = [float(number) for number in option.split(",")]
    except ValueError:
        weights = []
    if len(weights) != models or not all(0 < weight < math.inf for weight in weights):
        raise UserError(
            f"--with-weights must be {models} numbers above 0, one for each model, such as "
            f"{','.join(['1'] + ['0.5'] * (models - 1))}; not {line_of_name(option)}"
        )
    return weights


def embedded(
    words: Sequence[str], encoder: str | None, output: Path
) -> tuple[str | None, str | None, Sequence[Path | RemoteFolder]]:
    """The model and the photos among the arguments of `embed`: `RUN PHOTO…`, or with --encoder `PHOTO…`.

    Returns:
        The run, or model of the hub, None with an encoder; the encoder, by the option or in place of the run, or None;
        and the photos or folders of photos, on this machine or elsewhere.

    Raises:
        UserError: an address cannot be used, there are both a run and an encoder, or neither, or run and photos are
            swapped; the message has the corrected command.
    """
    from siamesekit.artifact.model_name import EncoderName, model_name

    rest = f" -o {_quoted(output)}"
    places = [_place(word) for word in words]
    named = model_name(words[0])
    if not isinstance(named, Path):
        photos = [Path(word) for word in words[1:]]
        if encoder is not None:
            raise UserError(f"{named} is a model, and --encoder names another; leave out one of them")
        if not photos:
            raise UserError(f"no photos are named: siamesekit embed {named} PHOTOS{rest}")
        return (None, named.name, places[1:]) if isinstance(named, EncoderName) else (str(named), None, places[1:])
    arguments = [Path(word) for word in words]
    runs = [path for path in arguments if is_run(path)]
    if encoder is not None:
        if runs:
            others = [path for path in arguments if path not in runs] or [Path("PHOTOS")]
            raise UserError(
                f"{line_of_name(str(runs[0]))} is a run, which has its own encoder; leave out the run or --encoder: "
                f"siamesekit embed {_quoted(runs[0], *others)}{rest}"
            )
        return None, encoder, places
    run, *inputs = arguments
    without_run = f"siamesekit embed --encoder NAME {_quoted(*arguments)}{rest}"
    if not inputs:
        if runs:
            raise UserError(f"no photos are named: siamesekit embed {_quoted(run)} PHOTOS{rest}")
        raise UserError(
            f"neither a run nor an encoder is named: siamesekit embed RUN {_quoted(run)}{rest}, or without a run: "
            f"{without_run}"
        )
    _run_first("embed", run, inputs, rest)
    if run.is_dir() and not runs:
        raise UserError(
            f"{line_of_name(str(run))} is not the folder of a run, and no encoder is named: siamesekit embed RUN "
            f"{_quoted(*arguments)}{rest}, or without a run: {without_run}"
        )
    return words[0], None, places[1:]


def _place(word: str) -> Path | RemoteFolder:
    """A path of this machine, or an address elsewhere.

    Raises:
        UserError: the address cannot be used.
    """
    try:
        return place_of(word)
    except ValueError as error:
        raise UserError(str(error)) from None


def matcher_options(matcher: str | None, options: Sequence[str]) -> dict[str, Any]:
    """The options of a matcher from `OPTION=VALUE`, as TOML or as text.

    Raises:
        UserError: no matcher is named, an option has no value, is given twice or is not TOML.
    """
    from siamesekit.config.overrides import value_of

    if options and matcher is None:
        raise UserError("--matcher-option is only for --matcher NAME: siamesekit list matchers")
    told: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UserError(f"--matcher-option {line_of_name(option)}: must be OPTION=VALUE, such as ratio=0.8")
        if name in told:
            raise UserError(f"--matcher-option {line_of_name(name)} is given twice")
        try:
            told[name] = value_of(value)
        except ValueError as error:
            raise UserError(f"--matcher-option {line_of_name(option)}: must be TOML, or text without quotes") from error
    return told


def _run_first(command: str, run: Path, others: Sequence[Path], rest: str = "") -> None:
    runs = [path for path in others if is_run(path)]
    if len(runs) == 1 and not is_run(run):
        photos = [path for path in (run, *others) if path is not runs[0]]
        raise UserError(f"the run's folder comes first: siamesekit {command} {_quoted(runs[0], *photos)}{rest}")
    if run.is_file():
        raise UserError(
            f"{line_of_name(str(run))} is a file; the run's folder comes first: siamesekit {command} RUN "
            f"{_quoted(*others)}{rest}"
        )


def _quoted(*paths: Path) -> str:
    """Paths quoted for a shell, in one line."""
    return shlex.join(line_of_name(str(path)) for path in paths)
