"""The commands."""

from __future__ import annotations

import dataclasses
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit import __version__
from siamesekit.cli.completion import components, families, keys, kinds, plurals
from siamesekit.cli.screen import news_only, open_screens
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command, Commands
from siamesekit.errors import ComponentError, ConfigError, OutputError, UserError, near
from siamesekit.quiet import silence_decoders

if TYPE_CHECKING:
    from siamesekit.config import Config
    from siamesekit.registry import Registry

app = typer.Typer(
    name="siamesekit",
    help="Metric learning by composition: train an encoder that tells individuals apart, and use it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Commands,
    context_settings={"help_option_names": ["--help", "-h"]},
)


class Device(StrEnum):
    """`--device`."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class PrecisionName(StrEnum):
    """`--precision`."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's TOML file.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its model/ folder.")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override a key of the config.", autocompletion=keys),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute.")]
PrecisionOption = Annotated[PrecisionName, typer.Option("--precision", help="Number format of the encoder.")]
Plugin = Annotated[
    list[Path], typer.Option("--plugin", metavar="FILE", help="Load a plugin file first: its code runs.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out photos that cannot be used.")]
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


@app.command(cls=Command, short_help="Look at a folder of photos and write a config that fits them.")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new project's folder; made if it is not there.")],
    photos: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Your photos, FOLDER/INDIVIDUAL/photo.jpg, or a table of them, FILE.csv. "
                                            "Without it: DIR, DIR/photos or DIR/data, whichever looks like that."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Make a project for a folder of photos: look at them, and write a config that fits, with its reasons.

    Nothing that is there is overwritten, and no photo is changed.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.projects import make_project

        if not as_json:
            news_only()
        made = make_project(folder, photos)
        if as_json:
            shell.json(dataclasses.asdict(made))
        else:
            from siamesekit.cli.printing import print_project

            print_project(shell, made)


@app.command(cls=Command, short_help="Train, evaluate, and write the model and the report.")
def run(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nobody writes it
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder; runs/NAME in the current one.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.auto,
    skip_bad: SkipBad = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Only kernels that repeat their results; a CPU's do anyway.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the whole experiment of a config: data, training, evaluation, model and report."""
    with Shell(debug, quiet=as_json) as shell:
        loaded = _loaded(config, overrides, "run")
        from siamesekit.own_files import CONFIG
        from siamesekit.run_folder import RunFolder

        where = RunFolder(out or Path("runs") / loaded.name).path
        again = ["siamesekit", "run", str(config), *(part for each in overrides for part in ("--set", each))]
        again += ["--device", device.value, "--precision", precision.value, "--out", str(where), "--resume"]
        again += ["--skip-bad"] if skip_bad else []
        again += ["--deterministic"] if deterministic else []
        shell.offer_to_resume(where / CONFIG, shlex.join(again), overwrite)
        if not as_json:
            news_only()
        from siamesekit.experiment import run as run_experiment

        with shell.stoppable() as stop:
            result = run_experiment(
                loaded, where, resume, overwrite, device.value, precision.value, shell, skip_bad, stop, deterministic
            )
        if as_json:
            shell.json({"run": str(result.folder), **result.evaluation, "stand_ins": result.manifest["stand_ins"]})
        else:
            from siamesekit.cli.printing import print_evaluation

            print_evaluation(shell, result.evaluation, str(result.folder), result.manifest)


@app.command(cls=Command, short_help="Validate a config and all its photos, and print the plan.")
def check(
    config: ConfigFile,
    overrides: Overrides = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.auto,
    skip_bad: SkipBad = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Validate a config, read all its photos, and print the plan; trains nothing."""
    with Shell(debug, quiet=as_json) as shell:
        loaded = _loaded(config, overrides, "check")
        from siamesekit.config.doubts import doubts

        for doubt in doubts(loaded):
            shell.warn(doubt)
        from siamesekit.experiment import check as check_experiment

        plan = check_experiment(loaded, device.value, precision.value, shell, skip_bad)
        if as_json:
            shell.json(dataclasses.asdict(plan))
        else:
            from siamesekit.cli.printing import print_plan

            print_plan(shell, plan)


@app.command(cls=Command, short_help="Compare two photos: distance, similarity, verdict.")
def compare(
    run: RunArgument,
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another photo.")],
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two photos: distance, and where the model can tell, similarity from 0 to 1 and the verdict."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.arguments import check_compared

        shell.require_files(run, a, b)
        check_compared(run, a, b)
        shell.load_plugins(plugin)
        from siamesekit.artifact import load

        model = load(run, device.value)
        comparison = model.compare(a, b)
        from siamesekit.cli.printing import print_comparison, worth_of_verdict

        if as_json:
            shell.json({**dataclasses.asdict(comparison), "note": worth_of_verdict(model.description)})
        else:
            print_comparison(shell, comparison, model.description)


@app.command(cls=Command)
def embed(
    run: RunArgument,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Photos, or folders of photos.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help=".npz, .csv or .parquet")],
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.fp32,
    skip_bad: SkipBad = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write embeddings of photos, and who is on them, to a file.

    A photo has the name of its individual where its folder tells it. With --skip-bad, photos that cannot be used are
    left out, and a table beside the file says which and why.

    In fp32 they are those of `compare`, and the same to rounding on every machine. With --precision auto bf16 is
    taken where it is native: twice as fast or more, and embeddings that differ by a few per cent of their length.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.arguments import check_embedded
        from siamesekit.embedding_files import check_output, photos_and_individuals, table_of_left_out

        check_output(output)
        check_embedded(run, inputs, output)
        photos = photos_and_individuals(inputs)
        table = table_of_left_out(output) if skip_bad else None
        shell.require_files(run)
        shell.load_plugins(plugin)
        from siamesekit.allocator import keep_freed_memory
        from siamesekit.artifact import load
        from siamesekit.cli.embedding import embed_into

        keep_freed_memory()
        if not as_json:
            news_only()
        model = load(run, device.value, precision.value)
        told = embed_into(output, table, model, photos, shell)
        if as_json:
            shell.json(told)


@app.command("list", cls=Command)
def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="encoders, losses, … ; all kinds without it. Or tables: a config's.", autocompletion=plurals
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Argument(help="With a kind: the members of a family, such as pml.", autocompletion=families),
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the components that a config can name, or its tables."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.catalogue import described
        from siamesekit.cli.config_keys import WORDS, described_tables
        from siamesekit.cli.printing import print_components, print_config_tables, print_members
        from siamesekit.registry import REGISTRIES

        if kind in WORDS:
            if family is not None:
                raise UserError(f"tables have no families; for one of them: siamesekit show table {family}")
            return shell.json(described_tables()) if as_json else print_config_tables(shell)
        shell.load_plugins(plugin)
        registries = REGISTRIES if kind is None else (_registry(kind),)
        if family is not None:
            registry = registries[0]
            found = registry.family(family)
            names = [f"{family}/{name}" for name in found.members()]
            if found.members_from is None:
                return shell.json(names) if as_json else shell.lines(names)
            if as_json:
                return shell.json([described(registry.get(name), name) for name in names])
            return print_members(shell, found, registry)
        if as_json:
            return shell.json({r.plural: [described(c, c.name) for c in r.components()] for r in registries})
        return print_components(shell, registries)


@app.command(cls=Command, short_help="Show a component with its options, or a table of a config.")
def show(
    kind: Annotated[str, typer.Argument(help="loss, encoder, … ; or table.", autocompletion=kinds)],
    name: Annotated[
        str,
        typer.Argument(
            help="The component's name, or a family's: pml/multi-similarity, 'pml/*'. A table's: encoder.head.",
            autocompletion=components,
        ),
    ],
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a component: its description, its options with types and defaults, and its table for a config.

    Or a table of a config: its keys, with types and defaults.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.catalogue import described
        from siamesekit.cli.config_keys import WORDS, config_table, described_table
        from siamesekit.cli.printing import print_component, print_config_table, print_family

        if kind in WORDS:
            table = config_table(name.strip("[]"))
            return shell.json(described_table(table)) if as_json else print_config_table(shell, table)
        shell.load_plugins(plugin)
        registry = _registry(kind)
        family = next((c for c in registry.components() if c.is_family and name in (c.name, c.name[:-2])), None)
        component = family or registry.get(name)
        if as_json:
            return shell.json(described(component, family.name if family else name))
        if family is not None:
            return print_family(shell, family, registry)
        return print_component(shell, component, name, registry)


@app.command(cls=Command, short_help="Print the JSON Schema of a config, for editors.")
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file in place of stdout.")
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of a config, for editors that complete and check TOML.

    Even Better TOML (VS Code) and other editors with Taplo take it from a config's first line:
    #:schema config.schema.json
    """
    with Shell(debug, quiet=True) as shell:
        from siamesekit.config.schema import schema_text
        from siamesekit.files import write_atomic
        from siamesekit.replaceable import is_schema, refuse_what_is_not_ours

        if output is not None:
            if not output.parent.is_dir():
                raise OutputError(f"{output}: there is no folder {output.parent}")
            refuse_what_is_not_ours(output, "a config's schema", is_schema)
        shell.load_plugins(plugin)
        if output is None:
            shell.lines(schema_text().splitlines())
        else:
            write_atomic(output, schema_text())


def _registry(kind: str) -> Registry:
    """The registry of a kind; tables are no components, and a choice of `list` and `show` all the same."""
    from siamesekit.registry import REGISTRIES, registry_of

    try:
        return registry_of(kind)
    except ComponentError:
        choices = [*(registry.plural for registry in REGISTRIES), "tables"]
        raise ComponentError(f"unknown kind {kind!r}{near(kind, choices)}; choices: {', '.join(choices)}") from None


def _loaded(config: Path, overrides: list[str], command: str) -> Config:
    """A command's config; a folder in its place is answered with the right command."""
    from siamesekit.config import load_config
    from siamesekit.config.source import about_folder

    if config.is_dir():
        raise ConfigError(str(config), [about_folder(config, command)])
    return load_config(config, overrides)


def run_app() -> None:
    """The `siamesekit` command."""
    open_screens()
    silence_decoders()
    app()
