"""TRC (track row column): markers for OpenSim."""

from pathlib import Path

import numpy as np

from mpm_keras.files import atomic_write
from mpm_keras.formats.common import label
from mpm_keras.formats.scene import Placement, scene_positions
from mpm_keras.inference.lifted import LiftedMotion

CONVENTION = "millimetres, y up, x right of the picture, z towards the camera"


def write_trc(path, motion: LiftedMotion, placement: Placement) -> None:
    """Writes joints as markers, tab-separated, as OpenSim's `TRCFileAdapter` reads them.

    Three lines of header, two of column labels, an empty one, then a line a frame: number from 1,
    seconds, x, y and z of each joint in millimetres. y is up, as in OpenSim; the person's heading is as
    filmed. A joint that is not known is NaN, which OpenSim leaves out of inverse kinematics.
    """
    points = 1000 * scene_positions(motion, placement)
    frames, joints = points.shape[:2]
    rate = f"{motion.fps:.10g}"
    names = [label(joint) for joint in motion.skeleton.joints]
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", Path(path).name],
        [
            "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame",
            "OrigNumFrames",
        ],
        [rate, rate, str(frames), str(joints), "mm", rate, "1", str(frames)],
        ["Frame#", "Time"] + [cell for name in names for cell in (name, "", "")][:-2],
        ["", ""] + [f"{axis}{i + 1}" for i in range(joints) for axis in "XYZ"],
        [],
    ]  # fmt: skip
    for i, row in enumerate(points.reshape(frames, -1)):
        values = ["NaN" if np.isnan(value) else f"{value:.4f}" for value in row]
        lines.append([str(i + 1), f"{i / motion.fps:.6f}", *values])
    text = "".join("\t".join(line) + "\n" for line in lines)
    atomic_write(path, lambda file: file.write(text.encode()))
