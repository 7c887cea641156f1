"""Store `lancedb`: a table of LanceDB, in a folder or in object storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from siamesekit.components.distances.distance import Distance
from siamesekit.components.stores.measured import Near, nearest_of, ranking_of
from siamesekit.components.stores.store import Embeddings, Found, Ids
from siamesekit.errors import ArtifactError, OutputError, UserError
from siamesekit.options import Limited
from siamesekit.registry import STORES
from siamesekit.wording import line_of_name

METRICS = {"euclidean": "l2", "cosine": "cosine", "dot": "dot"}
INDEXED = 10_000
"""Rows from which on an index is made."""
REMOVED = 1000
"""Rows that are removed by one condition."""


@STORES.register("lancedb")
class LanceDB:
    """A table of LanceDB on disk, in the catalogue's folder or anywhere, also in object storage.

    It needs no server, and LanceDB: `pip install 'siamesekit[lancedb]'`. Access to object storage is configured as
    LanceDB says, by environment variables. The model's distance must be euclidean, squared-euclidean, cosine or dot.

    Shapes: queries `[Q, D]` → ids and distances `[Q, k]`.

    Args:
        uri: folder or address of the database, such as `s3://bucket/path`; empty: in the catalogue's folder.
        exact: whether all rows are compared. Otherwise an index (IVF) is made from 10,000 rows on, and some of the
            nearest rows may be missed.
        probes: parts of the index that are searched, if not exact.
        folder: folder of the database, if `uri` names none.
        collection: name of the table.
        dimensions: length of an embedding.
        distance: the model's distance.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        uri: str = "",
        exact: bool = True,
        probes: Limited = 64,
        *,
        folder: Path,
        collection: str,
        dimensions: int,
        distance: Distance,
    ) -> None:
        self.uri, self.place = uri, uri or str(folder)
        self.exact, self.probes = exact, probes
        self.collection, self.dimensions, self.distance = collection, dimensions, distance
        self.metric = METRICS[ranking_of(distance, "lancedb")]
        package = _package()
        if uri.startswith("db://"):
            raise UserError(f"store 'lancedb': {uri} is LanceDB's cloud, which is not supported; name a folder")
        with self._telling():
            self._database = package.connect(self.place)
            self._table = self._opened()

    def add(self, ids: Ids, embeddings: Embeddings) -> None:
        """Add rows, all or none."""
        import pyarrow

        values = pyarrow.array(np.ascontiguousarray(embeddings, np.float32).ravel())
        columns = [pyarrow.array(ids, pyarrow.int64()), pyarrow.FixedSizeListArray.from_arrays(values, self.dimensions)]
        with self._telling():
            self._table.add(pyarrow.table(columns, schema=self._schema()))
            if not self.exact:
                self._index()

    def remove(self, ids: Ids) -> None:
        """Remove rows."""
        with self._telling():
            for start in range(0, len(ids), REMOVED):
                self._table.delete(_among(ids[start : start + REMOVED]))

    def ids(self) -> Ids:
        """The ids of all rows, int64 `[N]`, ascending."""
        with self._telling():
            rows = self._table.search().select(["id"]).limit(self._table.count_rows() + 1).to_arrow()
        return np.sort(rows["id"].to_numpy().astype(np.int64))

    def count(self) -> int:
        """Number of rows."""
        with self._telling():
            return int(self._table.count_rows())

    def search(self, queries: Embeddings, k: int, allowed: Ids | None = None) -> Found:
        """Search the k rows nearest to each query."""
        count = self.count() if allowed is None else len(allowed)
        condition = None if allowed is None else _among(allowed)

        def ask(some: Embeddings, wide: int) -> list[Near]:
            with self._telling():
                return [self._near(query, wide, condition) for query in some]

        return nearest_of(ask, queries, k, count, self.distance)

    def close(self) -> None:
        """Nothing is held open."""

    def drop(self) -> None:
        """Remove the table."""
        with self._telling():
            self._database.drop_table(self.collection, ignore_missing=True)

    def _near(self, query: Any, wide: int, condition: str | None) -> Near:
        """Rows near one query `[D]`."""
        asked = self._table.search(query, vector_column_name="embedding").distance_type(self.metric).limit(wide)
        asked = asked.bypass_vector_index() if self.exact else asked.nprobes(self.probes)
        if condition is not None:
            asked = asked.where(condition, prefilter=True)
        rows = asked.select(["id", "embedding", "_distance"]).to_arrow()
        values = rows["embedding"].combine_chunks().flatten().to_numpy()
        return Near(rows["id"].to_numpy().astype(np.int64), values.reshape(-1, self.dimensions).astype(np.float32))

    def _index(self) -> None:
        """Make the index, or take new rows into it."""
        if self._table.count_rows() < INDEXED:
            return
        if self._table.list_indices():
            self._table.optimize()
        else:
            self._table.create_index(metric=self.metric, vector_column_name="embedding", index_type="IVF_FLAT")

    def _schema(self) -> Any:
        import pyarrow

        row = pyarrow.list_(pyarrow.float32(), self.dimensions)
        return pyarrow.schema([pyarrow.field("id", pyarrow.int64()), pyarrow.field("embedding", row)])

    def _opened(self) -> Any:
        """The table; it is made if there is none.

        Raises:
            ArtifactError: it has another form.
        """
        try:
            table = self._database.open_table(self.collection)
        except (ValueError, FileNotFoundError):  # there is none
            table = self._database.create_table(self.collection, schema=self._schema(), exist_ok=True)
        if table.schema != self._schema():
            raise ArtifactError(
                f"table {self.collection} in {line_of_name(self.place)} has other columns or another dimension than "
                f"{self.dimensions}; name another place"
            )
        return table

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn LanceDB's errors into words."""
        try:
            yield
        except (RuntimeError, ValueError, OSError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise OutputError(f"store 'lancedb' in {line_of_name(self.place)}: {said}") from error


def _among(ids: Ids) -> str:
    """A condition: the id is one of these."""
    return f"id IN ({', '.join(map(str, ids.tolist()))})" if len(ids) else "false"


def _package() -> ModuleType:
    """LanceDB.

    Raises:
        UserError: it is not installed.
    """
    try:
        import lancedb
    except ImportError:
        raise UserError("store 'lancedb' needs LanceDB: pip install 'siamesekit[lancedb]'") from None
    return lancedb
