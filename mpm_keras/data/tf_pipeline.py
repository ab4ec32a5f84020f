"""The tf.data pipeline: the batches of `WindowBatches`, gathered by TensorFlow.

It yields bit for bit what the NumPy pipeline yields. Any step can be reached directly, because a
batch is a function of (seed, epoch, step); nothing is read to be skipped.
"""

import numpy as np

from mpm_keras.data.shuffle import coin, feistel, half_bits
from mpm_keras.data.windows import slice_of


def tf_pipeline(batches, first: int = 0, last: int | None = None):
    """A `tf.data.Dataset` of batches.

    Args:
        batches: `WindowBatches` or `UnpairedBatches`.
        first, last: global steps, epoch * num_steps + step; the default is the first epoch.

    Returns:
        A dataset of `last - first` dicts of (B, F, J, D) float32 tensors.

    Raises:
        ImportError: where TensorFlow is not installed; says what to do.
    """
    tf = import_tensorflow()
    last = batches.num_steps if last is None else last
    gathers = [Gather(tf, part, last) for part in batches.parts]

    def batch_at(position):
        return {key: value for gather in gathers for key, value in gather(position).items()}

    dataset = tf.data.Dataset.range(first, last)
    dataset = dataset.map(batch_at, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def import_tensorflow():
    """TensorFlow, or an `ImportError` that says what to do."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "the tf.data pipeline needs TensorFlow; install it, or use the NumPy pipeline (--pipeline=numpy)"
        ) from error
    return tf


class Gather:
    """One part of a batch as TensorFlow operations: the counterpart of `WindowBatches.batch`."""

    def __init__(self, tf, part, last):
        self.tf, self.part = tf, part
        epochs = range(-(-last // part.num_steps))
        with tf.device("cpu:0"):  # the flat arrays may be larger than an accelerator's memory
            self.arrays = {key: tf.constant(value) for key, value in part.arrays().items()}
            self.firsts, self.offsets = tf.constant(part.index.firsts), tf.constant(part.index.offsets)
            self.apart, self.per = (tf.constant(numbers) for numbers in part.index.spacing)
            self.keys = tf.constant(np.array([part.keys(epoch) for epoch in epochs], np.int64))

    def __call__(self, position):
        tf, part = self.tf, self.part
        keys = self.keys[position // part.num_steps]
        window = self.windows(position % part.num_steps, keys[0])
        rows = self.frame_indices(window)
        batch = {key: tf.gather(values, rows) for key, values in self.arrays.items()}
        if part.flip:
            mirror = tf.equal(coin(window, keys[1]), 1)
            batch = {key: self.flip(mirror, values) for key, values in batch.items()}
        return batch

    def windows(self, step, key):
        """The counterpart of `WindowBatches.windows`."""
        tf, part = self.tf, self.part
        count, bits = part.index.num_windows, half_bits(part.index.num_windows)
        start = step * part.batch_size
        slots = tf.range(start, tf.minimum(start + part.batch_size, count))
        if part.drop_last:
            slots = tf.ensure_shape(slots, (part.batch_size,))[slice_of(part.batch_size, *part.slice)]
        if not part.shuffle:
            return slots

        def walk(x):
            return (tf.where(x >= count, feistel(x, bits, key), x),)

        return tf.while_loop(lambda x: tf.reduce_any(x >= count), walk, (feistel(slots, bits, key),))[0]

    def frame_indices(self, window):
        """The counterpart of `WindowIndex.frame_indices`."""
        tf, index = self.tf, self.part.index
        view = tf.searchsorted(self.firsts, window, side="right", out_type=tf.int64) - 1
        start, stop = tf.gather(self.offsets, view), tf.gather(self.offsets, view + 1)
        number = window - tf.gather(self.firsts, view)
        centre = start + number * tf.gather(self.apart, view) // tf.gather(self.per, view)
        return tf.clip_by_value(centre[:, None] + index.reach, start[:, None], stop[:, None] - 1)

    def flip(self, mirror, values):
        """Mirrors the samples that `mirror` (B,) marks: `flip_pose` or `flip_joints`."""
        tf = self.tf
        swapped = tf.gather(values, self.part.views.skeleton.flip_order, axis=2)
        if values.shape.rank == 4:
            swapped = swapped * np.array([-1] + [1] * (values.shape[-1] - 1), np.float32)
        return tf.where(tf.reshape(mirror, [-1] + [1] * (values.shape.rank - 1)), swapped, values)
