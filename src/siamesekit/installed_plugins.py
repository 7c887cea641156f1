"""Installed plugins: packages that name modules of components in the entry-point group `siamesekit.plugins`.

Whoever installs a package trusts it, so they are loaded without being asked for, in the command line and in Python.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from siamesekit.component_faults import told

GROUP = "siamesekit.plugins"
_loaded = False


def load_installed_plugins() -> list[str]:
    """Import all installed plugins; called again, it does nothing. Registries call it before they look anything up.

    Returns:
        A line for each plugin that fails, which takes nothing else down.
    """
    global _loaded
    if _loaded:
        return []
    _loaded = True  # before, not after: a plugin may look up components while it is imported
    failures = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            point.load()
        except (Exception, SystemExit) as error:
            failures.append(f"plugin {point.name!r} ({_package(point)}) fails: {told(error)}")
    return failures


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
