"""The photos below a folder on another machine, in natural order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from siamesekit.data.photo_folders import is_photo, natural
from siamesekit.data.remote.servers import listed
from siamesekit.data.system_files import is_left_alone
from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.remote_address import WEB, RemoteFolder, RemotePhoto
from siamesekit.wording import first_of, line_of_name

_SHOWN = 10
_ODD = "with '..' or a control character in their names"


@dataclass(frozen=True)
class RemoteWalk:
    """The files below a folder on another machine.

    Attributes:
        root: the folder.
        files: all files in natural order, except those that were left alone.
        left_alone: number of files that were left alone, by the name for which they were.
        links_out: none, as there are no links.
    """

    root: RemoteFolder
    files: tuple[RemotePhoto, ...]
    left_alone: Mapping[str, int] = field(default_factory=dict)
    links_out: tuple[tuple[str, str], ...] = ()

    def photos(self) -> list[RemotePhoto]:
        """The files with the suffix of a photo."""
        return [file for file in self.files if is_photo(file.name)]

    def notes(self) -> list[str]:
        """Messages on what was left alone."""
        if not self.left_alone:
            return []
        kinds = [f"{count} {line_of_name(name)}" for name, count in self.left_alone.items()]
        return [f"left alone, as hidden or made by a system: {first_of(kinds, _SHOWN)}"]


def remote_walk(folder: RemoteFolder) -> RemoteWalk:
    """Find all files below a folder; hidden ones and those of systems are left alone, as on this machine.

    Raises:
        MissingDataError: there is nothing below it.
        DataError: it cannot be listed, as folders of the web.
    """
    if folder.protocol in WEB:
        raise DataError(
            f"{folder.url}: servers of the web do not list their folders: name the photos in a table "
            f'(reader = "csv", root = "{folder.url}")'
        )
    files: list[RemotePhoto] = []
    left_alone: Counter[str] = Counter()
    for path in listed(folder):
        *above, name = path.split("/")
        hidden = next((part for part in above if is_left_alone(part, True)), None)
        if hidden is None and is_left_alone(name, False):
            hidden = name
        try:
            photo = folder.photo(path)
        except ValueError:
            hidden = _ODD
        if hidden is None:
            files.append(photo)
        else:
            left_alone[hidden] += 1
    if not files:
        raise MissingDataError(f"there is nothing below {folder.url}: check the address, and your access to it")
    files.sort(key=lambda file: [natural(part) for part in file.below.split("/")])
    return RemoteWalk(folder, tuple(files), dict(left_alone.most_common()))
