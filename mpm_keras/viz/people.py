"""What the viewer and animations of lifted motion share: people's colours, checks, places of filled-in joints."""

import numpy as np

from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.viz.skeleton import MIDDLE

FILLED = "#d08a00"  # joints that the network filled in
PEOPLE = (MIDDLE, "#2e8b57", "#8455b0", "#b3476b", "#14868f", "#7a6a1f", "#5867c8", "#8a5a3c")  # a person's trunk


def check_people(motions: list[LiftedMotion]):
    """Raises `ValueError` if there is nobody or nothing to show, or the people are not of one clip."""
    if not motions or not len(motions[0].positions_3d):
        raise ValueError("there is nobody to show: expected people and frames")
    first, joints = motions[0], motions[0].skeleton.num_joints
    if not (np.isfinite(first.fps) and first.fps > 0 and min(first.image_size) > 0):
        raise ValueError(f"expected a positive frame rate and image size, found {first.fps} and {first.image_size}")
    for motion in motions:
        frames = len(first.positions_3d)
        expected = [(frames, joints, 3), (frames, joints, 2), (frames, joints), (frames, joints)]
        expected += [] if motion.trajectory is None else [(frames, 3)]
        arrays = [motion.positions_3d, motion.keypoints_2d, motion.confidence, motion.filled, motion.trajectory]
        found = [np.shape(array) for array in arrays if array is not None]
        if found != expected:
            raise ValueError(f"{motion.name}: expected 3D, 2D, confidence and mask of shapes {expected}, found {found}")
        clip = (motion.skeleton, float(motion.fps), tuple(motion.image_size))
        if clip != (first.skeleton, float(first.fps), tuple(first.image_size)):
            raise ValueError(f"{motion.name}: expected skeleton, frame rate and image size of {first.name}")


def place_filled(motion: LiftedMotion) -> np.ndarray:
    """Keypoints in which joints that were filled in stand where their 3D positions would be seen.

    3D is laid over the joints that the detector saw, frame by frame, by the scale and shift of least
    squares (weak perspective). For display: near enough to see what was filled in, not a measurement.

    Returns:
        (F, J, 2) float64 pixels; NaN stays where fewer than three joints were seen.
    """
    seen_2d = np.asarray(motion.keypoints_2d, float)
    flat = np.asarray(motion.positions_3d, float)[..., :2]
    near = np.abs(np.nan_to_num(seen_2d)) < 4 * max(motion.image_size)  # a detector's nonsense would spoil the fit
    known = (np.isfinite(seen_2d) & near & np.isfinite(flat)).all(-1)
    weight = known[..., None] / np.maximum(known.sum(1), 1)[:, None, None]
    points, target = np.where(known[..., None], flat, 0.0), np.where(known[..., None], seen_2d, 0.0)
    centre, middle = (weight * points).sum(1, keepdims=True), (weight * target).sum(1, keepdims=True)
    spread = (weight * (points - centre) ** 2).sum((1, 2))
    scale = (weight * (points - centre) * (target - middle)).sum((1, 2)) / np.maximum(spread, 1e-12)
    placed = middle + scale[:, None, None] * (flat - centre)
    usable = (known.sum(1) >= 3) & (scale > 0)
    fill = np.asarray(motion.filled, bool) & ~np.isfinite(seen_2d).all(-1) & usable[:, None]
    return np.where(fill[..., None], placed, seen_2d)
