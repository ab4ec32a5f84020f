"""Synthetic people as a detector would see them: projected, jittering, with COCO's joints."""

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.cameras import CameraRanges, camera_rng, draw_camera
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.keypoints.detections import Track
from mpm_keras.skeletons import COCO_17, H36M_17

_SAME = {
    "left_shoulder": "LShoulder", "right_shoulder": "RShoulder", "left_elbow": "LElbow", "right_elbow": "RElbow",
    "left_wrist": "LWrist", "right_wrist": "RWrist", "left_hip": "LHip", "right_hip": "RHip", "left_knee": "LKnee",
    "right_knee": "RKnee", "left_ankle": "LFoot", "right_ankle": "RFoot", "nose": "Neck/Nose",
}  # fmt: skip


def coco_joints(pose):
    """(F, 17, 3) of Human3.6M's joints to COCO's; eyes and ears are placed about the nose and the head's top."""
    at = {name: pose[:, H36M_17.index(name)] for name in H36M_17.joints}
    across = at["LShoulder"] - at["RShoulder"]
    across = across / np.linalg.norm(across, axis=-1, keepdims=True)
    up = at["Head"] - at["Thorax"]
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    forward = np.cross(across, up)
    nose = at["Neck/Nose"]
    face = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        face[f"{side}_eye"] = nose + 0.033 * sign * across + 0.035 * up - 0.02 * forward
        face[f"{side}_ear"] = nose + 0.075 * sign * across + 0.02 * up - 0.10 * forward
    return np.stack([at[_SAME[j]] if j in _SAME else face[j] for j in COCO_17.joints], axis=1)


def tracks(clips=8, seconds=8.0, fps=30.0, jitter=0.006, seed=0, activities=None, image_size=(1280, 720)):
    """Clean tracks of synthetic people, each filmed by a camera of its own; jitter in body heights."""
    motion = synthetic_motion(clips, seconds, fps, seed, activities)
    ranges = CameraRanges(image_size=image_size)
    made = []
    for i in range(clips):
        clip = coco_joints(motion.clip(i).astype(np.float64))
        camera = draw_camera(clip, ranges, camera_rng(seed, motion.names[i], 0))
        points = geometry.project(geometry.world_to_camera(clip, camera), camera)
        rng = np.random.default_rng([seed, i])
        height = np.ptp(points[..., 1], axis=1).max()
        points = points + rng.normal(0, jitter * height, points.shape)
        scores = rng.uniform(0.7, 1.0, points.shape[:2])
        as_is = np.zeros(len(points), bool)
        made.append(Track(f"person{i}", COCO_17, points.astype(np.float32), scores.astype(np.float32), as_is))
    return made
