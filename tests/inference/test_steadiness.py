"""Measures of steadiness on motions whose figures are known."""

import json

import numpy as np
import pytest

from mpm_keras.inference.own_depth import mediapipe_depth
from mpm_keras.inference.steadiness import bone_figures, foot_figures, motion_figures
from mpm_keras.skeletons import H36M_17, MEDIAPIPE_33

pytestmark = pytest.mark.numpy_only
FPS, FRAMES = 25.0, 50


def upright(frames=FRAMES):
    """(F, 17, 3): somebody stands straight, hips and shoulders 0.4 m wide, arms down."""
    pose, place = np.zeros((17, 3)), H36M_17.index
    for side, x in (("L", 0.2), ("R", -0.2)):
        for joint, y in (
            ("Hip", 0.0),
            ("Knee", 0.4),
            ("Foot", 0.8),
            ("Shoulder", -0.5),
            ("Elbow", -0.2),
            ("Wrist", 0.05),
        ):
            pose[place(side + joint)] = x, y, 0.0
    for joint, y in (("Spine", -0.25), ("Thorax", -0.5), ("Neck/Nose", -0.7), ("Head", -0.8)):
        pose[place(joint)] = 0.0, y, 0.0
    return np.repeat(pose[None], frames, axis=0)


def test_lengths_their_variation_and_the_sides():
    poses, wrist = upright(), H36M_17.index("LWrist")
    poses[::2, wrist, 1] += 0.05  # forearms of 0.30 and 0.25 m in turn, on the right 0.25 m
    found = bone_figures(poses, H36M_17)
    assert found["thigh_mm"] == pytest.approx(400) and found["thigh_variation"] == pytest.approx(0)
    assert found["forearm_variation"] == pytest.approx(0.025 / 0.275)
    assert found["forearm_mm"] == pytest.approx((275 + 250) / 2)
    assert found["forearm_asymmetry"] == pytest.approx(0.025 / 0.2625)
    assert found["hips_mm"] == pytest.approx(400) and found["trunk_mm"] == pytest.approx(500)


def turned(poses, angles):
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y, z = np.moveaxis(poses, -1, 0)
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=-1)


def test_flips_are_counted_and_turns_are_not():
    poses = upright()
    assert motion_figures(poses, FPS, H36M_17)["flips"] == 0
    assert motion_figures(turned(poses, np.linspace(0, 2 * np.pi, FRAMES)), FPS, H36M_17)["flips"] == 0
    flipped = poses.copy()
    flipped[20:23] = poses[20:23][:, H36M_17.flip_order]
    assert motion_figures(flipped, FPS, H36M_17)["flips"] >= 1
    flipped[35:] = poses[35:][:, H36M_17.flip_order]
    assert motion_figures(flipped, FPS, H36M_17)["flips"] >= 2


def test_attitude_and_jerk():
    poses = upright()
    found = motion_figures(poses, FPS, H36M_17)
    assert found["upright_degrees"] == pytest.approx(0, abs=1e-4) and found["jerk_m_s3"] == pytest.approx(0, abs=1e-6)
    lying = poses[..., [1, 0, 2]]
    assert motion_figures(lying, FPS, H36M_17)["upright_degrees"] == pytest.approx(90)
    cubic = poses + (np.arange(FRAMES) / FPS)[:, None, None] ** 3 * [2.0, 0, 0]
    assert motion_figures(cubic, FPS, H36M_17)["jerk_m_s3"] == pytest.approx(12, rel=1e-3)  # of 2 t^3
    assert motion_figures(poses[:2], FPS, H36M_17)["jerk_m_s3"] == 0.0


def test_feet_that_slide_while_they_stand_in_the_picture():
    poses, left = upright(), H36M_17.index("LFoot")
    pixels = 500 + 200 * poses[..., :2]
    time = np.arange(FRAMES) / FPS
    found = foot_figures(poses, pixels, FPS, H36M_17, trajectory=np.zeros((FRAMES, 3)))
    assert found["both_feet_frames"] == FRAMES and found["standing_frames"] == 2 * FRAMES
    assert found["between_feet_mm_s"] == pytest.approx(0) == found["foot_slide_mm_s"]
    poses[:, left, 2] += 0.1 * time  # in 3D away from the camera, which the picture does not show
    assert foot_figures(poses, pixels, FPS, H36M_17)["between_feet_mm_s"] == pytest.approx(100, rel=1e-6)
    drift = np.stack([0 * time, 0 * time, 0.3 * time], axis=-1)
    assert 300 <= foot_figures(poses, pixels, FPS, H36M_17, drift)["foot_slide_mm_s"] <= 400
    walking = pixels + 200 * time[:, None, None]
    found = foot_figures(poses, walking, FPS, H36M_17, drift)
    assert found["both_feet_frames"] == 0 and found["between_feet_mm_s"] is None and found["foot_slide_mm_s"] is None
    unseen = np.full_like(pixels, np.nan)
    assert foot_figures(poses, unseen, FPS, H36M_17)["both_feet_frames"] == 0


def test_mediapipes_own_depth(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.uniform(0.2, 0.8, (3, 33, 3))
    frames = [
        {"frame": f, "pose_landmarks": {"landmark": [dict(zip("xyz", map(float, p), strict=True)) for p in points[k]]}}
        for k, f in enumerate((0, 1, 3))
    ]  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"width": 200, "height": 100, "frames": [*frames, {"frame": 2, "pose_landmarks": None}]})
    )
    found = mediapipe_depth(path, 5)
    assert found.shape == (5, 17, 3) and np.isnan(found[[2, 4]]).all() and not found[[0, 1, 3], 0].any()
    wrist, hips = MEDIAPIPE_33.index("left_wrist"), [MEDIAPIPE_33.index(f"{s}_hip") for s in ("left", "right")]
    expected = (points[:, wrist] - points[:, hips].mean(axis=1)) * [200, 100, 200]
    ratio = found[[0, 1, 3], H36M_17.index("LWrist")] / expected
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)  # but for the size
    for frame in frames:
        frame["pose_world_landmarks"] = frame.pop("pose_landmarks")
    path.write_text(json.dumps({"frames": frames}))
    metres = mediapipe_depth(path, 5)[[0, 1, 3], H36M_17.index("LWrist")]
    np.testing.assert_allclose(metres, expected / [200, 100, 200], atol=1e-6)
    path.write_text("[1, 2]")
    assert mediapipe_depth(path, 5) is None and mediapipe_depth(tmp_path / "b.csv", 5) is None
