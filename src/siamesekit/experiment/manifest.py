"""The content of a run's manifest.json: its data, weights, machine, versions and durations."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from siamesekit._version import __version__
from siamesekit.experiment.setup import Setup
from siamesekit.wording import line_of_name


def manifest(setup: Setup, cached: bool) -> dict[str, Any]:
    """The content of manifest.json when a run begins; `cached` is whether the frozen part's output is stored."""
    config, data, compute = setup.config, setup.dataset, setup.compute
    return {
        "name": config.name,
        "complete": False,
        "written": _now(),
        "seed": config.seed,
        "stand_ins": [vars(stand_in) for stand_in in setup.stand_ins],
        "data": {
            "reader": data.reader,
            "individuals": len(data.individuals),
            "photos": len(data.records),
            "split": {name: len(part) for name, part in data.split.parts().items()},
            "left_out": [
                {"photo": line_of_name(finding.name), "reason": finding.reason}
                for finding in (*data.left_out, *data.quarantined, *data.singletons, *data.unmatched)
            ],
            "unknown": [line_of_name(name) for name in data.unknown],
            "leaks": None if data.leaks is None else data.leaks.as_json(),
            "passed_over": {line_of_name(suffix): count for suffix, count in data.passed_over.items()},
            "sha256": data.fingerprint(config.sampler.apart),
        },
        "audit": None if setup.audit is None else setup.audit.summary(),
        "weights": dict(setup.prepared.weights),
        "frozen_part_cached": cached,
        "plugins": {plugin.path.name: plugin.sha256 for plugin in config.plugins},
        "device": {
            "type": compute.device.type,
            "name": torch.cuda.get_device_name() if compute.device.type == "cuda" else platform.machine(),
            "precision": compute.name,
            "products": compute.products,
            "threads": torch.get_num_threads(),
            **({} if compute.ranks is None else {"processes": compute.ranks.size}),
        },
        "versions": {
            "siamesekit": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "timm", "numpy", "pillow")},
        },
        "trackers": [],
        "kept_epoch": None,
        "seconds": {},
    }


def completed(begun: Mapping[str, Any], kept_epoch: int, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The content of manifest.json when a run is complete.

    Args:
        begun: manifest with which the run began.
        kept_epoch: epoch whose weights are in the model.
        seconds: seconds by stage. A resumed run counts all sessions, each up to its last checkpoint; the evaluation
            counts only the last session.
    """
    timings = dict(seconds) | {"total": sum(seconds.values())}
    return {**begun, "complete": True, "written": _now(), "kept_epoch": kept_epoch, "seconds": timings}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
