"""What the fuzzers' children share: bounds on memory and time, and one mutant's verdict under them."""

import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path


def bound_memory(room: int) -> None:
    """Let this process have `room` more bytes of address space than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room,) * 2)


def bound_time(wall: int) -> Callable[[Callable[[], str]], tuple[str, float]]:
    """Gives what runs a piece of work: its verdict and its CPU seconds; beyond `wall` seconds it is a TimeoutError."""

    def hanging(*_: object) -> None:
        raise TimeoutError(f"more than {wall} s")

    signal.signal(signal.SIGALRM, hanging)

    def timed(work: Callable[[], str]) -> tuple[str, float]:
        signal.alarm(wall)
        began = time.process_time()
        found = work()
        seconds = time.process_time() - began
        signal.alarm(0)
        return found, seconds

    return timed
