"""People as MMPose, AlphaPose and OpenPose write them in JSON."""

import re

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.keypoints.gathering import Found, integer, track_id
from mpm_keras.keypoints.json_values import as_list, check_once, frame_number

# MMPose: a frame is {"frame_id", "instances": [{"keypoints": (K, 2), "keypoint_scores": (K,), ...}]}.


def mmpose(path, frames, meta, first) -> Found:
    """`first`: the number of the first frame where no smaller one is met; the demo script counts from 1."""
    numbers = [frame_number(path, frame, i + first) for i, frame in enumerate(frames)]
    first = max(0, min([first, *numbers]))
    if first == 0 and numbers and numbers[0] == 1 and numbers == list(range(1, len(numbers) + 1)):
        first = 1  # complete, and counted from 1 in the inferencer's layout too
    check_once(path, numbers)
    found = Found("mmpose", num_frames=max(numbers, default=-1) - first + 1, joints=_mmpose_joints(meta))
    for number, frame in zip(numbers, frames, strict=True):
        for person in as_list(path, frame.get("instances"), f"instances of frame {number}"):
            add_mmpose(path, found, number - first, person)
    if found.people and found.joints and np.shape(found.people[0])[:1] != (len(found.joints),):
        found.joints = None
    return found


def _mmpose_joints(meta):
    names = meta.get("keypoint_id2name")
    if not isinstance(names, dict):
        return None
    joints = [names.get(str(i)) for i in range(len(names))]
    return tuple(joints) if all(isinstance(joint, str) for joint in joints) else None


def add_mmpose(path, found, frame, person):
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


def alphapose(path, people) -> Found:
    found = Found("alphapose")
    images = [p.get("image_id") if isinstance(p, dict) else None for p in people]
    numbers = frame_numbers(path, images, found.notes)
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


def alphapose_by_image(path, images) -> Found:
    """AlphaPose's other forms: {image: {"people": [{"pose_keypoints_2d"}]}} or {"bodies": [{"joints"}]}."""
    found = Found("alphapose", notes=list(_of_video_length))
    for number, image in zip(frame_numbers(path, list(images), found.notes), images.values(), strict=True):
        for person in as_list(path, image.get("people", image.get("bodies")), f"people of frame {number}"):
            flat = person.get("pose_keypoints_2d", person.get("joints")) if isinstance(person, dict) else None
            found.add(number, triples(path, number, flat))
    return found


def frame_numbers(path, names, notes) -> list[int]:
    """Frame numbers from image names or ids: a plain number (12, "12.jpg") is one, counted from 0.

    Names around a number ("walk_0007.png") are those of a folder of images, which begins with the
    first of them; names without numbers are frames in the order of their first mention. What was
    assumed goes to `notes`.
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
        notes.append("images without numbers in their names are taken in the order of the file")
        return [order[name] for name in names]
    first = 0 if plain_numbers else min(numbers)
    if first:
        notes.append(f"frames are counted from the first image with somebody, number {first}")
    return [number - first for number in numbers]


def triples(path, frame, flat):
    """(K, 3) from a flat list x, y, score, x, y, score, ..."""
    try:
        return np.asarray(flat, np.float64).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: frame {frame}: expected keypoints as numbers x, y, score, ...") from None


# OpenPose: a file a frame, {"people": [{"pose_keypoints_2d": flat x, y, score, "person_id": [-1]}]}.


def add_openpose(path, found, frame, person):
    if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
        raise InputError(f"{path}: frame {frame}: expected people with pose_keypoints_2d")
    number = person.get("person_id")
    number = number[0] if isinstance(number, list) and number else number if not isinstance(number, list) else None
    values = triples(path, frame, person["pose_keypoints_2d"])
    if len(values):  # empty where only a face or a hand was found
        found.add(frame, values, track_id(path, number))


def _nested(value) -> int:
    depth = 0
    while isinstance(value, list) and depth < 4:
        depth, value = depth + 1, value[0] if value else None
    return depth
