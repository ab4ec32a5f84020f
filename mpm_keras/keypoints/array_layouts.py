"""Keypoints in NumPy files: Detectron2 and VideoPose3D archives, plain arrays."""

import numpy as np

from mpm_keras import npz
from mpm_keras.data.safe_pickle import load_archive
from mpm_keras.errors import InputError
from mpm_keras.keypoints.gathering import JOINT_COUNTS, Found
from mpm_keras.skeletons import H36M_17, MEDIAPIPE_33

_POINTS = ("keypoints", "keypoint", "kpts", "points", "pose_2d", "poses", "poses_2d", "positions_2d")
_SCORES = ("scores", "keypoint_scores", "keypoint_score", "confidence", "confidences", "conf")
_MOST_PEOPLE = 32  # more than so many at a time are not expected along an axis of people


def read_npz(path, video=None) -> Found:
    """An archive of Detectron2 (VideoPose3D's `infer_video_d2.py`), of VideoPose3D or of plain arrays."""
    arrays = load_archive(path)
    if not arrays:
        raise InputError(f"{path}: expected arrays of keypoints, found none in the archive")
    positions = arrays.get("positions_2d")
    if positions is not None and positions.dtype == object and positions.shape == ():
        return _videopose3d(path, positions.item(), _dictionary(arrays.get("metadata")), video)
    if ("keypoints" in arrays and arrays["keypoints"].dtype == object) or "boxes" in arrays:
        return _detectron2(path, arrays)
    return _plain_archive(path, arrays)


def read_npy(path) -> Found:
    """One plain array."""
    return plain(path, npz.read_npy(path))


def plain(path, values, scores=None) -> Found:
    """(F, K, 2 or 3) of one person, (P, F, K, 2 or 3) or (F, P, K, 2 or 3) of several; 3 is x, y, score.

    Of MediaPipe's joints also (..., 33, 4): x, y, z, visibility.
    """
    values = numbers(path, values)
    if scores is not None:
        scores = numbers(path, scores)
        if scores.shape == (*values.shape[:-1], 1):
            scores = scores[..., 0]
        if scores.shape != values.shape[:-1]:
            raise InputError(f"{path}: expected scores of shape {values.shape[:-1]}, found {scores.shape}")
        values = np.concatenate([values[..., :2], scores[..., None]], axis=-1)
    if values.shape[-2:] == (MEDIAPIPE_33.num_joints, 4):
        values = values[..., [0, 1, 3]]  # MediaPipe's x, y, z, visibility
    if values.ndim == 2 and values.shape[0] in JOINT_COUNTS and values.shape[1] in (2, 3):
        values = values[None]
    if values.ndim not in (3, 4) or values.shape[-2] not in JOINT_COUNTS or values.shape[-1] not in (2, 3):
        counts = ", ".join(map(str, JOINT_COUNTS))
        raise InputError(
            f"{path}: expected keypoints of shape (F, K, 2) or (F, K, 3), K of {counts}, or such of P people, "
            f"found {values.shape}"
        )
    if values.shape[-1] == 3 and (values[..., 2] < 0).sum() > 0.02 * values[..., 2].size:
        raise InputError(
            f"{path}: expected x, y, score of every joint, found third values down to {np.nanmin(values[..., 2]):.3g}"
        )
    people = values[:, None] if values.ndim == 3 else _frames_first(path, values)
    length, count = people.shape[:2]
    found = Found("array", normalised=None, num_frames=length)
    found.frames = np.repeat(np.arange(length), count).tolist()
    found.people = people.reshape(length * count, *people.shape[2:])
    if people.shape[-1] == 2:
        found.notes.append("the file has no scores: every joint that is there counts as sure")
    return found


def numbers(path, values) -> np.ndarray:
    """An array as float64, or `InputError`."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise InputError(f"{path}: expected an array of real numbers, found {str(kind)[:60]}")
    return values.astype(np.float64)


def _frames_first(path, values):
    """(F, P, K, C): people are far fewer than frames, or nothing tells which axis is which."""
    first, second = values.shape[:2]
    few, many = sorted((first, second))
    if first == 0 or second == 0:
        raise InputError(f"{path}: expected keypoints, found an empty array of shape {values.shape}")
    if few > _MOST_PEOPLE or (few > 1 and many < 4 * few):
        raise InputError(f"{path}: shape {values.shape} does not tell people from frames; expected (F, K, 2 or 3)")
    return values if second == few else np.swapaxes(values, 0, 1)


def _plain_archive(path, arrays):
    names = [n for n in _POINTS if n in arrays] or [n for n, a in arrays.items() if a.ndim >= 3]
    if len(names) > 1:
        names = [n for n in names if n in _POINTS]
    if len(names) != 1:
        raise InputError(
            f"{path}: expected one array of keypoints, named such as 'keypoints'; found {', '.join(arrays)[:120]}"
        )
    scores = next((arrays[n] for n in _SCORES if n in arrays and n not in names), None)
    found = plain(path, arrays[names[0]], scores)
    found.fps = _single(path, arrays.get("fps"), "fps")
    size = arrays.get("image_size")
    if size is not None:
        found.image_size = tuple(numbers(path, size).reshape(-1))
    elif "width" in arrays and "height" in arrays:
        found.image_size = (_single(path, arrays["width"], "width"), _single(path, arrays["height"], "height"))
    joints = arrays.get("joint_names")
    if joints is not None and joints.dtype.kind == "U" and len(joints) == found.people.shape[1]:
        found.joints = tuple(map(str, joints.reshape(-1)))
    return found


def _single(path, value, name):
    if value is None:
        return None
    if value.size != 1:
        raise InputError(f"{path}: expected one number as {name}, found an array of shape {value.shape}")
    return float(numbers(path, value).reshape(-1)[0])


def _dictionary(array) -> dict:
    value = array.item() if array is not None and array.shape == () else None
    return value if isinstance(value, dict) else {}


def _size(metadata):
    if not isinstance(metadata, dict) or not {"w", "h"} <= set(metadata):
        return None
    return metadata["w"], metadata["h"]


def _detectron2(path, arrays) -> Found:
    """`keypoints`: a frame is [[], (N, 4, 17)]: classes, of which the second is people; rows x, y, 0, score."""
    frames = arrays.get("keypoints")
    if frames is None or frames.ndim not in (1, 2) or not len(frames):
        shape = None if frames is None else frames.shape
        raise InputError(f"{path}: expected Detectron2's keypoints of all frames, found {shape}")
    found = Found("detectron2", num_frames=len(frames), image_size=_size(_dictionary(arrays.get("metadata"))))
    for number, classes in enumerate(frames):
        try:
            people = np.asarray(classes[1], np.float64) if len(classes) > 1 else np.empty(0)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError):
            raise InputError(f"{path}: frame {number}: expected Detectron2's classes with people second") from None
        if people.size == 0:
            continue
        if people.ndim != 3 or people.shape[1:] != (4, 17):
            raise InputError(f"{path}: frame {number}: expected people of shape (N, 4, 17), found {people.shape}")
        for person in people:
            found.add(number, person[[0, 1, 3]].T)
    return found


def _videopose3d(path, positions, metadata, video) -> Found:
    """`positions_2d`: {video: {action: [(F, K, 2) of each camera]}}."""
    views = _views_of(path, positions)
    if video is None and len(views) > 1:
        raise InputError(f"{path}: holds {len(views)} videos; expected the name of one of: {_listed(views)}")
    if video is not None and video not in views:
        raise InputError(f"{path}: has no video {video!r}; expected one of: {_listed(views)}")
    name = video if video is not None else next(iter(views))
    key, values = views[name]
    found = plain(path, values)
    found.layout, found.normalised = "videopose3d", False
    videos = metadata.get("video_metadata")
    found.image_size = _size(videos.get(key)) if isinstance(videos, dict) else None
    if metadata.get("layout_name") == "h36m" and found.people.shape[1] == 17:
        found.joints = H36M_17.joints
    return found


def _views_of(path, positions) -> dict:
    """{name: (video, array)}; a video of one action and camera goes by its own name."""
    views = {}
    for video, actions in positions.items() if isinstance(positions, dict) else ():
        for action, cameras in actions.items() if isinstance(actions, dict) else ():
            cameras = list(cameras) if isinstance(cameras, (list, tuple, np.ndarray)) else []
            for i, values in enumerate(cameras):
                alone = len(actions) == len(cameras) == 1
                views[str(video) if alone else f"{video}/{action}/{i}"] = (video, values)
    if not views:
        raise InputError(f"{path}: expected VideoPose3D's positions_2d as {{video: {{action: [array]}}}}")
    return views


def _listed(views):
    names = list(views)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
