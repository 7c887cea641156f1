"""Values of a config that are allowed but unusual: `check` warns of them."""

from __future__ import annotations

from siamesekit.config.tables import Config
from siamesekit.registry import OPTIMIZERS

FAR = 100
"""Factor over an optimizer's default from which a learning rate is unusual."""


def doubts(config: Config) -> list[str]:
    """One line for each value that is allowed but far beyond the usual range."""
    found = []
    for place, table in (("optimizer", config.optimizer), ("loss.optimizer", config.loss.optimizer)):
        if table is None:
            continue
        usual = next((o.default for o in OPTIMIZERS.get(table.component).options if o.name == "lr"), None)
        rate = table.options.get("lr")
        if isinstance(usual, int | float) and isinstance(rate, int | float) and rate >= FAR * usual > 0:
            found.append(
                f"{place}.lr = {rate:g} is {rate / usual:,.0f} times the default of {table.component!r}, {usual:g}: "
                "training may not learn anything"
            )
    return found
