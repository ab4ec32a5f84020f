"""Joints that leap away and back within a moment, as no limb does: taken as not found."""

import dataclasses

import numpy as np

from mpm_keras.keypoints.detections import Track

_USUAL_FPS = 30.0
_SPEED = 8.0  # body extents a second, some 14 m/s; a boxer's fist against the trunk reaches 10
_LEAST = 0.12  # body extents; shorter leaps are noise, which smoothing is for
_MOMENT = 0.1  # seconds that a leap may last
_BACK = 0.3  # of the leap: so near must the joint come to where it was


def drop_outliers(track: Track, *, fps: float | None = None) -> Track:
    """The track without joints that leap and come back; they become NaN with score 0.

    A joint is left out of the frames between two leaps if it moves, against the middle of the body,
    faster than any limb both times, comes back near to where it was, and all that within a tenth of
    a second. Joints that move to a wrong place and stay there are not touched.

    Args:
        track: one person.
        fps: frames a second; 30 where unknown.
    """
    rate = fps or _USUAL_FPS
    seen = np.flatnonzero((track.scores > 0).any(axis=1))
    if len(seen) < 3:
        return track
    points = track.points[seen].astype(np.float64)
    extent = np.median((np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).max(axis=1))
    places = (points - np.nanmedian(points, axis=1, keepdims=True)) / max(extent, 1e-6)
    gone = np.zeros(track.scores.shape, bool)
    for joint in range(track.skeleton.num_joints):
        found = np.flatnonzero(track.scores[seen, joint] > 0)
        outliers = _leaps(seen[found] / rate, places[found, joint], max(1, round(_MOMENT * rate)))
        gone[seen[found[outliers]], joint] = True
    if not gone.any():
        return track
    points = np.where(gone[..., None], np.float32(np.nan), track.points)
    scores = np.where(gone, np.float32(0), track.scores)
    note = f"{int(gone.sum())} joints that leapt away and back within {_MOMENT} s are taken as not found"
    return dataclasses.replace(track, points=points, scores=scores, notes=(*track.notes, note))


def _leaps(times, places, longest):
    """Indices of the places between two leaps that undo each other."""
    steps = np.linalg.norm(np.diff(places, axis=0), axis=-1)
    leaps = np.flatnonzero(steps > np.maximum(_LEAST, _SPEED * np.diff(times)))
    outliers = set()
    for n, first in enumerate(leaps):
        for last in leaps[n + 1 : n + 1 + longest]:
            if last - first > longest:
                break
            if np.linalg.norm(places[last + 1] - places[first]) < _BACK * steps[first] and first not in outliers:
                outliers.update(range(first + 1, last + 1))
                break
    return sorted(outliers)
