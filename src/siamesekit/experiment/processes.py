"""Runs of several processes: started by torchrun, or here by `--nproc`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from siamesekit.errors import UserError
from siamesekit.hardware.place import Place, place_here

if TYPE_CHECKING:
    from siamesekit.config import Config
    from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice
    from siamesekit.hardware.ranks import Ranks

HERE = "127.0.0.1"
GRACE = 10.0
"""Seconds that a process has to end by itself once the run is over."""


def follows() -> bool:
    """Whether torchrun, or `--nproc`, has started this process as one that follows."""
    place = place_here(os.environ)
    return place is not None and place.rank > 0


def follow(config: Config, device: DeviceChoice, precision: PrecisionChoice, deterministic: bool) -> None:
    """Follow the process that leads the run.

    Ctrl-C and SIGTERM are for the leader, which saves the run first: here SIGINT is ignored, and after SIGTERM a leader
    that is silent counts as ended sooner.
    """
    from siamesekit.experiment.team_work import follow_run
    from siamesekit.hardware.allocator import keep_freed_memory
    from siamesekit.hardware.compute import deterministic as only_deterministic
    from siamesekit.hardware.ranks import SILENCE_WHEN_ENDING, join

    place = place_here(os.environ)
    assert place is not None
    ranks = join(place)

    def ending(number: int, frame: object) -> None:
        ranks.silence = SILENCE_WHEN_ENDING

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ending)
    keep_freed_memory()
    with only_deterministic(deterministic):
        follow_run(config, ranks, device, precision)


@contextmanager
def leading(count: int, arguments: Sequence[str]) -> Iterator[Ranks | None]:
    """The connection of a process that leads: to processes of torchrun, or to those that are started here.

    Args:
        count: number of processes, this one included, if torchrun has started none.
        arguments: arguments of `siamesekit` for the processes that follow.

    Yields:
        The connection; None if this process computes alone.

    Raises:
        UserError: both are asked for.
    """
    place = place_here(os.environ)
    if place is not None and count > 1:
        raise UserError(f"--nproc {count}: torchrun has started {place.size} processes; leave the option out")
    if place is not None:
        from siamesekit.hardware.ranks import join

        yield join(place)
    elif count > 1:
        with _started(count, arguments) as ranks:
            yield ranks
    else:
        yield None


@contextmanager
def _started(count: int, arguments: Sequence[str]) -> Iterator[Ranks]:
    """Start the processes that follow, on this machine; they are ended afterwards."""
    import torch

    from siamesekit.hardware.ranks import Ranks, open_store, silence_here

    threads = max(1, torch.get_num_threads() // count)
    before = torch.get_num_threads()
    silence = silence_here(os.environ)
    store, port = open_store(count)
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    common = {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": str(threads),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", loopback),
    }
    command = [sys.executable, "-m", "siamesekit", *arguments]
    children: dict[int, subprocess.Popen[bytes]] = {}

    def ended() -> str | None:
        for rank, child in children.items():
            if (code := child.poll()) is not None:
                how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
                return f"rank {rank}, process {child.pid} of this machine, ended {how}"
        return None

    interface = os.environ.get("GLOO_SOCKET_IFNAME")
    try:
        for rank in range(1, count):
            environment = {**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            children[rank] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        torch.set_num_threads(threads)
        os.environ["GLOO_SOCKET_IFNAME"] = common["GLOO_SOCKET_IFNAME"]
        yield Ranks(Place(0, count, 0, socket.gethostname()), store, silence, ended)
    finally:
        torch.set_num_threads(before)
        if interface is None:
            os.environ.pop("GLOO_SOCKET_IFNAME", None)
        for child in children.values():
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Wait for a process to end; one that does not is ended."""
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def arguments_of_followers(
    config: Path, overrides: Sequence[str], device: str, precision: str, deterministic: bool
) -> list[str]:
    """The arguments of `siamesekit` for the processes that follow a run."""
    sets = [part for each in overrides for part in ("--set", each)]
    kernels = ["--deterministic"] if deterministic else []
    return ["run", str(config), *sets, "--device", device, "--precision", precision, *kernels]
