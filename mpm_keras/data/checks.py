"""Checks that views and motion share."""

import numpy as np

from mpm_keras.errors import InputError

_CHUNK = 1 << 16  # frames looked at together: arrays may be mapped and larger than the memory


def check_array(name: str, value, dtype, shape: tuple[int, ...]) -> None:
    """Raises `InputError` for anything but an array of exactly this type and shape."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise InputError(f"{name}: expected {np.dtype(dtype)} {shape}, found {found}")


def check_clips(kind: str, names, texts: dict, offsets, fps) -> None:
    """Checks what clips or views are: different names, as many texts, ascending offsets, frame rates.

    Args:
        kind: "clip" or "view", for messages.
        names: S names.
        texts: {field: S texts}.
        offsets: (S+1,) int64.
        fps: (S,) float32.
    """
    count = len(names)
    if count == 0:
        raise InputError(f"no {kind}s: at least one is needed")
    for field, values in texts.items():
        if len(values) != count:
            raise InputError(f"{field}: expected {count} entries, found {len(values)}")
    if len(set(names)) != count:
        seen = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise InputError(f"names: {twice!r} stands for more than one {kind}")
    check_array("offsets", offsets, np.int64, (count + 1,))
    if offsets[0] != 0 or (np.diff(offsets) <= 0).any():
        raise InputError(f"offsets: expected to start at 0 and to increase, every {kind} with at least one frame")
    check_array("fps", fps, np.float32, (count,))
    if not (np.isfinite(fps) & (fps > 0)).all():
        raise InputError("fps: expected positive numbers")


def check_frames(field: str, value, shape: tuple[int, ...], kind: str, names, offsets) -> None:
    """Checks a float32 array over all frames: its shape after the frame axis, and that it is finite."""
    frames = int(offsets[-1])
    check_array(field, value, np.float32, (frames, *shape))
    axes = tuple(range(1, value.ndim))
    bad = np.concatenate([~np.isfinite(value[at : at + _CHUNK]).all(axes) for at in range(0, frames, _CHUNK)])
    if bad.any():
        first = int(bad.argmax())
        clip = int(np.searchsorted(offsets, first, side="right")) - 1
        where = f"{kind} {names[clip]!r}, frame {first - int(offsets[clip])}"
        raise InputError(f"{field}: {int(bad.sum())} frames hold NaN or infinity, the first is {where}")
