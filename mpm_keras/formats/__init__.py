"""Files of a lifted person, for other programs. `docs/formats.md` describes them all."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from mpm_keras.errors import InputError
from mpm_keras.files import write_json
from mpm_keras.formats import bvh_file, c3d_file, csv_file, json_file, npz_file, trc_file
from mpm_keras.formats.common import check_motion, plain
from mpm_keras.formats.scene import LEVEL, Placement, gravity_of_pitch, moves, scene_positions
from mpm_keras.inference.lifted import LiftedMotion

__all__ = ["FORMATS", "LEVEL", "Format", "Placement", "gravity_of_pitch", "scene_positions", "write_motion"]


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        write: `write(path, motion, placement)` writes one, whole or not at all.
        convention: units and axes, in words.
    """

    write: Callable[[Path, LiftedMotion, Placement], None]
    convention: str


# By what the file's name ends with.
FORMATS = {
    "npz": Format(npz_file.write_npz, npz_file.CONVENTION),
    "json": Format(json_file.write_json_motion, json_file.CONVENTION),
    "csv": Format(csv_file.write_csv, csv_file.CONVENTION),
    "trc": Format(trc_file.write_trc, trc_file.CONVENTION),
    "c3d": Format(c3d_file.write_c3d, c3d_file.CONVENTION),
    "bvh": Format(bvh_file.write_bvh, bvh_file.CONVENTION),
}


def write_motion(
    motion: LiftedMotion, folder, formats: Iterable[str] = ("npz",), placement: Placement | None = None
) -> list[Path]:
    """Writes one lifted person in several formats, and `NAME_assumptions.json` beside them.

    Args:
        motion: the person; `NAME` is its name. A joint that is not known is NaN.
        folder: where to; made if it is not there. Files of the same name are replaced, each at once.
        formats: keys of `FORMATS`.
        placement: how TRC, C3D and BVH put the person upright and on the floor; `Placement()` if None.

    Returns:
        The files written, in the order of `formats`; the assumptions last.

    Raises:
        InputError: an unknown format, a library that is not installed, or a folder that cannot be one.
        ValueError: a motion whose arrays do not fit.
    """
    formats = list(dict.fromkeys(formats))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise InputError(f"unknown format {', '.join(unknown) or '(none)'}; expected some of {', '.join(FORMATS)}")
    check_motion(motion)
    placement = placement or Placement()
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write to ({error.strerror})") from error
    paths = [folder / f"{motion.name}.{name}" for name in formats]
    for path, name in zip(paths, formats, strict=True):
        FORMATS[name].write(path, motion, placement)
    sidecar = folder / f"{motion.name}_assumptions.json"
    write_json(sidecar, _sidecar(motion, formats, placement))
    return [*paths, sidecar]


def _sidecar(motion: LiftedMotion, formats: list[str], placement: Placement) -> dict:
    """What was taken for granted, in the lifting and in writing."""
    return plain({
        "person": motion.name,
        "frames": len(motion.positions_3d),
        "fps": float(motion.fps),
        "image_size": list(motion.image_size),
        "assumptions": motion.assumptions,
        "conventions": {f"{motion.name}.{name}": FORMATS[name].convention for name in formats},
        "scene": {
            "gravity_in_camera_frame": placement.gravity,
            "floor": placement.floor,
            "root": "moves by the trajectory" if moves(motion) else "stays above the origin",
        },
    })  # fmt: skip
