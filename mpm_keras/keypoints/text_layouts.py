"""Keypoints in text: tables (MediaPipe and others, as CSV) and Ultralytics' label files."""

import csv
import math
import re

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.keypoints.array_layouts import plain
from mpm_keras.keypoints.gathering import JOINT_COUNTS, MAX_FRAMES, Found, plain_name, rate_of_times
from mpm_keras.skeletons import MEDIAPIPE_33

_X, _Y = ("x_px", "x"), ("y_px", "y")
_SCORE = ("visibility", "score", "confidence", "conf", "likelihood", "c", "v", "s", "p")
_FRAME = ("frame", "frame_id", "frame_index", "frame_number", "image_id")
_JOINT = ("landmark", "joint", "keypoint", "landmark_id", "joint_id", "keypoint_id", "name", "landmark_name")
_NAME = ("name", "landmark_name", "joint_name", "keypoint_name", "joint", "keypoint", "landmark")
_PERSON = ("person", "person_id", "track_id", "track", "id")
_TIME = ("time_s", "time", "timestamp")
_SPARSEST = 16  # joints of somebody in a frame, for each that has a row: all of them get memory


def read_table(path, text: str) -> Found:
    """A CSV: a row a joint, or a row a frame with columns per joint, or numbers only, a row a frame."""
    delimiter = max(",;\t", key=text[:4096].count)
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row and any(row)]
    except csv.Error as error:
        raise InputError(f"{path}: expected a table of numbers ({error})") from None
    if not rows:
        raise InputError(f"{path}: expected a table of keypoints, found nothing in it")
    if all(_is_number(cell) for cell in rows[0]):
        return _bare(path, _matrix(path, rows, 1))
    header = [cell.strip().lower() for cell in rows[0]]
    if len(rows) < 2:
        raise InputError(f"{path}: expected a table of keypoints, found only its header")
    if _column(header, _X) is not None and _column(header, _Y) is not None and _column(header, _JOINT) is not None:
        return _long(path, header, rows[1:])
    return _wide(path, header, rows[1:])


def _long(path, header, rows) -> Found:
    """A row a joint: frame, which joint (number or name), x, y, a score, perhaps a person and a time."""
    columns = {
        what: _column(header, names)
        for what, names in
        {"frame": _FRAME, "x": _X, "y": _Y, "score": _SCORE, "person": _PERSON, "time": _TIME}.items()
    }  # fmt: skip
    if columns["frame"] is None:
        raise InputError(f"{path}: expected a column 'frame', found {', '.join(header)[:120]}")
    joint, names = _joint_of_rows(path, header, rows)
    wanted = [columns[k] if columns[k] is not None else columns["x"] for k in ("frame", "x", "y", "score", "person")]
    values = _matrix(path, rows, 2, wanted)
    frame = _whole(path, values[:, 0], "frame")
    person = _whole(path, values[:, 4], "person") if columns["person"] is not None else np.zeros(len(rows), np.int64)
    if columns["score"] is None:
        values[:, 3] = 1.0
    keys, row = np.unique(np.stack([frame, person], axis=1), axis=0, return_inverse=True)
    row = row.reshape(-1)
    flat = row * len(names) + joint
    if len(np.unique(flat)) < len(flat):
        at = int(np.flatnonzero(np.bincount(flat) > 1)[0])
        twice = f"{names[at % len(names)]} twice in frame {keys[at // len(names)][0]}"
        raise InputError(f"{path}: expected every joint once, found {twice}")
    if len(keys) * len(names) > max(_SPARSEST * len(rows), 1 << 16):
        wanted = f"{len(names)} joints of {len(keys)} people and frames"
        raise InputError(f"{path}: {len(rows)} rows are too few for {wanted}")
    people = np.full((len(keys), len(names), 3), np.nan)
    people[row, joint] = values[:, 1:4]
    is_pixels = header[columns["x"]] == "x_px"
    found = Found("mediapipe" if len(names) == 33 else "table", normalised=False if is_pixels else None, joints=names)
    found.frames, found.people = keys[:, 0].tolist(), people
    found.ids = keys[:, 1].tolist() if columns["person"] is not None else []
    if columns["time"] is not None:
        _, first = np.unique(frame, return_index=True)
        times = _matrix(path, [rows[i] for i in first], 2, [columns["time"]])[:, 0]
        found.fps = rate_of_times(frame[first], times)
    found.notes.append("the file does not say how long the video is: it ends with the last frame with somebody")
    return found


def _joint_of_rows(path, header, rows):
    """Joint number of every row, and the joints' names."""
    at = _column(header, _NAME)
    words = [row[at].strip() if at < len(row) else "" for row in rows]
    if all(_is_number(word) for word in words):
        numbers = _whole(path, np.array(words, np.float64), "joint")
        count = int(numbers.max()) + 1 if numbers.min() >= 0 else 0
        if count != MEDIAPIPE_33.num_joints:
            raise InputError(f"{path}: expected numbers of MediaPipe's 33 landmarks, found {count}")
        return numbers, MEDIAPIPE_33.joints
    number = {}
    joints = np.array([number.setdefault(plain_name(word), len(number)) for word in words], np.int64)
    if len(number) > 1000:
        raise InputError(f"{path}: expected names of joints, found {len(number)} different ones")
    return joints, tuple(number)


def _wide(path, header, rows) -> Found:
    """A row a frame, columns such as `nose_x, nose_y, nose_score` or `x1, y1, z1, v1`."""
    joints = {}
    for i, cell in enumerate(header):
        joint, what = _joint_and_axis(cell)
        if joint is not None:
            joints.setdefault(joint, {}).setdefault(what, i)
    joints = {joint: axes for joint, axes in joints.items() if {"x", "y"} <= set(axes)}
    numbered = all(joint.isdigit() for joint in joints)
    if not joints or (numbered and len(joints) not in JOINT_COUNTS):
        raise InputError(
            f"{path}: expected columns x, y and a score of joints by name or number, found {', '.join(header)[:120]}"
        )
    order = sorted(joints, key=int) if numbered else list(joints)
    scored = all("score" in joints[joint] for joint in order)
    wanted = [joints[joint][axis] for joint in order for axis in (("x", "y", "score") if scored else ("x", "y"))]
    values = _matrix(path, rows, 2, wanted)
    pixels = all(header[joints[joint]["x"]].endswith("px") for joint in order)
    found = Found("mediapipe" if len(order) == 33 else "table", normalised=False if pixels else None)
    found.joints = None if numbered else tuple(order)
    found.people = values.reshape(len(rows), len(order), -1)
    frame, time, person = (_column(header, names) for names in (_FRAME, _TIME, _PERSON))
    found.frames = list(range(len(rows)))
    if frame is not None:
        found.frames = _whole(path, _matrix(path, rows, 2, [frame])[:, 0], "frame").tolist()
    if person is not None:
        found.ids = _whole(path, _matrix(path, rows, 2, [person])[:, 0], "person").tolist()
    elif len(set(found.frames)) < len(rows):
        raise InputError(f"{path}: expected a row a frame, or a column 'person'; a frame number stands twice")
    if time is not None:
        found.fps = rate_of_times(found.frames, _matrix(path, rows, 2, [time])[:, 0])
    return found


def _joint_and_axis(cell):
    """("nose", "x") of "nose_x", ("1", "x") of "x1", (None, None) of what is no coordinate."""
    cell = re.sub(r"_px$", "", cell)
    by_name = re.fullmatch(r"(.*[^_. ])[_. ]+(x|y|" + "|".join(_SCORE) + ")", cell)
    by_number = re.fullmatch(r"(x|y|" + "|".join(_SCORE) + r")[_. ]?(\d{1,3})", cell)
    if not by_name and not by_number:
        return None, None
    joint, axis = by_name.groups() if by_name else reversed(by_number.groups())
    return joint, axis if axis in ("x", "y") else "score"


def _bare(path, values) -> Found:
    """Numbers without a header: a row a frame, x, y or x, y, score of joint after joint."""
    width = values.shape[1]
    shapes = [(count, size) for count in (17, 25, 26, 33) for size in (2, 3)] + [(33, 4)]
    fits = [shape for shape in shapes if math.prod(shape) == width]
    if len(fits) != 1:
        raise InputError(f"{path}: expected columns x, y or x, y, score of 17, 25, 26 or 33 joints, found {width}")
    return plain(path, values.reshape(len(values), *fits[0]))


def read_labels(path, files, numbers) -> Found:
    """Ultralytics' `save_txt`: a file a frame, its lines `class x y w h`, keypoints, perhaps confidence and id.

    All coordinates are shares of the picture. Keypoints are x, y, visible (17 joints: 51 numbers) or x, y
    (34). What follows is the box's confidence, an id, or both in that order; an id is a whole number.

    Args:
        path: the folder, for errors.
        files: (frame number, text) of each, one at a time.
        numbers: the frame numbers of all.
    """
    found = Found("ultralytics", normalised=True)
    first = 0 if 0 in numbers else 1  # videos are counted from 1
    found.num_frames = max(numbers) - first + 1
    for number, text in files:
        for line in text.splitlines():
            if line.strip():
                _add_label(path, found, number - first, line.split())
    if first:
        found.notes.append("label files are counted from 1")
    return found


def _add_label(path, found, frame, words):
    try:
        values = np.array(words, np.float64)
    except ValueError:
        raise InputError(f"{path}: frame {frame}: expected lines of numbers, found {' '.join(words)[:40]!r}") from None
    body, size = (51, 3) if len(values) >= 56 else (34, 2)
    rest = values[5 + body :]
    if len(values) < 5 + body or len(rest) > 2:
        raise InputError(
            f"{path}: frame {frame}: expected a box and 17 keypoints (39 or 56 numbers, confidence, id), "
            f"found {len(values)} numbers"
        )
    is_id = bool(len(rest)) and words[-1].isdigit() and 0 < rest[-1] < 2**53
    person = values[5 : 5 + body].reshape(17, size)
    if size == 2:
        person = np.concatenate([person, np.ones((17, 1))], axis=1)
    found.add(frame, person, int(rest[-1]) if is_id else -1)


def _column(header, names):
    return next((header.index(name) for name in names if name in header), None)


def _is_number(cell) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _matrix(path, rows, first_line, columns=None) -> np.ndarray:
    """(rows, columns) float64; empty cells are NaN."""
    width = len(rows[0]) if columns is None else max(columns) + 1
    short = next((i for i, row in enumerate(rows) if len(row) < width or (columns is None and len(row) != width)), None)
    if short is not None:
        raise InputError(f"{path}: line {first_line + short}: expected {width} columns, found {len(rows[short])}")
    picked = rows if columns is None else [[row[c] for c in columns] for row in rows]
    try:
        return np.array(picked, np.float64)
    except ValueError:
        return np.array([[_cell(path, cell, first_line + i) for cell in row] for i, row in enumerate(picked)])


def _cell(path, cell, line) -> float:
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError:
        raise InputError(f"{path}: line {line}: expected a number, found {cell[:40]!r}") from None


def _whole(path, values, what) -> np.ndarray:
    if not (np.isfinite(values).all() and (values == np.round(values)).all() and (np.abs(values) < 2**53).all()):
        raise InputError(f"{path}: expected whole numbers in the column of the {what}")
    if what == "frame" and (values.min() < 0 or values.max() >= MAX_FRAMES):
        raise InputError(f"{path}: expected frame numbers from 0 to {MAX_FRAMES - 1}")
    return values.astype(np.int64)
