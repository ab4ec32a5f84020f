"""Random numbers that a seed and a place alone decide: the same ones on every backend, and cheap on all.

They come of an integer hash. It is compiled into what reads them where there is a compiler, beats generators that
count on (threefry, Philox, Mersenne twister) several times where there is none, and needs no copy of the seed to the
host, for which PyTorch would wait for a GPU.
"""

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
    operations. With several replicas the first axis is this one's share of the global batch, and the numbers are
    those that one device would draw there.
    """
    rows = 1
    for length in shape[:-1]:
        rows = rows * length  # may be a tensor
    seed = ops.cast(seed, "int32")
    key = scramble(seed[0] + scramble(seed[1]))
    numbers = ops.arange(rows, dtype="int32")
    if several():
        numbers = numbers + first_row(rows)
    row = scramble(scramble(numbers) + key)
    column = scramble(scramble(ops.arange(shape[-1], dtype="int32") + SALT) - key)
    mixed = ops.bitwise_xor(ops.reshape(row, (*shape[:-1], 1)), column) * FIRST
    return ops.bitwise_xor(mixed, ops.right_shift(mixed, 15)) * SECOND


def uniform(shape, seed):
    """Uniform float32 in [0, 1) of a shape, as `noise`: multiples of 2^-24."""
    numbers = scramble(noise(shape, seed)) * FIRST
    return ops.cast(ops.right_shift(numbers, 8), "float32") * 2.0**-24 + 0.5
