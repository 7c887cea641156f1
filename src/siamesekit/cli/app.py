"""The commands."""

from __future__ import annotations

import dataclasses
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siamesekit import __version__
from siamesekit.cli.shell import Shell
from siamesekit.run_folder import CONFIG

if TYPE_CHECKING:
    from siamesekit.registry import Component
    from siamesekit.signatures import Parameter

app = typer.Typer(
    name="siamesekit",
    help="Metric learning by composition: train an encoder that tells individuals apart, and use it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Device(StrEnum):
    """`--device`."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Number(StrEnum):
    """`--precision`."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's TOML file.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its model/ folder.")]
Overrides = Annotated[list[str], typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override a key of the config.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute.")]
PrecisionOption = Annotated[Number, typer.Option("--precision", help="Number format of the encoder.")]
Plugin = Annotated[
    list[Path], typer.Option("--plugin", metavar="FILE", help="Load a plugin file first: its code runs.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Metric learning by composition: train an encoder that tells individuals apart, and use it."""
    if show:
        typer.echo(f"siamesekit {__version__}")
        raise typer.Exit


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nobody writes it
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The run's folder; runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last complete epoch.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = Number.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the whole experiment of a config: data, training, evaluation, model and report."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.config import load_config

        loaded = load_config(config, overrides)
        where = out or Path("runs") / loaded.name
        again = ["siamesekit", "run", str(config), *(part for each in overrides for part in ("--set", each))]
        again += ["--device", device.value, "--precision", precision.value, "--out", str(where), "--resume"]
        shell.resume = (where / CONFIG, shlex.join(again))
        from siamesekit.experiment import run as run_experiment

        result = run_experiment(loaded, where, resume, overwrite, device.value, precision.value, shell)
        if as_json:
            shell.json({"run": str(result.folder), **result.evaluation, "stand_ins": result.manifest["stand_ins"]})
        else:
            shell.evaluation(result.evaluation, str(result.folder), result.manifest)


@app.command()
def check(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = Number.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Validate a config, read all its photos, and print the plan; trains nothing."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.config import load_config

        loaded = load_config(config, overrides)
        from siamesekit.experiment import check as check_experiment

        plan = check_experiment(loaded, device.value, precision.value, shell)
        if as_json:
            shell.json(dataclasses.asdict(plan))
        else:
            shell.plan(dataclasses.asdict(plan))


@app.command()
def compare(
    run: RunFolder,
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another photo.")],
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two photos: distance, similarity from 0 to 1, and the verdict at the model's threshold."""
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(run, a, b)
        shell.load_plugins(plugin)
        from siamesekit.artifact import load

        model = load(run, device.value)
        comparison = model.compare(a, b)
        if as_json:
            shell.json(dataclasses.asdict(comparison))
        else:
            shell.comparison(comparison, model.description)


@app.command()
def embed(
    run: RunFolder,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Photos, or folders of photos.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help=".npz, .csv or .parquet")],
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = Number.fp32,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the embeddings of photos to a file.

    In fp32 they are those of `compare`, and the same to rounding on every machine. With --precision auto bf16 is
    taken where it is native: twice as fast or more, and embeddings that differ by a few per cent of their length.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.embedding_files import check_output, photos_of, write_embeddings

        check_output(output)
        photos = photos_of(inputs)
        shell.require_files(run)
        shell.load_plugins(plugin)
        from siamesekit.allocator import keep_freed_memory
        from siamesekit.artifact import load

        keep_freed_memory()
        model = load(run, device.value, precision.value)
        embeddings = model.embed_files(photos, shell)
        write_embeddings(output, photos, embeddings.numpy())
        if as_json:
            shell.json({"photos": len(photos), "dimensions": embeddings.shape[1], "file": str(output)})
        else:
            shell.say(f"{len(photos)} photos, {embeddings.shape[1]} dimensions each: {output}")


@app.command("list")
def list_components(
    kind: Annotated[str | None, typer.Argument(help="encoders, losses, … ; all kinds without it.")] = None,
    family: Annotated[str | None, typer.Argument(help="With a kind: the models of a family, such as timm.")] = None,
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the components that a config can name."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.registry import REGISTRIES, registry_of

        shell.load_plugins(plugin)
        registries = REGISTRIES if kind is None else (registry_of(kind),)
        if family is not None:
            members = [f"{family}/{name}" for name in registries[0].family(family).members()]
            return shell.json(members) if as_json else shell.lines(members)
        if as_json:
            return shell.json({r.plural: [_described(c) for c in r.components()] for r in registries})
        return shell.components(registries)


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="loss, encoder, …")],
    name: Annotated[str, typer.Argument(help="The component's name.")],
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a component: its options with defaults, its description, and where it comes from."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.registry import registry_of

        shell.load_plugins(plugin)
        component = registry_of(kind).get(name)
        if as_json:
            shell.json(_described(component))
        else:
            shell.component(component, registry_of(kind))


def _described(component: Component) -> dict[str, Any]:
    def option(parameter: Parameter) -> dict[str, Any]:
        described = {"name": parameter.name, "type": parameter.shown}
        return described if parameter.required else described | {"default": parameter.default}

    return {
        "name": component.name,
        "options": [option(parameter) for parameter in component.options],
        "doc": component.doc,
        "origin": component.origin,
    }


def main() -> None:
    """The `siamesekit` command."""
    app()
