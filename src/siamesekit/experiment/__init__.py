"""The experiment: `check(config)` plans a run and `run(config)` does it.

`running` has the steps of a run. Before training, `dataset` reads the photos, `prepared_encoder` builds the network,
`assembly` builds the `Trainer`, `compatibility` tries the parts together and `plan` estimates the cost. `epochs` trains
and `run_log` keeps the states. Afterwards `judgement`, `manifest` and `report_content` make the files. `run_folder`
protects the files of a run, and `resuming` says what may change when a run continues. `checking` audits photos and
plans a run for the command line, and `audited` adds what was found to a run. `evaluating` evaluates finished models,
and `int8_export` writes one in int8 with its cost. Importing this package imports none of these modules.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamesekit.experiment.run_result import RunResult as RunResult
    from siamesekit.experiment.running import check as check
    from siamesekit.experiment.running import run as run

__all__ = ["RunResult", "check", "run"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module("siamesekit.experiment.running"), name)
