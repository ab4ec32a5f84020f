"""Callbacks of a run: checkpoints, the step limit, the epochs' log and TensorBoard without TensorFlow."""

import dataclasses
import math
import time

import keras

from mpm_keras.models.presets import value_of
from mpm_keras.training.checkpoints import CheckpointFolder, Position
from mpm_keras.training.event_files import EventFile
from mpm_keras.training.json_lines import JsonLines


class RunProgress(keras.callbacks.Callback):
    """Counts batches and optimiser steps, saves checkpoints and stops at the step limit.

    Args:
        checkpoints: where to save, at the end of every epoch and every `seconds` within one.
        steps_per_epoch: batches of a whole epoch.
        updates_per_batch: optimiser steps per batch.
        start: where the run begins.
        max_updates: stop after so many optimiser steps in all; 0 for no limit.
        seconds: between checkpoints within an epoch.
    """

    def __init__(self, checkpoints: CheckpointFolder, steps_per_epoch, updates_per_batch, start: Position,
                 max_updates=0, seconds=300.0):  # fmt: skip
        super().__init__()
        self.checkpoints, self.steps_per_epoch = checkpoints, steps_per_epoch
        self.updates_per_batch, self.max_updates, self.seconds = updates_per_batch, max_updates, seconds
        self.position, self.saved, self.last_save = start, start, time.monotonic()
        self.batches_run, self.running_means = 0, []
        self.before_saving = lambda: None  # may raise: what is not good is not saved

    @property
    def finished(self):
        """Whether the step limit is reached."""
        return bool(self.max_updates) and self.position.updates >= self.max_updates

    def on_train_batch_end(self, batch, logs=None):
        p = self.position
        self.position = Position(p.epoch, p.step + 1, p.updates + self.updates_per_batch)
        self.batches_run += 1
        if self.finished:
            self.model.stop_training = True
        if self.finished or self.position.step == self.steps_per_epoch:
            self.position = dataclasses.replace(self.position, validation_due=1)
            self.keep_running_means()
        elif time.monotonic() - self.last_save > self.seconds:
            self.save()

    def keep_running_means(self):
        """Before validation, which uses the metrics too: with more steps the run may go on in this epoch."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()  # JAX keeps them outside the variables while it trains
        self.running_means = [(v, value_of(v)) for v in self.model.metrics_variables]

    def on_epoch_end(self, epoch, logs=None):
        p = self.position
        whole = p.step == self.steps_per_epoch
        self.position = Position(p.epoch + whole, 0 if whole else p.step, p.updates)
        self.save()
        self.running_means = []

    def save(self):
        """Saves unless the last checkpoint is of this very position."""
        if self.position != self.saved or not self.checkpoints.paths():
            self.before_saving()
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()
            for variable, value in self.running_means:
                variable.assign(value)
            self.checkpoints.save(self.model, self.position)
            self.saved, self.last_save = self.position, time.monotonic()


class Throughput(keras.callbacks.Callback):
    """Training samples per second: batch size over the time from one batch's end to the next one's in an epoch.

    So the first batch of each epoch is left out, which waits for compilation or validation.
    """

    def __init__(self, batch_size):
        super().__init__()
        self.batch_size, self.batches, self.seconds, self.end = batch_size, 0, 0.0, None

    def on_epoch_begin(self, epoch, logs=None):
        self.end = None

    def on_train_batch_end(self, batch, logs=None):
        before, self.end = self.end, time.perf_counter()
        if before is not None:
            self.batches += 1
            self.seconds += self.end - before

    @property
    def samples_per_second(self):
        return self.batches * self.batch_size / self.seconds if self.seconds else None


class EpochLog(keras.callbacks.Callback):
    """One JSON line per epoch, so that the history outlives a stop.

    Args:
        path: `.jsonl` file; appended to.
    """

    def __init__(self, path):
        super().__init__()
        self.log = JsonLines(path)

    def on_epoch_end(self, epoch, logs=None):
        self.log.append({"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}})

    def epochs(self) -> list[dict]:
        """All epochs of the run; of one that was run twice or in two parts, the last line."""
        return [line for _, line in sorted({line["epoch"]: line for line in self.log.read("epoch")}.items())]


class BestNetwork(keras.callbacks.Callback):
    """Keeps the network of the epoch with the lowest validation metric.

    Args:
        metric: name in the epoch's logs, such as "val_center_mpjpe_mm".
        best: the lowest value so far, of an earlier start of the run.
        save: save(value) writes the network.
    """

    def __init__(self, metric, best, save):
        super().__init__()
        self.metric, self.best, self.save = metric, best, save

    def on_epoch_end(self, epoch, logs=None):
        value = float(logs[self.metric])
        if math.isfinite(value) and (self.best is None or value < self.best):
            self.best = value
            self.save(value)

    def settle(self, trainer, validation):
        """Saves the network as it is where no epoch ended before the run did."""
        if self.best is None:
            logs = trainer.evaluate(validation, return_dict=True, verbose=0)
            self.on_epoch_end(0, {f"val_{name}": value for name, value in logs.items()})
        if self.best is None:
            raise FloatingPointError(f"{self.metric} is not finite: there is no network to keep")


class TensorBoardScalars(keras.callbacks.Callback):
    """Epoch logs as TensorBoard scalars, with the `tensorboard` package alone.

    `keras.callbacks.TensorBoard` needs TensorFlow, which a JAX or PyTorch user need not have.

    Args:
        folder: event files go to `train` and `validation` in it.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder, self.writers = str(folder), {}

    def writer(self, name):
        if name not in self.writers:
            self.writers[name] = EventFile(f"{self.folder}/{name}")
        return self.writers[name]

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            part, tag = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
            self.writer(part).add_scalar(f"epoch_{tag}", float(value), epoch)
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        for writer in self.writers.values():
            writer.close()
        self.writers = {}
