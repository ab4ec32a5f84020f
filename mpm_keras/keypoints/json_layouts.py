"""Keypoints in JSON: MMPose, AlphaPose, OpenPose, MediaPipe, Ultralytics, plain nested lists."""

import json
import re

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.keypoints.array_layouts import plain
from mpm_keras.keypoints.gathering import Found, integer, rate_of_times, track_id

_LANDMARKS = ("pose_landmarks", "poseLandmarks", "landmarks")
_RESULTS = ("detections", "results", "predictions", "persons", "people", "objects")
_FRAME = ("frame", "frame_id", "frame_index", "frame_number", "index")


def read_json_value(path, value) -> Found:
    """The people in a JSON value, whichever tool wrote it."""
    if isinstance(value, dict):
        return _of_dictionary(path, value)
    if isinstance(value, list):
        return _of_list(path, value)
    raise InputError(f"{path}: expected keypoints as JSON, found {type(value).__name__}")


def parse(path, text: str):
    """A JSON value, or a list of those of the lines where each line is one."""
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{path}: JSON nested too deeply to be keypoints") from None
    except ValueError as error:
        reason = error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        if len(lines) < 2:
            raise ValueError
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        raise InputError(f"{path}: expected complete JSON ({' '.join(str(reason).split())[:120]})") from None


def kind_of_frame(value) -> str | None:
    """Which tool writes such a value as the whole of one frame: for folders of a file a frame."""
    if isinstance(value, dict) and isinstance(value.get("people"), list):
        return "openpose"
    first = next((v for v in value if isinstance(v, dict)), {}) if isinstance(value, list) else {}
    if "keypoint_scores" in first and "frame_id" not in first:
        return "mmpose"
    if isinstance(first.get("keypoints"), dict):
        return "ultralytics"
    return None


def add_frame(path, found, number, value):
    """Adds one frame of `kind_of_frame`."""
    if found.layout == "openpose":
        people = value.get("people") if isinstance(value, dict) else None
        for person in _list(path, people, f"people of frame {number}"):
            _add_openpose(path, found, number, person)
    elif found.layout == "mmpose":
        for person in _list(path, value, f"people of frame {number}"):
            _add_mmpose(path, found, number, person)
    else:
        for person in _list(path, value, f"people of frame {number}"):
            _add_ultralytics(path, found, number, person)


def _of_dictionary(path, value):
    if isinstance(value.get("instance_info"), list):
        meta = value.get("meta_info")
        return _mmpose(path, value["instance_info"], meta if isinstance(meta, dict) else {}, first=1)
    if kind_of_frame(value):
        found = Found(kind_of_frame(value), normalised=None, num_frames=1)
        add_frame(path, found, 0, value)
        return found
    if isinstance(value.get("frames"), list):
        return _of_frames(path, value["frames"], value)
    if any(name in value for name in _LANDMARKS):
        return _mediapipe(path, [value], value)
    entries = [v for v in value.values() if isinstance(v, dict)]
    if entries and len(entries) == len(value) and all("people" in v or "bodies" in v for v in entries):
        return _alphapose_by_image(path, value)
    raise _unknown(path, f"an object with {', '.join(map(str, list(value)[:6])) or 'nothing in it'}")


def _of_list(path, value):
    if not value:
        raise InputError(f"{path}: expected keypoints of people, found an empty list")
    if kind_of_frame(value) == "mmpose":
        found = Found("mmpose", num_frames=1)
        add_frame(path, found, 0, value)
        return found
    first = next((v for v in value if isinstance(v, dict)), None)
    if first is not None and "instances" in first:
        return _mmpose(path, value, {}, first=0)
    if first is not None and "image_id" in first:
        return _alphapose(path, value)
    if first is not None or any(isinstance(v, list) and v and isinstance(v[0], dict) for v in value):
        return _of_frames(path, value, {})
    if all(isinstance(v, str) for v in value):  # texts of `Results.to_json()`
        return _of_frames(path, [parse(path, v) for v in value], {})
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _unknown(path, "a list") from None
    return plain(path, array)


def _of_frames(path, frames, header):
    """A list of frames, each with MediaPipe's landmarks or with Ultralytics' results."""
    dictionaries = [f for f in frames if isinstance(f, dict)]
    if any(name in f for f in dictionaries for name in _LANDMARKS):
        return _mediapipe(path, frames, header)
    return _ultralytics(path, frames, header)


# MMPose: a frame is {"frame_id", "instances": [{"keypoints": (K, 2), "keypoint_scores": (K,), ...}]}.


def _mmpose(path, frames, meta, first) -> Found:
    """`first`: the number of the first frame where no smaller one is met; the demo script counts from 1."""
    numbers = [_frame_number(path, frame, i + first) for i, frame in enumerate(frames)]
    first = max(0, min([first, *numbers]))
    if first == 0 and numbers and numbers[0] == 1 and numbers == list(range(1, len(numbers) + 1)):
        first = 1  # complete, and counted from 1 in the inferencer's layout too
    _check_once(path, numbers)
    found = Found("mmpose", num_frames=max(numbers, default=-1) - first + 1, joints=_mmpose_joints(meta))
    for number, frame in zip(numbers, frames, strict=True):
        for person in _list(path, frame.get("instances"), f"instances of frame {number}"):
            _add_mmpose(path, found, number - first, person)
    if found.people and found.joints and np.shape(found.people[0])[:1] != (len(found.joints),):
        found.joints = None
    return found


def _mmpose_joints(meta):
    names = meta.get("keypoint_id2name")
    if not isinstance(names, dict):
        return None
    joints = [names.get(str(i)) for i in range(len(names))]
    return tuple(joints) if all(isinstance(joint, str) for joint in joints) else None


def _add_mmpose(path, found, frame, person):
    if not isinstance(person, dict) or "keypoints" not in person:
        raise InputError(f"{path}: frame {frame}: expected instances with keypoints")
    points, scores = person["keypoints"], person.get("keypoint_scores")
    while _nested(points) == 3 and len(points) == 1:  # a person in a list of one
        points, scores = points[0], scores[0] if _nested(scores) == 2 else scores
    found.add(frame, _with_scores(path, frame, points, scores), track_id(path, person.get("track_id")))


def _with_scores(path, frame, points, scores):
    try:
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise ValueError
        if scores is None:
            return np.concatenate([points[:, :2], np.ones((len(points), 1))], axis=1)
        return np.concatenate([points[:, :2], np.asarray(scores, np.float64).reshape(len(points), 1)], axis=1)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: frame {frame}: expected keypoints (K, 2) and as many scores") from None


# AlphaPose, and COCO's results: {"image_id", "keypoints": flat x, y, score, "idx", ...} for every person.


def _alphapose(path, people) -> Found:
    found = Found("alphapose")
    images = [p.get("image_id") if isinstance(p, dict) else None for p in people]
    numbers = frame_numbers(path, images)
    for number, person in zip(numbers, people, strict=True):
        if "keypoints" not in person:
            raise InputError(f"{path}: frame {number}: expected people with keypoints")
        found.add(number, triples(path, number, person["keypoints"]), _alphapose_id(path, person))
    found.notes.extend(_of_video_length)
    return found


_of_video_length = ("the file does not say how long the video is: it ends with the last frame with somebody",)


def _alphapose_id(path, person):
    """AlphaPose writes `idx` as an integer where it tracks and as a list, [0.0], where it does not."""
    number = person.get("idx", person.get("track_id"))
    return -1 if isinstance(number, (list, dict, str, bool)) else track_id(path, number)


def _alphapose_by_image(path, images) -> Found:
    """AlphaPose's other forms: {image: {"people": [{"pose_keypoints_2d"}]}} or {"bodies": [{"joints"}]}."""
    found = Found("alphapose", notes=list(_of_video_length))
    for number, image in zip(frame_numbers(path, list(images)), images.values(), strict=True):
        for person in _list(path, image.get("people", image.get("bodies")), f"people of frame {number}"):
            flat = person.get("pose_keypoints_2d", person.get("joints")) if isinstance(person, dict) else None
            found.add(number, triples(path, number, flat))
    return found


def frame_numbers(path, names) -> list[int]:
    """Frame numbers from image names or ids: a plain number (12, "12.jpg") is one, counted from 0.

    Names around a number ("walk_0007.png") are those of a folder of images, which begins with the
    first of them; names without numbers are frames in the order of their first mention.
    """
    numbers, plain_numbers = [], True
    for name in names:
        if isinstance(name, str):
            stem = re.sub(r"\.\w{1,5}$", "", name.replace("\\", "/").rsplit("/", 1)[-1])
            digits = re.findall(r"\d{1,18}", stem)
            plain_numbers &= stem.isdigit()
            numbers.append(int(digits[-1]) if digits else None)
        else:
            numbers.append(integer(path, name, "image_id"))
    if any(number is None for number in numbers):
        order = {name: i for i, name in enumerate(dict.fromkeys(names))}
        return [order[name] for name in names]
    first = 0 if plain_numbers else min(numbers)
    return [number - first for number in numbers]


def triples(path, frame, flat):
    """(K, 3) from a flat list x, y, score, x, y, score, ..."""
    try:
        return np.asarray(flat, np.float64).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: frame {frame}: expected keypoints as numbers x, y, score, ...") from None


# OpenPose: a file a frame, {"people": [{"pose_keypoints_2d": flat x, y, score, "person_id": [-1]}]}.


def _add_openpose(path, found, frame, person):
    if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
        raise InputError(f"{path}: frame {frame}: expected people with pose_keypoints_2d")
    number = person.get("person_id")
    number = number[0] if isinstance(number, list) and number else number if not isinstance(number, list) else None
    values = triples(path, frame, person["pose_keypoints_2d"])
    if len(values):  # empty where only a face or a hand was found
        found.add(frame, values, track_id(path, number))


# MediaPipe: 33 landmarks {"x", "y", "z", "visibility"}, shares of the picture's width and height.


def _mediapipe(path, frames, header) -> Found:
    found = Found("mediapipe", normalised=None, image_size=_header_size(header), fps=header.get("fps"))
    numbers = [_frame_number(path, frame, i) for i, frame in enumerate(frames)]
    _check_once(path, numbers)
    found.num_frames = max(numbers, default=-1) + 1
    times = [f.get("time_s", f.get("timestamp")) for f in frames]
    if found.fps is None and all(isinstance(t, (int, float)) for t in times):
        found.fps = rate_of_times(numbers, times)
    for number, frame in zip(numbers, frames, strict=True):
        for landmarks in _landmarks(frame):
            found.add(number, [_landmark(path, number, point) for point in landmarks])
    return found


def _landmarks(frame) -> list:
    """The people of a frame, each a list of landmarks."""
    value = next((frame[name] for name in _LANDMARKS if frame.get(name) is not None), None)
    if isinstance(value, dict):
        value = value.get("landmark", value.get("landmarks"))
    if not isinstance(value, list) or not value:
        return []
    if isinstance(value[0], dict) and isinstance(value[0].get("landmark"), list):
        return [person["landmark"] for person in value if isinstance(person, dict) and person.get("landmark")]
    several = isinstance(value[0], list) and bool(value[0]) and isinstance(value[0][0], (dict, list))
    return [person for person in value if isinstance(person, list)] if several else [value]


def _landmark(path, frame, point):
    if isinstance(point, dict) and "x" in point and "y" in point:
        return [point["x"], point["y"], point.get("visibility", point.get("score", 1.0))]
    if isinstance(point, list) and len(point) in (2, 4):
        return [point[0], point[1], point[3] if len(point) == 4 else 1.0]
    raise InputError(f"{path}: frame {frame}: expected landmarks with x, y and visibility")


def _header_size(header):
    for width, height in (("width", "height"), ("image_width", "image_height"), ("w", "h")):
        if header.get(width) is not None and header.get(height) is not None:
            return header[width], header[height]
    return header.get("image_size")


# Ultralytics: `Results.to_json()` of every frame, [{"keypoints": {"x", "y", "visible"}, "track_id", ...}].


def _ultralytics(path, frames, header) -> Found:
    found = Found("ultralytics", normalised=None, image_size=_header_size(header), fps=header.get("fps"))
    if any(isinstance(frame, dict) and isinstance(frame.get("keypoints"), dict) for frame in frames):
        _add_flat(path, found, frames)
        return found
    numbers = []
    for i, frame in enumerate(frames):
        people, number = frame, i
        if isinstance(frame, dict):
            people = next((frame[name] for name in _RESULTS if name in frame), None)
            number = _frame_number(path, frame, i)
        numbers.append(number)
        for person in _list(path, people, f"results of frame {number}"):
            _add_ultralytics(path, found, number, person)
    _check_once(path, numbers)
    found.num_frames = max(numbers, default=-1) + 1
    if not found.people:
        raise _unknown(path, "frames without keypoints of people")
    return found


def _add_flat(path, found, people):
    """People of all frames in one list; those without a frame number are of one frame."""
    for person in people:
        number = _frame_number(path, person, 0) if isinstance(person, dict) else 0
        _add_ultralytics(path, found, number, person)


def _add_ultralytics(path, found, frame, person):
    keypoints = person.get("keypoints") if isinstance(person, dict) else None
    if keypoints is None:
        return  # a detection of something else than a person
    if not isinstance(keypoints, dict) or "x" not in keypoints or "y" not in keypoints:
        raise InputError(f"{path}: frame {frame}: expected Ultralytics' keypoints with x and y")
    columns = [keypoints["x"], keypoints["y"]]
    columns += [keypoints["visible"]] if keypoints.get("visible") is not None else []
    try:
        values = np.asarray(columns, np.float64).T
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: frame {frame}: expected as many numbers in x, y and visible") from None
    if values.ndim == 2 and values.shape[1] == 2:
        values = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    found.add(frame, values, track_id(path, person.get("track_id")))


def _frame_number(path, frame, otherwise: int) -> int:
    if not isinstance(frame, dict):
        raise InputError(f"{path}: expected an object for every frame, found {type(frame).__name__}")
    number = next((frame[name] for name in _FRAME if name in frame), otherwise)
    return integer(path, number, "a frame number")


def _check_once(path, numbers):
    if len(set(numbers)) < len(numbers):
        ordered = sorted(numbers)
        twice = next(a for a, b in zip(ordered[:-1], ordered[1:], strict=True) if a == b)
        raise InputError(f"{path}: expected every frame once, found frame {twice} twice")


def _list(path, value, what) -> list:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{path}: expected a list as {what}, found {type(value).__name__}")
    return value


def _nested(value) -> int:
    depth = 0
    while isinstance(value, list) and depth < 4:
        depth, value = depth + 1, value[0] if value else None
    return depth


def _unknown(path, found):
    return InputError(
        f"{path}: expected keypoints as MMPose, AlphaPose, OpenPose, MediaPipe or Ultralytics write them, "
        f"found {found[:120]}"
    )
