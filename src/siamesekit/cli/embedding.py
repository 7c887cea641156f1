"""The work of `embed` and `compare`: embed photos, write the files, and report what was written."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamesekit.artifact.embedding_files import write_embeddings, write_left_out
from siamesekit.cli.skipped import skipped
from siamesekit.data.unusable import report
from siamesekit.errors import DataError, UserError
from siamesekit.files.remote_address import RemotePhoto

if TYPE_CHECKING:
    from siamesekit.artifact.comparison import Comparison
    from siamesekit.artifact.ensemble import Ensemble
    from siamesekit.artifact.similarity_model import SimilarityModel
    from siamesekit.cli.shell import Shell
    from siamesekit.components.matchers.matcher import Matcher
    from siamesekit.data.records import Record, Records
    from siamesekit.data.unusable import UnusablePhoto


def views_of(option: str | None) -> tuple[str, ...] | None:
    """The views that the option `--tta` names: `mirror,crops`; `none` for no views; None without the option."""
    if option is None:
        return None
    return () if option.strip() == "none" else tuple(name.strip() for name in option.split(","))


def compared(
    model: SimilarityModel | Ensemble, a: Path, b: Path, tta: Sequence[str] | None, shell: Shell
) -> Comparison:
    """Compare two photos; the shell warns if the threshold was measured with other views.

    Raises:
        DataError: a photo cannot be read.
        RunError: the distance is NaN or infinite.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        comparison = model.compare(a, b, tta)
    for warning in caught:
        shell.warn(str(warning.message))
    return comparison


def points_finder(name: str | None, options: Mapping[str, Any], picture: Path | None) -> Matcher | None:
    """The matcher of `compare`, built before any work; None without one.

    Args:
        name: its name.
        options: its options.
        picture: file in which the points are drawn.

    Raises:
        OutputError: the picture cannot be written.
        UserError: a picture is wanted without a matcher, or the matcher cannot be built.
    """
    from siamesekit.gallery.matched_photos import check_picture
    from siamesekit.registry import MATCHERS

    if picture is not None:
        if name is None:
            raise UserError("-o draws the points that a matcher finds: name one with --matcher, such as sift")
        check_picture(picture)
    if name is None:
        return None
    matcher: Matcher = MATCHERS.build(name, options)
    return matcher


def matched(a: Path, b: Path, matcher: Matcher, picture: Path | None) -> dict[str, Any]:
    """Count the points that two photos share, and draw them; return the facts for JSON.

    Raises:
        DataError: a photo cannot be read.
        OutputError: the picture cannot be written.
    """
    from siamesekit.gallery.matched_photos import matched_photos, write_picture

    found = matched_photos(a, b, matcher)
    told = {"shared_points": len(found.points), "matcher": repr(matcher)}
    if picture is None:
        return told
    write_picture(picture, found)
    return {**told, "picture": str(picture)}


def _path(record: Record) -> str:
    """Where a photo is, in a file of embeddings."""
    source = record.source
    if isinstance(source, RemotePhoto):
        return source.url
    return source.as_posix() if isinstance(source, Path) else record.name


def embed_into(
    output: Path,
    table: Path | None,
    model: SimilarityModel | Ensemble,
    found: Records,
    shell: Shell,
    tta: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Write the embeddings of photos to a file, and report what was written.

    Args:
        output: file of the embeddings.
        table: file that lists the photos left out; None: a photo that cannot be used is an error.
        model: the model that embeds.
        found: the N photos, each with the name of its individual, empty if unknown; `left_out` are further ones.
        shell: where messages are printed.
        tta: views of each photo; None for those of the model.

    Returns:
        The JSON of the command.

    Raises:
        DataError: a photo cannot be read.
        OutputError: a file cannot be written.
    """
    for note in found.notes:
        shell.say(note)
    bad: dict[int, UnusablePhoto] | None = None if table is None else {}
    try:
        embeddings = model.embed_records(found, shell, bad, tta)
    except DataError as error:
        if bad is None:
            raise DataError(f"{error.message}: fix them, or embed the rest with --skip-bad", error.details) from None
        raise
    kept = [number for number in range(len(found)) if number not in (bad or {})]
    if bad and not kept:
        raise DataError(*report(tuple(bad.values()), len(found)))
    left_out = (*found.left_out, *(bad or {}).values())
    if broken := int((~embeddings.isfinite().all(dim=1)).sum()):
        shell.warn(
            f"{broken} of {len(found)} photos have embeddings that are not finite: the model cannot be used for them"
        )
    paths = [_path(found[number]) for number in kept]
    write_embeddings(output, paths, embeddings.numpy(), [found[number].individual for number in kept])
    written = {"photos": len(kept), "dimensions": embeddings.shape[1], "file": str(output)}
    if table is not None:
        write_left_out(table, left_out)
        skipped(shell, left_out, len(found) + len(found.left_out), skip_bad=True)
        if left_out:
            shell.warn(f"the reasons are in {table}")
        written |= {
            "left_out": [{"file": name, "reason": reason, "what to do": mend} for name, reason, mend in left_out],
            "left_out_file": str(table) if left_out else None,
        }
    shell.say(f"{len(kept)} photos, {embeddings.shape[1]} dimensions each: {output}")
    return written
