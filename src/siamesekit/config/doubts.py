"""What a config may say and hardly anybody means: `check` names it."""

from __future__ import annotations

from siamesekit.config.tables import Config
from siamesekit.registry import OPTIMIZERS

FAR = 100
"""A learning rate of so many times an optimizer's default is worth a word."""


def doubts(config: Config) -> list[str]:
    """A line for each value that is allowed and far beyond what is usual."""
    found = []
    for place, table in (("optimizer", config.optimizer), ("loss.optimizer", config.loss.optimizer)):
        if table is None:
            continue
        usual = next((o.default for o in OPTIMIZERS.get(table.component).options if o.name == "lr"), None)
        rate = table.options.get("lr")
        if isinstance(usual, int | float) and isinstance(rate, int | float) and rate >= FAR * usual > 0:
            found.append(f"{place}.lr = {rate:g} is {rate / usual:,.0f} times the {usual:g} that {table.component!r} "
                         "begins with by default: training may not learn anything")  # fmt: skip
    return found
