"""Smoothing of motion through time: the One-Euro filter (causal) and Savitzky-Golay (looks ahead)."""

import numpy as np
from scipy.signal import savgol_filter


class OneEuro:
    """A low-pass filter whose cutoff rises with speed: little jitter at rest, little lag in motion.

    Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012, Algorithm 1; as there, every number is
    filtered on its own and its speed is taken against the last filtered value.

    Args:
        min_cutoff: cutoff frequency at rest, Hz; lower is steadier.
        beta: how much the cutoff rises, Hz per (unit of x a second); higher lags less.
        d_cutoff: cutoff frequency of the speed itself, Hz.

    Raises:
        ValueError: for a cutoff that is not positive or a negative beta.
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 1.0, d_cutoff: float = 1.0):
        if not (0 < min_cutoff < np.inf and 0 < d_cutoff < np.inf and 0 <= beta < np.inf):
            raise ValueError(
                f"cutoffs must be positive and beta not negative, found min_cutoff={min_cutoff}, beta={beta}, "
                f"d_cutoff={d_cutoff}"
            )
        self.min_cutoff, self.beta, self.d_cutoff = float(min_cutoff), float(beta), float(d_cutoff)
        self.reset()

    def reset(self) -> None:
        """Forgets the past; the next value is returned as it is."""
        self._value = self._speed = None

    def push(self, x, dt: float) -> np.ndarray:
        """The next value, filtered.

        Args:
            x: an array of any shape, the same in every call.
            dt: seconds since the last value; of no consequence in the first call.

        Returns:
            float64 of the shape of x.

        Raises:
            ValueError: for NaN or infinity, another shape than before, or a dt that is not positive.
        """
        x = np.asarray(x, np.float64)
        if not np.isfinite(x).all():
            raise ValueError("a value to be filtered is NaN or infinite")
        if self._value is None:
            self._value, self._speed = x, np.zeros_like(x)
            return x.copy()
        if x.shape != self._value.shape:
            raise ValueError(f"expected shape {self._value.shape} as before, found {x.shape}")
        if not 0 < dt < np.inf:
            raise ValueError(f"dt must be positive, found {dt}")
        self._speed = _low_pass((x - self._value) / dt, self._speed, self.d_cutoff, dt)
        self._value = _low_pass(x, self._value, self.min_cutoff + self.beta * np.abs(self._speed), dt)
        return self._value.copy()


def _low_pass(x, last, cutoff, dt) -> np.ndarray:
    """One step of an exponential filter with its cutoff in Hz."""
    alpha = 1 / (1 + 1 / (2 * np.pi * cutoff * dt))
    return last + alpha * (x - last)


def one_euro(x, fps: float, min_cutoff: float = 1.0, beta: float = 1.0, d_cutoff: float = 1.0) -> np.ndarray:
    """A clip through `OneEuro`.

    Args:
        x: (F, ...) values; positions in metres suit the defaults.
        fps: frames a second.
        min_cutoff, beta, d_cutoff: as for `OneEuro`.

    Returns:
        (F, ...) of the floating-point type of x, float64 for integers.

    Raises:
        ValueError: as `OneEuro`, or for a frame rate that is not positive.
    """
    x = _checked(x, fps)
    euro = OneEuro(min_cutoff, beta, d_cutoff)
    filtered = np.empty_like(x)
    for i, row in enumerate(x):
        filtered[i] = euro.push(row, 1 / fps)
    return filtered


def savitzky_golay(x, window_seconds: float, fps: float, order: int = 2) -> np.ndarray:
    """Each frame from a polynomial through the frames around it (Savitzky and Golay, 1964).

    The window is the odd number of frames nearest to the time asked for, at least order + 1, and no
    longer than the clip. Where the polynomial passes through every frame of the window, as in a clip
    of up to order + 1 frames, nothing changes. The first and last half window lie on the polynomial
    of their end.

    Args:
        x: (F, ...) values.
        window_seconds: length of the window.
        fps: frames a second.
        order: degree of the polynomial; motion of up to this degree stays as it is.

    Returns:
        (F, ...) of the floating-point type of x, float64 for integers.

    Raises:
        ValueError: for NaN or infinity, or a window, frame rate or order out of range.
    """
    x = _checked(x, fps)
    if not 0 < window_seconds < np.inf or order < 0:
        raise ValueError(f"window must be positive and order not negative, found {window_seconds} s and {order}")
    asked = max(2 * round((window_seconds * fps - 1) / 2) + 1, order + 1)
    frames = min(asked, len(x))
    frames -= 1 - frames % 2  # odd
    if frames <= order + 1:
        return x.copy()
    return savgol_filter(x, frames, order, axis=0, mode="interp").astype(x.dtype)


def _checked(x, fps) -> np.ndarray:
    """The clip as an array of floats. Raises `ValueError` for what cannot be smoothed."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    if x.ndim < 1 or not np.isfinite(x).all():
        raise ValueError(
            f"expected finite values (F, ...), found shape {x.shape} with NaN or infinity or no frame axis"
        )
    if not 0 < fps < np.inf:
        raise ValueError(f"the frame rate must be positive, found {fps}")
    return x
