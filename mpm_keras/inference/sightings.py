"""What a motion's own frames say of the joints that others lack, and how far to trust it."""

import numpy as np
from scipy.interpolate import CubicSpline

from mpm_keras.data.baselines import interpolate_hidden

# Seconds from the nearest sighting at which a network is worth as much as interpolation, with two ends and with one;
# found on validation subjects, see docs/results/detector_27.md.
BETWEEN, BEYOND = 0.5, 0.3
_STEEPNESS = 4
_FEWEST = 4  # frames that a cubic spline needs
_NOTHING = 1  # joint seen, the root at zero, says as much as none


def between_sightings(predicted, observed, hidden, fps: float) -> np.ndarray:
    """A network's poses where joints are hidden for long, interpolated ones near the frames that show them.

    The weight of interpolation is 1 / (1 + (d / r)^4), d the time to the nearest frame that shows the joint and r the
    time at which both count alike. In frames that show nothing at all a straight line between those that do takes
    the network's place.

    Args:
        predicted: (F, J, 3).
        observed: (F, J, 3); hidden joints are not looked at.
        hidden: (F, J) bool.
        fps: frames a second.

    Returns:
        (F, J, 3): what is not hidden is as observed.
    """
    observed = np.where(hidden[..., None], predicted, observed)
    blank = (~hidden).sum(axis=1) <= _NOTHING
    if not blank.all():
        line = interpolate_hidden(observed[None], np.broadcast_to(blank[:, None], hidden.shape)[None], observed[0])[0]
        predicted = np.where(blank[:, None, None], line, predicted)
    filled, seconds, two_ends = interpolated(observed, hidden), *distances(hidden)
    share = 1 / (1 + (seconds / fps / np.where(two_ends, BETWEEN, BEYOND)) ** _STEEPNESS)
    mixed = share[..., None] * filled + (1 - share[..., None]) * predicted
    return np.where(hidden[..., None], mixed, observed).astype(observed.dtype)


def interpolated(poses, hidden) -> np.ndarray:
    """Hidden joints of (F, J, 3) by a cubic spline in time through the frames that show them.

    Beyond the first and the last of them, and where they are fewer than four, as `interpolate_hidden`. A joint that no
    frame shows stays.
    """
    lacking, time = hidden & ~hidden.all(axis=0), np.arange(len(poses))
    filled = interpolate_hidden(poses[None], lacking[None], fallback=poses[0])[0]
    for j in np.flatnonzero(lacking.any(axis=0)):
        seen = time[~hidden[:, j]]
        inner = lacking[:, j] & (time > seen[0]) & (time < seen[-1])
        if len(seen) >= _FEWEST and inner.any():
            filled[inner, j] = CubicSpline(seen, poses[seen, j])(time[inner])
    return filled


def distances(hidden) -> tuple[np.ndarray, np.ndarray]:
    """(F, J) each: frames to the nearest that shows the joint, infinite without any; whether both sides have one."""
    frames, never = np.arange(len(hidden))[:, None], np.inf
    before = np.maximum.accumulate(np.where(hidden, -never, frames), axis=0)
    after = np.minimum.accumulate(np.where(hidden, never, frames)[::-1], axis=0)[::-1]
    return np.minimum(frames - before, after - frames), np.isfinite(before) & np.isfinite(after)
