"""A tracker in a process of its own, so that it can neither change the numbers of a run nor hold it up.

The run asks by lines of JSON on stdin, and each line is answered by one on stdout. If the run dies, stdin ends, and the
tracker ends too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any

from siamesekit.components.trackers.tracker import Epoch, TrackedRun, Tracker
from siamesekit.errors import SiamesekitError
from siamesekit.registry import TRACKERS
from siamesekit.registry.component_faults import told
from siamesekit.registry.plugin_files import load_plugin_file

Message = Mapping[str, Any]
LATE = "it has not answered for {:g} seconds"


class TrackerProcess:
    """The run's side: questions wait in a queue, and a thread asks them one after the other.

    Args:
        name: name of the tracker.
        options: its options.
        plugins: plugin files of the config.

    Attributes:
        name: name of the tracker.
        options: its options.
        problem: why the tracker has failed; empty while it works.
    """

    def __init__(self, name: str, options: Mapping[str, Any], plugins: Sequence[Path]) -> None:
        self.name, self.options, self.problem = name, dict(options), ""
        self._questions: SimpleQueue[Message | None] = SimpleQueue()
        self._answered = Condition()
        self._open: list[float] = []  # times at which questions without an answer were asked
        self._heard = 0.0
        self._last: Message = {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)},
            start_new_session=True,  # Ctrl+C is for the run, which then ends its trackers
            text=True,
            encoding="utf-8",
        )
        self._thread = Thread(target=self._ask_all, daemon=True)
        self._thread.start()
        self.ask("build", name=name, options=options, plugins=list(plugins))

    def ask(self, what: str, **given: Any) -> None:
        """Ask for something, without waiting for the answer."""
        with self._answered:
            self._open.append(time.monotonic())
        self._questions.put({"what": what, **given})

    def wait(self, seconds: float) -> Message:
        """Wait until everything is answered, for some seconds at most.

        Returns:
            The last answer.
        """
        until = time.monotonic() + seconds
        with self._answered:
            while self._open and not self.problem:
                if (left := until - time.monotonic()) <= 0:
                    self.problem = LATE.format(seconds)
                else:
                    self._answered.wait(left)
            return self._last

    def look(self, seconds: float) -> None:
        """Give the tracker up if it has not answered for some seconds."""
        with self._answered:
            if self._open and not self.problem and time.monotonic() - max(self._open[0], self._heard) >= seconds:
                self.problem = LATE.format(seconds)

    def close(self, seconds: float) -> None:
        """End the process; it is killed if it does not end by itself within some seconds."""
        self._questions.put(None)
        if self.problem:
            self._process.kill()
        self._thread.join(seconds)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask_all(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError), self._process.stdin as asked, self._process.stdout as answers:
            while (question := self._questions.get()) is not None:
                answer = _answer_to(question, asked, answers)
                with self._answered:
                    self._open.pop(0)
                    self._last, self._heard = answer, time.monotonic()
                    self.problem = self.problem or answer.get("problem", "")
                    self._answered.notify_all()
                if self.problem:
                    return


def _answer_to(question: Message, asked: Any, answers: Any) -> Message:
    """Ask, and wait for the answer."""
    try:
        asked.write(json.dumps(question, default=str) + "\n")
        asked.flush()
        answer: Message = json.loads(answers.readline())
    except (OSError, ValueError):
        return {"problem": "its process has ended"}
    return answer


def main() -> None:
    """The tracker's side: answer the questions of the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # a tracker may ask for a password, and print
        os.dup2(nothing, stream)
    tracker: Tracker | None = None
    begun = False
    for line in questions:
        question = json.loads(line)
        answer: Message = {}
        try:
            if question["what"] == "build":
                for plugin in question["plugins"]:
                    load_plugin_file(Path(plugin))
                tracker = TRACKERS.build_for_run(question["name"], question["options"])
            else:
                assert tracker is not None
                begun = question["what"] != "end"
                answer = _answer(tracker, question)
        except Exception as error:
            answer = {"problem": str(error) if isinstance(error, SiamesekitError) else told(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if answer.get("problem"):
            os._exit(1)
    if begun and tracker is not None:  # the run died
        tracker.end(complete=False)


def _answer(tracker: Tracker, question: Mapping[str, Any]) -> Message:
    """Do what the run asks for."""
    match question:
        case {"what": "begin", "epochs": epochs, "folder": folder, **given}:
            run = TrackedRun(given["name"], Path(folder), given["config"], given["id"], tuple(map(_epoch, epochs)))
            return dict(vars(tracker.begin(run)))
        case {"what": "log_epoch", "epoch": epoch}:
            tracker.log_epoch(_epoch(epoch))
        case {"what": "log_result", "figures": figures, "report": report}:
            tracker.log_result(figures, Path(report))
        case {"what": "end", "complete": complete}:
            tracker.end(complete)
    return {}


def _epoch(line: Mapping[str, Any]) -> Epoch:
    """An epoch from its line in metrics.jsonl."""
    figures = {key: value for key, value in line.items() if key != "epoch" and value is not None}
    return Epoch(int(line["epoch"]), figures)
