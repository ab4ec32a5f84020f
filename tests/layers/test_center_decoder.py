import numpy as np
from harness import check_layer, seed_weights, to_numpy

from mpm_keras.layers import CenterDecoder
from mpm_keras.models import MPMLifter, MPMPretrainer, transfer

SIZE = dict(frames=9, joints=4, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
POSE = np.random.default_rng(0).normal(size=(2, 9, 4, 2)).astype("float32")


def test_center_decoder(tmp_path):
    x = np.random.default_rng(1).normal(size=(2, 9, 8)).astype("float32")
    check_layer(
        lambda **k: CenterDecoder(joints=4, heads=2, feed_forward=8, dropout=0.0, **k), x, output_shape=(2, 1, 4, 3),
        tmp_path=tmp_path,
    )  # fmt: skip


def test_a_lifter_with_the_decoder_of_stage_one_lifts_as_stage_one_does():
    source, target = MPMPretrainer(**SIZE), MPMLifter(**SIZE, decoder="stage1")
    seed_weights(source)
    seed_weights(target, seed=1)
    transfer(source, target)
    masks = {"joints": np.zeros((2, 9, 4), bool), "frames": np.zeros((2, 9), bool)}
    lifted = source.reconstruct({"pose_2d": POSE, "masks_2d": masks}, "lift", training=False)
    center = target({"pose_2d": POSE}, training=False)["center"]
    np.testing.assert_allclose(to_numpy(center)[:, 0], to_numpy(lifted)[:, 4], atol=1e-6)
    assert "decoder_3d" in target.module_parameters() and "strided_decoder" not in target.module_parameters()


def test_it_takes_windows_of_any_length():
    network = MPMLifter(**{**SIZE, "frames": 34}, decoder="stage1")  # 2 * 17 has no strides
    assert network({"pose_2d": np.zeros((1, 34, 4, 2), "float32")})["center"].shape == (1, 1, 4, 3)
