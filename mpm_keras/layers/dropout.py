"""Dropout that the seed alone decides, alike on every backend and cheap on all."""

import random

import keras
from keras import ops

from mpm_keras.noise import noise


class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` with masks from a hash of place and seed: the same ones on every backend.

    Raises:
        ValueError: for a rate outside 0 to below 1.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(rate, **kwargs)
        if not rate < 1:
            raise ValueError(f"a dropout rate must be below 1, found {rate}")

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        kept = noise(ops.shape(inputs), self.seed_generator.next()) >= round(self.rate * 2**32) - 2**31
        # A product, not a choice: its gradient is one more product, and nothing but the factors is kept for it.
        return inputs * (ops.cast(kept, inputs.dtype) * (1 / (1 - self.rate)))


def seeded_dropout(rate, dtype=None):
    """A `Dropout` layer with a seed of its own, drawn from what `keras.utils.set_random_seed` sets.

    Keras draws the seed of a `Dropout` without one in the same way, but with the PyTorch backend such
    a layer then uses PyTorch's global generator, and a resumed run would not equal an uninterrupted one.
    """
    return Dropout(rate, seed=random.randint(1, 10**9), dtype=dtype)
