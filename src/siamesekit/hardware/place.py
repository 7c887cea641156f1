"""The place of a process among those that compute one run together, as torchrun tells it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from siamesekit.errors import UserError


@dataclass(frozen=True)
class Place:
    """The place of this process among the ranks.

    Attributes:
        rank: number of this process, from 0.
        size: number of ranks.
        local_rank: number of this process on its machine, from 0.
        host: name of the machine.
    """

    rank: int
    size: int
    local_rank: int
    host: str


def place_here(environment: Mapping[str, str]) -> Place | None:
    """The place of this process as torchrun tells it in the environment; None for a process that runs alone.

    Raises:
        UserError: the variables do not make sense.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return None
    try:
        rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        local = int(environment.get("LOCAL_RANK", rank))
    except ValueError:
        rank, size, local = -1, 0, 0
    if not 0 <= rank < size or local < 0:
        raise UserError(
            f"RANK={environment['RANK']} of WORLD_SIZE={environment['WORLD_SIZE']} is no rank: start the run by "
            "`torchrun -m siamesekit run CONFIG`, or remove these variables"
        )
    return Place(rank, size, local, socket.gethostname()) if size > 1 else None
