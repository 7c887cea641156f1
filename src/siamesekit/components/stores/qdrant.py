"""Store `qdrant`: a collection of a Qdrant server, or of its local mode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from siamesekit.components.distances.distance import Distance
from siamesekit.components.stores.measured import Near, nearest_of, ranking_of
from siamesekit.components.stores.store import Embeddings, Found, Ids
from siamesekit.errors import ArtifactError, OutputError, UserError
from siamesekit.files.remote_address import without_secrets
from siamesekit.options import Limited
from siamesekit.registry import STORES
from siamesekit.wording import in_one_line, line_of_name

METRICS = {"euclidean": "Euclid", "cosine": "Cosine", "dot": "Dot"}
SENT = 256
"""Rows in a request that adds them."""
PAGE = 10_000
"""Ids in a request that lists or removes them."""
AT_ONCE = 32
"""Queries in a request."""
URL, KEY = "QDRANT_URL", "QDRANT_API_KEY"
"""Environment variables: the key is sent to this server, and to no other one that a catalogue names."""


@STORES.register("qdrant")
class Qdrant:
    """A collection of a Qdrant server; without `url`, Qdrant's local mode in the catalogue's folder.

    It needs Qdrant's client: `pip install 'siamesekit[qdrant]'`. If the server wants a key, set the environment
    variables `QDRANT_URL` (the same as `url`) and `QDRANT_API_KEY`; the catalogue never holds the key. The local mode
    is for trying it out: it keeps all rows in memory, is always exact, and only one process can open it. The model's
    distance must be euclidean, squared-euclidean, cosine or dot.

    For millions of photos: `exact=false` with `on_disk=true` and `quantize=true`. The server keeps codes of a byte for
    each number in memory, and compares the best candidates by their whole embeddings, which it reads from disk.
    `on_disk` and `quantize` count when the collection is made; the local mode has neither.

    Shapes: queries `[Q, D]` → ids and distances `[Q, k]`.

    Args:
        url: address of the server, such as `http://localhost:6333`; empty: the local mode.
        exact: whether all rows are compared. Otherwise the server's index (HNSW) is used, and some of the nearest rows
            may be missed.
        on_disk: whether the server keeps embeddings and index on disk, and not in memory.
        quantize: whether the server searches candidates by codes of one byte for each number.
        refine: candidates that are compared by their whole embeddings for each row that is asked for, if `quantize`.
        timeout: seconds to wait for an answer of the server.
        folder: folder of the local mode.
        collection: name of the collection.
        dimensions: length of an embedding.
        distance: the model's distance.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        url: str = "",
        exact: bool = True,
        on_disk: bool = False,
        quantize: bool = False,
        refine: Limited = 4,
        timeout: Limited = 20,
        *,
        folder: Path,
        collection: str,
        dimensions: int,
        distance: Distance,
    ) -> None:
        self.url, self.exact = url, exact
        self.on_disk, self.quantize, self.refine = on_disk, quantize, refine
        self.place = without_secrets(url) or str(folder)
        self._folder = folder
        self.collection, self.dimensions, self.distance = collection, dimensions, distance
        self.metric = METRICS[ranking_of(distance, "qdrant")]
        self._models = _package().models
        with self._telling():
            if url:
                key = os.environ.get(KEY) if os.environ.get(URL) == url else None
                self._client = _package().QdrantClient(url=url, api_key=key, timeout=timeout, check_compatibility=False)
            else:
                self._client = _package().QdrantClient(path=str(folder))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def add(self, ids: Ids, embeddings: Embeddings) -> None:
        """Add rows, some at a time."""
        with self._telling():
            for start in range(0, len(ids), SENT):
                part = slice(start, start + SENT)
                points = self._models.Batch(ids=ids[part].tolist(), vectors=embeddings[part].tolist())
                self._client.upsert(self.collection, points, wait=True)

    def remove(self, ids: Ids) -> None:
        """Remove rows."""
        with self._telling():
            for start in range(0, len(ids), PAGE):
                chosen = self._models.PointIdsList(points=ids[start : start + PAGE].tolist())
                self._client.delete(self.collection, chosen, wait=True)

    def settle(self) -> None:
        """Nothing is to be done: a server makes its index by itself."""

    def ids(self) -> Ids:
        """The ids of all rows, int64 `[N]`, ascending."""
        found: list[Ids] = []
        place: Any = None
        with self._telling():
            while True:
                points, place = self._client.scroll(
                    self.collection, limit=PAGE, offset=place, with_payload=False, with_vectors=False
                )
                found.append(np.array([point.id for point in points], np.int64))
                if place is None:
                    return np.sort(np.concatenate(found))

    def count(self) -> int:
        """Number of rows."""
        with self._telling():
            return int(self._client.count(self.collection, exact=True).count)

    def search(self, queries: Embeddings, k: int, allowed: Ids | None = None) -> Found:
        """Search the k rows nearest to each query."""
        models, chosen = self._models, None
        if allowed is not None:
            chosen = models.Filter(must=[models.HasIdCondition(has_id=allowed.tolist())])
        parameters = self._parameters() if self.url else None  # the local mode is always exact

        def ask(some: Embeddings, wide: int) -> list[Near]:
            requests = [
                models.QueryRequest(
                    query=query.tolist(), limit=wide, filter=chosen, params=parameters, with_vector=True
                )
                for query in some
            ]
            near = []
            with self._telling():
                for start in range(0, len(requests), AT_ONCE):
                    near += self._client.query_batch_points(self.collection, requests[start : start + AT_ONCE])
            return [self._near(each.points) for each in near]

        return nearest_of(ask, queries, k, self.count() if allowed is None else len(allowed), self.distance)

    def close(self) -> None:
        """Close the connection, or the files of the local mode."""
        self._client.close()

    def drop(self) -> None:
        """Remove the collection, and close."""
        with self._telling():
            self._client.delete_collection(self.collection)
        self.close()
        if not self.url:
            with suppress(OSError):  # what the local mode has made, if it holds no other collection
                (self._folder / "collection").rmdir()
                for name in ("meta.json", ".lock"):
                    (self._folder / name).unlink(missing_ok=True)

    def _parameters(self) -> Any:
        """How the server searches."""
        models = self._models
        if not self.quantize:
            return models.SearchParams(exact=self.exact)
        codes = models.QuantizationSearchParams(ignore=self.exact, rescore=True, oversampling=float(self.refine))
        return models.SearchParams(exact=self.exact, quantization=codes)

    def _form(self) -> dict[str, Any]:
        """How the server keeps the collection, beside its vectors: nothing but what differs from its own choice."""
        models, form = self._models, dict[str, Any]()
        if self.on_disk:
            form["hnsw_config"] = models.HnswConfigDiff(on_disk=True)
        if self.quantize:
            codes = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
            form["quantization_config"] = models.ScalarQuantization(scalar=codes)
        return form

    def _near(self, points: Any) -> Near:
        ids = np.array([point.id for point in points], np.int64)
        return Near(ids, np.array([point.vector for point in points], np.float32).reshape(-1, self.dimensions))

    def _open(self) -> None:
        """Make the collection if there is none.

        Raises:
            ArtifactError: it has another form.
        """
        with self._telling():
            distance = self._models.Distance(self.metric)
            wanted = self._models.VectorParams(size=self.dimensions, distance=distance, on_disk=self.on_disk or None)
            if not self._client.collection_exists(self.collection):
                self._client.create_collection(self.collection, vectors_config=wanted, **self._form())
            there = self._client.get_collection(self.collection).config.params.vectors
        size, metric = getattr(there, "size", None), getattr(there, "distance", None)
        if (size, metric) != (wanted.size, wanted.distance):
            raise ArtifactError(
                f"collection {self.collection} of {line_of_name(self.place)} has dimension {size} and distance "
                f"{getattr(metric, 'value', metric)}, and not {wanted.size} and {self.metric}; name another server, or "
                "remove the collection there"
            )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn the client's errors into words."""
        from httpx import HTTPError, InvalidURL
        from qdrant_client.http.exceptions import ApiException

        try:
            yield
        except (ApiException, HTTPError, InvalidURL, OSError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise OutputError(
                f"store 'qdrant' at {line_of_name(self.place)}: {in_one_line(without_secrets(said))}"
            ) from error


def _package() -> ModuleType:
    """Qdrant's client.

    Raises:
        UserError: it is not installed.
    """
    try:
        import qdrant_client
    except ImportError:
        raise UserError("store 'qdrant' needs its client: pip install 'siamesekit[qdrant]'") from None
    return qdrant_client
