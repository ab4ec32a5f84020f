import numpy as np
import pytest
from harness import check_layer, seed_weights, to_numpy

from mpm_keras.models import MPMLifter, MPMRefiner

SMALL = dict(frames=9, joints=4, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
EVEN = dict(dropout=0.0, encoder_dropout=0.0)
POSE = np.random.default_rng(0).normal(size=(3, 9, 4, 2)).astype("float32")
HIDDEN = np.random.default_rng(1).random((3, 9, 4)) < 0.3


def seeded(**changes):
    network = MPMLifter(**{**SMALL, **EVEN, **changes})
    seed_weights(network)
    return network


def test_lifter(tmp_path):
    check_layer(
        lambda **k: MPMLifter(**SMALL, **EVEN, **k), {"pose_2d": POSE, "hidden": HIDDEN},
        output_shape={"center": (3, 1, 4, 3), "sequence": (3, 9, 4, 3)}, tmp_path=tmp_path,
    )  # fmt: skip


def test_refiner(tmp_path):
    poses = np.random.default_rng(2).normal(size=(2, 5, 1, 4, 3)).astype("float32")
    check_layer(
        lambda **k: MPMRefiner(joints=4, units=16, dropout=0.0, **k), {"center": poses[0], "back_projected": poses[1]},
        output_shape={"center": (5, 1, 4, 3)}, tmp_path=tmp_path,
    )  # fmt: skip


def test_refiner_keeps_depth_and_mixes_the_rest():
    predicted, seen = np.random.default_rng(3).normal(size=(2, 5, 1, 4, 3)).astype("float32")
    network = MPMRefiner(joints=4, units=16)
    seed_weights(network)
    refined = to_numpy(network({"center": predicted, "back_projected": seen}, training=False)["center"])
    np.testing.assert_array_equal(refined[..., 2], predicted[..., 2])
    low, high = np.minimum(predicted, seen)[..., :2], np.maximum(predicted, seen)[..., :2]
    assert (refined[..., :2] >= low - 1e-6).all() and (refined[..., :2] <= high + 1e-6).all()


def test_hidden_joints_do_not_reach_the_output():
    network = seeded()
    before = network({"pose_2d": POSE, "hidden": HIDDEN}, training=False)
    changed = np.where(HIDDEN[..., None], 1e3, POSE).astype("float32")
    after = network({"pose_2d": changed, "hidden": HIDDEN}, training=False)
    for name in ("center", "sequence"):
        np.testing.assert_array_equal(to_numpy(before[name]), to_numpy(after[name]))


def test_nothing_hidden_is_the_same_as_no_mask():
    network = seeded()
    whole = network({"pose_2d": POSE}, training=False)
    masked = network({"pose_2d": POSE, "hidden": np.zeros_like(HIDDEN)}, training=False)
    np.testing.assert_allclose(to_numpy(whole["center"]), to_numpy(masked["center"]), atol=1e-6)


@pytest.mark.parametrize("frames, strides", [(27, 3), (81, 4), (243, 5), (351, 3)])
@pytest.mark.parametrize("joints", [16, 17])
def test_lengths_of_the_paper(frames, strides, joints):
    network = MPMLifter(frames=frames, joints=joints, layers=2, width=8, encoder_width=8, heads=1, feed_forward=8)
    assert len(network.decoder.blocks) == strides
    pose = np.zeros((1, frames, joints, 2), "float32")
    assert tuple(network({"pose_2d": pose})["center"].shape) == (1, 1, joints, 3)


# Trainable numbers of the released stage II network (its published sizes, measured), 4 layers.
OFFICIAL = {(27, 17): 5209702, (27, 16): 5207136, (81, 17): 6054246, (243, 17): 7009382}


@pytest.mark.parametrize("frames, joints", OFFICIAL)
def test_as_many_parameters_as_the_released_network(frames, joints):
    network = MPMLifter(frames=frames, joints=joints)
    trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    unused_norms = 2 * 512  # of the temporal and the strided encoder: stored there, never used
    lengths = (frames, frames // 3, frames // 9)
    unread_positions = sum(frames - used for used in lengths) * 256  # rows beyond the length of a strided block
    token = 2  # v^S, which the released lifter does not have
    assert trainable == OFFICIAL[frames, joints] - unused_norms - unread_positions + token


@pytest.mark.parametrize(
    "change, message",
    [({"frames": 17}, "no strides for 17"), ({"heads": 3}, "heads do not divide"), ({"layers": 0}, "must be positive")],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        MPMLifter(**{**SMALL, **change})


def test_wrong_shape_names_it():
    with pytest.raises(ValueError, match=r"\(batch, 9, 4, 2\), found \(3, 8, 4, 2\)"):
        seeded()({"pose_2d": POSE[:, :8]})
