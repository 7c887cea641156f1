"""Output of the commands: one function for each thing that a command shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from siamesekit.artifact.verdict_worth import worth_of_verdict
from siamesekit.cli.rich_tables import (
    audit_table,
    components_table,
    config_tables_table,
    difference_table,
    evaluation_table,
    keys_table,
    members_table,
    options_table,
    plan_table,
)
from siamesekit.config.describe.components import reflowed, snippet, supplied, table_keys, table_of, unused_keys
from siamesekit.config.describe.tables import TOP, config_tables
from siamesekit.registry import registry_of
from siamesekit.wording import apart, file_size, for_the_real_thing, in_place_of, with_interval

if TYPE_CHECKING:
    from siamesekit.artifact.comparison import Comparison
    from siamesekit.audit.auditing import Audit
    from siamesekit.cli.shell import Shell
    from siamesekit.config.describe.tables import ConfigTable
    from siamesekit.config.project.project import Project
    from siamesekit.experiment.plan import Plan
    from siamesekit.registry import Registry
    from siamesekit.registry.component import Component

WIDE = 120
"""Width in columns from which `list` shows the origin of each component."""


def print_evaluation(shell: Shell, evaluation: Mapping[str, Any], folder: str, manifest: Mapping[str, Any]) -> None:
    """Print the figures of a finished run; if the model is no better than a baseline, that comes first."""
    training = evaluation.get("training", {})
    if training.get("sentence"):
        shell.say(training["sentence"])
    shell.out.print(evaluation_table(evaluation))
    if evaluation.get("without_copies"):
        shell.warn(evaluation["without_copies"]["sentence"])
    if training and training["helped"] < training["comparisons"]:
        shell.say(
            f"training helped in {training['helped']} of {training['comparisons']} comparisons with the "
            "untrained network and with plain pixels"
        )
    threshold = evaluation["threshold"]
    if threshold is not None:
        shell.say(f"threshold {apart(threshold['threshold'])[0]} ({threshold['criterion']})")
    for note in evaluation["notes"]:
        shell.say_once(note)
    for stand_in in manifest["stand_ins"]:
        shell.warn(
            f"These figures are of a stand-in: {in_place_of(stand_in['used'], stand_in['wanted'])}. "
            f"{for_the_real_thing(stand_in['hint'])}"
        )
    shell.say(f"{manifest['seconds']['total'] / 60:.1f} min; report: {folder}/report.html")


def print_model_evaluation(shell: Shell, evaluation: Mapping[str, Any]) -> None:
    """Print the figures of `siamesekit evaluate`."""
    shell.out.print(evaluation_table(evaluation))
    if evaluation["without_copies"]:
        shell.warn(evaluation["without_copies"]["sentence"])
    if "difference" in evaluation:
        shell.out.print(difference_table(evaluation))
    others = evaluation["other_encounters"]
    if others:
        figure = others["networks"]["model"]["precision_at_1"]
        shell.say(f"without photos of the same encounter: P@1 {with_interval(figure)}, {others['queries']} queries")
    for column, groups in evaluation["groups"].items():
        for name, group in groups.items():
            figure, who = with_interval(group["precision_at_1"]), f"{group['individuals']} individuals"
            shell.say(f"{column} {name or 'unknown'}: P@1 {figure}, {group['queries']} queries of {who}")
    new = evaluation["open_set"]
    if new:
        shell.say(f"known or new: AUROC {with_interval(new['auroc'])}, {new['new']} queries of new individuals")
    shipped = evaluation["shipped_threshold"]
    if shipped and shipped["false_accept_rate"] is not None and shipped["false_reject_rate"] is not None:
        shell.say(
            f"the model's threshold {apart(shipped['threshold'])[0]} on these photos: of "
            f"{shipped['different_pairs']:,} different pairs {shipped['false_accept_rate']:.1%} are called same, and "
            f"of {shipped['same_pairs']:,} same pairs {shipped['false_reject_rate']:.1%} different"
        )
    for note in evaluation["notes"]:
        shell.say_once(note)
    for stand_in in evaluation["stand_ins"]:
        shell.warn(
            f"These figures are of a stand-in: {in_place_of(stand_in['used'], stand_in['wanted'])}. "
            f"{for_the_real_thing(stand_in['hint'])}"
        )


def print_audit(shell: Shell, audit: Audit) -> None:
    """Print what was found in the photos: a row for each kind of finding, and why the serious ones matter."""
    if audit.findings:
        shell.out.print(audit_table(audit))
    shell.say(f"{audit.sentence()}.")
    for line in audit.told("serious"):
        shell.warn(line)


def print_plan(shell: Shell, plan: Plan) -> None:
    """Print the plan of a run."""
    shell.out.print(plan_table(plan))


def print_comparison(shell: Shell, comparison: Comparison, description: Mapping[str, Any]) -> None:
    """Print the comparison of two photos."""
    [distance, *threshold] = apart(*(v for v in (comparison.distance, comparison.threshold) if v is not None))
    shell.say(f"distance    {distance}")
    if comparison.similarity is None or not threshold:
        why = "" if description.get("no_threshold") else " (its evaluation.json says why)"
        shell.say(f"similarity  unknown: this model ships no threshold{why}")
    else:
        shell.say(f"similarity  {comparison.similarity:.3f}")
        verdict = "same individual" if comparison.same else "different individuals"
        shell.say(f"verdict     {verdict} (threshold {threshold[0]})")
    caveat = worth_of_verdict(description)
    if caveat is not None:
        shell.say(caveat)
    for stand_in in description["stand_ins"]:
        shell.warn(f"trained with a stand-in: {in_place_of(stand_in['used'], stand_in['wanted'])}")


def print_components(shell: Shell, registries: Sequence[Registry]) -> None:
    """Print components by kind, with their origins if the terminal is wide."""
    width = max(len(name) for registry in registries for name in [registry.plural, *registry.names()])
    for registry in registries:
        shell.out.print(components_table(registry, shell.out.width >= WIDE, width))


def print_project(shell: Shell, project: Project) -> None:
    """Print what a new project contains, and the next commands."""
    from siamesekit.config.project.project import PURPOSES

    if project.unusual:
        shell.say("understood:")
        shell.lines([f"  {line}" for line in project.understood])
    for line in project.others:
        shell.say(f"if wrong: {line}")
    shell.say(f"{project.photos}:")
    for line in project.found:
        shell.say(f"  {line}")
    shell.say(f"encoder: {project.encoder}")
    shell.say("written:")
    width = max(len(str(file)) for file in project.files)
    for file in project.files:
        shell.say(f"  {file!s:{width}}  {PURPOSES[file.name]} ({file_size(file.stat().st_size)})")
    shell.say("next:")
    for command in project.commands:
        shell.say(f"  {command}")
    shell.say(f"the run makes the folder {project.run}; with it:")
    for command in project.later:
        shell.say(f"  {command}")


def print_members(shell: Shell, family: Component, registry: Registry) -> None:
    """Print the members of a family, one per line."""
    shell.out.print(members_table(family, registry))
    shell.say(
        f"{len(family.members())} {registry.plural}; to show one: "
        f"siamesekit show {registry.kind} {family.name.removesuffix('*')}NAME"
    )


def print_family(shell: Shell, family: Component, registry: Registry) -> None:
    """Print the description of a family, and how to list its members."""
    prefix = family.name.removesuffix("/*")
    _heading(shell, family, family.name, registry)
    shell.lines([""])
    shell.say(f"A family of {len(family.members())} members; a config names one of them: {prefix}/NAME")
    shell.say(f"list all members:  siamesekit list {registry.plural} {prefix}")
    shell.say(f"show one member:   siamesekit show {registry.kind} {prefix}/NAME")


def print_component(shell: Shell, component: Component, name: str, registry: Registry) -> None:
    """Print a component under the requested name, which may be that of a family's member."""
    _heading(shell, component, name, registry)
    if component.options:
        shell.out.print(options_table(component))
    else:
        shell.lines(["", "No options."])
    place, _ = table_of(component.kind)
    for option in component.options:
        if option.nested is not None:
            table = f"[[{place}.{option.name}]]" if option.many else f"[{place}.{option.name}]"
            plural = registry_of(option.nested.kind).plural
            what = "are tables" if option.many else "is a table"
            shell.say(f"{table} {what}: siamesekit list {plural}")
    if supplied(component):
        shell.say(f"supplied by the run, not set in a config: {', '.join(supplied(component))}")
    shell.lines(["", "in a config:", ""])
    shell.lines(snippet(component, name).splitlines())
    _table_keys(shell, component)


def _heading(shell: Shell, component: Component, name: str, registry: Registry) -> None:
    shell.say(f"{registry.kind} {name}: {registry.purpose}")
    shell.say(f"from {component.origin}")
    if component.source:
        shell.say(f"adapts {component.source}")
    shell.lines(["", *reflowed(component.doc, shell.out.width).splitlines()])


def print_config_tables(shell: Shell) -> None:
    """Print the tables of a config, its top-level keys, and how to show one table."""
    shell.out.print(config_tables_table(config_tables()))
    shell.say("top-level keys:")
    shell.out.print(keys_table(TOP))
    shell.say("to show a table: siamesekit show table NAME")


def print_config_table(shell: Shell, table: ConfigTable) -> None:
    """Print a table of a config: its keys, its inner tables, and a snippet of TOML."""
    shell.say(f"table [{table.name}]{': ' if table.purpose else ''}{table.purpose}")
    shell.lines([f"if left out: {table.if_left_out}", ""])
    shell.out.print(keys_table(table.every_key))
    if table.registry is not None and table.component is not None:
        shell.say(
            f"the table also takes the options of the {table.registry.kind} that "
            f"{table.component.parameter.name!r} names: siamesekit show {table.registry.kind} NAME"
        )
        shell.say(f"all {table.registry.plural}: siamesekit list {table.registry.plural}")
    for inner in table.inner:
        shell.say(f"[{inner}] is a table: siamesekit show table {inner}")
    shell.lines(["", "in a config:", ""])
    shell.lines(table.snippet().splitlines())


def _table_keys(shell: Shell, component: Component) -> None:
    """Print the keys of a component's table that do not depend on the component."""
    place, _ = table_of(component.kind)
    unused = unused_keys(component)
    keys = [
        f"{key.parameter.name} (not used by this one)" if key.parameter.name in unused else key.parameter.name
        for key in table_keys(component)
    ]
    if keys:
        shell.lines([""])
        shell.say(f"keys of the table [{place}]: {', '.join(keys)}: siamesekit show table {place}")
