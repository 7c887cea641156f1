"""Tensors that all processes read, with one copy on each machine."""

from __future__ import annotations

import errno
import os
import sys

import pytest
import torch
from torch import Tensor

from followers import followers
from siamesekit.engine.ranks.shared_tensors import _keep, deal_out
from siamesekit.errors import RunError

TENSORS = {
    "photos": torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8).contiguous(memory_format=torch.channels_last),
    "maps": torch.randn(4, 6, 3, 3, dtype=torch.float64),
    "features": torch.randn(7, 9).to(torch.bfloat16),
    "none": torch.empty(0, 4),
}


@pytest.mark.medium
@pytest.mark.parametrize(
    "hosts", ["aa", "abb", pytest.param("aabb", marks=pytest.mark.slow), pytest.param("abbb", marks=pytest.mark.huge)]
)
def test_every_process_has_the_values(hosts: str) -> None:
    """On the leader's machine by its file; on another one, the first process keeps what it is sent."""
    with followers(len(hosts), hosts) as ranks:
        for tensor in TENSORS.values():
            ranks.order("get")
            deal_out(ranks, tensor)
            ranks.order("told")
            assert ranks.reports() == [[str(tensor.dtype), tensor.double().tolist()]] * (len(hosts) - 1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunError, match=r"processes of this machine share in .*No space left.*XDG_CACHE_HOME"):
        _keep(_bytes(TENSORS["features"]))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.view(-1).view(torch.uint8)
