"""One measurement in a separate process: `python -m benchmarks.child MODULE:FUNCTION ARGUMENTS RESULT`.

The function takes the JSON arguments and returns a dictionary. The dictionary and the process's peak memory are written
to the file RESULT.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path


def peak_mib() -> float:
    """Peak resident memory of this process, in MiB.

    On Linux this is VmHWM, which starts anew with the program, whereas ru_maxrss is inherited from the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 1024


def main() -> None:
    """Call the function and write its result."""
    target, arguments, result = sys.argv[1:]
    module, _, function = target.partition(":")
    given = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    Path(result).write_text(json.dumps({"peak_mib": peak_mib()} | given))


if __name__ == "__main__":
    main()
