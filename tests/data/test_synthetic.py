"""Synthetic motion: anatomy, physics that a kinematic generator can promise, determinism, variety."""

from pathlib import Path

import numpy as np
import pytest

from mpm_keras.data.synthetic import ACTIVITIES, CLIPS_PER_SUBJECT, synthetic_motion
from mpm_keras.data.synthetic.body import KNEE_LIMIT, LIMITS, sample_body
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only

J = {name: i for i, name in enumerate(H36M_17.joints)}
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "open_mocap_h36m17.npz"


@pytest.fixture(scope="module")
def motion():
    return synthetic_motion(96, seconds=8.0, seed=3)


def flexion(pose, a, b, c):
    """Angle by which the chain a, b, c deviates from straight, radians."""
    u, v = pose[:, J[b]] - pose[:, J[a]], pose[:, J[c]] - pose[:, J[b]]
    cos = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    return np.arccos(np.clip(cos, -1, 1))


def speeds(clip, fps=50.0):
    return np.linalg.norm(np.diff(clip.astype(float), axis=0), axis=-1) * fps


def forward_of_hips(pose):
    """(n, 3) direction in which knees may bend, for each leg: across hip-to-ankle and the hip axis."""
    lateral = pose[:, J["LHip"]] - pose[:, J["RHip"]]
    return {s: np.cross(pose[:, J[f"{s}Foot"]] - pose[:, J[f"{s}Hip"]], lateral) for s in "LR"}


def test_shape_and_metadata(motion):
    assert motion.positions.shape == (96 * 400, 17, 3) and motion.positions.dtype == np.float32
    assert len(set(motion.names)) == 96 and set(motion.fps.tolist()) == {50.0} and all(motion.licenses)
    assert motion.subjects[0] == "synthetic000" and len(set(motion.subjects)) == 96 // CLIPS_PER_SUBJECT
    assert np.allclose(motion.positions[motion.offsets[:-1], 0, :2], 0.0)


def test_all_activities_appear(motion):
    assert {a for action in motion.actions for a in action.split(", ")} == set(ACTIVITIES)


def test_bones_are_rigid_and_belong_to_the_subject(motion):
    parents, children = np.array(H36M_17.bones).T
    for subject in sorted(set(motion.subjects)):
        clips = [motion.clip(i).astype(float) for i in range(motion.num_clips) if motion.subjects[i] == subject]
        pose = np.concatenate([c - c[:, :1] for c in clips])
        lengths = np.linalg.norm(pose[:, children] - pose[:, parents], axis=-1)
        assert np.ptp(lengths, axis=0).max() < 1e-4
        assert np.allclose(lengths[0, 0:3], lengths[0, 3:6], atol=1e-4)  # both legs alike


def test_statures():
    bodies = [sample_body(np.random.default_rng(i)) for i in range(300)]
    stature = np.array([b.stature for b in bodies])
    assert stature.min() >= 1.5 and stature.max() <= 2.0 and stature.std() > 0.07
    standing = [
        synthetic_motion(1, 3.0, seed=i, activities=["stand"]).positions[:, J["Head"], 2].max() for i in range(12)
    ]
    assert min(standing) > 1.4 and max(standing) < 2.02 and np.ptp(standing) > 0.1


def test_knees_bend_forwards_and_within_limits(motion):
    for i in range(motion.num_clips):
        pose = motion.clip(i).astype(float)
        axes = forward_of_hips(pose)
        for s in "LR":
            bend = flexion(pose, f"{s}Hip", f"{s}Knee", f"{s}Foot")
            assert KNEE_LIMIT[0] - 0.02 < bend.min() and bend.max() < KNEE_LIMIT[1] + 0.02
            middle = (pose[:, J[f"{s}Hip"]] + pose[:, J[f"{s}Foot"]]) / 2
            assert ((pose[:, J[f"{s}Knee"]] - middle) * axes[s]).sum(-1).min() > -1e-3, motion.actions[i]


def test_knees_are_in_front_while_walking():
    for seed in range(5):
        pose = synthetic_motion(1, 5.0, seed=seed, activities=["walk"]).clip(0).astype(float)
        lateral = pose[:, J["LHip"]] - pose[:, J["RHip"]]
        forward = np.cross(lateral, [0.0, 0.0, 1.0])
        for s in "LR":
            shank = pose[:, J[f"{s}Foot"]] - pose[:, J[f"{s}Knee"]]
            thigh = pose[:, J[f"{s}Knee"]] - pose[:, J[f"{s}Hip"]]
            turned = np.einsum("ij,ij->i", np.cross(thigh, shank), lateral)
            assert turned.min() > -1e-4  # the shank turns backwards about the axis to the left
        travel = np.diff(pose[:, 0], axis=0)
        assert (travel * forward[:-1]).sum() > 0.0  # and walking goes where the person faces


def test_elbows_bend_within_limits(motion):
    for s in "LR":
        bend = flexion(motion.positions.astype(float), f"{s}Shoulder", f"{s}Elbow", f"{s}Wrist")
        assert LIMITS["elbow"][0] - 0.02 < bend.min() and bend.max() < LIMITS["elbow"][1] + 0.02


def test_left_is_left(motion):
    """The hips turn anticlockwise by a quarter from facing; standing people face where their nose points."""
    pose = synthetic_motion(8, 4.0, activities=["stand", "reach"]).positions.astype(float)
    for pair in (("LHip", "RHip"), ("LShoulder", "RShoulder")):
        left = pose[:, J[pair[0]]] - pose[:, J[pair[1]]]
        facing = np.cross(left, [0.0, 0.0, 1.0])
        nose = pose[:, J["Neck/Nose"]] - pose[:, J["Thorax"]]
        assert np.mean((nose * facing).sum(-1) > 0) > 0.95
    hips = motion.positions[:, J["LHip"]] - motion.positions[:, J["RHip"]]
    ankles = motion.positions[:, J["LFoot"]] - motion.positions[:, J["RFoot"]]
    assert np.mean((hips * ankles)[:, :2].sum(-1) > 0) > 0.95


def test_nobody_is_in_the_floor_and_standing_ankles_are_at_ankle_height(motion):
    assert motion.positions[..., 2].min() > 0.0
    low = motion.positions[:, [J["LFoot"], J["RFoot"]], 2].min(1)
    assert np.percentile(low, 5) > 0.06 and np.percentile(low, 50) < 0.12


def test_only_jumping_and_running_leave_the_floor():
    for name, leaves in (("jump", True), ("sit", False), ("walk", False)):
        motion = synthetic_motion(8, 6.0, seed=1, activities=[name])
        low = motion.positions[:, [J["LFoot"], J["RFoot"]], 2].min(1)
        assert (low.max() > 0.2) == leaves, name


def test_speeds_are_human(motion):
    for i in range(motion.num_clips):
        v = speeds(motion.clip(i))
        assert v[:, J["Hip"]].max() < 9.0 and v.max() < 25.0, motion.actions[i]
        assert np.abs(np.diff(v, axis=0)).max() < 16.0


def test_feet_do_not_skate_while_walking():
    for seed in range(6):
        pose = synthetic_motion(1, 6.0, seed=seed, activities=["walk"]).clip(0)
        v = speeds(pose)
        for s in "LR":
            height = pose[1:, J[f"{s}Foot"], 2]
            stance = height < height.min() + 0.005
            assert stance.mean() > 0.25
            assert np.percentile(v[stance, J[f"{s}Foot"]], 90) < 0.15


def test_deterministic_and_clips_are_independent():
    few, many = synthetic_motion(3, 3.0, seed=5), synthetic_motion(9, 3.0, seed=5)
    assert np.array_equal(few.positions, many.positions[: len(few.positions)]) and few.actions == many.actions[:3]
    assert not np.array_equal(few.positions, synthetic_motion(3, 3.0, seed=6).positions)
    assert not np.array_equal(few.clip(0), few.clip(1))


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_other_frame_rates(fps):
    motion = synthetic_motion(4, 2.0, fps=fps)
    assert len(motion.positions) == 4 * 2 * fps and motion.fps[0] == fps
    assert speeds(motion.clip(0), fps).max() < 25.0


def test_what_is_refused():
    with pytest.raises(ValueError, match="unknown activity 'fly'"):
        synthetic_motion(1, activities=["walk", "fly"])
    with pytest.raises(ValueError, match="at least 1 clip and 2 frames"):
        synthetic_motion(0)
    with pytest.raises(ValueError, match="at least 1 clip and 2 frames"):
        synthetic_motion(1, seconds=0.02)


@pytest.mark.shared
def test_resembles_recorded_motion(motion):
    if not REAL.exists():
        pytest.skip(f"the open motion data is not there: {REAL}")
    with np.load(REAL) as z:
        real = z["relative"][::7].astype(float)
    made = (motion.positions - motion.positions[:, :1])[::7].astype(float)
    parents, children = np.array(H36M_17.bones).T
    for a, b in zip(parents, children, strict=True):
        length = [np.linalg.norm(p[:, b] - p[:, a], axis=-1).mean() for p in (real, made)]
        assert length[1] == pytest.approx(length[0], rel=0.15), H36M_17.joints[b]
    # Headings are random in both, so the spread over all frames is comparable joint by joint.
    ratio = made[:, 1:].std(0).mean(-1) / real[:, 1:].std(0).mean(-1)
    assert ratio.min() > 0.6 and ratio.max() < 1.5
