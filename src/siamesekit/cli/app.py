"""The commands of `siamesekit`."""

from __future__ import annotations

import dataclasses
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit._version import __version__
from siamesekit.cli import calibrating, clustering, exporting, pushing
from siamesekit.cli.arguments import with_links
from siamesekit.cli.catalogue import correcting, enrolling, exchanging, keeping, reporting, searching, seasons
from siamesekit.cli.command_options import (
    RUN_HELP,
    ConfigFile,
    DataOptions,
    Debug,
    Device,
    DeviceOption,
    FitOption,
    FollowLinks,
    Json,
    MatcherOptions,
    Overrides,
    Plugin,
    PrecisionName,
    PrecisionOption,
    RunArgument,
    SkipBad,
    Views,
    Weights,
    With,
)
from siamesekit.cli.completion import components, encoders, families, kinds, matchers, plurals
from siamesekit.cli.screen import news_only, open_screens
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command, Commands
from siamesekit.data.decoder_warnings import silence_decoders
from siamesekit.errors import ComponentError, ConfigError, OutputError, UserError
from siamesekit.experiment.processes import arguments_of_followers, follow, follows, leading
from siamesekit.files.run_files import CONFIG
from siamesekit.wording import near

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamesekit.artifact.ensemble import Ensemble
    from siamesekit.artifact.pretrained_model import ReadyFit
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.config import Config
    from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice
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


class RecipeName(StrEnum):
    """`--recipe`."""

    fine_tune = "fine-tune"
    few_photos = "few-photos"
    seed = "seed"


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
            help="Folder of photos, or a table of photos (.csv, .tsv, .xlsx, .parquet, COCO's .json). "
            "Default: the first of DIR, DIR/photos and DIR/data that contains photos.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoder of the config. Default: timm/resnet18 if the hub with its weights answers within 3 seconds, "
            "else efficientnet-lite0, which needs no hub.",
            autocompletion=encoders,
        ),
    ] = None,
    recipe: Annotated[
        RecipeName,
        typer.Option(
            help="fine-tune: train the last part of the encoder; few-photos: compute a projection of its features in "
            "seconds; seed: the siamese network of the whale experiment."
        ),
    ] = RecipeName.fine_tune,
    reader: Annotated[
        str | None, typer.Option(metavar="NAME", help="Reader of the photos. Default: told by their layout.")
    ] = None,
    options: DataOptions = [],  # noqa: B006 - typer only reads it
    follow_links: FollowLinks = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Create a project for a folder of photos: inspect them, and write a config with a reason for each choice.

    Folders of individuals, also below those of sites, years or a split, individuals in the photos' names, and tables
    beside the photos are understood. What was understood is shown, with the option for what else it could mean.

    Existing files are not overwritten, and photos are not changed.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.config.project.project import make_project

        if not as_json:
            news_only()
        made = make_project(folder, photos, encoder, recipe.value, reader, with_links(options, follow_links), skip_bad)
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
    follow_links: FollowLinks = False,
    deterministic: Annotated[
        bool,
        typer.Option("--deterministic", help="Use only kernels that repeat their results; on a CPU all do."),
    ] = False,
    nproc: Annotated[
        int, typer.Option("--nproc", metavar="N", min=1, help="Compute with N processes on this machine.")
    ] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the whole experiment of a config: data, training, evaluation, model and report."""
    with Shell(debug, quiet=as_json) as shell:
        overrides = with_links(overrides, follow_links)
        loaded = _loaded(config, overrides, "run")
        if follows():
            follow(loaded, device.value, precision.value, deterministic)
            return
        from siamesekit.experiment.run_folder import RunFolder

        where = RunFolder(out or Path("runs") / loaded.name).path
        again = ["siamesekit", "run", str(config), *(part for each in overrides for part in ("--set", each))]
        again += ["--device", device.value, "--precision", precision.value, "--out", str(where), "--resume"]
        again += ["--skip-bad"] if skip_bad else []
        again += ["--deterministic"] if deterministic else []
        again += ["--nproc", str(nproc)] if nproc > 1 else []
        shell.offer_to_resume(where / CONFIG, shlex.join(again), overwrite)
        if not as_json:
            news_only()
        from siamesekit.experiment.running import run as run_experiment
        from siamesekit.hardware.allocator import keep_freed_memory

        keep_freed_memory()
        to_follow = arguments_of_followers(config, overrides, device.value, precision.value, deterministic)
        with shell.stoppable() as stop, leading(nproc, to_follow) as ranks:
            result = run_experiment(
                loaded,
                where,
                resume,
                overwrite,
                device.value,
                precision.value,
                shell,
                skip_bad,
                stop,
                deterministic,
                ranks,
            )
        if as_json:
            shell.json({"run": str(result.folder), **result.evaluation, "stand_ins": result.manifest["stand_ins"]})
        else:
            from siamesekit.cli.printing import print_evaluation

            print_evaluation(shell, result.evaluation, str(result.folder), result.manifest)


@app.command(cls=Command, short_help="Audit photos, validate a config, and print the plan of its run.")
def check(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG|PHOTOS",
            help="Config of a run, a TOML file; or only a folder of photos, or a table, or COCO's .json.",
        ),
    ],
    overrides: Overrides = [],  # noqa: B006
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page of the findings, with small pictures.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a table of the findings, a row for each.")
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a list of unusable photos and copies, to leave them out by data.quarantine."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Suspect labels by this model: a run's folder or hub:OWNER/NAME."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Suspect labels by the features of this pretrained encoder.", autocompletion=encoders
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.auto,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Audit photos: find unreadable, damaged and blurred ones, copies, and doubtful names and labels.

    With a config, also validate it and print the plan of its run, without training. Only what makes that run impossible
    is an error; the config's table [check.accept] names findings that are accepted.
    """
    with Shell(debug, quiet=as_json) as shell:
        overrides = with_links(overrides, follow_links)
        from siamesekit.cli.checking import Asked, checked, write_files
        from siamesekit.config.reader_choice import READER_OF

        asked = Asked(html, table, quarantine, model, encoder)
        asked.refuse()
        is_config = what.is_file() and what.suffix.lower() not in (*READER_OF, ".json")
        if is_config or (what.is_dir() and (what / CONFIG).is_file()) or not what.exists():
            config = _loaded(what, overrides, "check")
        else:
            config = None
        photos = what if config is None else config
        found = checked(photos, asked, (device.value, precision.value), shell, skip_bad, overrides)
        written = write_files(found, asked, str(what), shell)
        if as_json:
            plan = {} if found.plan is None else dataclasses.asdict(found.plan)
            shell.json({**plan, "audit": found.audit.as_json(), **written})
        else:
            from siamesekit.cli.printing import print_audit, print_plan

            print_audit(shell, found.audit)
            if found.plan is not None:
                print_plan(shell, found.plan)
        if found.refusal is not None:
            raise found.refusal


@app.command(cls=Command, short_help="Compare two photos: distance, similarity, verdict.")
def compare(
    run: RunArgument,
    a: Annotated[Path, typer.Argument(metavar="A", help="First photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Second photo.")],
    fit: FitOption = None,
    others: With = [],  # noqa: B006
    with_weights: Weights = None,
    tta: Views = None,
    matcher: Annotated[
        str | None,
        typer.Option(
            "--matcher",
            metavar="NAME",
            help="Count the points that the photos share: siamesekit list matchers.",
            autocompletion=matchers,
        ),
    ] = None,
    matcher_option: MatcherOptions = [],  # noqa: B006
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="With --matcher: draw photos and points into FILE."),
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two photos: distance, and if the model has a threshold, similarity from 0 to 1 and verdict.

    With --matcher, the points that both photos share are counted, and with -o drawn into a picture.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.cli.arguments import check_compared, fit_of, matcher_options

        shell.load_plugins(plugin)
        shell.require([run, *others], a, b)
        check_compared(run, a, b)
        wanted = fit_of(fit, [run, *others])
        options = matcher_options(matcher, matcher_option)
        from siamesekit.cli.embedding import compared, matched, points_finder, views_of

        finder = points_finder(matcher, options, output)
        views = views_of(tta)
        model = _model([run, *others], with_weights, (device.value, "fp32"), wanted)
        _tell_origin(shell, model)
        comparison = compared(model, a, b, views, shell)
        from siamesekit.artifact.verdict_worth import worth_of_verdict
        from siamesekit.cli.printing import print_comparison

        points = {} if finder is None else matched(a, b, finder, output)
        if as_json:
            shell.json({**dataclasses.asdict(comparison), "note": worth_of_verdict(model.description), **points})
        else:
            print_comparison(shell, comparison, model.description)
            if points:
                shell.say(f"shared points  {points['shared_points']} ({points['matcher']})")
            if output is not None:
                shell.say(f"drawn in {output}")


@app.command(cls=Command, short_help="Write the embeddings of photos to a file.")
def embed(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] INPUT",
            help=f"{RUN_HELP}; then photos or folders of photos, also s3://…, or a table. With --encoder, only these.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write: .npz, .csv or .parquet.")
    ],
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Embed with this pretrained encoder instead of a run's model.",
            autocompletion=encoders,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="imagenet|FILE", help="With --encoder: its pretrained weights, or a file. Default: imagenet."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="With --encoder: side of the square images. Default: the size of the weights, or 224.",
        ),
    ] = None,
    fit: FitOption = None,
    pattern: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            help="Part of a photo's path that names its individual, such as '{individual}_*', as data.pattern of a "
            "config. Default: the folder in INPUT.",
        ),
    ] = "",
    options: DataOptions = [],  # noqa: B006
    others: With = [],  # noqa: B006
    with_weights: Weights = None,
    tta: Views = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.fp32,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the embeddings of photos, and the individuals they show, to a file.

    The name of a photo's folder is taken as its individual, or the part of its path that --pattern names. Photos that
    do not match the pattern are embedded without an individual, and counted. With --skip-bad, photos that cannot be
    used are left out; a table beside the file lists them with the reasons.

    INPUT may also be a table of photos (.csv, .tsv, .xlsx, .parquet), or the folder or a quoted pattern of its shards;
    --set data.KEY=VALUE sets options of its reader, such as data.root.

    With --encoder no run is needed: the embeddings are the features of the encoder, scaled to length 1, of photos
    squashed to squares, or as --fit says.

    With fp32 the embeddings are those of `compare`, the same on every machine up to rounding. With --precision auto,
    bf16 is used where it is native: at least twice as fast, and embeddings differ by a few per cent of their length.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.artifact.embedding_files import check_output, records_of_inputs, table_of_left_out
        from siamesekit.artifact.table_inputs import records_of_table, table_among
        from siamesekit.cli.arguments import embedded, fit_of
        from siamesekit.config.reader_choice import refuse_detections

        shell.load_plugins(plugin)
        check_output(output)
        run, encoder, inputs = embedded(arguments, encoder, output)
        if encoder is None and not (weights is None and size is None):
            raise UserError("--weights and --size are options of an encoder; a run has its own weights and size")
        wanted = fit_of(fit, others, encoder)
        refuse_detections([path for path in inputs if isinstance(path, Path)])
        listed = table_among(inputs)
        if listed is None and options:
            raise UserError("--set is for a table of photos, and no input is one")
        if listed is not None and pattern:
            raise UserError("--pattern is for folders of photos; a table has a column of individuals")
        if listed is None:
            photos = records_of_inputs(inputs, follow_links, skip_bad, pattern)
        else:
            photos = records_of_table(listed, with_links(options, follow_links), skip_bad)
        table = table_of_left_out(output) if skip_bad else None
        shell.require([*([] if run is None else [run]), *others])
        from siamesekit.artifact.pretrained_model import IMAGENET, USUAL, pretrained
        from siamesekit.cli.embedding import embed_into, views_of
        from siamesekit.hardware.allocator import keep_freed_memory

        keep_freed_memory()
        if not as_json:
            news_only()
        views = views_of(tta)
        how: tuple[DeviceChoice, PrecisionChoice] = (device.value, precision.value)
        first: str | SimilarityModel
        if run is None:
            name, weights = str(encoder), weights or IMAGENET
            first = pretrained(name, weights, size=size, fit=wanted or USUAL, device=how[0], precision=how[1])
        else:
            first = run
        model = _model([first, *others], with_weights, how, wanted)
        _tell_origin(shell, model)
        told = embed_into(output, table, model, photos, shell, views)
        if as_json:
            shell.json(told)


@app.command(cls=Command, short_help="Measure a model on the photos of its run, or on others.")
def evaluate(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help=f"{RUN_HELP}; or use --encoder.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Folder of photos, PATH/INDIVIDUAL/photo.jpg, or a table (.csv, .tsv, .xlsx, .parquet). Default: the "
            "test photos of the run.",
        ),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Evaluate a pretrained encoder instead of a run.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images in pixels, with --encoder.")] = None,
    fit: FitOption = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Compare with another model on the same queries."),
    ] = None,
    reader: Annotated[
        str | None, typer.Option(metavar="NAME", help="Reader of --data, if not told by its kind.")
    ] = None,
    others: With = [],  # noqa: B006
    with_weights: Weights = None,
    tta: Views = None,
    overrides: Overrides = [],  # noqa: B006
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    precision: PrecisionOption = PrecisionName.fp32,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how well a model finds individuals: figures with intervals, by group, and for new individuals.

    With --data, each photo is searched among all others; or, if the table has a column `split`, the photos marked test
    (or query) among those marked train (or gallery). With --against, the difference of two models is measured on the
    same queries, with its interval over the individuals.
    """
    with Shell(debug, quiet=as_json) as shell:
        if (run is None) == (encoder is None):
            raise UserError("name a run, or an encoder with --encoder NAME: one of the two")
        shell.load_plugins(plugin)
        from siamesekit.artifact.model_name import EncoderName, model_name
        from siamesekit.cli.arguments import fit_of

        named = None if run is None else model_name(run)
        if isinstance(named, EncoderName):
            run, encoder = None, named.name
        if run is not None and size is not None:
            raise UserError("--size is only for an encoder: a run's model has its own size")
        models = [name for name in (run, *others, against) if name is not None]
        wanted = fit_of(fit, models, encoder)
        shell.require(models, *([] if data is None else [data]))
        from siamesekit.artifact.named_model import load
        from siamesekit.artifact.pretrained_model import USUAL, pretrained
        from siamesekit.cli.embedding import views_of
        from siamesekit.experiment.evaluating import evaluate_models, evaluation_config
        from siamesekit.gallery.storage import DATABASE

        if run is not None and (Path(run) / DATABASE).is_file():
            raise UserError(f"{run} is a catalogue; to measure it: siamesekit report {run}")
        views = views_of(tta)
        if not as_json:
            news_only()

        how: tuple[DeviceChoice, PrecisionChoice] = (device.value, precision.value)

        def ready(name: str) -> SimilarityModel:
            return pretrained(name, size=size, fit=wanted or USUAL, device=how[0], precision=how[1])

        first = ready(str(encoder)) if run is None else load(run, *how)
        if against is None:
            other = None
        elif isinstance(model_name(against), EncoderName):
            other = ready(against)
        else:
            other = load(against, *how)
        overrides = with_links(overrides, follow_links)
        config = evaluation_config(first, data, reader, overrides)
        joined = _model([first, *others], with_weights, how, wanted)
        for each in (joined, *([] if other is None else [other])):
            _tell_origin(shell, each)
        whole = data is not None and not any(key.startswith("split.") for key in overrides)
        found = evaluate_models(config, joined, other, whole, shell, skip_bad, views)
        if as_json:
            shell.json(found)
        else:
            from siamesekit.cli.printing import print_model_evaluation

            print_model_evaluation(shell, found)


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


for task in (
    enrolling, searching, seasons, reporting, clustering, correcting, keeping, exchanging, calibrating, exporting,
    pushing,
):  # fmt: skip
    app.add_typer(task.commands)


def _registry(kind: str) -> Registry:
    """The registry of a kind. The error's choices include `tables`, which `list` and `show` accept beside kinds."""
    from siamesekit.registry import REGISTRIES, registry_of

    try:
        return registry_of(kind)
    except ComponentError:
        choices = [*(registry.plural for registry in REGISTRIES), "tables"]
        raise ComponentError(f"unknown kind {kind!r}{near(kind, choices)}; choices: {', '.join(choices)}") from None


def _tell_origin(shell: Shell, model: SimilarityModel | Ensemble) -> None:
    """Say of which commit on the hub a model is, and how a ready model's photos are prepared; for each of several."""
    from siamesekit.artifact.ensemble import Ensemble

    for part in model.models if isinstance(model, Ensemble) else (model,):
        weights = part.description.get("weights", {})
        if part.hub is not None:
            shell.say(f"model {part.hub}")
        elif weights.keys() >= {"hub", "revision"}:
            shell.say(f"weights of {weights['hub']}, commit {weights['revision']}")
        if part.description.get("preprocessing_note"):
            shell.say(part.description["preprocessing_note"])


def _model(
    parts: Sequence[str | SimilarityModel],
    weights: str | None,
    how: tuple[DeviceChoice, PrecisionChoice],
    fit: ReadyFit | None = None,
) -> SimilarityModel | Ensemble:
    """The model of a name, or the ensemble of several with their weights, the option `--with-weights`.

    Args:
        parts: names of models, or models.
        weights: the option.
        how: device and number format.
        fit: how photos are made square for ready models; None: as by default.
    """
    from siamesekit.artifact.ensemble import ensemble
    from siamesekit.artifact.named_model import load
    from siamesekit.cli.arguments import is_ready, weights_of

    shares = None if weights is None else weights_of(weights, len(parts))

    models = [load(part, *how, fit if is_ready(part) else None) if isinstance(part, str) else part for part in parts]
    return models[0] if len(models) == 1 else ensemble(models, shares)


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
