import dataclasses
import time
import tracemalloc

import keras
import numpy as np
import pytest
from harness import to_numpy
from pose_views import make_batches, make_views

from mpm_keras import geometry
from mpm_keras.data.windows import NumpyPipeline, UnpairedBatches, WindowBatches, WindowIndex


def slow_windows(offsets, frames, stride, step):
    """The windowing rule spelt out: one list of rows per window."""
    found = []
    for start, stop in zip(offsets[:-1], offsets[1:], strict=True):
        for centre in range(start, stop, step):
            rows = [centre + (i - frames // 2) * stride for i in range(frames)]
            found.append([min(max(row, start), stop - 1) for row in rows])
    return np.array(found)


@pytest.mark.parametrize("lengths", [(7, 1, 12), (1,), (2, 2), (30,)])
@pytest.mark.parametrize(("frames", "stride", "step"), [(1, 1, 1), (5, 1, 1), (5, 3, 2), (27, 2, 5), (4, 1, 13)])
def test_windows_equal_a_slow_loop(lengths, frames, stride, step):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index, expected = WindowIndex(offsets, frames, stride, step), slow_windows(offsets, frames, stride, step)
    assert index.num_windows == len(expected)
    np.testing.assert_array_equal(index.frame_indices(np.arange(len(expected))), expected)
    np.testing.assert_array_equal(index.frame_indices([len(expected) - 1, 0]), expected[[-1, 0]])


def test_twenty_million_windows_cost_nothing():
    offsets = np.arange(0, 20_000_001, 1000, dtype=np.int64)
    tracemalloc.start()
    began = time.perf_counter()
    index = WindowIndex(offsets, 243, 2)
    assert index.num_windows == 20_000_000
    rows = index.frame_indices(np.array([0, 12_345_678, 19_999_999]))
    seconds, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(rows[:, 121], [0, 12_345_678, 19_999_999])
    np.testing.assert_array_equal(rows[1, [0, -1]], [12_345_678 - 242, 12_345_678 + 242])
    assert seconds < 1
    assert peak < 2e6  # the offsets of 20,000 views, not the windows


@pytest.mark.parametrize("change", [{"frames": 0}, {"stride": 0}, {"step": 0}])
def test_impossible_windows_are_refused(change):
    with pytest.raises(ValueError, match="frames, stride and step must be positive"):
        WindowIndex(np.array([0, 5]), **{"frames": 3, **change})


def test_an_epoch_holds_every_window_once():
    batches = make_batches(batch_size=3, drop_last=False)
    assert batches.num_steps == 7
    windows = np.concatenate([batches.windows(2, step) for step in range(7)])
    np.testing.assert_array_equal(np.sort(windows), np.arange(20))
    assert not np.array_equal(windows, np.arange(20))
    assert len(batches.windows(2, 6)) == 2
    shorter = dataclasses.replace(batches, drop_last=True)
    assert shorter.num_steps == 6
    assert not np.array_equal(batches.windows(0, 0), batches.windows(1, 0))
    other = dataclasses.replace(batches, seed=1)
    assert not np.array_equal(batches.windows(0, 0), other.windows(0, 0))


def test_batches_gather_the_windows_rows():
    batches = make_batches(shuffle=False)
    batch = batches.batch(0, 1)
    assert set(batch) == {"pose_2d", "pose_3d"}
    assert batch["pose_2d"].shape == (4, 5, 17, 2) and batch["pose_3d"].dtype == np.float32
    rows = slow_windows(batches.index.offsets, 5, 2, 1)[4:8]
    np.testing.assert_array_equal(batch["pose_3d"], batches.views.pose_3d[rows])
    np.testing.assert_array_equal(batch["pose_2d"][..., 1, 0], rows)


def test_flips_equal_geometry_and_keep_2d_and_3d_together():
    views = make_views((40,), confidence=True)
    straight, flipped = (make_batches(views=views, batch_size=32, flip=flip).batch(3, 0) for flip in (False, True))
    mirrored = [not np.array_equal(a, b) for a, b in zip(straight["pose_3d"], flipped["pose_3d"], strict=True)]
    assert 6 <= sum(mirrored) <= 26
    for i, mirror in enumerate(mirrored):
        for key in ("pose_2d", "pose_3d"):
            pose = straight[key][i]
            expected = geometry.flip_pose(pose, views.skeleton) if mirror else pose
            np.testing.assert_array_equal(flipped[key][i], expected)
        confidence = straight["confidence"][i]
        expected = geometry.flip_joints(confidence, views.skeleton) if mirror else confidence
        np.testing.assert_array_equal(flipped["confidence"][i], expected)


def test_the_views_stay_as_they_are():
    batches = make_batches(flip=True)
    before = batches.views.pose_3d.copy()
    batch = batches.batch(0, 0)
    batch["pose_3d"][:] = 0
    np.testing.assert_array_equal(batches.views.pose_3d, before)


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match="batch_size must be positive, found 0"):
        make_batches(batch_size=0)
    with pytest.raises(ValueError, match="20 windows do not fill one batch of 21"):
        make_batches(batch_size=21)
    for step in (-1, 5):
        with pytest.raises(ValueError, match=f"step {step} is outside an epoch of 5 steps"):
            make_batches().batch(0, step)


def unpaired(**options):
    """Four 2D windows of an epoch against twenty 3D ones."""
    views = make_views((9,), "flat", 1, ("2d",)), make_views((7, 1, 12), "deep", 2, ("3d",))
    return UnpairedBatches(tuple(make_batches(views=v, **options) for v in views))


def test_unpaired_parts_go_on_into_epochs_of_their_own():
    batches = unpaired(batch_size=4)
    flat, deep = batches.parts
    assert (flat.num_steps, deep.num_steps, batches.num_steps) == (2, 5, 5)
    for epoch, step, flat_position in [(0, 0, (0, 0)), (0, 3, (1, 1)), (1, 0, (2, 1)), (1, 1, (3, 0))]:
        batch = batches.batch(epoch, step)
        np.testing.assert_array_equal(batch["pose_2d"], flat.batch(*flat_position)["pose_2d"])
        np.testing.assert_array_equal(batch["pose_3d"], deep.batch(epoch, step)["pose_3d"])


def test_unpaired_parts_must_not_share_keys():
    with pytest.raises(ValueError, match="must not share keys"):
        UnpairedBatches((make_batches(), make_batches(views=make_views((9,), "flat", 1, ("2d",)))))


def test_numpy_pipeline_by_hand():
    batches = make_batches()
    pipeline = NumpyPipeline(batches, 13, 20)
    assert len(pipeline) == 7 and len(NumpyPipeline(batches)) == batches.num_steps == 5
    for i, position in [(0, (2, 3)), (1, (2, 4)), (2, (3, 0)), (6, (3, 4))]:
        np.testing.assert_array_equal(pipeline[i][0]["pose_2d"], batches.batch(*position)["pose_2d"])


class Recorder(keras.Model):
    """Keeps what `fit` hands to it, in order."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.built = True

    def train_step(self, *args):
        data = args[-1]
        batch = keras.utils.unpack_x_y_sample_weight(data)[0]
        self.seen.append(to_numpy(batch["pose_3d"]))
        return ({"loss": 0.0}, args[0]) if len(args) == 2 else {"loss": 0.0}


def test_fit_gets_each_epochs_batches_in_order():
    batches, epochs = make_batches(flip=True), 3
    model = Recorder()
    model.compile("sgd", run_eagerly=True)
    pipeline = NumpyPipeline(batches, 5, 5 * (1 + epochs))
    model.fit(pipeline, initial_epoch=1, epochs=1 + epochs, steps_per_epoch=5, shuffle=False, verbose=0)
    expected = [batches.batch(1 + i // 5, i % 5)["pose_3d"] for i in range(5 * epochs)]
    seen = model.seen[-len(expected) :]  # a backend may run a step once more to trace it
    assert len(model.seen) - len(expected) <= 1
    for i, (a, b) in enumerate(zip(seen, expected, strict=True)):
        np.testing.assert_array_equal(a, b, err_msg=f"batch {i}")


def test_batches_are_a_function_of_epoch_and_step():
    one, two = make_batches(flip=True), make_batches(flip=True)
    for epoch, step in [(0, 0), (5, 3), (0, 0)]:
        keras.tree.map_structure(np.testing.assert_array_equal, one.batch(epoch, step), two.batch(epoch, step))
    assert isinstance(one, WindowBatches) and one.parts == (one,)
