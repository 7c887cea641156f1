"""The type of a component's option that is a folder, on this machine or another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import PlainValidator

from siamesekit.files.remote_address import RemoteFolder, place_of

if TYPE_CHECKING:
    Place = Path | RemoteFolder
else:
    Place = Annotated[Path, PlainValidator(place_of)]
"""A folder on this machine, or an address such as `s3://bucket/photos`."""
