"""Installed plugins: packages that name modules of components in the entry-point group `siamesekit.plugins`.

An installed package counts as trusted, so plugins load automatically, in the command line and in Python.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from siamesekit.registry.component_faults import told

GROUP = "siamesekit.plugins"
_loaded = False


def load_installed_plugins() -> list[str]:
    """Import all installed plugins once. Registries call this before each look-up; later calls do nothing.

    Returns:
        One message for each plugin that failed. The other plugins are still loaded.
    """
    global _loaded
    if _loaded:
        return []
    _loaded = True  # set first: a plugin may look up components during its import
    failures = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            point.load()
        except (Exception, SystemExit) as error:
            failures.append(f"plugin {point.name!r} ({_package(point)}) fails: {told(error)}")
    return failures


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
