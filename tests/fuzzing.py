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
