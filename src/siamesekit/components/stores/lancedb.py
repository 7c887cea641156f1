"""Store `lancedb`: a table of LanceDB, in a folder or in object storage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from siamesekit.components.distances.distance import Distance
from siamesekit.components.stores.measured import Near, nearest_of, ranking_of
from siamesekit.components.stores.store import Embeddings, Found, Ids
from siamesekit.errors import ArtifactError, OutputError, UserError
from siamesekit.files.remote_address import without_secrets
from siamesekit.options import Count, Index, Limited
from siamesekit.registry import STORES
from siamesekit.wording import line_of_name

METRICS = {"euclidean": "l2", "cosine": "cosine", "dot": "dot"}
AT_ONCE = 64
"""Queries in a request at the most."""
FOUND = 1 << 26
"""Bytes of rows in the answer to a request."""
REMOVED = 1000
"""Rows that are removed by one condition."""
WAITING = 10_000
"""New rows from which on they are taken into the index; until then a search compares each of them."""
FEWEST = 256
"""Fewest rows from which the codes of an index, or one of its partitions, can be learned."""
CODED = 4
"""Numbers of an embedding that share a byte of its code, at the most."""
PROBED = 8
"""By default, one of so many partitions is searched."""
FEWEST_PROBES = 32
"""Fewest partitions that are searched by default."""
ITERATIONS = 10
"""Rounds of k-means for the partitions and for the codes."""
INDEX = "ivf-pq"
"""Beginning of the name of an index; its partitions follow."""
CACHED = 1 << 28
"""Bytes that are kept in memory of an index, and of the table's description: each."""


@STORES.register("lancedb")
class LanceDB:
    """A table of LanceDB on disk, in the catalogue's folder or anywhere, also in object storage.

    It needs no server, and LanceDB: `pip install 'siamesekit[lancedb]'`. Access to object storage is configured as
    LanceDB says, by environment variables. The model's distance must be euclidean, squared-euclidean, cosine or dot.

    Shapes: queries `[Q, D]` → ids and distances `[Q, k]`.

    With `exact=false` an index (IVF-PQ) proposes candidates: the embeddings are divided into `partitions` by k-means,
    and each has a code of a byte for every four numbers. A search reads the codes of the `probes` nearest partitions,
    and compares the best candidates by their whole embeddings: distances and order are exact, and only a row that is
    no candidate is missed. New rows are found at once, in the index or not. The index is made anew when the number of
    rows calls for twice as many partitions: at 262,144, 1,048,576, and every fourfold of these.

    Args:
        uri: folder or address of the database, such as `s3://bucket/path`; empty: in the catalogue's folder.
        exact: whether all rows are compared; otherwise an index is made.
        index_from: number of rows from which on the index is made; fewer are all compared.
        partitions: partitions of the index; 0: about the square root of the number of rows, a power of two.
        probes: partitions that are searched, also if few of their rows meet a condition; 0: an eighth of all, and 32 at
            least. More find more and take longer; as many as there are leave only the codes to chance.
        refine: candidates that are compared by their whole embeddings for each row that is asked for.
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
        index_from: Count = 100_000,
        partitions: Index = 0,
        probes: Index = 0,
        refine: Limited = 10,
        *,
        folder: Path,
        collection: str,
        dimensions: int,
        distance: Distance,
    ) -> None:
        self.uri, self.place = uri, without_secrets(uri) or str(folder)
        self.exact, self.index_from, self.partitions = exact, index_from, partitions
        self.probes, self.refine = probes, refine
        self.collection, self.dimensions, self.distance = collection, dimensions, distance
        self.metric = METRICS[ranking_of(distance, "lancedb")]
        package = _package()
        if uri.startswith("db://"):
            raise UserError(f"store 'lancedb': {self.place} is LanceDB's cloud, which is not supported; name a folder")
        with self._telling():
            self._database = package.connect(uri or str(folder), session=package.Session(CACHED, CACHED))
            self._table = self._opened()

    def add(self, ids: Ids, embeddings: Embeddings) -> None:
        """Add rows, all or none."""
        import pyarrow

        values = pyarrow.array(np.ascontiguousarray(embeddings, np.float32).ravel())
        columns = [pyarrow.array(ids, pyarrow.int64()), pyarrow.FixedSizeListArray.from_arrays(values, self.dimensions)]
        with self._telling():
            self._table.add(pyarrow.table(columns, schema=self._schema()))

    def remove(self, ids: Ids) -> None:
        """Remove rows."""
        with self._telling():
            for start in range(0, len(ids), REMOVED):
                self._table.delete(_among(ids[start : start + REMOVED]))

    def settle(self) -> None:
        """Make the index, or take new rows into it, where they are enough for it to be worth its time."""
        if self.exact:
            return
        with self._telling():
            rows = self._table.count_rows()
            if rows < max(self.index_from, FEWEST):
                return
            there = [index.name for index in self._table.list_indices()]
            name = self._fitting(there, rows)
            if name is None:
                name = self._make_index(rows)
            elif self._table.index_stats(name).num_unindexed_rows >= min(WAITING, self.index_from):
                self._table.optimize()
            for former in there:
                if former != name:
                    self._table.drop_index(former)

    def ids(self) -> Ids:
        """The ids of all rows, int64 `[N]`, ascending; also of those that other processes have added."""
        with self._telling():
            self._table.checkout_latest()
            rows = self._table.search().select(["id"]).limit(self._table.count_rows() + 1).to_arrow()
        return np.sort(rows["id"].to_numpy().astype(np.int64))

    def count(self) -> int:
        """Number of rows."""
        with self._telling():
            return int(self._table.count_rows())

    def search(self, queries: Embeddings, k: int, allowed: Ids | None = None) -> Found:
        """Search the k rows nearest to each query."""
        rows = self.count()
        count = rows if allowed is None else len(allowed)
        probed = self._probed(rows)
        condition = None if allowed is None else _among(allowed)

        def ask(some: Embeddings, wide: int) -> list[Near]:
            at_once, near = max(1, min(AT_ONCE, FOUND // (4 * wide * self.dimensions))), []
            with self._telling():
                for start in range(0, len(some), at_once):
                    near += self._near(some[start : start + at_once], wide, condition, probed)
            return near

        return nearest_of(ask, queries, k, count, self.distance)

    def close(self) -> None:
        """Nothing is held open."""

    def drop(self) -> None:
        """Remove the table."""
        with self._telling():
            self._database.drop_table(self.collection, ignore_missing=True)

    def _near(self, queries: Embeddings, wide: int, condition: str | None, probed: int) -> list[Near]:
        """Rows near each query `[Q, D]`, with one request."""
        asked = self._table.search(list(queries), vector_column_name="embedding")
        asked = asked.distance_type(self.metric).limit(wide)
        if self.exact:
            asked = asked.bypass_vector_index()
        else:
            asked = asked.refine_factor(self.refine)
            # with a condition, more are searched where it leaves too few rows; 0 is LanceDB's word for all
            asked = asked.nprobes(probed) if condition is None else asked.minimum_nprobes(probed).maximum_nprobes(0)
        if condition is not None:
            asked = asked.where(condition, prefilter=True)
        rows = asked.select(["id", "embedding", "_distance"]).to_arrow()
        ids = rows["id"].to_numpy().astype(np.int64)
        values = rows["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, self.dimensions)
        several = "query_index" in rows.schema.names
        owner = rows["query_index"].to_numpy() if several else np.zeros(len(ids), np.int64)
        return [Near(ids[owner == query], values[owner == query].astype(np.float32)) for query in range(len(queries))]

    def _probed(self, rows: int) -> int:
        """Partitions that are searched among so many rows."""
        return self.probes or max(FEWEST_PROBES, self._wanted(rows) // PROBED)

    def _fitting(self, names: list[str], rows: int) -> str | None:
        """The index whose partitions fit the number of rows, if there is one; its name says how many it has."""
        wanted = self._wanted(rows)
        for name in names:
            kind, _, number = name.rpartition("-")
            made = int(number) if kind == INDEX and number.isdecimal() else 0
            if made == wanted or (not self.partitions and wanted < 2 * made <= 4 * wanted):
                return name
        return None

    def _make_index(self, rows: int) -> str:
        """Make an index, which is there whole or not at all; return its name."""
        wanted = self._wanted(rows)
        codes = next(count for count in range(max(1, self.dimensions // CODED), 0, -1) if self.dimensions % count == 0)
        name, given = f"{INDEX}-{wanted}", {"num_partitions": wanted, "num_sub_vectors": codes}
        if "config" in signature(self._table.create_index).parameters:
            from lancedb.index import IvfPq

            form: Any = {**given, "distance_type": self.metric, "max_iterations": ITERATIONS}
            self._table.create_index("embedding", config=IvfPq(**form), name=name)
        else:  # an older LanceDB
            old: Any = {**given, "metric": self.metric, "max_iterations": ITERATIONS}
            self._table.create_index(vector_column_name="embedding", name=name, **old)
        return name

    def _wanted(self, rows: int) -> int:
        """Partitions that an index of so many rows should have."""
        return self.partitions or partitions_of(rows)

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
            raise OutputError(f"store 'lancedb' in {line_of_name(self.place)}: {without_secrets(said)}") from error


def partitions_of(rows: int) -> int:
    """Partitions of an index by default: a power of two, at most √rows and with enough rows to learn each of them.

    >>> partitions_of(10_000), partitions_of(100_000), partitions_of(5_000_000)
    (32, 256, 2048)
    """
    return 1 << max(1, min(math.isqrt(rows), rows // FEWEST)).bit_length() - 1


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
