import dataclasses
import sys

import numpy as np
import pytest
from pose_views import make_batches, make_views

from mpm_keras.data.tf_pipeline import tf_pipeline
from mpm_keras.data.windows import UnpairedBatches, WindowBatches, WindowIndex


def needs_tensorflow():
    pytest.importorskip("tensorflow", reason="tf.data is TensorFlow's")


def assert_same_batches(batches, first, last):
    """The NumPy and the tf.data pipeline yield the same, bit for bit."""
    count = 0
    dataset = tf_pipeline(batches, first, last).as_numpy_iterator()
    for position, found in zip(range(first, last), dataset, strict=True):
        expected = batches.batch(*divmod(position, batches.num_steps))
        assert set(found) == set(expected)
        for key, value in expected.items():
            assert found[key].dtype == value.dtype
            np.testing.assert_array_equal(found[key], value, err_msg=f"{key} at {position}")
        count += 1
    assert count == last - first


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"flip": True, "seed": 2**31},
        {"flip": True, "step": 3, "frames": 9, "stride": 1, "drop_last": False, "batch_size": 3},
        {"flip": True, "lengths": (1, 1, 1, 1)},
    ],
    ids=str,
)
def test_equal_to_numpy_over_three_epochs(options):
    needs_tensorflow()
    batches = make_batches(**options)
    assert_same_batches(batches, 0, 3 * batches.num_steps)


def test_confidences_too():
    needs_tensorflow()
    assert_same_batches(make_batches(views=make_views((9, 12), confidence=True), flip=True), 0, 5)


def test_begins_in_the_middle_of_an_epoch():
    needs_tensorflow()
    assert_same_batches(make_batches(flip=True), 1003, 1012)


def test_weighted_views_are_drawn_alike():
    needs_tensorflow()
    weights = np.array([0.5, 2, 1.5], np.float32)
    views = dataclasses.replace(make_views((9, 12, 30)), weights=weights)
    batches = WindowBatches(views, WindowIndex(views.offsets, 5, 2, 2, weights), 4, flip=True)
    assert batches.num_windows == 3 + 12 + 23
    assert_same_batches(batches, 0, 20)


def test_unpaired_parts():
    needs_tensorflow()
    views = make_views((9,), "flat", 1, ("2d",)), make_views((7, 1, 12), "deep", 2, ("3d",))
    parts = [make_batches(views=v, flip=True, seed=i) for i, v in enumerate(views)]
    assert_same_batches(UnpairedBatches(tuple(parts)), 0, 13)


def test_many_windows():
    """Window numbers and keys need all of int64's care: products wrap around."""
    needs_tensorflow()
    views = make_views((3000, 2000, 1), seed=1)
    batches = make_batches(views=views, batch_size=512, flip=True, seed=123456789)
    assert_same_batches(batches, 9, 12)


def test_shapes_are_static():
    needs_tensorflow()
    spec = tf_pipeline(make_batches()).element_spec
    assert spec["pose_2d"].shape == (4, 5, 17, 2) and spec["pose_3d"].shape == (4, 5, 17, 3)
    assert len(list(tf_pipeline(make_batches()))) == 5  # one epoch by default


def test_without_tensorflow_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"needs TensorFlow; install it, or use the NumPy pipeline"):
        tf_pipeline(make_batches())
