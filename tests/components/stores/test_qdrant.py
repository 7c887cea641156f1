"""What the store `qdrant` asks of a server for many rows; the local mode stands in for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_stores import opened, require


@pytest.mark.medium
def test_rows_on_disk_and_codes_are_asked_for_with_exact_distances_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("qdrant")
    from qdrant_client import QdrantClient

    made: list[dict[str, Any]] = []
    create = QdrantClient.create_collection

    def seen(client: QdrantClient, *given: Any, **options: Any) -> Any:
        made.append(options)
        return create(client, *given, **options)

    monkeypatch.setattr(QdrantClient, "create_collection", seen)
    store = opened("qdrant", tmp_path, exact=False, on_disk=True, quantize=True, refine=3)
    assert made[0]["vectors_config"].on_disk and made[0]["hnsw_config"].on_disk
    assert made[0]["quantization_config"].scalar.type == "int8" and made[0]["quantization_config"].scalar.always_ram
    asked = store._parameters()
    assert not asked.exact and asked.quantization.rescore and asked.quantization.oversampling == 3
    rows = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    store.add(np.arange(1, 21), rows)
    assert store.search(rows, 1).ids[:, 0].tolist() == list(range(1, 21))
    store.close()
    plain = opened("qdrant", tmp_path / "plain")
    assert plain._parameters().exact and plain._parameters().quantization is None and set(made[1]) == {"vectors_config"}
    plain.close()
    exact = opened("qdrant", tmp_path / "exact", quantize=True)
    assert exact._parameters().exact and exact._parameters().quantization.ignore
    exact.close()
