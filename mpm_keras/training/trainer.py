"""One training step for all backends.

A `Trainer` is a `keras.Model` around a network. It lists its updates; each update is a pure loss of
a batch and the variables that it moves. `fit` then runs, for every batch, one optimiser step per
update, through the shim of the active backend.
"""

import dataclasses
import math
from collections.abc import Callable

import keras
from keras import ops

from mpm_keras.replicas import mean_over_replicas, replicas, several
from mpm_keras.training.steps import STEPS, current, pairs, torch_graphs


@dataclasses.dataclass(frozen=True)
class Update:
    """One optimiser step on a batch.

    Attributes:
        loss: (batch, training) -> (scalar, {name: (value, weight)} to report). The reported "loss" is
            the sum over a batch's updates.
        variables: () -> trainable variables that the step moves; no others, so that the moments of
            an encoder that saw no data stand still on every backend.
    """

    loss: Callable
    variables: Callable


class Trainer(keras.Model):
    """Base of the trainers. A subclass gives `updates(batch)`, `evaluate_batch(batch)` and `metric_names`.

    Args:
        network: the model to train. Checkpoints and presets hold it, not the trainer.
        metric_names: what losses report; each gets a running mean.

    Attributes:
        skip_bad_batches: a batch whose loss or gradients are not finite leaves everything as it was
            (weights, moments, statistics, random state, running means). Set it before training.
        epoch_goes_on: the next epoch is the rest of one, and keeps its running means.
        frames: `DeviceFrames` that training batches are gathered from; None where batches come whole.
    """

    def __init__(self, network, metric_names, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.skip_bad_batches = self.epoch_goes_on = False
        self.frames = None
        self.trackers = {name: keras.metrics.Mean(name=name) for name in ("loss", *metric_names)}
        self.built = True

    def compile(self, optimizer, jit_compile="auto", **kwargs):
        """As `keras.Model.compile`, without loss or metrics: a trainer brings its own.

        Args:
            jit_compile: with PyTorch, "auto" compiles losses and gradients on a GPU, and on a CPU runs them by their
                graphs after some batches, which gives the same numbers; False leaves all to Keras.

        Raises:
            ValueError: True, with PyTorch on a CPU.
        """
        if keras.backend.backend() == "torch":
            self.graphs = torch_graphs(self, False if kwargs.get("run_eagerly") else jit_compile)
            jit_compile = False
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        if not self.optimizer.built:  # an update passes some of the variables: build for all of them
            self.optimizer.build(self.trainable_variables)

    # Subclasses define `updates`, and `prepare` where a batch needs something random.

    def updates(self, batch) -> list[Update]:
        raise NotImplementedError

    def prepare(self, batch, training):
        """Draws what is random about a batch, once for all its updates (masks, occlusions)."""
        return batch

    def evaluate_batch(self, batch):
        """(loss, {name: (value, weight)}) of a validation batch."""
        batch = self.prepare(batch, training=False)
        return self.total([update.loss(batch, training=False) for update in self.updates(batch)])

    @staticmethod
    def total(results):
        """Joins the (loss, reports) of a batch's updates."""
        loss, values = 0.0, {}
        for update_loss, reports in results:
            loss = loss + update_loss
            values |= reports
        return loss, values

    # Keras calls the rest.

    @property
    def metrics(self):
        return list(self.trackers.values())

    def reset_metrics(self):
        if not self.epoch_goes_on:
            super().reset_metrics()
        self.epoch_goes_on = False

    def call(self, batch, training=None):
        return self.network(batch, training=training)

    def unpack(self, data):
        """The batch dict out of what Keras's data adapters yield."""
        batch = keras.utils.unpack_x_y_sample_weight(data)[0]
        if replicas().mirrored:
            batch = keras.tree.map_structure(lambda x: ops.cast(x, "bool") if x.dtype == "uint8" else x, batch)
        return self.frames(batch) if "rows_0" in batch else batch

    @property
    def state_variables(self):
        """What training changes of the model, and checkpoints hold: all variables but those of `frames`."""
        frames = {id(v) for v in (self.frames.variables if self.frames is not None else ())}
        return [v for v in self.variables if id(v) not in frames]

    def report(self, loss, values):
        """Adds a batch's loss and {name: (value, weight)} to the running means."""
        found = {"loss": (loss, 1.0), **values}
        for name, (value, weight) in (of_all_replicas(found) if several() else found).items():
            self.trackers[name].update_state(value, sample_weight=weight)

    def logs(self):
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def report_batch(self, results, finite):
        """Reports a training batch. Returns the logs, with a NaN loss where the batch was not finite."""
        self.report(*self.total(results))
        logs = self.logs()
        return logs | {"loss": ops.where(finite, logs["loss"], math.nan)}

    def train_step(self, *args):
        return STEPS[keras.backend.backend()](self, *args)

    def test_step(self, *args):
        if keras.backend.backend() != "jax":
            self.report(*self.evaluate_batch(self.unpack(args[0])))
            return self.logs()
        (trainable, non_trainable, metrics), data = args
        refs = [self.trainable_variables, self.non_trainable_variables, self.metrics_variables]
        with keras.StatelessScope(state_mapping=pairs(refs, [trainable, non_trainable, metrics])) as scope:
            self.report(*self.evaluate_batch(self.unpack(data)))
            logs = self.logs()
        return logs, (trainable, current(scope, refs[1]), current(scope, refs[2]))


def of_all_replicas(reports):
    """{name: (value, weight)} of a replica's rows -> of the global batch; "loss" counts batches, others add up."""
    table = ops.stack([ops.stack([ops.cast(x, "float32") for x in pair]) for pair in reports.values()])  # (names, 2)
    values, weights = ops.stop_gradient(table[:, 0]), ops.stop_gradient(table[:, 1])
    sums, weights = ops.unstack(mean_over_replicas(ops.stack([values * weights, weights])), num=2)
    means = sums / ops.maximum(weights, 1e-9)
    share = replicas().metric_share
    return {
        name: (means[i], weights[i] * share * (1 if name == "loss" else replicas().count))
        for i, name in enumerate(reports)
    }


def count_weight(weights):
    """Sum of boolean or numeric weights as a float32 scalar, for weighted running means."""
    return ops.sum(ops.cast(weights, "float32"))
