"""Which tool wrote a JSON value: MMPose, AlphaPose, OpenPose, MediaPipe, Ultralytics, or nested lists."""

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.keypoints.array_layouts import plain
from mpm_keras.keypoints.gathering import Found
from mpm_keras.keypoints.instance_json import add_mmpose, add_openpose, alphapose, alphapose_by_image, mmpose
from mpm_keras.keypoints.json_values import as_list, parse
from mpm_keras.keypoints.landmark_json import LANDMARKS, add_ultralytics, mediapipe, ultralytics


def read_json_value(path, value) -> Found:
    """The people in a JSON value, whichever tool wrote it."""
    if isinstance(value, dict):
        return _of_dictionary(path, value)
    if isinstance(value, list):
        return _of_list(path, value)
    raise InputError(f"{path}: expected keypoints as JSON, found {type(value).__name__}")


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
        for person in as_list(path, people, f"people of frame {number}"):
            add_openpose(path, found, number, person)
    elif found.layout == "mmpose":
        for person in as_list(path, value, f"people of frame {number}"):
            add_mmpose(path, found, number, person)
    else:
        for person in as_list(path, value, f"people of frame {number}"):
            add_ultralytics(path, found, number, person)


def _of_dictionary(path, value):
    if isinstance(value.get("instance_info"), list):
        meta = value.get("meta_info")
        return mmpose(path, value["instance_info"], meta if isinstance(meta, dict) else {}, first=1)
    if kind_of_frame(value):
        found = Found(kind_of_frame(value), normalised=None, num_frames=1)
        add_frame(path, found, 0, value)
        return found
    if isinstance(value.get("frames"), list):
        return _of_frames(path, value["frames"], value)
    if any(name in value for name in LANDMARKS):
        return mediapipe(path, [value], value)
    entries = [v for v in value.values() if isinstance(v, dict)]
    if entries and len(entries) == len(value) and all("people" in v or "bodies" in v for v in entries):
        return alphapose_by_image(path, value)
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
        return mmpose(path, value, {}, first=0)
    if first is not None and "image_id" in first:
        return alphapose(path, value)
    if first is not None or any(isinstance(v, list) and v and isinstance(v[0], dict) for v in value):
        return _of_frames(path, value, {})
    if all(isinstance(v, str) for v in value):  # texts of `Results.to_json()`
        return _of_frames(path, [parse(path, v) for v in value], {})
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return _ragged(path, value)
    return plain(path, array)


def _ragged(path, frames):
    """Lists of frames of people (K, 2 or 3), as many people as there are in each."""
    found = Found("array", normalised=None, num_frames=len(frames))
    for number, frame in enumerate(frames):
        for person in as_list(path, frame, f"people of frame {number}"):
            if not (isinstance(person, list) and person and isinstance(person[0], list)):
                raise _unknown(path, "a list")
            found.add(number, person)
    return found


def _of_frames(path, frames, header):
    """A list of frames, each with MediaPipe's landmarks or with Ultralytics' results."""
    first = next((f[0] for f in frames if isinstance(f, list) and f and isinstance(f[0], dict)), {})
    if "x" in first and "y" in first:  # landmarks and nothing else
        frames = [{LANDMARKS[0]: frame} if isinstance(frame, list) or frame is None else frame for frame in frames]
    dictionaries = [f for f in frames if isinstance(f, dict)]
    if any(name in f for f in dictionaries for name in LANDMARKS):
        return mediapipe(path, frames, header)
    return ultralytics(path, frames, header)


def _unknown(path, found):
    return InputError(
        f"{path}: expected keypoints as MMPose, AlphaPose, OpenPose, MediaPipe or Ultralytics write them, "
        f"found {found[:120]}"
    )
