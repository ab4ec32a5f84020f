"""Logs that come a batch late, and never too late."""

import keras
import numpy as np
import pytest

from mpm_keras.training.late_logs import LateLogs, start_reading


class Number:
    """A scalar of a device, which notes when it is read."""

    def __init__(self, value, events):
        self.value, self.events = value, events

    def __float__(self):
        self.events.append(f"read {self.value:g}")
        return float(self.value)


class Listener(keras.callbacks.Callback):
    def __init__(self, events):
        super().__init__()
        self.events = events

    def on_train_batch_end(self, batch, logs=None):
        self.events.append(f"end of {batch} with {logs}")

    def on_late_logs(self, logs):
        self.events.append(f"late {logs}")

    def on_test_begin(self, logs=None):
        self.events.append("test")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append("epoch")


@pytest.fixture
def heard():
    """(listeners, events) of an epoch of two batches so far."""
    events = []
    listeners = LateLogs([Listener(events)])
    listeners.on_epoch_begin(0)
    for batch in range(2):
        events.append(f"step {batch}")
        listeners.on_train_batch_end(batch, {"loss": Number(batch, events)})
    return listeners, events


def test_a_batch_is_read_after_the_next_one_was_handed_over(heard):
    _, events = heard
    assert events == [
        "step 0", "end of 0 with {}", "step 1", "read 0", "late {'loss': 0.0}", "end of 1 with {'loss': 0.0}"
    ]  # fmt: skip


@pytest.mark.parametrize(("hook", "event"), [("on_test_begin", "test"), ("on_epoch_end", "epoch")])
def test_the_last_is_read_before_validation_and_at_the_end_of_the_epoch(heard, hook, event):
    listeners, events = heard
    del events[:]
    getattr(listeners, hook)(*([0] if "epoch" in hook else []))
    assert events == ["read 1", "late {'loss': 1.0}", event]
    listeners.settle()
    assert events[-1] == event, "once"


def test_an_epoch_knows_nothing_of_the_one_before(heard):
    listeners, events = heard
    listeners.on_epoch_end(0)
    listeners.on_epoch_begin(1)
    listeners.on_train_batch_end(0, {"loss": Number(7, events)})
    assert events[-1] == "end of 0 with {}"


def test_tensors_of_the_backend_are_read():
    value = keras.ops.convert_to_tensor(np.float32(0.25))
    assert float(start_reading(value)) == 0.25
