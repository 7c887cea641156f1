"""Folders and files that operating systems, network disks and programs create among photos."""

from __future__ import annotations

SYSTEM_FOLDERS = frozenset(
    {
        "@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot",  # Synology
        "@recycle", "@recently-snapshot", "@__thumb",  # QNAP
        "$recycle.bin", "recycler", "recycled", "system volume information", "found.000",  # Windows
        "__macosx", "network trash folder", "temporary items",  # macOS, and archives made there
        "lost+found", "lost.dir",  # Linux, Android
    }
)  # fmt: skip
"""Names of folders, in lower case. Folders whose names begin with a point, such as `.thumbnails`, are hidden."""
SYSTEM_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "folder.ini", "picasa.ini", "zbthumbnail.info"}
)
"""Names of files, in lower case."""


def is_left_alone(name: str, is_folder: bool) -> bool:
    """Whether a folder or file is hidden (`.thumbnails`, `._1.jpg`), or belongs to a system (`@eaDir`, `Thumbs.db`)."""
    return name.startswith(".") or name.lower() in (SYSTEM_FOLDERS if is_folder else SYSTEM_FILES)
