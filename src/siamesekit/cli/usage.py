"""Hints for mistyped command lines: other names of commands and options, keys of the config given as options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Typer's or click's class, depending on the version of Typer."""
WITH_CONFIG = ("run", "check")
"""The commands that take a config."""
OTHER_NAMES = {
    "train": "run", "fit": "run", "start": "run", "experiment": "run", "learn": "run", "resume": "run --resume",
    "evaluate": "run", "eval": "run", "test": "run", "measure": "report", "validate": "check", "verify": "check",
    "plan": "check", "doctor": "check", "dry-run": "check", "lint": "check", "new": "init", "create": "init",
    "setup": "init", "make": "init", "config": "init", "predict": "compare", "same": "compare",
    "verdict": "compare", "similarity": "compare", "distance": "compare", "identify": "search", "find": "search",
    "who": "search", "recognize": "search", "recognise": "search", "classify": "search", "enroll": "enrol",
    "identify-all": "match", "season": "match", "batch": "match", "review": "match", "confirm": "decide",
    "accept": "decide", "nearest": "search", "query": "search", "delete": "remove", "history": "log", "join": "merge",
    "encode": "embed", "extract": "embed", "features": "embed", "embeddings": "embed",
    "clusters": "cluster", "discover": "cluster", "hdbscan": "cluster", "count": "cluster", "group": "cluster",
    "inference": "embed", "infer": "embed", "onnx": "export", "deploy": "export", "ls": "list",
    "components": "list", "losses": "list losses", "encoders": "list encoders", "models": "list encoders",
    "describe": "show", "options": "show", "version": "--version", "export-catalogue": "convert",
    "camtrap-dp": "convert", "fill": "fill-in", "publish": "push", "upload": "push", "share": "push",
    "threshold": "calibrate",
}  # fmt: skip
"""Names of commands in other programs, each with the nearest command here."""
DOES = {
    "run": "trains, evaluates and writes the model and report.html",
    "run --resume": "continues a run: siamesekit run CONFIG --resume",
    "check": "validates a config and plans its run",
    "init": "writes a config for a folder of photos",
    "compare": "compares two photos with a run's model",
    "embed": "writes a file of embeddings",
    "export": "writes a model as ONNX",
    "calibrate": "gives a model a threshold, measured on your photos",
    "push": "publishes a model on the Hugging Face hub",
    "search": "finds the individual on a photo in a catalogue",
    "match": "matches the photos of a season with a catalogue",
    "decide": "enrols what a person has decided",
    "enrol": "makes a catalogue of known individuals",
    "remove": "removes individuals or photos from a catalogue",
    "log": "shows the changes of a catalogue",
    "merge": "joins two individuals of a catalogue",
    "cluster": "finds individuals among unlabelled photos",
    "convert": "writes photos and individuals in another program's format",
    "fill-in": "fills in the individuals of a camera-trap data package",
    "report": "measures how well a catalogue finds its own individuals",
}
OTHER_OPTIONS = {
    "output": "--out", "output-dir": "--out", "out-dir": "--out", "outdir": "--out", "save-dir": "--out",
    "force": "--overwrite", "continue": "--resume", "gpu": "--device cuda", "cuda": "--device cuda",
    "cpu": "--device cpu", "fp16": "--precision bf16", "amp": "--precision bf16", "half": "--precision bf16",
    "bf16": "--precision bf16", "fp32": "--precision fp32", "verbose": "--debug", "traceback": "--debug",
    "skip": "--skip-bad", "ignore-bad": "--skip-bad",
}  # fmt: skip
"""Names of options in other programs, each with the option here."""


class Command(TyperCommand):
    """A command whose usage errors end with a hint."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if parameter.param_type_name == "argument":  # hide the type: its metavar says more than `<path>`
                vars(parameter)["display_type_rich"] = lambda ctx: None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; add a hint to usage errors."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            own = [option for parameter in self.params for option in parameter.opts if option.startswith("--")]
            hint = meant(ctx.info_name or "", own, given, error)
            if hint:
                vars(error)["message"] = f"{vars(error).get('message', error)}. {hint}"
                vars(error)["possibilities"] = None
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The pieces of the usage line; required arguments have no braces."""
        return [re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]


class Commands(TyperGroup):
    """The group of commands. `help` is a command, and names from other programs get a hint."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command with this name."""
        if args[0] == "help":
            if not args[1:]:
                typer.echo(ctx.get_help())
                ctx.exit()
            args = [args[1], "--help"]
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            hint = meant_command(args[0])
            if hint:
                vars(error)["message"] = f"No such command {args[0]!r}. {hint}"
            raise


def meant_command(word: str) -> str:
    """A hint for an unknown command, as a sentence; empty if there is no hint."""
    ours = OTHER_NAMES.get(word.lower().lstrip("-"))
    if ours == "--version":
        return "Did you mean 'siamesekit --version'?"
    if ours is not None:
        does = f", which {DOES[ours]}" if ours in DOES else ""
        return f"Did you mean '{ours.partition(' --')[0]}'{does}?"
    if word.endswith(".toml"):
        return f"To run a config: siamesekit run {shlex.quote(word)}"
    if Path(word).is_dir():
        return f"To write a config for the photos in a folder: siamesekit init {shlex.quote(word)}"
    return ""


def meant(command: str, own: Sequence[str], given: Sequence[str], error: Exception) -> str:
    """A hint for a command line that the parser refused, as a sentence; empty if there is no hint.

    Args:
        command: name of the command.
        own: options of the command.
        given: arguments on the command line.
        error: error of the parser.
    """
    option = getattr(error, "option_name", None)
    if option is not None and "No such option" in str(vars(error).get("message", error)):
        return _meant_option(command, own, given, option)
    if "unexpected extra argument" in str(vars(error).get("message", error)) and command in WITH_CONFIG:
        return _meant_set(given)
    return ""


def _meant_option(command: str, own: Sequence[str], given: Sequence[str], option: str) -> str:
    place = next((i for i, each in enumerate(given) if each.startswith(option)), None)
    token = option if place is None else given[place]
    name, equals, value = token.partition("=")
    plain = name.lstrip("-").replace("_", "-").lower()
    if f"--{plain}" in own:
        return f"Did you mean --{plain}?"
    if plain in OTHER_OPTIONS and OTHER_OPTIONS[plain].partition(" ")[0] in own:
        return f"Did you mean {OTHER_OPTIONS[plain]}?"
    if command not in WITH_CONFIG:
        return ""
    from siamesekit.config.key_places import key_places

    keys = key_places(name)
    if not keys:
        return ""
    following = given[place + 1] if place is not None and place + 1 < len(given) else ""
    value = value if equals else following
    if not value or (not equals and value.startswith("-") and not re.match(r"-[\d.]", value)):
        value = "VALUE"
    shown = " or ".join(
        f"--set {shlex.quote(f'{key}={value}')}" for key in keys if key.count(".") == keys[0].count(".")
    )
    return f"Set a key of the config with --set: {shown}"


def _meant_set(given: Sequence[str]) -> str:
    """A hint for `--set train.epochs 3`, and for `train.epochs=3` without `--set`."""
    for place, word in enumerate(given):
        if not (word == "--set" or word.startswith("--set=")):
            continue
        rest = list(given[place + 1 :]) if word == "--set" else [word.removeprefix("--set="), *given[place + 1 :]]
        end = next((i for i, each in enumerate(rest) if i and each.startswith("--")), len(rest))
        key, *values = rest[:end] or [""]
        if values and ("=" not in key or key.endswith("=") or values[0] == "="):
            joined = " ".join([key, *values]) if "=" in [key[-1:], *values] else f"{key}={' '.join(values)}"
            whole = re.sub(r"\s*=\s*", "=", joined, count=1)
            return f"An override is one word: --set {shlex.quote(whole)}"
    pair = next((word for word in given if re.match(r"[A-Za-z_][\w.]*=", word)), None)
    if pair is None:
        return ""
    from siamesekit.config.key_places import key_places

    key, _, value = pair.partition("=")
    keys = key_places(key) or [key]
    return f"Set a key of the config with --set: --set {shlex.quote(f'{keys[0]}={value}')}"
