"""What the fuzzers share: a child process, bounds on its memory and time, and one mutant's verdict under them."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80")


def run_child(file: str, *arguments: object, timeout: float | None = None) -> tuple[dict[str, Any], str]:
    """Run a test file as a process that finds `tests/`: the JSON of its last line, and what it wrote to stderr."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, file, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, f"the process died: {done.returncode}\n{done.stderr[-3000:]}"
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(told, indent=1))
    return told, done.stderr


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


def mutated(sound: list[bytes], number: int) -> bytes:
    """A damaged photo, the same for the same number: one to four things are wrong with it."""
    rng = np.random.default_rng(number)
    content = bytearray(sound[number % len(sound)])
    for _ in range(rng.integers(1, 5)):
        # half of the damage is in the first 200 bytes, where the header is
        place = int(rng.integers(0, max(1, min(len(content), 200) if rng.random() < 0.5 else len(content))))
        length = int(rng.integers(1, 64))
        match int(rng.integers(0, 8)):
            case 0:
                content[place : place + 1] = bytes([int(rng.integers(0, 256))])
            case 1:
                content[place : place + 4] = EXTREMES[int(rng.integers(len(EXTREMES)))]
            case 2:
                del content[place:]
            case 3:
                del content[place : place + length]
            case 4:
                content[place:place] = rng.bytes(length)
            case 5:
                content[place : place + length] = bytes(length)
            case 6:
                content[place:place] = content[place : place + length] * int(rng.integers(1, 50))
            case _:
                other = sound[int(rng.integers(len(sound)))]
                content[place:] = other[place:]
    return bytes(content)
