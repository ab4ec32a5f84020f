"""What the networks have in common."""

import functools

import keras

from mpm_keras.torch_graphs import Graphs

# Batches of one shape that PyTorch predicts before it is worth while to trace the network for them.
PATIENCE = 50


class PoseModel(keras.Model):
    """A `keras.Model` whose predictions are fast on every backend.

    TensorFlow and JAX compile `predict`. With PyTorch it runs by a graph after some batches of one shape, which gives
    the same predictions without Keras between the operations.
    """

    def predict_step(self, *args):
        if keras.backend.backend() != "torch":
            return super().predict_step(*args)
        return self.graphs(keras.utils.unpack_x_y_sample_weight(args[0])[0])

    @functools.cached_property
    def graphs(self) -> Graphs:
        """The graphs of predictions; PyTorch only."""
        return Graphs(lambda batch: self(batch, training=False), self.variables, PATIENCE)

    def expect_many_batches(self):
        """Makes the first batch of a shape as slow as it must be, so that none is slow later."""
        if keras.backend.backend() == "torch":
            self.graphs.patience = 0
