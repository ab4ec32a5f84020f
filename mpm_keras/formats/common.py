"""What the writers share: checks, names of joints, JSON values, libraries that write to paths only."""

import math
import tempfile
from pathlib import Path

import numpy as np

from mpm_keras.files import atomic_write
from mpm_keras.inference.lifted import LiftedMotion


def check_motion(motion: LiftedMotion) -> None:
    """Raises `ValueError` for shapes that do not fit, no frames, infinite values, or a name that is no file name."""
    if not motion.name or Path(motion.name).name != motion.name or motion.name.startswith("."):
        raise ValueError(f"the person's name must do as a file name, found {motion.name!r}")
    frames, joints = len(motion.positions_3d), motion.skeleton.num_joints
    shapes = {"positions_3d": (joints, 3), "filled": (joints,), "keypoints_2d": (joints, 2), "confidence": (joints,)}
    if motion.trajectory is not None:
        shapes["trajectory"] = (3,)
    for field, shape in shapes.items():
        value = np.asarray(getattr(motion, field))
        if value.shape != (frames, *shape):
            raise ValueError(f"{motion.name}: expected {field} of shape {(frames, *shape)}, found {value.shape}")
        if np.isinf(value).any():
            raise ValueError(f"{motion.name}: {field} holds infinity")
    if frames == 0:
        raise ValueError(f"{motion.name}: a motion without frames cannot be written")
    if not 0 < motion.fps < math.inf or len(motion.image_size) != 2 or min(motion.image_size) <= 0:
        raise ValueError(
            f"{motion.name}: frame rate and image size must be positive, found {motion.fps}, {motion.image_size}"
        )


def label(joint: str) -> str:
    """A joint's name where formats do not allow all characters: "Neck/Nose" becomes "Neck_Nose"."""
    return joint.replace("/", "_")


def plain(value):
    """A value as JSON has it: NumPy's numbers and arrays as Python's, NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_by_path(path, write) -> None:
    """Has `write(path)` write a file elsewhere, under the same suffix, and puts it into place whole."""
    path = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / f"motion{path.suffix}"
        write(str(written))
        content = written.read_bytes()
    atomic_write(path, lambda file: file.write(content))
