import numpy as np
import pytest
from harness import check_layer, seed_weights, to_numpy

from mpm_keras.layers import FramePositions, FrameToken, JointToken

RNG = np.random.default_rng(0)
POSE = RNG.normal(size=(3, 5, 4, 2)).astype("float32")
HIDDEN = RNG.random((3, 5, 4)) < 0.4
FEATURES = RNG.normal(size=(2, 3, 8)).astype("float32")
VISIBLE = np.array([[0, 2, 4], [1, 3, 4]], "int32")


def test_joint_token(tmp_path):
    check_layer(lambda **k: JointToken(**k), POSE, HIDDEN, output_shape=POSE.shape, tmp_path=tmp_path)


def test_frame_positions(tmp_path):
    check_layer(lambda **k: FramePositions(**k), FEATURES, output_shape=FEATURES.shape, tmp_path=tmp_path)


def test_frame_token(tmp_path):
    check_layer(lambda **k: FrameToken(5, **k), FEATURES, VISIBLE, output_shape=(2, 5, 8), tmp_path=tmp_path)


def test_joint_token_replaces_hidden_joints_alone():
    layer = JointToken()
    layer.build(POSE.shape)
    layer.token.assign([7.0, -3.0])
    found = to_numpy(layer(POSE, HIDDEN))
    assert (found[HIDDEN] == [7.0, -3.0]).all()
    np.testing.assert_array_equal(found[~HIDDEN], POSE[~HIDDEN])


def test_frame_token_stands_in_the_hidden_frames_in_natural_order():
    layer = FrameToken(5)
    layer.build(FEATURES.shape)
    seed_weights(layer)
    found, token = to_numpy(layer(FEATURES, VISIBLE)), to_numpy(layer.token.value)
    for b in range(2):
        for t in range(5):
            seen = list(VISIBLE[b]).index(t) if t in VISIBLE[b] else None
            np.testing.assert_array_equal(found[b, t], token if seen is None else FEATURES[b, seen])


def test_frame_token_does_nothing_when_all_frames_are_visible():
    np.testing.assert_array_equal(to_numpy(FrameToken(3)(FEATURES)), FEATURES)


@pytest.mark.parametrize("frames", [3, 2])
def test_frame_positions_adds_the_first_rows(frames):
    layer = FramePositions()
    layer.build(FEATURES.shape)
    seed_weights(layer)
    x = FEATURES[:, :frames]
    np.testing.assert_allclose(to_numpy(layer(x)), x + to_numpy(layer.positions.value)[:frames], rtol=1e-6)


def test_tokens_are_drawn_as_in_the_released_code():
    """N(0, 1): a joint token near the origin would look like a joint seen at the root."""
    layer = FrameToken(5)
    layer.build((None, 3, 4000))
    assert abs(to_numpy(layer.token.value).std() - 1) < 0.05
