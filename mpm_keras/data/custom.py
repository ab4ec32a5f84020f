"""Motion of one's own: joints in `.npz`, CSV or C3D files, described by a small JSON mapping file.

`docs/custom_data.md` explains how to write one. All of its keys:

    {"joints": {"Hip": ["hip_left", "hip_right"], "RHip": "hip_right", ...},   Human3.6M joint -> the file's
     "units": "mm",                    m, cm, mm, inch or metres per unit; a C3D file tells its own
     "up": "y",                        x, y or z, with a minus if that axis points down
     "fps": 120,                       frames a second; a C3D file tells its own
     "handed": "right",                left for left-handed coordinates, such as Unity's
     "array": "positions",             .npz: the array (frames, joints, 3)
     "names": ["hip_left", ...],       .npz: the names of its joints; or the array in the file that has them
     "fill_gaps": 0.1,                 longest time in seconds that missing joints are interpolated over
     "floor": "lowest",                or "keep": where the data has its own floor at zero
     "license": "", "subject": ""}     subject: by default the folder, or the file for one of its own
"""

import array
import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mpm_keras.data.bvh import settle
from mpm_keras.data.c3d import read_c3d
from mpm_keras.data.foreign import LARGEST, find, good_ones, named, numbers, positive
from mpm_keras.data.motion import Motion, resample
from mpm_keras.data.progress import track
from mpm_keras.data.safe_pickle import load_archive
from mpm_keras.errors import InputError
from mpm_keras.files import read_json
from mpm_keras.skeletons import H36M_17

SUFFIXES = (".npz", ".csv", ".c3d")
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
UP = ("x", "y", "z", "-x", "-y", "-z")
_DEFAULTS = {
    "joints": None, "units": None, "up": None, "fps": None, "handed": "right", "array": "positions", "names": "names",
    "fill_gaps": 0.0, "floor": "lowest", "license": "", "subject": "",
}  # fmt: skip
_NEEDED = ("joints", "up")
_BODY = (0.8, 2.6)  # metres that a stretched body may measure from ankle to crown, along its bones
_LONGEST_HEADER = 1 << 20  # characters of the first line of a CSV file


def read(paths, mapping, *, fps=50.0, progress=None) -> Motion:
    """Reads joint files.

    Args:
        paths: a `.npz`, `.csv` or `.c3d` file, a folder of them, or a list.
        mapping: the JSON file that describes them, or its contents as a dict.
        fps: frames a second of the clips returned; resampled with cubic splines.
        progress: draw a bar; by default if stderr is a terminal.

    Returns:
        A `Motion` of 17 Human3.6M joints, metres, z up, named after the files.

    Raises:
        InputError: the mapping is not one, nothing could be read, or a file that was named itself is
            bad. Bad files of a folder are left out: a `UserWarning` names each, another their number.
    """
    mapping = read_mapping(mapping)
    files, strict = find(paths, SUFFIXES, "joint files")
    results = [_try(path, name, mapping, fps) for path, name in track(files, len(files), "files", progress)]
    good = good_ones(results, strict=strict, what=files[0][0].parent)
    return Motion.from_clips(
        [clip for _, clip in good],
        names=[name for name, _ in good],
        subjects=[mapping["subject"] or name.rpartition("/")[0].replace("/", "_") or name for name, _ in good],
        fps=[fps] * len(good),
        licenses=[mapping["license"]] * len(good),
    )


def _try(path, name, mapping, fps):
    try:
        return (name, read_clip(path, mapping, fps)), ""
    except InputError as error:
        return None, str(error)


# --- The mapping ----------------------------------------------------------------------------------


def read_mapping(source) -> dict:
    """A mapping with all its keys, checked; joints as {Human3.6M joint: {name: weight}}.

    Args:
        source: a path, a dict as in the file, or a mapping that this function returned.

    Raises `InputError` that names the file and the key.
    """
    where = "the mapping" if isinstance(source, Mapping) else source
    with named(where, "a JSON mapping", (OSError, ValueError, ArithmeticError)):
        given = dict(source) if isinstance(source, Mapping) else read_json(source, "a JSON mapping")
        if not isinstance(given, dict):
            raise InputError(f"expected an object with {', '.join(_NEEDED)}, found {type(given).__name__}")
        if unknown := [str(key)[:40] for key in given if key not in _DEFAULTS]:
            raise InputError(f"unknown key {unknown[0]!r}; known: {', '.join(_DEFAULTS)}")
        if missing := [key for key in _NEEDED if given.get(key) is None]:
            raise InputError(f"the key {missing[0]!r} is missing")
        mapping = {**_DEFAULTS, **given}
        mapping["joints"] = _joint_table(mapping["joints"])
        if mapping["units"] is not None:
            mapping["units"] = _unit(mapping["units"])
        if mapping["fps"] is not None:
            mapping["fps"] = positive(mapping["fps"], "fps", 0.99, 10000)
        mapping["fill_gaps"] = positive(mapping["fill_gaps"], "fill_gaps", -1e-9, 10)
        for key, words in (("up", UP), ("handed", ("right", "left")), ("floor", ("lowest", "keep"))):
            if mapping[key] not in words:
                raise InputError(f"{key}: expected {', '.join(words)}, found {str(mapping[key])[:40]!r}")
        for key in ("array", "license", "subject"):
            if not isinstance(mapping[key], str):
                raise InputError(f"{key}: expected text, found {type(mapping[key]).__name__}")
        if not isinstance(mapping["names"], str) and not _is_list_of_text(mapping["names"]):
            raise InputError("names: expected a list of joint names, or the array in the file that has them")
        return mapping


def _is_list_of_text(value) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(v, str) for v in value)


def _unit(value) -> float:
    if isinstance(value, str) and value in UNITS:
        return UNITS[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"units: expected {', '.join(UNITS)} or metres per unit, found {str(value)[:40]!r}")
    return positive(value, "units", 0, 1000)


def _joint_table(table) -> dict:
    """{Human3.6M joint: {name in the file: weight}} from names, lists (their mean) and {name: weight}."""
    if not isinstance(table, Mapping):
        raise InputError(f"joints: expected an object, found {type(table).__name__}")
    if unknown := [str(joint)[:40] for joint in table if joint not in H36M_17.joints]:
        raise InputError(f"joints: {unknown[0]!r} is none of {', '.join(H36M_17.joints)}")
    if missing := [joint for joint in H36M_17.joints if joint not in table]:
        raise InputError(f"joints: {missing[0]} is missing; all of {', '.join(H36M_17.joints)} are needed")
    checked = {}
    for joint, value in table.items():
        if isinstance(value, str):
            value = {value: 1.0}
        elif _is_list_of_text(value):
            value = {name: value.count(name) / len(value) for name in value}
        plain = isinstance(value, Mapping) and value and all(isinstance(name, str) for name in value)
        if not plain or not all(isinstance(w, (int, float)) and math.isfinite(w) for w in value.values()):
            raise InputError(f"joints: {joint}: expected a name, a list of names or {{name: weight}}")
        if abs(sum(value.values()) - 1) > 1e-6:
            raise InputError(f"joints: {joint}: the weights add up to {sum(value.values()):.6g}, expected 1")
        checked[joint] = dict(value)
    return checked


# --- One file -------------------------------------------------------------------------------------


def read_clip(path, mapping, fps=50.0) -> np.ndarray:
    """(frames, 17, 3) float32 world positions of one file.

    Args:
        path: the file.
        mapping: as `read_mapping` returns it.
        fps: frames a second wanted.

    Raises `InputError` that names the file.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".csv": _read_csv, ".c3d": _read_c3d}
    with named(path):
        if path.suffix.lower() not in readers:
            raise InputError(f"expected one of {', '.join(SUFFIXES)}")
        names, positions, rate, unit = readers[path.suffix.lower()](path, mapping)
        rate, unit = mapping["fps"] or rate, mapping["units"] or unit
        for key, value in (("fps", rate), ("units", unit)):
            if value is None:
                raise InputError(f"the file does not tell: the mapping needs {key!r}")
        points = fill_gaps(_derive(names, positions, mapping["joints"]), int(mapping["fill_gaps"] * rate + 1e-9))
        points = _upright(points * unit, mapping)
        _check_body(points)
        clip = resample(points, rate, fps)
        return settle(clip, 2) if mapping["floor"] == "lowest" else clip.astype(np.float32)


def _read_npz(path, mapping):
    listed = mapping["names"]
    wanted = [mapping["array"], *([listed] if isinstance(listed, str) else [])]
    arrays = load_archive(path, wanted)
    positions = numbers(arrays[mapping["array"]], (None, None, 3), mapping["array"], finite=False)
    if isinstance(listed, str):
        if arrays[listed].dtype.kind != "U" or arrays[listed].ndim != 1:
            raise InputError(f"{listed}: expected joint names, found an array of {arrays[listed].dtype}")
        listed = arrays[listed].tolist()
    if len(listed) != positions.shape[1]:
        raise InputError(f"{mapping['array']}: {positions.shape[1]} joints, but {len(listed)} names")
    return listed, positions, None, None


def _read_csv(path, mapping):
    """A header and a row per frame; the columns of a joint are its name with x, y and z: `hip_x`, `hip.Y`, `hip Z`."""
    used = list(dict.fromkeys(name for parts in mapping["joints"].values() for name in parts))
    with open(path, newline="", encoding="utf-8-sig") as file, named(path, "CSV", (UnicodeDecodeError, csv.Error)):
        delimiter = max(",;\t", key=file.readline(_LONGEST_HEADER).count)
        file.seek(0)
        rows = csv.reader(file, delimiter=delimiter)
        header = [title.strip() for title in next(rows, [])]
        columns, values = _columns(header, used), array.array("d")
        for r, row in enumerate(rows, start=2):
            if row and len(row) != len(header):
                raise InputError(f"row {r}: {len(row)} columns, the header has {len(header)}")
            values.extend(_cell(row[c], r, header[c]) for c in columns if row)
    if not values:
        raise InputError("expected a header and at least one row")
    return used, np.frombuffer(values).reshape(-1, len(used), 3), None, None


def _columns(header, used) -> list[int]:
    """The columns of x, y and z of each joint used. Raises `InputError` for a joint that is not there."""
    places = {}
    for c, title in enumerate(header):
        if match := re.fullmatch(r"(.+?)[_.:\- ]?([xyzXYZ])", title):
            places.setdefault(match[1], {})[match[2].lower()] = c
    joints = {name: [axes[a] for a in "xyz"] for name, axes in places.items() if len(axes) == 3}
    _check_known(used, joints)
    return [c for name in used for c in joints[name]]


def _cell(text, row, title) -> float:
    """A number; NaN for an empty cell."""
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        raise InputError(f"row {row}, {title[:40]}: expected a number, found {text.strip()[:40]!r}") from None


def _read_c3d(path, mapping):
    points = read_c3d(path)
    return list(points.labels), points.positions, points.fps, UNITS.get(points.unit.lower())


def _check_known(used, known):
    if missing := [name for name in used if name not in known]:
        raise InputError(f"has no joint {missing[0]!r}; it has {', '.join(map(str, known))[:200] or 'none'}")


def _derive(names, positions, joints) -> np.ndarray:
    """(F, 17, 3) from (F, K, 3) of named joints; NaN where a part is missing."""
    _check_known(dict.fromkeys(name for parts in joints.values() for name in parts), names)
    place = {name: i for i, name in reversed(list(enumerate(names)))}
    derived = np.zeros((len(positions), H36M_17.num_joints, 3))
    for j, joint in enumerate(H36M_17.joints):
        for name, weight in joints[joint].items():
            with np.errstate(invalid="ignore"):  # infinity minus infinity: missing, too
                derived[:, j] += weight * positions[:, place[name]]
    return derived


def fill_gaps(points, longest: int) -> np.ndarray:
    """Interpolates linearly over NaN in (F, J, 3), where at most `longest` frames in a row lack a joint.

    Raises `InputError` that names the joint and the frames of a longer gap, or of one at an end.
    """
    points = np.array(points)
    present = np.isfinite(points).all(axis=-1)
    frames = np.arange(len(points))
    for j in np.flatnonzero(~present.all(axis=0)):
        there = np.flatnonzero(present[:, j])
        edges = np.concatenate([[-1], there, [len(points)]])
        lengths = np.diff(edges) - 1
        worst = int(lengths.argmax())
        at_end = lengths[0] > 0 or lengths[-1] > 0
        if lengths[worst] > longest or at_end:
            worst = worst if lengths[worst] > longest else (0 if lengths[0] else len(lengths) - 1)
            raise InputError(
                f"{H36M_17.joints[j]} is missing in frames {edges[worst] + 1} to {edges[worst + 1] - 1}"
                + (" of the clip; cut it there" if at_end and lengths[worst] <= longest else "; see 'fill_gaps'")
            )
        for c in range(3):
            points[:, j, c] = np.interp(frames, there, points[there, j, c])
    return points


def _upright(points, mapping) -> np.ndarray:
    """Turns the up axis to z, right-handed."""
    if mapping["handed"] == "left":
        points = points * [1, 1, -1]
    axis, down = "xyz".index(mapping["up"][-1]), mapping["up"].startswith("-")
    if mapping["handed"] == "left" and axis == 2:
        down = not down  # the mirror turned it over
    if down:  # half a turn about the next axis
        points = points * np.where(np.arange(3) == (axis + 1) % 3, 1, -1)
    return points[..., [(axis + 1) % 3, (axis + 2) % 3, axis]]


def _check_body(points):
    """Raises `InputError` unless ankle, knee, hip, spine, thorax and crown are as far apart as a person's."""
    chain = [H36M_17.index(j) for j in ("LFoot", "LKnee", "LHip", "Spine", "Thorax", "Head")]
    if not (np.abs(points) < LARGEST).all():
        raise InputError("the coordinates are too large to be a motion")
    size = np.median(np.linalg.norm(np.diff(points[:, chain], axis=1), axis=-1).sum(axis=1))
    if not _BODY[0] < size < _BODY[1]:
        raise InputError(f"a body of {size:.3g} m along its bones; expected {_BODY[0]} to {_BODY[1]} m, check 'units'")
