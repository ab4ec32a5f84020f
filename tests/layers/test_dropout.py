"""Dropout from a hash: shares, independence, and the same masks on every backend."""

import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from mpm_keras.layers.dropout import Dropout


def masks(rate, shape, count, seed=3):
    """(count, *shape) bool of what `count` calls in training keep."""
    layer = Dropout(rate, seed=seed)
    return np.stack([to_numpy(layer(ops.ones(shape), training=True)) > 0 for _ in range(count)])


def test_the_rate_holds_over_all_and_in_each_row_column_and_call():
    kept = masks(0.1, (40, 30, 50), 4)
    for axes in ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)):  # what remains: columns, frames, rows, calls
        shares = kept.mean(axis=axes)
        deviation = np.sqrt(0.09 / (kept.size / shares.size))
        assert np.abs(shares - 0.9).max() < 5 * deviation
        assert shares.std() < 2 * deviation


def test_neighbours_and_calls_are_independent():
    kept = masks(0.5, (200, 128), 2).astype(float) - 0.5
    pairs = {
        "calls": (kept[0], kept[1]), "columns": (kept[0][:, 1:], kept[0][:, :-1]), "rows": (kept[0][1:], kept[0][:-1]),
    }  # fmt: skip
    for name, (one, other) in pairs.items():
        assert abs(4 * (one * other).mean()) < 5 / np.sqrt(one.size), name


def test_what_stays_is_scaled_and_inference_changes_nothing():
    layer, x = Dropout(0.25, seed=1), np.arange(1, 1001, dtype=np.float32).reshape(10, 100)
    y = to_numpy(layer(x, training=True))
    np.testing.assert_allclose(y[y > 0], x[y > 0] / 0.75, rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(layer(x, training=False)), x)
    assert abs((y > 0).mean() - 0.75) < 0.07


def test_a_rate_of_one_is_refused():
    with pytest.raises(ValueError, match="below 1, found 1"):
        Dropout(1.0)
