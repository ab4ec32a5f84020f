import keras
import numpy as np
import pytest
from harness import to_numpy

from mpm_keras.masking import BROKEN_3D, PARTIAL_2D, PARTIAL_3D, PartMasking
from mpm_keras.skeletons import H36M_16, H36M_17

POSE = np.zeros((600, 3, 17, 2), "float32")


@pytest.mark.parametrize("skeleton", [H36M_17, H36M_16], ids=lambda s: s.name)
def test_limbs_are_the_persons_own(skeleton):
    for row, choice in {**PARTIAL_2D, **PARTIAL_3D}.items():
        if isinstance(choice, int):
            continue
        sides = {joint[0] for joint in (skeleton.joints[j] for j in skeleton.limb(*choice))}
        expected = {"L"} if "left" in row and "right" not in row else {"R"} if "right" in row else {"L", "R"}
        assert sides == expected, row


@pytest.mark.parametrize("row, choice", PARTIAL_2D.items())
def test_rows_hide_what_they_say(row, choice):
    masks = to_numpy(PartMasking.of([choice], H36M_17, seed=0)(POSE)).astype(bool)
    assert masks.shape == (600, 3, 17)
    assert (masks == masks[:, :1]).all(), "a tube: the same joints in all frames"
    if isinstance(choice, int):
        assert (masks[:, 0].sum(axis=1) == choice).all()
        counts = masks[:, 0].sum(axis=0)  # uniform over joints: 5 standard deviations
        share = choice / 17
        assert np.abs(counts - 600 * share).max() < 5 * np.sqrt(600 * share * (1 - share))
    else:
        assert (masks[:, 0] == np.isin(np.arange(17), H36M_17.limb(*choice))).all()


def test_choices_are_drawn_per_sample_and_uniformly():
    choices = [0, *PARTIAL_2D.values()]
    masks = to_numpy(PartMasking.of(choices, H36M_17, seed=1)(POSE)).astype(bool)[:, 0]
    found = np.array([(masks.sum(axis=1) == n).sum() for n in (0, 1, 2, 6)])
    expected = 600 / 7 * np.array([1, 1, 1, 4])
    assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all(), found


def test_from_noise_is_pure():
    layer = PartMasking.of([2, ("left_leg",)], H36M_17)
    noise = np.random.default_rng(0).random((4, 17)).astype("float32")
    mask = to_numpy(layer.from_noise(np.array([0, 1, 0, 1], "int32"), noise, frames=2)).astype(bool)
    for b in (0, 2):
        assert set(np.flatnonzero(mask[b, 0])) == set(np.argsort(noise[b])[:2])
    for b in (1, 3):
        assert tuple(np.flatnonzero(mask[b, 1])) == H36M_17.limb("left_leg")


def test_stretches_are_runs_of_frames_and_whole_bodies_are_never_hidden_all_along():
    frames = 9
    layer = PartMasking.of([4, 17], H36M_17, seed=0, stretches=0.5)
    masks = to_numpy(layer(np.zeros((2000, frames, 17, 3), "float32"))).astype(bool)
    joints = masks.any(axis=1)
    assert (masks == (joints[:, None] & masks.any(axis=2)[..., None])).all(), "the same joints in all hidden frames"
    hidden = masks.any(axis=2)  # (B, F)
    runs = (np.diff(hidden.astype(int), prepend=0, axis=1) == 1).sum(axis=1)
    assert (runs == 1).all()
    count, whole = joints.sum(axis=1), hidden.all(axis=1)
    assert set(count) == {4, 17} and not whole[count == 17].any()
    assert abs(whole[count == 4].mean() - 0.5) < 0.1
    lengths = hidden[~whole].sum(axis=1)
    assert set(lengths) == set(range(1, 7)), "1 frame to 2/3 of nine"
    assert np.bincount(lengths)[1:].min() > 0.7 * len(lengths) / 6
    assert set(hidden[~whole].argmax(axis=1)) == set(range(frames)), "anywhere"


def test_what_is_broken_includes_table_4():
    assert PARTIAL_3D.items() <= BROKEN_3D.items() and BROKEN_3D["two legs"] == ("left_leg", "right_leg")


def test_config_round_trip_and_seed():
    layer = PartMasking.of([1, ("left_arm",)], H36M_17, seed=3, stretches=0.25)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    np.testing.assert_array_equal(to_numpy(layer(POSE)), to_numpy(again(POSE)))


def test_bad_choices():
    with pytest.raises(ValueError, match="has no limb 'tail'"):
        PartMasking.of([("tail",)], H36M_17)
    with pytest.raises(ValueError, match="one count per choice"):
        PartMasking([[True]], [1, 2])
    with pytest.raises(ValueError, match="stretches must be in"):
        PartMasking([[True]], [1], stretches=1.5)
