import numpy as np
import pytest

from mpm_keras.skeletons import COCO_17, DETECTORS, FROM_DETECTOR, H36M_16, H36M_17, from_detector, joint_weights

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("skeleton", DETECTORS.values(), ids=lambda s: s.name)
def test_detectors_are_trees_whose_sides_are_their_own(skeleton):
    assert skeleton.parents.count(-1) == 1 and len(set(skeleton.joints)) == skeleton.num_joints
    for left, right in skeleton.pairs:
        assert skeleton.joints[left].removeprefix("left") == skeleton.joints[right].removeprefix("right")
    for name, limb in skeleton.limbs.items():
        assert {skeleton.joints[j].partition("_")[0] for j in limb} == {name.partition("_")[0]}
    assert len(skeleton.limb("left_leg")) == len(skeleton.limb("right_leg")) >= 3


def test_joint_orders_are_those_of_the_tools():
    found = {name: (s.joints.index("right_wrist"), s.joints.index("left_ankle")) for name, s in DETECTORS.items()}
    assert found == {"coco17": (10, 15), "halpe26": (10, 15), "body25": (4, 14), "mediapipe33": (16, 27)}


@pytest.mark.parametrize("source", DETECTORS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("target", [H36M_17, H36M_16], ids=lambda s: s.name)
def test_derived_joints_move_with_the_picture(source, target):
    points = np.random.default_rng(0).normal(size=(5, source.num_joints, 2))
    scores = np.full((5, source.num_joints), 0.5)
    before, sure = from_detector(points, scores, source, target)
    after, _ = from_detector(points * 3 + [10, -4], scores, source, target)
    np.testing.assert_allclose(after, before * 3 + [10, -4], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(sure, np.float32(0.5))
    np.testing.assert_allclose(joint_weights(source, target).sum(axis=1), 1)


def test_derived_joints_of_a_known_person():
    points = dict.fromkeys(COCO_17.joints, (0.0, 0.0))
    points |= {"left_hip": (1, 0), "right_hip": (-1, 0), "left_shoulder": (2, 4), "right_shoulder": (-2, 4)}
    points |= {"left_ear": (0.5, 6), "right_ear": (-0.5, 6), "nose": (0, 5.5)}
    pose, _ = from_detector(np.array([points[j] for j in COCO_17.joints]), np.ones(17), COCO_17)
    expected = {
        "Hip": (0, 0),
        "Spine": (0, 2),
        "Thorax": (0, 4),
        "Neck/Nose": (0, 5.5),
        "Head": (0, 7.1),
        "LHip": (1, 0),
    }
    for joint, place in expected.items():
        np.testing.assert_allclose(pose[H36M_17.index(joint)], place, atol=1e-6)


def test_a_joint_is_as_sure_as_its_least_sure_source_and_an_ear_stands_for_the_other():
    rng = np.random.default_rng(1)
    points, scores = rng.normal(size=(17, 2)), rng.uniform(0.2, 0.9, 17)
    hip, ear = COCO_17.index("left_hip"), COCO_17.index("right_ear")
    scores[hip] = 0.1
    _, sure = from_detector(points, scores, COCO_17)
    assert sure[H36M_17.index("Hip")] == sure[H36M_17.index("Spine")] == np.float32(0.1)
    points[ear], scores[ear], scores[hip] = np.nan, 0, 0
    pose, sure = from_detector(points, scores, COCO_17)
    assert np.isnan(pose).any(axis=1).tolist() == (sure == 0).tolist()
    assert {H36M_17.joints[j] for j in np.flatnonzero(sure == 0)} == {"Hip", "LHip", "Spine"}
    both = np.where(np.arange(17)[:, None] == ear, points[COCO_17.index("left_ear")], points)
    expected, _ = from_detector(both, np.ones(17), COCO_17)
    np.testing.assert_allclose(pose[10], expected[10])


def test_every_joint_has_a_rule_and_shapes_are_checked():
    assert set(FROM_DETECTOR) == set(H36M_17.joints)
    with pytest.raises(ValueError, match="expected .* found \\(4, 16, 2\\)"):
        from_detector(np.zeros((4, 16, 2)), np.zeros((4, 16)), COCO_17)
