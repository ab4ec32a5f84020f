"""Reader of the open motion capture archive: many clips of 17 Human3.6M joints in one `.npz`.

The archive (`open_mocap_h36m17.npz`) holds, for F frames and S clips: `root` (F, 3) metres, z up;
`relative` (F, 17, 3), every joint minus the hip; `sequence_start` (S+1,), `sequence_name`,
`subject`, `fps`, `license` and `description` (S,). Positions come as two arrays because float16
world coordinates would be wrong by millimetres a few metres from the origin.
"""

import os
import zipfile

import numpy as np

from mpm_keras.data.motion import Motion, check_clip
from mpm_keras.errors import InputError
from mpm_keras.npz import read_npz
from mpm_keras.skeletons import H36M_17

_TEXTS = ("sequence_name", "subject", "license", "description")
_SOURCE = "source"  # need not be there
_ARRAYS = ("root", "relative", "sequence_start", "fps", *_TEXTS)

_NO_ARCHIVE = (OSError, ValueError, zipfile.BadZipFile, NotImplementedError)


def is_open_mocap(path) -> bool:
    """Whether a file is such an archive, by the names in its zip directory; reads no arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"root.npy", "relative.npy", "sequence_start.npy"} <= set(archive.namelist())
    except _NO_ARCHIVE:
        return False


def read_open_mocap(path) -> Motion:
    """Reads the whole archive.

    Args:
        path: the `.npz` file. Pickled objects in it are refused.

    Returns:
        A `Motion` of S clips, positions (F, 17, 3) float32 in metres, z up.

    Raises:
        InputError: the file is missing, truncated or no `.npz`, lacks an array, or an array has
            the wrong shape, clip starts that do not ascend, or values that are not finite.
    """
    name = os.fspath(path)
    arrays = _load(name)
    starts, clip_names = _check_layout(name, arrays)
    positions = arrays["root"].astype(np.float32)[:, None] + arrays["relative"].astype(np.float32)
    _check_finite(name, positions, starts, clip_names)
    return Motion(
        positions=positions,
        offsets=starts.astype(np.int64),
        names=clip_names,
        subjects=tuple(arrays["subject"].tolist()),
        actions=tuple(arrays["description"].tolist()),
        fps=arrays["fps"].astype(np.float32),
        licenses=tuple(arrays["license"].tolist()),
        skeleton=H36M_17,
        provenance=tuple(arrays[_SOURCE].tolist()) if _SOURCE in arrays else (),
        dataset="open_mocap",
    )


def _load(name: str) -> dict:
    """The arrays by name, none of them checked but for being there."""
    try:
        with zipfile.ZipFile(name) as archive:
            there = {member.removesuffix(".npy") for member in archive.namelist()}
    except FileNotFoundError:
        raise InputError(f"{name}: no such file; expected an open motion capture archive (.npz)") from None
    except _NO_ARCHIVE:
        raise InputError(f"{name}: not an .npz archive, or a truncated one") from None
    if missing := [key for key in _ARRAYS if key not in there]:
        raise InputError(f"{name}: not an open motion capture archive, it lacks the arrays {', '.join(missing)}")
    return read_npz(name, [key for key in (*_ARRAYS, _SOURCE) if key in there])


def _check_layout(name: str, arrays: dict) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the clip starts (S+1,) and the clip names after checking every shape and type."""
    joints = H36M_17.num_joints
    relative, starts = arrays["relative"], arrays["sequence_start"]
    if relative.ndim != 3 or relative.shape[1:] != (joints, 3):
        raise InputError(f"{name}: expected relative of shape (frames, {joints}, 3), found {relative.shape}")
    frames = len(relative)
    if arrays["root"].shape != (frames, 3):
        raise InputError(f"{name}: expected root of shape ({frames}, 3), found {arrays['root'].shape}")
    if starts.ndim != 1 or len(starts) < 2 or starts.dtype.kind not in "iu":
        raise InputError(f"{name}: expected sequence_start of shape (clips + 1,) and integer type")
    starts = starts.astype(np.int64)
    if starts[0] != 0 or starts[-1] != frames or (np.diff(starts) <= 0).any():
        raise InputError(f"{name}: sequence_start must ascend from 0 to {frames}, the number of frames")
    clips = len(starts) - 1
    for key in (*_TEXTS, "fps", *({_SOURCE} & set(arrays))):
        if arrays[key].shape != (clips,):
            raise InputError(f"{name}: expected {key} of shape ({clips},), found {arrays[key].shape}")
    _check_types(name, arrays)
    names = tuple(arrays["sequence_name"].tolist())
    if len(set(names)) != clips:
        raise InputError(f"{name}: the clip names in sequence_name must all be different")
    return starts, names


def _check_types(name: str, arrays: dict) -> None:
    for key in (*_TEXTS, *({_SOURCE} & set(arrays))):
        if arrays[key].dtype.kind != "U":
            raise InputError(f"{name}: expected {key} to hold text, found {arrays[key].dtype}")
    for key in ("root", "relative", "fps"):
        if arrays[key].dtype.kind not in "fiu":
            raise InputError(f"{name}: expected {key} to hold real numbers, found {arrays[key].dtype}")
    if not (np.isfinite(arrays["fps"]) & (arrays["fps"] > 0)).all():
        raise InputError(f"{name}: fps must be positive for every clip")


def _check_finite(name: str, positions: np.ndarray, starts: np.ndarray, names: tuple[str, ...]) -> None:
    bad = ~np.isfinite(positions).all(axis=(1, 2))
    if bad.any():
        clip = int(np.searchsorted(starts, bad.argmax(), side="right")) - 1
        check_clip(positions[starts[clip] : starts[clip + 1]], f"{name}: clip {names[clip]}", H36M_17)
