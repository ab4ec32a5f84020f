"""A detector's own 3D, where its file holds one: what lifting is compared with on real videos."""

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import read_json
from mpm_keras.inference.bones import stature
from mpm_keras.skeletons import MEDIAPIPE_33, from_detector

_WORLD, _PICTURE = "pose_world_landmarks", "pose_landmarks"
_ADULT = 1.7  # metres; landmarks of the picture have no scale


def mediapipe_depth(path, num_frames: int) -> np.ndarray | None:
    """MediaPipe's 3D of a JSON file, as the network's joints.

    World landmarks are metres. Without them the depth of the picture's landmarks serves, which
    MediaPipe gives in the unit of the width, brought to an adult's size.

    Args:
        path: file; of another kind than MediaPipe's JSON there is no 3D.
        num_frames: of the video.

    Returns:
        (num_frames, 17, 3) float32 metres, relative to the hip, x right, y down, z away; NaN where
        nobody was found. None where the file holds no such numbers.
    """
    if not str(path).endswith(".json"):
        return None
    try:
        content = read_json(path, "MediaPipe's landmarks")
        frames = content["frames"]
        key = _WORLD if any(frame.get(_WORLD) for frame in frames) else _PICTURE
        scale = np.ones(3)
        if key == _PICTURE:
            scale = np.array([content["width"], content["height"], content["width"]], np.float64)
        points = np.full((num_frames, MEDIAPIPE_33.num_joints, 3), np.nan)
        for frame in frames:
            if frame.get(key):
                landmarks = frame[key]["landmark"]
                points[frame["frame"]] = [[point[axis] for axis in "xyz"] for point in landmarks]
    except (InputError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None  # some other JSON
    if np.isnan(points).all():
        return None
    points *= scale
    joints = from_detector(points, np.isfinite(points).all(axis=-1).astype(float), MEDIAPIPE_33)[0]
    joints = joints - joints[:, :1]
    return joints if key == _WORLD else joints * np.float32(_ADULT / stature(joints))
