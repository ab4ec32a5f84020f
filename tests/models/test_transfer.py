import numpy as np
import pytest
from harness import seed_weights, to_numpy, values_of

from mpm_keras.models import MPMLifter, MPMPretrainer, transfer

SIZE = dict(frames=9, joints=4, layers=2, width=8, encoder_width=12, heads=2, feed_forward=8)


def test_features_are_those_of_stage_one():
    source, target = MPMPretrainer(**SIZE), MPMLifter(**SIZE)
    seed_weights(source)
    seed_weights(target, seed=1)
    copied = transfer(source, target)
    pose = np.random.default_rng(0).normal(size=(2, 9, 4, 2)).astype("float32")
    np.testing.assert_array_equal(
        to_numpy(source.backbone(pose, modality="2d", training=False)), to_numpy(target.features({"pose_2d": pose}))
    )
    parts = [target.joint_token, target.backbone]
    assert copied == sum(int(np.prod(w.shape)) for part in parts for w in part.weights)


def test_decoders_stay():
    source, target = MPMPretrainer(**SIZE), MPMLifter(**SIZE)
    before = values_of(target.decoder.weights + target.sequence_head.weights)
    transfer(source, target)
    for old, new in zip(before, values_of(target.decoder.weights + target.sequence_head.weights), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layers": 1}, "block_1: the pre-trained network has no such module"),
        ({"layers": 3}, "block_2: the network to fine-tune has no such module"),
        ({"joints": 5}, r"encoder_2d/dense/kernel: shape \(10, 12\) in the pre-trained network, \(8, 12\) here"),
        ({"frames": 27}, r"positions/positions: shape \(27, 8\) in the pre-trained network, \(9, 8\) here"),
        ({"width": 16}, "spatial"),
    ],
)
def test_mismatch_names_the_tensor_and_copies_nothing(change, message):
    source, target = MPMPretrainer(**{**SIZE, **change}), MPMLifter(**SIZE)
    before = values_of(target.weights)
    with pytest.raises(ValueError, match=message):
        transfer(source, target)
    for old, new in zip(before, values_of(target.weights), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_lifter_goes_on_whole():
    source, target = MPMLifter(**SIZE), MPMLifter(**SIZE)
    seed_weights(source)
    seed_weights(target, seed=1)
    assert transfer(source, target) == source.module_parameters()["total"]
    for old, new in zip(values_of(source.weights), values_of(target.weights), strict=True):
        np.testing.assert_array_equal(old, new)
