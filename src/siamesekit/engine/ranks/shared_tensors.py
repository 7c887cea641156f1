"""Large tensors that all processes read: one copy on each machine.

On a machine, the first process keeps the values in a file without a name, which its other processes map into their
memory; the file disappears with the processes. To the first process of another machine, the leader sends the values.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from siamesekit.engine.frozen.feature_cache import DTYPES, Layout
from siamesekit.engine.ranks.dealt_state import named
from siamesekit.errors import RunError
from siamesekit.hardware.mapped_files import bytes_of, folder_of_nameless_files, nameless_file
from siamesekit.hardware.ranks import LEADER, PIECE, Ranks


def deal_out(ranks: Ranks, tensor: Tensor) -> None:
    """Give all other processes a tensor `[N, …]`; each calls `get_dealt`.

    Raises:
        RunError: the values do not fit on the disk of a machine.
    """
    flat = _flat(tensor)
    hosts = [ranks.host_of(rank) for rank in range(ranks.size)]
    file = _keep(flat) if hosts.count(hosts[LEADER]) > 1 else None
    ranks.order(
        "tensor",
        {
            "shape": list(tensor.shape),
            "dtype": named(tensor.dtype),
            "hosts": hosts,
            "file": file and _path(file),
        },
    )
    for rank, has in zip(ranks.others, ranks.reports(), strict=True):
        if not has:
            ranks.send(flat, rank)
    ranks.order("shared")
    ranks.reports()  # all have mapped the file: it may be closed
    if file is not None:
        file.close()


def get_dealt(ranks: Ranks) -> Tensor:
    """The tensor that the leader deals out, in the file of this machine.

    Raises:
        LostRankError: another process is lost.
        RunError: the values do not fit on the disk of this machine.
    """
    kind, values, _ = ranks.next_order()
    assert kind == "tensor", f"a tensor was expected, not the order {kind!r}"
    layout = Layout(tuple(values["shape"]), DTYPES[values["dtype"]])
    hosts, rank = values["hosts"], ranks.place.rank
    first, key = hosts.index(hosts[rank]), f"file/{ranks.orders}/{hosts[rank]}"
    if first == LEADER:
        flat = _mapped(values["file"], layout)
        ranks.report(flat is not None)
        if flat is None:
            flat = ranks.receive(torch.empty(layout.bytes, dtype=torch.uint8), LEADER)
    elif first == rank:
        ranks.report(False)
        with _disk_told():
            kept = nameless_file(layout.bytes)
            flat = bytes_of(kept, layout.bytes)
        ranks.files.append(kept)  # open until the run ends: others of this machine may map it later than this process
        ranks.receive(flat, LEADER)
        ranks.set_key(key, _path(kept))
    else:
        ranks.report(True)
        file = ranks.await_key(key, first)
        flat = _mapped(file, layout)
        if flat is None:
            raise RunError(f"{file} cannot be opened: ranks {first} and {rank} name one machine, {hosts[rank]}")
    assert flat is not None
    ranks.next_order()
    ranks.report()
    return layout.view(flat.view(layout.dtype))


def _flat(tensor: Tensor) -> Tensor:
    """The values of a tensor as bytes, uint8 `[E]`, in the order of `Layout`."""
    ordered = tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor
    return ordered.contiguous().view(-1).view(torch.uint8)


def _keep(flat: Tensor) -> IO[bytes]:
    """Keep bytes uint8 `[E]` in a file without a name."""
    with _disk_told():
        file = nameless_file(len(flat))
        for piece in flat.split(PIECE):
            file.write(piece.numpy().data)
        file.flush()
    return file


@contextmanager
def _disk_told() -> Iterator[None]:
    """Turn errors of the disk into words.

    Raises:
        RunError: the disk is full, or cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot store what the processes of this machine share in {folder_of_nameless_files()} "
            f"({error.strerror}): free some space, or set XDG_CACHE_HOME to a folder on another disk"
        ) from error


def _path(file: IO[bytes]) -> str:
    """The path by which other processes of this user open a file without a name."""
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _mapped(file: str, layout: Layout) -> Tensor | None:
    """The bytes of a file, mapped; None if it cannot be opened, as on a system without /proc."""
    try:
        with Path(file).open("rb+") as opened:
            return bytes_of(opened, layout.bytes)
    except OSError:
        return None
