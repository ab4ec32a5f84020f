"""A lifted person to write: a walk of the synthetic motion, filmed by a level camera."""

import dataclasses

import numpy as np

from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.inference.bones import steady_bones
from mpm_keras.inference.lifted import LiftedMotion

FPS = 29.97


def in_camera_frame(clip) -> np.ndarray:
    """World (z up) -> the frame of a level camera that looks along the world's y axis, 5 m away and 1.2 m high."""
    return np.asarray(clip, float)[..., [0, 2, 1]] * [1, -1, 1] + [0, 1.2, 5]


def person(activity="walk", name="person1", steady=True, moves=True, seconds=2, **changes) -> LiftedMotion:
    """A `LiftedMotion` whose bones keep their length if steady; every seventh keypoint was not seen."""
    points = in_camera_frame(synthetic_motion(clips=1, seconds=seconds, seed=5, activities=[activity]).positions)
    pose, root = points - points[:, :1], points[:, 0]
    rng = np.random.default_rng(0)
    pose = steady_bones(pose) if steady else pose + rng.normal(0, 0.02, pose.shape) * (np.arange(17) > 0)[:, None]
    filled = np.arange(pose[..., 0].size).reshape(pose.shape[:2]) % 7 == 3
    pixels = 1000 * points[..., :2] / points[..., 2:] + [960, 540]
    fields = {
        "name": name,
        "positions_3d": pose.astype(np.float32),
        "filled": filled,
        "fps": FPS,
        "keypoints_2d": np.where(filled[..., None], np.nan, pixels).astype(np.float32),
        "confidence": np.where(filled, 0, 0.9).astype(np.float32),
        "image_size": (1920, 1080),
        "trajectory": root.astype(np.float32) if moves else None,
        "assumptions": {"scale": "as trained", "focal_px": np.float32(1000), "unknown": float("nan")},
    }
    return LiftedMotion(**(fields | changes))


def first_frames(motion: LiftedMotion, frames: int) -> LiftedMotion:
    """The beginning of a motion."""
    names = ("positions_3d", "filled", "keypoints_2d", "confidence", "trajectory")
    return dataclasses.replace(motion, **{name: getattr(motion, name)[:frames] for name in names})
