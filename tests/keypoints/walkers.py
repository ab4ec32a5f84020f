"""Synthetic people as a detector would see them: projected, jittering, with COCO's joints."""

import importlib.util
from pathlib import Path

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.cameras import CameraRanges, camera_rng, draw_camera
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.keypoints.detections import Track
from mpm_keras.skeletons import COCO_17

_SAMPLES = Path(__file__).parents[2] / "docs" / "samples" / "make_samples.py"
_spec = importlib.util.spec_from_file_location("make_samples", _SAMPLES)
make_samples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_samples)


def tracks(clips=8, seconds=8.0, fps=30.0, jitter=0.006, seed=0, activities=None, image_size=(1280, 720)):
    """Clean tracks of synthetic people, each filmed by a camera of its own; jitter in body heights."""
    motion = synthetic_motion(clips, seconds, fps, seed, activities)
    ranges = CameraRanges(image_size=image_size)
    made = []
    for i in range(clips):
        clip = make_samples.coco_joints(motion.clip(i).astype(np.float64))
        camera = draw_camera(clip, ranges, camera_rng(seed, motion.names[i], 0))
        points = geometry.project(geometry.world_to_camera(clip, camera), camera)
        rng = np.random.default_rng([seed, i])
        height = np.ptp(points[..., 1], axis=1).max()
        points = points + rng.normal(0, jitter * height, points.shape)
        scores = rng.uniform(0.7, 1.0, points.shape[:2])
        as_is = np.zeros(len(points), bool)
        made.append(Track(f"person{i}", COCO_17, points.astype(np.float32), scores.astype(np.float32), as_is))
    return made
