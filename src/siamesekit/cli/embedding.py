"""The work of `embed`: embed photos, write the files, and report what was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamesekit.artifact.embedding_files import write_embeddings, write_left_out
from siamesekit.errors import DataError

if TYPE_CHECKING:
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.cli.shell import Shell


def embed_into(
    output: Path,
    table: Path | None,
    model: SimilarityModel,
    named: Sequence[tuple[Path, str]],
    shell: Shell,
) -> dict[str, Any]:
    """Write the embeddings of photos to a file, and report what was written.

    Args:
        output: file of the embeddings.
        table: file that lists the photos left out; None: a photo that cannot be used is an error.
        model: the model that embeds.
        named: N photos, each with the name of its individual, empty if unknown.
        shell: where messages are printed.

    Returns:
        The JSON of the command.

    Raises:
        DataError: a photo cannot be read.
        OutputError: a file cannot be written.
    """
    photos, individuals = [photo for photo, _ in named], [name for _, name in named]
    kept: Sequence[int] = range(len(photos))
    left_out: Sequence[tuple[str, str, str]] = ()
    if table is None:
        try:
            embeddings = model.embed_files(photos, shell)
        except DataError as error:
            raise DataError(f"{error.message}: fix them, or embed the rest with --skip-bad", error.details) from None
    else:
        embeddings, kept, left_out = model.embed_usable(photos, shell)
    if broken := int((~embeddings.isfinite().all(dim=1)).sum()):
        shell.warn(
            f"{broken} of {len(photos)} photos have embeddings that are not finite: the model cannot be used for them"
        )
    write_embeddings(output, [photos[n] for n in kept], embeddings.numpy(), [individuals[n] for n in kept])
    written = {"photos": len(kept), "dimensions": embeddings.shape[1], "file": str(output)}
    if table is not None:
        write_left_out(table, left_out)
        if left_out:
            shell.warn(
                f"{len(left_out)} of {len(photos)} photos cannot be used and are left out; the reasons are in {table}"
            )
        written |= {
            "left_out": [{"file": name, "reason": reason, "what to do": mend} for name, reason, mend in left_out],
            "left_out_file": str(table) if left_out else None,
        }
    shell.say(f"{len(kept)} photos, {embeddings.shape[1]} dimensions each: {output}")
    return written
