"""Keypoints and poses at another frame rate, with gaps."""

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.ndimage import uniform_filter1d

MOST_POSES = 1_000_000  # eleven hours at 25 a second; a small file can claim many frames at a low rate


def count_at(frames: int, fps: float, rate: float) -> int:
    """Poses at `rate` that cover all frames, the last one included."""
    return int(np.ceil((frames - 1) * rate / fps - 1e-6)) + 1


def resample_keypoints(points, scores, fps, rate, threshold=0.0) -> tuple[np.ndarray, np.ndarray]:
    """Linear in time between frames that show a joint; a gap stays a gap.

    Many frames to one pose are averaged first, which also averages the detector's jitter.

    Args:
        points: (F, J, 2); those below the threshold are not looked at.
        scores: (F, J).
        fps, rate: frames a second, before and after.
        threshold: a joint counts as seen when its score is positive and at least this.

    Returns:
        (N, J, 2) float32, zero where not seen, and (N, J) bool seen; pose k is at time k / rate.

    Raises:
        ValueError: for shapes that do not fit, a frame rate that is not positive, or more than `MOST_POSES`.
    """
    points, scores = np.asarray(points, np.float32), np.asarray(scores, np.float32)
    if points.ndim != 3 or not len(points) or points.shape[:2] != scores.shape:
        raise ValueError(f"expected points (F, J, 2) and scores (F, J), found {points.shape} and {scores.shape}")
    if not (0 < fps < np.inf and 0 < rate < np.inf):
        raise ValueError(f"frame rates must be positive, found {fps} and {rate}")
    if (count := (len(points) - 1) * rate / fps) > MOST_POSES:
        raise ValueError(f"{len(points)} frames at {fps:g} a second make {count:.3g} poses, more than {MOST_POSES}")
    seen = (scores > 0) & (scores >= threshold) & np.isfinite(points).all(axis=-1)
    points = np.where(seen[..., None], points, 0.0)
    width = 2 * int(fps / rate / 2) + 1
    if width > 1:
        share = uniform_filter1d(seen.astype(np.float32), width, axis=0, mode="constant")[..., None]
        mean = uniform_filter1d(points, width, axis=0, mode="constant") / np.maximum(share, 1e-6)
        points = np.where(seen[..., None], mean, 0.0)
    place = np.minimum(np.arange(count_at(len(points), fps, rate)) * fps / rate, len(points) - 1)
    return between_frames(points, seen, place, near=fps >= rate)


def between_frames(points, seen, place, near: bool) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints between frames, linear in time.

    Args:
        points: (F, J, D), finite.
        seen: (F, J) bool.
        place: (N,) frame numbers with fractions, in 0..F-1.
        near: where only one of the two frames around a place shows a joint, it serves if it is the
            nearer one; otherwise both must show it. For places that lie closer than half a pose to a frame.

    Returns:
        (N, J, D) float32, zero where not seen, and (N, J) bool.
    """
    before = place.astype(int)
    after = np.minimum(before + 1, len(points) - 1)
    weight = (place - before).astype(np.float32)[:, None]
    left = np.where(seen[before], 1 - weight, 0) * (seen[after] | (near & (weight <= 0.5)) | (weight < 1e-3))
    right = np.where(seen[after], weight, 0) * (seen[before] | (near & (weight > 0.5)))
    total = left + right
    found = left[..., None] * points[before] + right[..., None] * points[after]
    return (found / np.maximum(total, 1e-6)[..., None]).astype(np.float32), total > 0


def poses_at(poses, rate, fps, frames: int) -> np.ndarray:
    """(N, ...) poses at `rate` -> (frames, ...) float32 at `fps`, by cubic splines (lower below 4 poses)."""
    poses = np.asarray(poses)
    if len(poses) == 1:
        return np.repeat(poses, frames, axis=0).astype(np.float32)
    old, new = np.arange(len(poses)) / rate, np.arange(frames) / fps
    if len(old) == len(new) and np.allclose(old, new, rtol=0, atol=1e-6):
        return poses.astype(np.float32)
    return make_interp_spline(old, poses, k=min(3, len(poses) - 1))(np.minimum(new, old[-1])).astype(np.float32)
