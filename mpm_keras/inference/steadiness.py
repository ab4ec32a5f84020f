"""What can be said of a lifted motion without a truth: bones of one length, feet that stand, nobody turned over.

A body has bones of one length and alike on both sides, feet that do not slide, a trunk that is mostly
upright, and sides that do not change places between two frames. How far a motion is from that is
measured here. Small figures prove nothing, a frozen pose has none; large ones prove errors.
"""

import numpy as np

from mpm_keras.inference.resampling import poses_at
from mpm_keras.inference.smoothing import savitzky_golay
from mpm_keras.skeletons import Skeleton

LIMBS = {
    "thigh": (("LHip", "LKnee"), ("RHip", "RKnee")), "shank": (("LKnee", "LFoot"), ("RKnee", "RFoot")),
    "upper_arm": (("LShoulder", "LElbow"), ("RShoulder", "RElbow")),
    "forearm": (("LElbow", "LWrist"), ("RElbow", "RWrist")),
}  # fmt: skip
MIDDLE = {"trunk": ("Hip", "Thorax"), "shoulders": ("LShoulder", "RShoulder"), "hips": ("LHip", "RHip")}
_SIDES = (("LHip", "RHip"), ("LShoulder", "RShoulder"))
_RATE = 25.0  # poses a second at which speeds are taken
_MOMENT = 0.12  # seconds within which nobody turns around
_STANDING = 0.06  # speed in the picture, body heights a second, below which an ankle stands
_STANDING_SECONDS = 0.3  # over which that speed is taken


def bone_figures(poses, skeleton: Skeleton) -> dict:
    """Lengths through time of (F, J, 3) metres.

    Returns:
        Per bone of `LIMBS` and `MIDDLE`: `{bone}_mm`, the median length, `{bone}_variation`, its
        standard deviation as a share of the mean (the worse side's), and for limbs
        `{bone}_asymmetry`, the difference of the sides' medians as a share of their mean.
    """
    found = {}
    for bone, pairs in {**LIMBS, **{name: (pair,) for name, pair in MIDDLE.items()}}.items():
        lengths = np.stack([_length(poses, skeleton, *pair) for pair in pairs])
        medians = np.median(lengths, axis=1)
        found[f"{bone}_mm"] = 1000 * float(medians.mean())
        found[f"{bone}_variation"] = float((lengths.std(axis=1) / np.maximum(lengths.mean(axis=1), 1e-9)).max())
        if len(pairs) > 1:
            found[f"{bone}_asymmetry"] = float(abs(medians[0] - medians[1]) / max(medians.mean(), 1e-9))
    return found


def motion_figures(poses, fps: float, skeleton: Skeleton) -> dict:
    """Turns, attitude and smoothness of (F, J, 3) metres in the camera frame.

    Returns:
        `flips`, how often hips or shoulders point to the other side than 0.12 s before, as happens
        when left and right change places; `upright_degrees` and `upright_degrees_95`, median and 95th
        percentile of the angle between trunk and the camera's up; `jerk_m_s3`, median over frames of
        the mean third derivative of the joints.
    """
    trunk = poses[:, skeleton.index("Thorax")] - poses[:, skeleton.root]
    lean = np.degrees(np.arccos(np.clip(-trunk[:, 1] / np.maximum(np.linalg.norm(trunk, axis=-1), 1e-9), -1, 1)))
    steps = max(1, round(_MOMENT * fps))
    against = np.zeros(max(len(poses) - steps, 0), bool)
    for left, right in _SIDES:
        across = poses[:, skeleton.index(left)] - poses[:, skeleton.index(right)]
        against |= (across[steps:] * across[:-steps]).sum(axis=-1) < 0
    flips = int((np.diff(against.astype(int), prepend=0) == 1).sum())
    even = poses_at(poses, fps, _RATE, int((len(poses) - 1) * _RATE / fps) + 1)
    jerk = np.linalg.norm(np.diff(even, 3, axis=0), axis=-1).mean(axis=-1) * _RATE**3
    return {
        "flips": flips, "upright_degrees": float(np.median(lean)),
        "upright_degrees_95": float(np.percentile(lean, 95)),
        "jerk_m_s3": float(np.median(jerk)) if len(jerk) else 0.0,
    }  # fmt: skip


def standing(points, fps: float) -> np.ndarray:
    """(F,) bool: where (F, 2) pixels of an ankle rest, by its speed in body heights, given in that unit.

    A still camera sees a foot that stands at one place. NaN, not seen, is no place.
    """
    seen = np.isfinite(points).all(axis=-1)
    if seen.sum() < 3:
        return np.zeros(len(points), bool)
    times = np.arange(len(points))
    filled = np.stack([np.interp(times, times[seen], points[seen, d]) for d in range(2)], axis=-1)
    smooth = savitzky_golay(filled, _STANDING_SECONDS, fps)
    return seen & (np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps < _STANDING)


def foot_figures(poses, keypoints_2d, fps: float, skeleton: Skeleton, trajectory=None) -> dict:
    """How fast standing feet slide. The camera must stand still.

    Args:
        poses: (F, J, 3) metres, camera frame.
        keypoints_2d: (F, J, 2) pixels, NaN where not seen.
        fps: frames a second.
        skeleton: the J joints.
        trajectory: (F, 3) of the root, or None.

    Returns:
        `both_feet_frames`, frames in which both ankles stand; `between_feet_mm_s`, median speed of one
        against the other in these, which should be 0 and needs no trajectory; with one,
        `standing_frames` and `foot_slide_mm_s`, median speed of a standing ankle in the camera frame.
        Speeds are None where nobody stands.
    """
    rows = keypoints_2d[np.isfinite(keypoints_2d).all(axis=-1).any(axis=1), :, 1]
    height = np.median(np.nanmax(rows, axis=1) - np.nanmin(rows, axis=1)) if len(rows) else np.nan
    feet = [skeleton.index(name) for name in ("LFoot", "RFoot")]
    rest = [standing(keypoints_2d[:, foot] / height, fps) for foot in feet]
    both = rest[0] & rest[1]
    apart = speed(poses[:, feet[0]] - poses[:, feet[1]], fps)
    found = {"both_feet_frames": int(both.sum()), "between_feet_mm_s": _median_mm(apart[both])}
    if trajectory is not None:
        slides = np.concatenate([speed(trajectory + poses[:, f], fps)[r] for f, r in zip(feet, rest, strict=True)])
        found |= {"standing_frames": len(slides), "foot_slide_mm_s": _median_mm(slides)}
    return found


def speed(points, fps: float) -> np.ndarray:
    """(F,) metres a second of (F, 3), smoothed over `_STANDING_SECONDS` as the ankles in the picture are."""
    if len(points) < 3:
        return np.zeros(len(points))
    smooth = savitzky_golay(np.asarray(points, np.float64), _STANDING_SECONDS, fps)
    return np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps


def _length(poses, skeleton, one, other):
    return np.linalg.norm(poses[:, skeleton.index(one)] - poses[:, skeleton.index(other)], axis=-1)


def _median_mm(values) -> float | None:
    return 1000 * float(np.median(values)) if len(values) else None
