"""TensorBoard's event files, written with the `tensorboard` package alone.

Its own writer imports TensorFlow wherever that is installed, writes in a thread, and tells of a full disk by an
exception of TensorFlow's.
"""

import os
import socket
import time
from pathlib import Path


class EventFile:
    """Scalars of one curve, in a new event file.

    Args:
        folder: made if need be; TensorBoard shows it under its name.
    """

    def __init__(self, folder):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.event, self.scalar = Event, scalar_pb
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self.records = RecordWriter(open(Path(folder) / name, "xb"))  # noqa: SIM115
        self.write(file_version="brain.Event:2")

    def add_scalar(self, tag: str, value: float, step: int):
        """Adds a point of a curve."""
        self.write(step=step, summary=self.scalar(tag, value))

    def write(self, **fields):
        self.records.write(self.event(wall_time=time.time(), **fields).SerializeToString())

    def flush(self):
        self.records.flush()

    def close(self):
        self.records.close()
