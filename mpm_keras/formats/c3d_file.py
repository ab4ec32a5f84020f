"""C3D (c3d.org): points for biomechanics and animation programs, through the library `ezc3d`."""

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.formats.common import label, write_by_path
from mpm_keras.formats.scene import Placement, scene_positions
from mpm_keras.inference.lifted import LiftedMotion

CONVENTION = "millimetres, z up, x right of the picture, y away from the camera"


def write_c3d(path, motion: LiftedMotion, placement: Placement) -> None:
    """Writes joints as points, with their names, units, rate and the screen axes.

    z is up, as laboratories have it. The residual is 0, which C3D has for points that were calculated
    and not measured; a joint that is not known has residual -1, which makes the point invalid.

    Raises:
        InputError: `ezc3d` is not installed.
    """
    try:
        import ezc3d
    except ImportError as error:
        raise InputError(f"{path}: C3D needs the package ezc3d: pip install ezc3d") from error
    x, y, z = np.moveaxis(1000 * scene_positions(motion, placement), -1, 0)
    points = np.stack([x, -z, y, np.ones_like(x)]).transpose(0, 2, 1)  # (4, J, F)
    known = np.isfinite(points).all(axis=0, keepdims=True)
    file = ezc3d.c3d()
    file.add_parameter("POINT", "RATE", [float(motion.fps)])
    file.add_parameter("POINT", "UNITS", ["mm"])
    file.add_parameter("POINT", "LABELS", [label(joint) for joint in motion.skeleton.joints])
    file.add_parameter("POINT", "DESCRIPTIONS", list(motion.skeleton.joints))
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    file["data"]["points"] = np.where(known, points, np.nan)
    file["data"]["meta_points"]["residuals"] = np.where(known, 0.0, -1.0)
    write_by_path(path, file.write)
