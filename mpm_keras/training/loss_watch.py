"""Losses that are not finite, and losses that leap."""

import collections
import math
import statistics

import keras

from mpm_keras.models.presets import value_of
from mpm_keras.training.json_lines import JsonLines

BAD_BATCH, SPIKE = "bad_batch", "loss_spike"

# A spike is a loss so many times the median of the last losses; of fewer a median says little.
SPIKE_FACTOR, MEDIAN_OF, FEWEST = 10.0, 100, 20


class LossWatch(keras.callbacks.Callback):
    """Stops soon after a batch that is not finite, before a checkpoint could hold it, or counts it; notes spikes.

    A trainer reports a NaN loss where the loss or a gradient of a batch is not finite, and leaves no
    trace of the batch where its `skip_bad_batches` is set.

    Losses come late, see `LateLogs`: `progress` then stands where the batch has been counted.

    Args:
        progress: `RunProgress`, which knows where the run is.
        path: `.jsonl` file for bad batches and spikes. What earlier starts of the run skipped counts.
        skip: so many bad batches the run may hold.
    """

    def __init__(self, progress, path, skip: int = 0):
        super().__init__()
        self.progress, self.log, self.skip = progress, JsonLines(path), skip
        self.losses = collections.deque(maxlen=MEDIAN_OF)
        self.total, self.count = 0.0, 0.0

    @property
    def skipped(self) -> int:
        """Bad batches of the run so far; those that are going to be run again do not count."""
        p = self.progress.position
        return self.skipped_before(p.epoch + 1, p.step + 1)

    def skipped_before(self, epoch, batch) -> int:
        """Bad batches before one, both counted from 1."""
        lines = [line for line in self.log.read("epoch", "batch") if line.get("event") == BAD_BATCH]
        return sum(place < (epoch, batch) for place in {(line["epoch"], line["batch"]) for line in lines})

    def on_epoch_begin(self, epoch, logs=None):
        tracker = self.model.trackers["loss"]  # not empty in an epoch that goes on
        self.total, self.count = (float(value_of(v)) for v in (tracker.total, tracker.count))

    def on_late_logs(self, logs):
        mean = logs.get("loss", math.nan)
        if not math.isfinite(mean):
            self.refuse()
            return
        before, self.count = self.total, self.count + 1
        self.total = mean * self.count
        self.compare(self.total - before)

    def refuse(self):
        """Notes a bad batch, and raises `FloatingPointError` where it is one too many."""
        place = self.place()
        skipped = self.skipped_before(place["epoch"], place["batch"])
        if skipped < self.skip:
            self.log.append({"event": BAD_BATCH, **place})
            return
        skips = f"{skipped} were skipped before" if self.skip else "--skip_bad_batches=N skips up to N of them"
        raise FloatingPointError(
            f"the loss or a gradient is NaN or infinite at batch {place['batch']} of epoch {place['epoch']}, "
            f"optimiser step {place['step']}; the last checkpoint is good ({skips})"
        )

    def compare(self, loss):
        """Notes a loss far above the median of the last ones."""
        if len(self.losses) >= FEWEST and loss > SPIKE_FACTOR * (median := statistics.median(self.losses)):
            self.log.append({"event": SPIKE, **self.place(), "loss": loss, "median": median})
        self.losses.append(loss)

    def place(self) -> dict:
        """Epoch, batch in it and its first optimiser step, each counted from 1, of the batch that was counted last."""
        p = self.progress.position
        return {"epoch": p.epoch + 1, "batch": p.step, "step": p.updates - self.progress.updates_per_batch + 1}
