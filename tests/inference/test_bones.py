"""Bone lengths measured, made constant and scaled."""

import numpy as np
import pytest

from mpm_keras.inference.bones import (
    STATURE_PER_BONES,
    bone_lengths,
    directions,
    scale_to_height,
    stature,
    steady_bones,
)
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only
RNG = np.random.default_rng(0)
SHAKY = RNG.normal(0, 0.4, (60, 17, 3))


def lengths_of(points, skeleton=H36M_17):
    return np.stack([np.linalg.norm(points[:, j] - points[:, p], axis=-1) for p, j in skeleton.bones], axis=1)


def test_lengths_are_medians_with_left_and_right_averaged():
    left, right, spine = (H36M_17.index(j) for j in ("LKnee", "RKnee", "Spine"))
    bones = dict(zip((j for _, j in H36M_17.bones), np.median(lengths_of(SHAKY), axis=0), strict=True))
    lengths = bone_lengths(SHAKY)
    np.testing.assert_allclose(lengths[left], (bones[left] + bones[right]) / 2)
    assert lengths[left] == lengths[right]
    np.testing.assert_allclose(lengths[spine], bones[spine])
    assert lengths[H36M_17.root] == 0


@pytest.mark.parametrize("skeleton", [H36M_17, H36M_16], ids=lambda s: s.name)
def test_steady_bones_change_lengths_alone(skeleton):
    shaky = SHAKY[:, : skeleton.num_joints]
    steady = steady_bones(shaky, skeleton)
    np.testing.assert_allclose(np.ptp(lengths_of(steady, skeleton), axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(steady[:, skeleton.root], shaky[:, skeleton.root])
    for parent, joint in skeleton.bones:
        before, after = (p[:, joint] - p[:, parent] for p in (shaky, steady))
        cosine = (before * after).sum(-1) / np.linalg.norm(before, axis=-1) / np.linalg.norm(after, axis=-1)
        np.testing.assert_allclose(cosine, 1, atol=1e-12)
    np.testing.assert_allclose(steady_bones(steady, skeleton), steady, atol=1e-12)


def test_type_is_kept():
    assert steady_bones(SHAKY.astype(np.float32)).dtype == np.float32


def test_bones_without_length_point_as_before():
    unit = directions([[0, 0, 0], [3, 0, 0], [0, 0, 0], [0, 0, 2], [np.nan, 0, 0]])
    np.testing.assert_array_equal(unit[:4], [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]])
    assert np.isnan(unit[4]).any()


def test_scale_to_height():
    scaled, factor = scale_to_height(SHAKY, 1.8)
    np.testing.assert_allclose(scaled, SHAKY * factor)
    np.testing.assert_allclose(stature(scaled), 1.8)


def test_stature_adds_up_head_trunk_and_one_leg():
    points = np.zeros((1, 17, 3))
    for joint, height in {"LHip": 0, "LKnee": -0.4, "LFoot": -0.8, "RHip": 0, "RKnee": -0.4, "RFoot": -0.8}.items():
        points[0, H36M_17.index(joint)] = [0.1, height, 0]
    for joint, height in {"Spine": 0.2, "Thorax": 0.5, "Neck/Nose": 0.6, "Head": 0.8}.items():
        points[0, H36M_17.index(joint)] = [0, height, 0]
    np.testing.assert_allclose(stature(points), STATURE_PER_BONES * 1.6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bone_lengths(SHAKY[:, :5]),
        lambda: steady_bones(SHAKY, lengths=np.ones(3)),
        lambda: steady_bones(SHAKY, lengths=-np.ones(17)),
        lambda: scale_to_height(SHAKY, 180),
    ],
)
def test_wrong_input_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_a_body_without_size_cannot_be_scaled():
    with pytest.raises(ValueError, match="no length"):
        scale_to_height(np.zeros((2, 17, 3)), 1.7)
