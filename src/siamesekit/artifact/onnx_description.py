"""The description in an ONNX file: all that its use needs beside the network, as JSON under one key of its metadata."""

from __future__ import annotations

from typing import Annotated

from siamesekit.artifact.tables import (
    MAX_BYTES,
    MAX_NOTES,
    CurveTable,
    DistanceTable,
    Input,
    Name,
    Options,
    Sha256,
    StandInTable,
    Text,
    damaged,
    other_format,
)
from siamesekit.errors import ArtifactError
from siamesekit.files.checked_table import CheckedTable, Length, TableError, at_least, at_most
from siamesekit.files.untrusted_json import parse_json

KEY = "siamesekit"
"""Key of the metadata."""
INPUT, OUTPUT = "images", "embeddings"
"""Names of the network's input, uint8 `[N, 3, size, size]`, and of its output, float32 `[N, D]`."""
AGAIN = "export the run again: siamesekit export RUN -o FILE"
MAX_DIMENSIONS = 1 << 20
LONGEST_REASON = 300
"""Maximum number of characters shown of another library's message."""


class OnnxEncoder(CheckedTable):
    """`encoder`: what the network was built from, to be read by people."""

    name: Name
    options: Options


class OnnxDescription(CheckedTable):
    """The content of the metadata."""

    format: int
    siamesekit: Text
    torch: Text
    encoder: OnnxEncoder
    input: Input
    embedding_dim: Annotated[int, at_least(1), at_most(MAX_DIMENSIONS)]
    tta: Annotated[list[Name], Length(0, 10)]
    distance: DistanceTable
    operating_point: CurveTable | None
    no_threshold: Text | None
    weights_sha256: Sha256
    stand_ins: Annotated[list[StandInTable], Length(0, MAX_NOTES)]


def parse_description(text: str, shown: str) -> OnnxDescription:
    """Check the description of an ONNX file, which may come from anyone.

    Args:
        text: JSON of the metadata.
        shown: name of the file in errors.

    Raises:
        ArtifactError: it is damaged, too large or of another format; the error lists all problems with their places.
    """
    where = f"{shown}: its metadata {KEY!r}"
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"{where} has more than {MAX_BYTES:,} bytes, which is too large")
    content = parse_json(data, where)
    if not isinstance(content, dict):
        raise ArtifactError(f"{where} is damaged: it is not a JSON object; {AGAIN}")
    if found := other_format(content.get("format")):
        raise ArtifactError(f"{where} {found}; {AGAIN}")
    try:
        return OnnxDescription.of(content)
    except TableError as error:
        raise damaged(where, error.problems, AGAIN) from None
