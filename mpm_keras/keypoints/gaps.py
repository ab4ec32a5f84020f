"""Joints that a detector loses for a while, put between the places where it has them.

A lifter takes joints that are not seen and fills them in 3D, from what it knows of bodies. Where a gap
is short, the picture before and after it says more.
"""

import numpy as np

_LEAST_JOINTS = 3  # that show how the body went on, where one joint has no second end


def fill_gaps(points, scores, fps: float, longest: float, threshold: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints with gaps filled: linear in time between two sightings, and at the ends as the rest of the body moves.

    Args:
        points: (F, K, 2) pixels, those of joints that are not seen may be NaN.
        scores: (F, K).
        fps: frames a second.
        longest: seconds of a gap that is filled; of one at an end, so much of it.
        threshold: joints count as seen with a positive score of at least this.

    Returns:
        (F, K, 2) and (F, K); joints filled have the lower score of the two sightings. Others are as before.

    Raises:
        ValueError: for shapes that do not fit, or a time that is negative.
    """
    points, scores = np.array(points, np.float64), np.array(scores, np.float64)
    if points.shape != (*scores.shape, 2) or not 0 < fps < np.inf or not longest >= 0:
        raise ValueError(
            f"expected (F, K, 2), (F, K) and times, found {points.shape}, {scores.shape}, {fps}, {longest}"
        )
    seen = (scores > 0) & (scores >= threshold) & np.isfinite(points).all(axis=-1)
    frames, most = np.arange(len(points))[:, None], longest * fps
    before = np.maximum.accumulate(np.where(seen, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, frames, len(points))[::-1], axis=0)[::-1]
    between = ~seen & (before >= 0) & (after < len(points)) & (after - before - 1 <= most)
    joints = np.broadcast_to(np.arange(seen.shape[1]), seen.shape)
    f, j = np.nonzero(between)
    first, last = before[f, j], after[f, j]
    share = ((f - first) / (last - first))[:, None]
    points[f, j] = (1 - share) * points[first, j] + share * points[last, j]
    scores[f, j] = np.minimum(scores[first, j], scores[last, j])
    known = seen | between
    for end, there in ((before, before >= 0), (after, after < len(points))):
        near = ~known & there & (np.abs(frames - end) <= most)
        near &= (after >= len(points)) if end is before else (before < 0)
        _carry(points, scores, known, near, end, joints)
    return points, scores


def _carry(points, scores, known, near, source, joints):
    """Joints that are `near` move on from their `source` frame as the others do that both frames know; in place."""
    for f, j in zip(*np.nonzero(near), strict=True):
        start = source[f, j]
        both = known[f] & known[start]
        if both.sum() >= _LEAST_JOINTS:
            points[f, j] = points[start, j] + (points[f, both] - points[start, both]).mean(axis=0)
            scores[f, j] = scores[start, j]
