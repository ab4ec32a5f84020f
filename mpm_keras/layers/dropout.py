"""Dropout that the seed alone decides, alike on every backend and cheap on all."""

import random

import keras
from keras import ops

from mpm_keras.replicas import first_row, several

# Multipliers of "lowbias32" (Wellons, 2018), as int32.
FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32
SALT = 0x3C6EF35F  # sets the hash of columns apart from that of rows


def scramble(numbers):
    """int32 -> int32 that look random: an integer hash. Products overflow, and are meant to."""
    numbers = ops.bitwise_xor(numbers, ops.right_shift(numbers, 16)) * FIRST
    numbers = ops.bitwise_xor(numbers, ops.right_shift(numbers, 15)) * SECOND
    return ops.bitwise_xor(numbers, ops.right_shift(numbers, 16))


def noise(shape, seed):
    """Uniform int32 of a shape, a function of the place and of a seed (2,) of integers.

    Rows (all axes but the last) and columns are hashed by themselves, so that an element takes five integer
    operations. They fuse into what reads them where a compiler fuses, and beat generators that count on
    (threefry, Philox, Mersenne twister) several times where none does.
    """
    rows = 1
    for length in shape[:-1]:
        rows = rows * length  # may be a tensor
    seed = ops.cast(seed, "int32")
    key = scramble(seed[0] + scramble(seed[1]))
    numbers = ops.arange(rows, dtype="int32")
    if several():
        numbers = numbers + first_row(rows)  # of the global batch: all replicas draw what one device would
    row = scramble(scramble(numbers) + key)
    column = scramble(scramble(ops.arange(shape[-1], dtype="int32") + SALT) - key)
    mixed = ops.bitwise_xor(ops.reshape(row, (*shape[:-1], 1)), column) * FIRST
    return ops.bitwise_xor(mixed, ops.right_shift(mixed, 15)) * SECOND


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
