"""NumPy archives: everything that is known of a lifted person."""

import numpy as np

from mpm_keras.files import atomic_write
from mpm_keras.formats.scene import Placement
from mpm_keras.inference.lifted import LiftedMotion

FORMAT, VERSION = "mpm_keras lifted motion", 1
CONVENTION = "metres, camera frame (x right, y down, z forward), relative to the root joint; 2D in pixels"


def write_npz(path, motion: LiftedMotion, placement: Placement) -> None:
    """Writes a compressed `.npz` that loads without pickles.

    Arrays: `positions_3d` (F, J, 3) float32, `joint_names` (J,) text, `parents` (J,) int32, -1 for the
    root joint, `fps` float64, `filled` (F, J) bool, `keypoints_2d` (F, J, 2) float32, NaN where not
    seen, `confidence` (F, J) float32, `image_size` (2,) int32 width and height, `trajectory` (F, 3)
    float32 if known, `name`, `format` and `version`.
    """
    arrays = {
        "positions_3d": np.asarray(motion.positions_3d, np.float32),
        "joint_names": np.array(motion.skeleton.joints),
        "parents": np.array(motion.skeleton.parents, np.int32),
        "fps": np.float64(motion.fps),
        "filled": np.asarray(motion.filled, bool),
        "keypoints_2d": np.asarray(motion.keypoints_2d, np.float32),
        "confidence": np.asarray(motion.confidence, np.float32),
        "image_size": np.array(motion.image_size, np.int32),
        "name": np.array(motion.name),
        "format": np.array(FORMAT),
        "version": np.int64(VERSION),
    }
    if motion.trajectory is not None:
        arrays["trajectory"] = np.asarray(motion.trajectory, np.float32)
    atomic_write(path, lambda file: np.savez_compressed(file, **arrays))
