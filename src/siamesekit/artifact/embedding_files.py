"""Write files of embeddings, and find the photos for them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.data import photo_folders
from siamesekit.data.folder_walk import sentence_of_links, walk
from siamesekit.data.passed_over import sentence_of_pictures
from siamesekit.data.path_pattern import INDIVIDUAL, PathPattern
from siamesekit.data.records import Record, Records
from siamesekit.data.remote.listing import RemoteWalk, remote_walk
from siamesekit.data.spreadsheet_cells import spreadsheet_cell
from siamesekit.data.unknown_names import UNKNOWN, UnknownNames
from siamesekit.data.unusable import UnusablePhoto
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.remote_address import RemoteFolder, refuse_address
from siamesekit.files.replaceable import refuse_no_file, refuse_what_is_not_ours
from siamesekit.wording import first_of, line_of_name

SUFFIXES = (".npz", ".csv", ".parquet")
HEADER = 1 << 20
"""Maximum number of bytes of a table's first line that are read to recognize it."""
SHOWN = 10
LEFT_OUT = ".left-out.csv"
LEFT_OUT_HEADER = "file,reason,what to do"
"""Suffix and first line of a table of photos that were left out."""


def check_output(path: Path) -> None:
    """Check, before any work, that a file of embeddings can be written.

    Raises:
        OutputError: the suffix is unknown, the folder or the library for the format is missing, or the file exists and
            holds something other than embeddings.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path}: unknown suffix; choose one of {', '.join(SUFFIXES)}")
    refuse_no_file(path)
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise OutputError(f"{path}: .parquet needs pyarrow: pip install 'siamesekit[parquet]'") from None
    refuse_what_is_not_ours(path, "embeddings", is_embeddings)


def is_embeddings(path: Path) -> bool:
    """Whether a plain file with a known suffix holds embeddings in the form that `siamesekit embed` writes."""
    return {".csv": _is_table, ".npz": _is_archive, ".parquet": _is_parquet}[path.suffix](path)


def _is_table(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.readline(HEADER).decode("utf-8").strip()
    columns = [column.strip('"') for column in header.split(",")]
    return columns[0] == "path" and "e0" in columns


def _is_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return False
    return {"path.npy", "embedding.npy"} <= names and all(name.endswith(".npy") for name in names)


def _is_parquet(path: Path) -> bool:
    import pyarrow.parquet

    return {"path", "embedding"} <= set(pyarrow.parquet.read_schema(path).names)


def photos_and_individuals(inputs: Iterable[Path]) -> list[tuple[Path, str]]:
    """The photos of files and folders, each with the name of its individual; see `records_of_inputs`."""
    return [(Path(record.name), record.individual) for record in records_of_inputs(inputs)]


def records_of_inputs(
    inputs: Iterable[Path | RemoteFolder], follow_links: bool = False, skip_bad: bool = False, pattern: str = ""
) -> Records:
    """The photos of files and folders; the name of a record is the path of its file.

    Files are taken whatever their names; photos below folders come in natural order. As with the reader `folder`, the
    first sub-folder names the individual: `INPUT/INDIVIDUAL/photo.jpg` or deeper, unless it is a name for unknown
    individuals (`unknown`, `new_whale`, …). The name is empty for a photo that is an input itself or lies directly in
    an input. A pattern, as that of the reader `folder`, names the individuals otherwise; the name is empty for a photo
    that does not match it. Of a photo that is an input itself, the file's name is matched.

    Args:
        inputs: files and folders, on this machine or elsewhere. Elsewhere, what has the suffix of a photo is one.
        follow_links: whether links in the folders that lead out of them are followed, instead of an error. Inputs
            themselves may be links.
        skip_bad: whether to leave out such links and missing inputs, instead of an error.
        pattern: which part of a photo's path below its input names the individual, such as `{individual}_*`.

    Raises:
        UserError: an input does not exist, or the pattern is invalid or matches no photo.
        DataError: there are no photos, a folder cannot be read, or links lead out of it.
    """
    records: list[Record] = []
    notes: list[str] = []
    unread: list[str] = []
    left_out: list[UnusablePhoto] = []
    missing: list[str] = []
    naming = _Naming(pattern)
    for path in inputs:
        if isinstance(path, Path):
            refuse_address(path, "download the photos first")
        if isinstance(path, RemoteFolder):
            remote = _remote_photos(path)
            records += [Record(photo.url, naming.individual(Path(photo.below)), photo) for photo in remote.photos()]
            notes += remote.notes()
        elif path.is_dir():
            found = walk(path, follow_links)
            notes += found.notes()
            if pictures := sentence_of_pictures(found.files):
                unread.append(f"{path}: {pictures}")
            if found.links_out:
                link, target = found.links_out[0]
                message = sentence_of_links(len(found.links_out), str(path), link, target)
                if not skip_bad:
                    raise DataError(message)
                left_out += [
                    UnusablePhoto(str(path / name), f"is a link to {where}, outside {path}", "use --follow-links")
                    for name, where in found.links_out
                ]
            for photo in found.photos():
                records.append(Record(str(photo), naming.individual(photo.relative_to(path)), photo))
        elif path.exists():
            records.append(Record(str(path), naming.individual(Path(path.name)), path))
        elif skip_bad:
            missing.append(str(path))
            left_out.append(UnusablePhoto(str(path), "does not exist", "check its name"))
        else:
            raise UserError(f"no such file or folder: {path}")
    if not records:
        if missing:
            raise UserError(f"no such file or folder: {first_of(missing, SHOWN)}")
        details = [str(finding) for finding in left_out[:SHOWN]]
        if unread:
            raise DataError("; ".join(unread), details)
        raise DataError(f"no photos found ({', '.join(photo_folders.PHOTO_SUFFIXES)})", details)
    return Records(records, [*notes, *unread, *naming.notes(len(records))], left_out=left_out)


def _remote_photos(place: RemoteFolder) -> RemoteWalk:
    """The photos below an address, or the one photo there.

    Raises:
        DataError: there are none, or they cannot be listed.
    """
    above, _, name = place.url.rpartition("/")
    if not photo_folders.is_photo(name) or above.endswith("/"):
        return remote_walk(place)
    folder = RemoteFolder(above)
    return RemoteWalk(folder, (folder.photo(place.url),))


class _Naming:
    """How the path of a photo below its input names the individual.

    Raises:
        UserError: the pattern is invalid.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = PathPattern(pattern) if pattern else None
        except ValueError as error:
            raise UserError(str(error)) from None
        self._text, self._unknown = pattern, UnknownNames(UNKNOWN)
        self._odd: list[str] = []

    def individual(self, photo: Path) -> str:
        """The name; empty if it is unknown."""
        if self._pattern is None:
            first, *deeper = photo.parts
            name = first if deeper else ""
        else:
            fields = self._pattern.fields_of(photo.as_posix())
            if fields is None:
                self._odd.append(photo.as_posix())
            name = "" if fields is None else fields[INDIVIDUAL]
        return "" if name in self._unknown else name

    def notes(self, photos: int) -> list[str]:
        """A message on photos that do not match the pattern.

        Raises:
            UserError: these are all of the photos.
        """
        if not self._odd:
            return []
        such = f"such as {line_of_name(self._odd[0])}"
        if len(self._odd) == photos:
            raise UserError(f"pattern {self._text!r} matches none of {photos} photos, {such}: correct --pattern")
        without = "does not match the pattern and has" if len(self._odd) == 1 else "do not match the pattern and have"
        return [f"{len(self._odd)} of {photos} photos {without} no individual, {such}"]


def write_embeddings(
    path: Path, photos: Sequence[Path | str], embeddings: NDArray[np.float32], individuals: Sequence[str] | None = None
) -> None:
    """Write embeddings `[N, D]` with the paths of the photos and, if given, the names of the individuals.

    `.npz` has the arrays `path` and `individual` (strings `[N]`) and `embedding` (float32 `[N, D]`), readable with
    `allow_pickle=False`. `.csv` and `.parquet` have one row per photo: `path`, `individual`, then `e0` … (in
    `.parquet` one list column `embedding`). Unknown names are empty.

    In `.csv`, paths and names are quoted and escaped by `spreadsheet_cell`; `text_of_cell` undoes it. In `.csv` and
    `.parquet`, bytes of a file name that are not UTF-8 are written as escapes: `caf\\udce9.jpg`.

    Raises:
        OutputError: the file cannot be written.
    """
    texts = {"path": [photo if isinstance(photo, str) else photo.as_posix() for photo in photos]}
    if individuals is not None:
        texts["individual"] = list(individuals)
    if path.suffix == ".npz":
        arrays = {name: np.array(values, dtype=np.str_) for name, values in texts.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays, embedding=embeddings)  # type: ignore[arg-type]
        write_atomic(path, buffer.getvalue())
    elif path.suffix == ".csv":
        lines = [",".join([*texts, *(f"e{i}" for i in range(embeddings.shape[1]))])]
        for *cells, row in zip(*texts.values(), embeddings, strict=True):
            lines.append(",".join([*map(_quoted, cells), *(f"{value:.9g}" for value in row)]))
        write_atomic(path, "\n".join([*lines, ""]))
    else:
        import pyarrow
        import pyarrow.parquet

        columns = {name: [_utf8(value) for value in values] for name, values in texts.items()}
        table = pyarrow.table({**columns, "embedding": list(embeddings)})
        write_atomic(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))


def table_of_left_out(output: Path) -> Path:
    """Path of the table of left-out photos, beside a file of embeddings: `e.csv.left-out.csv` for `e.csv`.

    Raises:
        OutputError: another file has this name; it is not replaced.
    """
    table = output.with_name(output.name + LEFT_OUT)
    try:
        with table.open("rb") as file:
            ours = file.read(len(LEFT_OUT_HEADER)) == LEFT_OUT_HEADER.encode()
    except FileNotFoundError:
        return table
    except OSError:
        ours = False
    if not ours:
        raise OutputError(
            f"{table} exists and is not a table of photos that were left out: move it, or choose another file with -o"
        )
    return table


def write_left_out(table: Path, left_out: Sequence[tuple[str, str, str]]) -> None:
    """Write the table of left-out photos, one row each: file, reason, what to do; cells as in `write_embeddings`.

    If no photo was left out, no table is created, and an earlier one is reduced to its header.

    Raises:
        OutputError: the file cannot be written.
    """
    if left_out or table.exists():
        rows = [",".join(map(_quoted, row)) for row in left_out]
        write_atomic(table, "\n".join([LEFT_OUT_HEADER, *rows, ""]))


def _quoted(text: str) -> str:
    """A text as a quoted cell of a `.csv` table."""
    return '"' + spreadsheet_cell(_utf8(text)).replace('"', '""') + '"'


def _utf8(text: str) -> str:
    """A text with bytes that are not UTF-8 as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
