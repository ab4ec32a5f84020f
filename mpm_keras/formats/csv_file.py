"""CSV for spreadsheets and data frames: a row a frame."""

import csv
import io

import numpy as np

from mpm_keras.files import atomic_write
from mpm_keras.formats.common import label
from mpm_keras.formats.scene import Placement
from mpm_keras.inference.lifted import LiftedMotion

CONVENTION = "metres, camera frame (x right, y down, z forward), relative to the root joint; 2D in pixels"


def write_csv(path, motion: LiftedMotion, placement: Placement) -> None:
    """Writes a table with a header: `frame`, `time_s`, then for every joint `Hip_x_m`, `Hip_y_m`, `Hip_z_m`,
    for every joint `Hip_u_px`, `Hip_v_px`, `Hip_confidence`, `Hip_filled` (0 or 1), and `trajectory_x_m`,
    `trajectory_y_m`, `trajectory_z_m` if known. Cells of what is not known are empty."""
    names = [label(joint) for joint in motion.skeleton.joints]
    header = ["frame", "time_s"]
    header += [f"{name}_{axis}_m" for name in names for axis in "xyz"]
    header += [f"{name}_{what}" for name in names for what in ("u_px", "v_px", "confidence", "filled")]
    formats = ["%d", "%.6f"] + ["%.6f"] * 3 * len(names) + ["%.3f", "%.3f", "%.4f", "%d"] * len(names)
    frames = len(motion.positions_3d)
    seen = np.concatenate(
        [motion.keypoints_2d, motion.confidence[..., None], motion.filled[..., None]], axis=-1, dtype=np.float64
    )
    number = np.arange(frames)
    columns = [number, number / motion.fps, motion.positions_3d.reshape(frames, -1), seen.reshape(frames, -1)]
    if motion.trajectory is not None:
        header += [f"trajectory_{axis}_m" for axis in "xyz"]
        formats += ["%.6f"] * 3
        columns.append(motion.trajectory)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    for row in np.column_stack([np.asarray(column, np.float64) for column in columns]):
        table.writerow(["" if value != value else form % value for form, value in zip(formats, row, strict=True)])
    atomic_write(path, lambda file: file.write(text.getvalue().encode()))
