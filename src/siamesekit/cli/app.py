"""The commands of `siamesekit`."""

from __future__ import annotations

import dataclasses
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit._version import __version__
from siamesekit.cli.completion import components, families, keys, kinds, plurals
from siamesekit.cli.screen import news_only, open_screens
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command, Commands
from siamesekit.data.decoder_warnings import silence_decoders
from siamesekit.errors import ComponentError, ConfigError, OutputError, UserError
from siamesekit.wording import near

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


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="Config of the run, a TOML file.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or its folder model/.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="TABLE.KEY=VALUE", help="Override a key of the config. Repeatable.", autocompletion=keys
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Device to compute on.")]
PrecisionOption = Annotated[PrecisionName, typer.Option("--precision", help="Number format of the encoder.")]
Plugin = Annotated[
    list[Path], typer.Option("--plugin", metavar="FILE", help="Load this plugin file first; its code runs.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip photos that cannot be used.")]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON to stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Metric learning by composition: train an encoder that tells individuals apart, and use it."""
    if show:
        typer.echo(f"siamesekit {__version__}")
        raise typer.Exit


@app.command(cls=Command, short_help="Inspect a folder of photos and write a config for them.")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the project; created if missing.")],
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of photos, FOLDER/INDIVIDUAL/photo.jpg, or a table of photos, FILE.csv. "
            "Default: the first of DIR, DIR/photos and DIR/data that contains such photos.",
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Create a project for a folder of photos: inspect them, and write a config with a reason for each choice.

    Existing files are not overwritten, and photos are not changed.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.config.project.project import make_project

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
    overrides: Overrides = [],  # noqa: B006 - typer only reads it
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the run. Default: runs/NAME in the current folder."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run in that folder.")] = False,
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.auto,
    skip_bad: SkipBad = False,
    deterministic: Annotated[
        bool,
        typer.Option("--deterministic", help="Use only kernels that repeat their results; on a CPU all do."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the whole experiment of a config: data, training, evaluation, model and report."""
    with Shell(debug, quiet=as_json) as shell:
        loaded = _loaded(config, overrides, "run")
        from siamesekit.experiment.run_folder import RunFolder
        from siamesekit.files.run_files import CONFIG

        where = RunFolder(out or Path("runs") / loaded.name).path
        again = ["siamesekit", "run", str(config), *(part for each in overrides for part in ("--set", each))]
        again += ["--device", device.value, "--precision", precision.value, "--out", str(where), "--resume"]
        again += ["--skip-bad"] if skip_bad else []
        again += ["--deterministic"] if deterministic else []
        shell.offer_to_resume(where / CONFIG, shlex.join(again), overwrite)
        if not as_json:
            news_only()
        from siamesekit.experiment.running import run as run_experiment

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
    """Validate a config, read all its photos, and print the plan, without training."""
    with Shell(debug, quiet=as_json) as shell:
        loaded = _loaded(config, overrides, "check")
        from siamesekit.config.doubts import doubts

        for doubt in doubts(loaded):
            shell.warn(doubt)
        from siamesekit.experiment.running import check as check_experiment

        plan = check_experiment(loaded, device.value, precision.value, shell, skip_bad)
        if as_json:
            shell.json(dataclasses.asdict(plan))
        else:
            from siamesekit.cli.printing import print_plan

            print_plan(shell, plan)


@app.command(cls=Command, short_help="Compare two photos: distance, similarity, verdict.")
def compare(
    run: RunArgument,
    a: Annotated[Path, typer.Argument(metavar="A", help="First photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Second photo.")],
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two photos: distance, and if the model has a threshold, similarity from 0 to 1 and verdict."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.arguments import check_compared

        shell.require_files(run, a, b)
        check_compared(run, a, b)
        shell.load_plugins(plugin)
        from siamesekit.artifact.loading import load

        model = load(run, device.value)
        comparison = model.compare(a, b)
        from siamesekit.cli.printing import print_comparison, worth_of_verdict

        if as_json:
            shell.json({**dataclasses.asdict(comparison), "note": worth_of_verdict(model.description)})
        else:
            print_comparison(shell, comparison, model.description)


@app.command(cls=Command, short_help="Write the embeddings of photos to a file.")
def embed(
    run: RunArgument,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Photos or folders of photos.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write: .npz, .csv or .parquet.")
    ],
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.fp32,
    skip_bad: SkipBad = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the embeddings of photos, and the individuals they show, to a file.

    The name of a photo's folder is taken as its individual. With --skip-bad, photos that cannot be used are left out;
    a table beside the file lists them with the reasons.

    With fp32 the embeddings are those of `compare`, the same on every machine up to rounding. With --precision auto,
    bf16 is used where it is native: at least twice as fast, and embeddings differ by a few per cent of their length.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.artifact.embedding_files import check_output, photos_and_individuals, table_of_left_out
        from siamesekit.cli.arguments import check_embedded

        check_output(output)
        check_embedded(run, inputs, output)
        photos = photos_and_individuals(inputs)
        table = table_of_left_out(output) if skip_bad else None
        shell.require_files(run)
        shell.load_plugins(plugin)
        from siamesekit.artifact.loading import load
        from siamesekit.cli.embedding import embed_into
        from siamesekit.hardware.allocator import keep_freed_memory

        keep_freed_memory()
        if not as_json:
            news_only()
        model = load(run, device.value, precision.value)
        told = embed_into(output, table, model, photos, shell)
        if as_json:
            shell.json(told)


@app.command("list", cls=Command, short_help="List components, or the tables of a config.")
def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="Kind of components, such as encoders or losses, or tables for the tables of a config. "
            "Default: all kinds.",
            autocompletion=plurals,
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Argument(help="Family of the kind, such as pml: list its members.", autocompletion=families),
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the components that a config can name, or the tables of a config."""
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.printing import print_components, print_config_tables, print_members
        from siamesekit.config.describe.components import described
        from siamesekit.config.describe.tables import WORDS, described_tables
        from siamesekit.registry import REGISTRIES

        if kind in WORDS:
            if family is not None:
                raise UserError(f"tables have no families; to show one table: siamesekit show table {family}")
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
    kind: Annotated[
        str, typer.Argument(help="Kind of the component, such as loss or encoder, or table.", autocompletion=kinds)
    ],
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a component (pml/multi-similarity), of a family ('pml/*') or of a table (encoder.head).",
            autocompletion=components,
        ),
    ],
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a component: its description, its options with types and defaults, and its table in a config.

    Or show a table of a config: its keys with types and defaults.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.printing import print_component, print_config_table, print_family
        from siamesekit.config.describe.components import described
        from siamesekit.config.describe.tables import WORDS, config_table, described_table

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
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write instead of stdout.")
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of a config, for editors that complete and check TOML.

    Even Better TOML (VS Code) and other editors with Taplo find it by the first line of a config:
    #:schema config.schema.json
    """
    with Shell(debug, quiet=True) as shell:
        from siamesekit.config.schema import schema_text
        from siamesekit.files.atomic import write_atomic
        from siamesekit.files.replaceable import is_schema, refuse_what_is_not_ours

        if output is not None:
            if not output.parent.is_dir():
                raise OutputError(f"{output}: no such folder: {output.parent}")
            refuse_what_is_not_ours(output, "a config's schema", is_schema)
        shell.load_plugins(plugin)
        if output is None:
            shell.lines(schema_text().splitlines())
        else:
            write_atomic(output, schema_text())


def _registry(kind: str) -> Registry:
    """The registry of a kind. The error's choices include `tables`, which `list` and `show` accept beside kinds."""
    from siamesekit.registry import REGISTRIES, registry_of

    try:
        return registry_of(kind)
    except ComponentError:
        choices = [*(registry.plural for registry in REGISTRIES), "tables"]
        raise ComponentError(f"unknown kind {kind!r}{near(kind, choices)}; choices: {', '.join(choices)}") from None


def _loaded(config: Path, overrides: list[str], command: str) -> Config:
    """The config of a command. For a folder, the error names the right command."""
    from siamesekit.config import load_config
    from siamesekit.config.source import about_folder

    if config.is_dir():
        raise ConfigError(str(config), [about_folder(config, command)])
    return load_config(config, overrides)


def run_app() -> None:
    """Run the `siamesekit` command."""
    open_screens()
    silence_decoders()
    app()
