"""People as MediaPipe and Ultralytics write them in JSON."""

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.keypoints.gathering import Found, rate_of_times, track_id
from mpm_keras.keypoints.json_values import as_list, check_once, frame_number

LANDMARKS = ("pose_landmarks", "poseLandmarks", "landmarks")
_RESULTS = ("detections", "results", "predictions", "persons", "people", "objects")

# MediaPipe: 33 landmarks {"x", "y", "z", "visibility"}, shares of the picture's width and height.


def mediapipe(path, frames, header) -> Found:
    found = Found("mediapipe", normalised=None, image_size=_header_size(header), fps=header.get("fps"))
    numbers = [frame_number(path, frame, i) for i, frame in enumerate(frames)]
    check_once(path, numbers)
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
    value = next((frame[name] for name in LANDMARKS if frame.get(name) is not None), None)
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


def ultralytics(path, frames, header) -> Found:
    found = Found("ultralytics", normalised=None, image_size=_header_size(header), fps=header.get("fps"))
    if any(isinstance(frame, dict) and isinstance(frame.get("keypoints"), dict) for frame in frames):
        _add_flat(path, found, frames)
        return found
    numbers = []
    for i, frame in enumerate(frames):
        people, number = frame, i
        if isinstance(frame, dict):
            people = next((frame[name] for name in _RESULTS if name in frame), None)
            number = frame_number(path, frame, i)
        numbers.append(number)
        for person in as_list(path, people, f"results of frame {number}"):
            add_ultralytics(path, found, number, person)
    check_once(path, numbers)
    found.num_frames = max(numbers, default=-1) + 1
    if not found.people:
        raise InputError(f"{path}: expected frames with landmarks or with keypoints of people, found neither")
    return found


def _add_flat(path, found, people):
    """People of all frames in one list; those without a frame number are of one frame."""
    for person in people:
        number = frame_number(path, person, 0) if isinstance(person, dict) else 0
        add_ultralytics(path, found, number, person)


def add_ultralytics(path, found, frame, person):
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
