"""Dropout that the seed alone decides."""

import random

import keras


def seeded_dropout(rate, dtype=None):
    """A `Dropout` layer with a seed of its own, drawn from what `keras.utils.set_random_seed` sets.

    Keras draws the seed of a `Dropout` without one in the same way, but with the PyTorch backend such
    a layer then uses PyTorch's global generator, and a resumed run would not equal an uninterrupted one.
    """
    return keras.layers.Dropout(rate, seed=random.randint(1, 10**9), dtype=dtype)
