import dataclasses

import keras
import numpy as np
import pytest
from harness import to_numpy
from pose_views import make_batches
from tiny_training import make_data, make_trainer

from mpm_keras.data.windows import UnpairedBatches
from mpm_keras.training.callbacks import RunProgress
from mpm_keras.training.checkpoints import CheckpointFolder, Position, state_variables
from mpm_keras.training.device_frames import DeviceFrames, DrawnWindows, num_bytes
from mpm_keras.training.loop import fit


def with_confidence(batches):
    scores = np.random.default_rng(1).random(batches.views.pose_2d.shape[:2]).astype(np.float32)
    return dataclasses.replace(batches, views=dataclasses.replace(batches.views, confidence=scores))


def unpaired():
    """2D of one source and more 3D of another, whose epochs are not alike."""
    parts = [make_batches((lengths,), 5, 2, 4, seed=seed, flip=True) for seed, lengths in ((0, 9), (1, 23))]
    kept = [dataclasses.replace(p, views=p.views.without(m)) for p, m in zip(parts, ("3d", "2d"), strict=True)]
    return UnpairedBatches(tuple(kept))


@pytest.mark.parametrize(
    "batches",
    [with_confidence(make_data()), make_data(flip=False), unpaired()],
    ids=["paired", "without flips", "unpaired"],
)
def test_windows_gathered_on_the_device_are_those_of_numpy(batches):
    frames, drawn = DeviceFrames(batches), DrawnWindows(batches)
    assert drawn.num_steps == batches.num_steps
    assert num_bytes(batches) == sum(4 * int(np.prod(v.shape)) for v in frames.variables)
    for epoch in range(2):
        for step in range(batches.num_steps):
            expected, found = batches.batch(epoch, step), frames(drawn.batch(epoch, step))
            assert set(found) == set(expected)
            for key, values in expected.items():
                np.testing.assert_array_equal(to_numpy(found[key]), values)


def test_training_on_them_is_training_on_batches_and_no_checkpoint_holds_them(tmp_path):
    trained = []
    for pipeline in ("numpy", "device"):
        progress = RunProgress(CheckpointFolder(tmp_path / pipeline), 4, 2, Position())
        trainer = make_trainer()
        trainer.skip_bad_batches = True  # a copy of the state, without the frames
        fit(trainer, make_data(), epochs=1, progress=progress, pipeline=pipeline, verbose=0)
        trained.append(trainer)
    assert [v.shape for v in trained[1].frames.variables]
    assert list(state_variables(trained[0])) == list(state_variables(trained[1]))
    for one, two in zip(*(t.network.weights for t in trained), strict=True):
        np.testing.assert_allclose(to_numpy(one.value), to_numpy(two.value), atol=1e-6, err_msg=one.path)


def test_frames_stay_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        frames = DeviceFrames(make_data())
    finally:
        keras.config.set_dtype_policy("float32")
    batch = frames(DrawnWindows(make_data()).batch(0, 0))
    assert {keras.backend.standardize_dtype(values.dtype) for values in batch.values()} == {"float32"}
