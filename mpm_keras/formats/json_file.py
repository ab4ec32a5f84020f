"""JSON, a frame a line."""

import json

import numpy as np

from mpm_keras.files import atomic_write
from mpm_keras.formats.common import plain
from mpm_keras.formats.npz_file import FORMAT, VERSION
from mpm_keras.formats.scene import Placement
from mpm_keras.inference.lifted import LiftedMotion

CONVENTION = "metres, camera frame (x right, y down, z forward), relative to the root joint; 2D in pixels"


def write_json_motion(path, motion: LiftedMotion, placement: Placement) -> None:
    """Writes a lifted person as one JSON object.

        {"format": "mpm_keras lifted motion", "version": 1, "name": "person1", "fps": 30.0,
         "image_size": [1920, 1080], "joint_names": ["Hip", ...], "parents": [-1, 0, ...],
         "assumptions": {...},
         "frames": [
           {"frame": 0, "time": 0.0, "positions_3d": [[x, y, z], ...], "keypoints_2d": [[u, v], ...],
            "confidence": [...], "filled": [...], "trajectory": [x, y, z]},
           ...]}

    The lists of a frame have an entry for each joint. `keypoints_2d` has null for a joint that was not
    seen, `positions_3d` for one that is not known, and `trajectory` is null where it is not known. All
    numbers are finite: metres to the micrometre, pixels to a thousandth.
    """
    head = plain({
        "format": FORMAT,
        "version": VERSION,
        "name": motion.name,
        "fps": float(motion.fps),
        "image_size": list(motion.image_size),
        "joint_names": list(motion.skeleton.joints),
        "parents": list(motion.skeleton.parents),
        "assumptions": motion.assumptions,
    })  # fmt: skip
    columns = {
        "positions_3d": _vectors(motion.positions_3d, 6),
        "keypoints_2d": _vectors(motion.keypoints_2d, 3),
        "confidence": plain(_rounded(motion.confidence, 4)),
        "filled": np.asarray(motion.filled, bool).tolist(),
        "trajectory": [None] * len(motion.positions_3d),
    }
    if motion.trajectory is not None:
        columns["trajectory"] = _vectors(motion.trajectory, 6)

    def write(file):
        file.write(f'{_text(head)[:-1]},\n"frames": [\n'.encode())
        for i in range(len(motion.positions_3d)):
            frame = {"frame": i, "time": round(i / motion.fps, 6), **{key: rows[i] for key, rows in columns.items()}}
            file.write(f"{',' if i else ''}{_text(frame)}\n".encode())
        file.write(b"]}\n")

    atomic_write(path, write)


def _text(value) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _rounded(values, digits: int) -> np.ndarray:
    return np.round(np.asarray(values, np.float64), digits) + 0.0  # no -0.0


def _vectors(values, digits: int) -> list:
    """(..., D) numbers as nested lists, with None for a vector that has NaN."""
    rounded = _rounded(values, digits)
    if rounded.ndim == 1:
        return rounded.tolist() if np.isfinite(rounded).all() else None
    if np.isfinite(rounded).all():
        return rounded.tolist()
    return [_vectors(entry, digits) for entry in rounded]
