"""Channels: what an activity moves, as deviations from standing still, and smooth curves to move it with."""

import numpy as np

from mpm_keras.data.synthetic.body import LIMITS

_BOTH = ("flex", "abduct", "rotate", "elbow", "shrug")
NAMES = (
    # The path on the floor (m/s, rad/s) that the feet step along, and `hop` (m/s), which carries them.
    "speed", "strafe", "turn", "hop",
    # Gait: cycles/s, extra part of the cycle that a foot is in the air beyond one half, foot lift in m.
    "cadence", "airborne", "lift", "width",
    # Amplitudes of what swings with the gait (rad; sway in m, bounces in leg lengths).
    "arm_swing", "elbow_swing", "pelvis_turn", "pelvis_drop", "sway", "bounce_walk", "bounce_run",
    # Pelvis against the path: leg lengths and radians.
    "dx", "dy", "dz", "pitch", "lean", "yaw",
    "bend", "side", "twist", "nod", "tilt", "look",
    *(f"{k}_{s}" for s in "LR" for k in _BOTH),
    # Feet against their places under the path: leg lengths; `toe` turns the knee outwards (rad).
    *(f"{k}_{s}" for s in "LR" for k in ("fx", "fy", "fz", "toe")),
)  # fmt: skip
ARMS = tuple(f"{k}_{s}" for s in "LR" for k in _BOTH)
_COLUMN = {name: i for i, name in enumerate(NAMES)}
_LIMITED = [(i, LIMITS[n.split("_")[0]]) for n, i in _COLUMN.items() if n.split("_")[0] in LIMITS and n in ARMS + (
    "bend", "side", "twist", "nod", "tilt", "look")]  # fmt: skip


class Channels:
    """(n, C) values with named columns; a column that nobody sets is zero."""

    def __init__(self, frames: int):
        self.values = np.zeros((frames, len(NAMES)))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[:, _COLUMN[name]]

    def __setitem__(self, name: str, value):
        self.values[:, _COLUMN[name]] = value

    def set(self, weight=1.0, **values):
        """Adds `weight * value` to each named channel."""
        for name, value in values.items():
            self[name] += weight * value

    def on(self, sides, weight=1.0, **values):
        """As `set`, for the channels of one side ("L" or "R") or of both ("LR")."""
        for side in sides:
            self.set(weight, **{f"{name}_{side}": value for name, value in values.items()})

    def limit(self):
        """Enforces the joint limits, softly near them: a bend in the curve, not a corner."""
        for i, (low, high) in _LIMITED:
            middle, half = (high + low) / 2, (high - low) / 2
            x = (self.values[:, i] - middle) / half
            soft = np.where(np.abs(x) < 0.8, x, np.sign(x) * (0.8 + 0.2 * np.tanh((np.abs(x) - 0.8) / 0.2)))
            self.values[:, i] = middle + half * soft


def ease(x):
    """Minimum-jerk rise from 0 at x <= 0 to 1 at x >= 1."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


def hold(t, start, end, rise):
    """Rises during `rise` seconds after `start`, is 1, and is back at 0 at `end`."""
    return np.minimum(ease((t - start) / rise), ease((end - t) / rise))


def keyframes(t, times, values):
    """Minimum-jerk interpolation of values (k,) or (k, c) at ascending times (k,)."""
    times, values = np.asarray(times, float), np.asarray(values, float)
    i = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
    u = ease((t - times[i]) / np.maximum(times[i + 1] - times[i], 1e-6))
    u = u if values.ndim == 1 else u[:, None]
    return values[i] + (values[i + 1] - values[i]) * u


def noise(t, rng, low=0.1, high=0.8, count=None):
    """Band-limited noise of standard deviation 1: (n,) or (n, count); low and high in Hz."""
    shape = (count or 1, 6)
    frequency = rng.uniform(low, high, shape)
    phase = rng.uniform(0.0, 2 * np.pi, shape)
    curves = np.sin(2 * np.pi * frequency[..., None] * t + phase[..., None]).sum(1) / np.sqrt(3.0)
    return curves[0] if count is None else curves.T


def dwell(t, rng, sample, move=(0.35, 0.9), stay=(0.1, 1.0)):
    """Goes from one random value to the next: `sample()` gives (c,) values. Returns (n, c)."""
    times, values = [t[0] - rng.uniform(0.0, 1.0)], [sample()]
    while times[-1] < t[-1]:
        times += [times[-1] + rng.uniform(*stay)]
        values += [values[-1]]
        times += [times[-1] + rng.uniform(*move)]
        values += [sample()]
    return keyframes(t, times, values)


def repeats(t, start, end, rng, period, pause=0.3):
    """Times of repetitions inside [start, end]: list of (begin, length), tempo varying by a tenth."""
    found, begin = [], start
    while True:
        length = period * rng.uniform(0.9, 1.1)
        if begin + length > end and found:
            return found
        found.append((begin, length))
        begin += length + pause * rng.uniform(0.3, 1.7)
