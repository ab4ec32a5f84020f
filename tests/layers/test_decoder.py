import numpy as np
import pytest
from harness import check_layer, seed_weights, to_numpy

from mpm_keras.layers import PoseDecoder, PoseHead, StridedDecoder, strides_for

X = np.random.default_rng(0).normal(size=(3, 9, 8)).astype("float32")
SMALL = {"heads": 2, "feed_forward": 12, "dropout": 0.0}


def test_pose_head(tmp_path):
    check_layer(lambda **k: PoseHead(4, 2, **k), X, output_shape=(3, 9, 4, 2), tmp_path=tmp_path)


@pytest.mark.parametrize("blocks", [1, 2])
def test_pose_decoder(blocks, tmp_path):
    check_layer(
        lambda **k: PoseDecoder(4, 3, blocks=blocks, **SMALL, **k), X, output_shape=(3, 9, 4, 3), tmp_path=tmp_path
    )


@pytest.mark.parametrize("strides", [(3, 3), (9,), (1, 3, 1, 3)])
def test_strided_decoder(strides, tmp_path):
    check_layer(lambda **k: StridedDecoder(4, strides, **SMALL, **k), X, output_shape=(3, 1, 4, 3), tmp_path=tmp_path)


def test_pose_head_equals_numpy_and_is_joint_major():
    head = PoseHead(4, 3)
    head.build(X.shape)
    seed_weights(head)
    gamma, beta, mean, variance, kernel, bias = (to_numpy(v.value) for v in head.weights)
    y = ((X - mean) / np.sqrt(variance + 1e-5) * gamma + beta) @ kernel + bias
    np.testing.assert_allclose(to_numpy(head(X, training=False)), y.reshape(3, 9, 4, 3), atol=1e-5)


def test_only_the_first_three_strided_blocks_have_positions():
    decoder = StridedDecoder(4, (1, 3, 1, 3), **SMALL)
    decoder.build(X.shape)
    assert [tuple(p.positions.shape) for p in decoder.positions] == [(9, 8), (9, 8), (3, 8)]


def test_strided_decoder_refuses_strides_that_do_not_end_in_one_frame():
    with pytest.raises(ValueError, match=r"strides \(3,\) do not shrink 9 frames"):
        StridedDecoder(4, (3,)).build(X.shape)


@pytest.mark.parametrize(
    ("frames", "strides"),
    [(1, (1,)), (9, (1, 3, 3)), (27, (3,) * 3), (81, (3,) * 4), (243, (3,) * 5), (351, (3, 9, 13)), (45, (3, 3, 5))],
)
def test_strides(frames, strides):
    assert strides_for(frames) == strides
    assert np.prod(strides) == frames


@pytest.mark.parametrize("frames", [0, 16, 17, 34])
def test_strides_of_other_lengths_are_refused(frames):
    with pytest.raises(ValueError, match=f"no strides for {frames} frames"):
        strides_for(frames)
