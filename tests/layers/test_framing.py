import numpy as np
import pytest
from harness import check_layer, seed_weights, to_numpy

from mpm_keras.layers import WindowFraming, framing_for
from mpm_keras.models import MPMLifter, MPMPretrainer, transfer

RNG = np.random.default_rng(0)
POSE = RNG.normal(size=(3, 9, 4, 2)).astype("float32")
HIDDEN = RNG.random((3, 9, 4)) < 0.3
SMALL = dict(frames=9, joints=4, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, normalization="window")


def test_framing(tmp_path):
    shapes = {"pose": POSE.shape, "center": (3, 1, 1, 2), "scale": (3, 1, 1, 1)}
    check_layer(WindowFraming, POSE, HIDDEN, output_shape=shapes, tmp_path=tmp_path, output_dtype="float32")


def test_what_is_seen_has_mean_zero_and_unit_spread():
    found = {name: to_numpy(x) for name, x in WindowFraming()(POSE, HIDDEN).items()}
    framed, center, scale = found["pose"], found["center"], found["scale"]
    for b in range(3):
        seen = framed[b][~HIDDEN[b]]
        np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(np.square(seen).sum(-1).mean(), 1, rtol=1e-5)
    back = framed * scale + center
    np.testing.assert_allclose(back[~HIDDEN], POSE[~HIDDEN], atol=1e-5)


def test_what_is_hidden_takes_no_part_not_even_as_nan():
    broken = np.where(HIDDEN[..., None], np.nan, POSE).astype("float32")
    found, expected = WindowFraming()(broken, HIDDEN), WindowFraming()(POSE, HIDDEN)
    for name in expected:
        np.testing.assert_array_equal(to_numpy(found[name]), to_numpy(expected[name]))


def test_a_window_of_nothing_and_of_one_point_stay_finite():
    for pose, hidden in [(POSE, np.ones_like(HIDDEN)), (np.full_like(POSE, 3.0), None)]:
        found = WindowFraming()(pose, hidden)
        np.testing.assert_array_equal(to_numpy(found["pose"]), 0)
        assert (to_numpy(found["scale"]) > 0).all()


def lifter():
    network = MPMLifter(**SMALL)
    seed_weights(network)
    return network


@pytest.mark.parametrize("masked", [False, True])
def test_a_lifter_does_not_see_framing(masked):
    network, batch = lifter(), {"pose_2d": POSE}
    moved = {"pose_2d": (POSE * 0.13 + [0.4, -0.2]).astype("float32")}
    if masked:
        batch["hidden"] = moved["hidden"] = HIDDEN
    for name, value in network(batch, training=False).items():
        np.testing.assert_allclose(to_numpy(network(moved, training=False)[name]), to_numpy(value), atol=2e-5)
    paper = MPMLifter(**{**SMALL, "normalization": "screen"})
    seed_weights(paper)
    here, there = (to_numpy(paper(b, training=False)["center"]) for b in (batch, moved))
    assert np.abs(here - there).max() > 0.01


def test_a_pretrainer_gives_the_coordinates_it_got():
    network = MPMPretrainer(**SMALL, hidden_frames=3)
    seed_weights(network)
    frames = np.zeros((3, 9), bool)
    frames[:, 2:5] = True
    masks = {"joints": HIDDEN, "frames": frames}
    found = to_numpy(network({"pose_2d": POSE, "masks_2d": masks}, training=False)["pose_2d"])
    moved = (POSE * 2.5 + [7.0, -3.0]).astype("float32")
    again = to_numpy(network({"pose_2d": moved, "masks_2d": masks}, training=False)["pose_2d"])
    np.testing.assert_allclose(again, found * 2.5 + [7.0, -3.0], atol=1e-4)


def test_other_normalizations():
    assert framing_for("screen") is None
    with pytest.raises(ValueError, match="unknown normalization 'box'; known: screen, window"):
        framing_for("box")
    source = MPMPretrainer(**{**SMALL, "normalization": "screen"})
    with pytest.raises(ValueError, match="normalization: the pre-trained network has 'screen'"):
        transfer(source, lifter())


def test_a_mixed_policy_frames_in_full_precision():
    far = (POSE * 0.01 + 0.9).astype("float32")  # bfloat16 has two or three digits
    network, low = lifter(), MPMLifter(**SMALL, dtype="mixed_bfloat16")
    low.set_weights(network.get_weights())
    expected = to_numpy(network({"pose_2d": far}, training=False)["center"])
    found = to_numpy(low({"pose_2d": far}, training=False)["center"])
    assert np.abs(found - expected).max() < 0.15 * expected.std()
