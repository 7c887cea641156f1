"""Tracker `tensorboard`: event files of TensorBoard in the run's folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamesekit.components.trackers.tracker import Epoch, Tracked, TrackedRun
from siamesekit.files.run_files import TENSORBOARD
from siamesekit.registry import TRACKERS


@TRACKERS.register("tensorboard")
class TensorBoard:
    """Event files of TensorBoard, in the folder `tensorboard` of the run: `tensorboard --logdir runs` shows all runs.

    Figures of epochs and results are scalars; the config and the place of the report are texts. It needs no server, and
    TensorBoard: `pip install 'siamesekit[tensorboard]'`. A run that continues replaces its figures in TensorBoard, so
    each epoch is there once.
    """

    __module__ = "siamesekit"

    package = "tensorboard"

    def __init__(self) -> None:
        self._last = 0
        self._writer: Any = None

    def begin(self, run: TrackedRun) -> Tracked:
        """Open an event file."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = run.folder / TENSORBOARD
        self._writer = EventFileWriter(str(folder))
        if run.id:  # TensorBoard then forgets the figures of earlier event files
            self._add(0, session_log=SessionLog(status=SessionLog.START))
        self._text("config", json.dumps(run.config, indent=1, ensure_ascii=False))
        for epoch in run.epochs:
            self.log_epoch(epoch)
        self._writer.flush()
        return Tracked(TENSORBOARD, f"tensorboard --logdir {run.folder.parent}")

    def log_epoch(self, epoch: Epoch) -> None:
        """Write a scalar for each figure."""
        self._last = epoch.number
        self._scalars(epoch.figures)

    def log_result(self, figures: Mapping[str, float], report: Path) -> None:
        """Write a scalar for each figure, and the place of the report."""
        self._scalars(figures)
        self._text("report", str(report))

    def end(self, complete: bool) -> None:
        """Close the event file."""
        self._writer.close()

    def _scalars(self, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._add(self._last, summary=Summary(value=values))
        self._writer.flush()

    def _text(self, tag: str, text: str) -> None:
        """Write a text as the plugin `text` of TensorBoard reads it: Markdown in a tensor of one string."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

        code = "\n".join(f"    {line}" for line in text.splitlines())
        data = SummaryMetadata.PluginData(plugin_name="text", content=TextPluginData(version=0).SerializeToString())
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[code.encode()], tensor_shape=shape)
        value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data), tensor=tensor)
        self._add(self._last, summary=Summary(value=[value]))

    def _add(self, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))
