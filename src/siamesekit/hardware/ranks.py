"""The processes that compute one run together, and what passes between them.

Rank 0 leads: it gives orders, and the other ranks follow. Orders, reports and signs of life go through a key-value
store; tensors go from process to process, by gloo on CPUs and by NCCL between GPUs.

Every wait has a bound: each rank gives a sign of life every second, and a rank that gives none for `silence` seconds
ends the run on all others. A rank that fails reports why before it ends.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import IO, Any

import torch
import torch.distributed as dist
from torch import Tensor

from siamesekit.errors import RunError, UserError, out_of_memory
from siamesekit.hardware.place import Place
from siamesekit.wording import in_one_line

LEADER = 0
SILENCE = 30.0
"""Seconds without a sign of life after which a rank counts as lost, unless `SIAMESEKIT_SILENCE` says otherwise."""
SILENCE_WHEN_ENDING = 5.0
"""The same for a process that has been asked to end."""
START = 120.0
"""Seconds within which all ranks must have come."""
BEAT = 1.0
"""Seconds between two signs of life."""
LOOK = 0.2
"""Seconds of waiting after which the other ranks' signs of life are looked at again."""
PAUSE, LONGEST_PAUSE = 1e-4, 0.01
"""Seconds between two looks for what is waited for: at first, and after some waiting."""
PIECE = 1 << 26
"""Most bytes that are sent at a time."""


class LostRankError(RunError):
    """Another rank has failed, ended, or gives no sign of life."""


def silence_here(environment: Mapping[str, str]) -> float:
    """Seconds without a sign of life after which a rank counts as lost, by the environment.

    Raises:
        UserError: `SIAMESEKIT_SILENCE` is no number of seconds from 3 on.
    """
    given = environment.get("SIAMESEKIT_SILENCE", str(SILENCE))
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 3 <= seconds < math.inf:
        raise UserError(f"SIAMESEKIT_SILENCE={given}: must be a number of seconds, 3 or more")
    return seconds


class Ranks:
    """This process's connection to the other ranks.

    Args:
        place: the place of this process.
        store: the key-value store of all ranks, one of torch.distributed.
        silence: seconds without a sign of life after which a rank counts as lost.
        ended: gives the reason if a rank is known to have ended, as by who started it; else None.

    Attributes:
        orders: number of orders so far.
        files: files that stay open until the connection ends.
    """

    def __init__(
        self,
        place: Place,
        store: Any,
        silence: float = SILENCE,
        ended: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.place = place
        self.silence = silence
        self._store = store
        self._ended = ended
        self.orders = 0
        self.files: list[IO[bytes]] = []
        self._stop = threading.Event()
        self._life = threading.Thread(target=self._give_signs, args=(store.clone(),), daemon=True)

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self.place.size

    @property
    def leads(self) -> bool:
        """Whether this process is rank 0."""
        return self.place.rank == LEADER

    @property
    def others(self) -> range:
        """The ranks that follow."""
        return range(1, self.size)

    def connect(self, gpu: bool) -> None:
        """Connect to all ranks; with `gpu`, tensors go between GPUs by NCCL.

        Raises:
            LostRankError: a rank did not come.
            RunError: this process has connected before.
        """
        if dist.is_initialized():
            raise RunError("this process has a process group of torch.distributed; run siamesekit in one of its own")
        self._life.start()
        self._store.set(f"host/{self.place.rank}", self.place.host)
        hosts = [f"host/{rank}" for rank in range(self.size)]
        self._wait(hosts, range(self.size), "while all ranks connect", max(START, self.silence))
        if gpu:
            torch.cuda.set_device(self.place.local_rank % torch.cuda.device_count())
        try:
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if gpu else "gloo",
                store=dist.PrefixStore("group", self._store),  # type: ignore[attr-defined]
                rank=self.place.rank,
                world_size=self.size,
                timeout=timedelta(seconds=2 * self.silence),
            )
        except RuntimeError as error:
            why = None
            with suppress(Exception):  # the store may be gone
                why = self._known_end()
            raise LostRankError(why or f"the ranks could not be connected: {in_one_line(str(error))}") from error

    def end(self) -> None:
        """Tell the others that the run is over, if they can still be told."""
        with suppress(LostRankError):
            self.order("end")

    def close(self) -> None:
        """End the connection; the other ranks are not waited for."""
        self._stop.set()
        while self.files:
            self.files.pop().close()
        with suppress(Exception):
            if dist.is_initialized():
                dist.destroy_process_group()
        if self._life.ident is not None:
            self._life.join(timeout=2 * BEAT)

    def host_of(self, rank: int) -> str:
        """The name of a rank's machine."""
        return str(self._store.get(f"host/{rank}").decode())

    # Orders of the leader, and reports of those who follow.

    def order(self, kind: str, values: Mapping[str, Any] | None = None, **numbers: Tensor) -> None:
        """Give the other ranks an order: its kind, JSON values, and tensors int64 `[n]`."""
        named = {name: tensor.cpu().long().contiguous() for name, tensor in numbers.items()}
        header = {"kind": kind, "values": values or {}, "lengths": {name: len(each) for name, each in named.items()}}
        content = json.dumps(header).encode() + b"\n" + b"".join(each.numpy().tobytes() for each in named.values())
        self.orders += 1
        with self._talking():
            self._store.set(f"order/{self.orders}", content)

    def next_order(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        """The next order of the leader, which is waited for: kind, values and tensors.

        Raises:
            LostRankError: the leader gives no sign of life.
        """
        self.orders += 1
        key = f"order/{self.orders}"
        self._wait([key], [LEADER], "while the leader was waited for")
        header, _, content = self._store.get(key).partition(b"\n")
        told = json.loads(header)
        numbers, start = {}, 0
        for name, length in told["lengths"].items():
            numbers[name] = (
                torch.frombuffer(bytearray(content[start : start + 8 * length]), dtype=torch.int64)
                if (length)
                else torch.empty(0, dtype=torch.int64)
            )
            start += 8 * length
        return told["kind"], told["values"], numbers

    def report(self, value: Any = None) -> None:
        """Report to the leader that the last order is done, with a JSON value."""
        with self._talking():
            self._store.set(f"done/{self.orders}/{self.place.rank}", json.dumps(value))

    def fail(self, message: str) -> None:
        """Report why this rank ends; the first report of all ranks counts, since others may follow from it."""
        told = json.dumps([self.place.rank, self.place.host, in_one_line(message)])
        with suppress(Exception):
            self._store.compare_set("failure", "", told)

    @contextmanager
    def telling_failure(self) -> Iterator[None]:
        """Report why this rank ends, also before it is connected; that another rank is lost is not its failure."""
        try:
            yield
        except LostRankError:
            raise
        except Exception as error:
            self.fail(str(error) or type(error).__name__)
            raise

    def reports(self) -> list[Any]:
        """The other ranks' reports on the last order, which are waited for, by rank.

        Raises:
            LostRankError: a rank has failed, ended, or gives no sign of life.
        """
        keys = [f"done/{self.orders}/{rank}" for rank in self.others]
        self._wait(keys, self.others, "while its work was waited for")
        with self._talking():
            found = [json.loads(self._store.get(key)) for key in keys]
            for key in (*keys, f"order/{self.orders}"):
                self._store.delete_key(key)
        return found

    def await_key(self, key: str, of: int) -> str:
        """The value of a key that a rank sets, which is waited for."""
        self._wait([key], [of], "while it was waited for")
        return str(self._store.get(key).decode())

    def set_key(self, key: str, value: str) -> None:
        """Set a key for other ranks; keys are set once."""
        with self._talking():
            self._store.set(key, value)

    # Tensors.

    def send(self, tensor: Tensor, to: int) -> None:
        """Send a tensor `[n, …]` to a rank, which must receive it."""
        with self._talking():
            for piece in _pieces(tensor.contiguous()):
                dist.send(piece, to)

    def receive(self, like: Tensor, of: int) -> Tensor:
        """Receive a tensor `[n, …]` into `like`, and return it."""
        with self._talking():
            for piece in _pieces(like):
                dist.recv(piece, of)
        return like

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Give all ranks the leader's values of a tensor `[n]`, in place."""
        with self._talking():
            dist.broadcast(tensor, LEADER)
        return tensor

    def add_to_leader(self, tensor: Tensor) -> Tensor:
        """Add the tensors `[n]` of all ranks on the leader, in place."""
        with self._talking():
            dist.reduce(tensor, LEADER)
        return tensor

    def add_everywhere(self, tensor: Tensor) -> Tensor:
        """Add the tensors `[n]` of all ranks on all of them, in place."""
        with self._talking():
            dist.all_reduce(tensor)
        return tensor

    # Waiting.

    def _wait(self, keys: list[str], on: Iterable[int], what: str, silence: float | None = None) -> None:
        looked = time.monotonic()
        heard = {rank: (-1, looked) for rank in on if rank != self.place.rank}
        pause = PAUSE
        while True:
            with self._talking():
                if self._store.check(keys):
                    return
                if time.monotonic() - looked > LOOK:
                    looked = time.monotonic()
                    self._refuse_lost(heard, what, silence or self.silence)
            time.sleep(pause)
            pause = min(1.2 * pause, LONGEST_PAUSE)

    def _refuse_lost(self, heard: dict[int, tuple[int, float]], what: str, silence: float) -> None:
        """Raise if a rank is lost.

        Args:
            heard: for each rank that is waited for, its last known number of signs of life, and when it changed; it is
                kept up to date.
            what: when this was, in words.
            silence: seconds without a sign of life after which a rank is lost.
        """
        if (why := self._known_end()) is not None:
            raise LostRankError(why)
        for rank, (before, since) in heard.items():
            signs, now = self._store.add(f"alive/{rank}", 0), time.monotonic()
            if signs != before:
                heard[rank] = signs, now
            elif now - since > silence:
                raise LostRankError(
                    f"rank {rank} has given no sign of life for {silence:.0f} s ({what}): its process or its "
                    "machine has stopped"
                )

    def _known_end(self) -> str | None:
        """Why another rank has ended: as it has reported, or as who started it knows; None if none is known to have."""
        if self._store.check(["failure"]):
            rank, host, message = json.loads(self._store.get("failure"))
            if rank != self.place.rank:
                return f"rank {rank} on {host} failed: {message}"
        return self._ended()

    def _give_signs(self, store: Any) -> None:
        with suppress(Exception):  # the store has ended: who waits on it learns it
            while not self._stop.wait(BEAT):
                store.add(f"alive/{self.place.rank}", 1)

    @contextmanager
    def running_together(self) -> Iterator[None]:
        """Turn errors of a network that all ranks run together into that of a lost rank, if one is lost."""
        try:
            yield
        except LostRankError:
            raise
        except (RuntimeError, OSError) as error:
            if out_of_memory(error) or (why := self._reason()) is None:
                raise
            raise LostRankError(why) from error

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Turn errors of a connection into those of a lost rank."""
        try:
            yield
        except LostRankError:
            raise
        except (RuntimeError, OSError) as error:
            if (why := self._reason()) is not None:
                raise LostRankError(why) from error
            raise LostRankError(f"the connection to another rank broke: {in_one_line(str(error))}") from error

    def _reason(self) -> str | None:
        """Why another rank has ended, if it is known within a few signs of life."""
        signs = self._signs()
        until = time.monotonic() + 3 * BEAT
        while time.monotonic() < until:
            with suppress(Exception):  # the store may be gone
                if (why := self._known_end()) is not None:
                    return why
            if (why := self._ended()) is not None:
                return why
            time.sleep(LOOK)
        silent = [rank for rank, count in self._signs().items() if signs.get(rank) == count]
        if silent:
            waited = f"{2 * self.silence:.0f} s"
            return (
                f"rank {silent[0]} has given no sign of life, and did not answer for {waited}: its process or its "
                "machine has stopped"
            )
        return None

    def _signs(self) -> dict[int, int]:
        """The number of signs of life that each other rank has given so far; empty if they cannot be read."""
        with suppress(Exception):
            others = [rank for rank in range(self.size) if rank != self.place.rank]
            return {rank: self._store.add(f"alive/{rank}", 0) for rank in others}
        return {}


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """A contiguous tensor as flat views of at most `PIECE` bytes."""
    flat = tensor.view(-1)
    if len(flat):
        yield from flat.split(max(1, PIECE // tensor.element_size()))


def open_store(size: int) -> tuple[Any, int]:
    """A key-value store in this process, for processes of this machine only, and its port.

    Args:
        size: number of ranks.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    port = int(listening.getsockname()[1])
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, size, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
    )
    return store, port


def join(place: Place) -> Ranks:
    """The connection of a process that torchrun has started, by the store of its environment.

    Raises:
        LostRankError: the store cannot be reached.
    """
    silence = silence_here(os.environ)
    timeout = timedelta(seconds=4 * silence)
    try:
        found = dist.rendezvous("env://", place.rank, place.size, timeout=timeout)  # type: ignore[attr-defined]
        store, _, _ = next(found)
    except (RuntimeError, ValueError, OSError) as error:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise LostRankError(f"the other ranks cannot be reached at {address}: {in_one_line(str(error))}") from error
    return Ranks(place, store, silence)
