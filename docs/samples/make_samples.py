"""Makes the samples of keypoints beside it: a synthetic walker as a 2D detector would see him.

    python docs/samples/make_samples.py

The numbers are of our own making: motion made by rule, a camera that stands still, and noise of the
size that detectors have. The same call gives the same files.
"""

import json
from pathlib import Path

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.files import atomic_write
from mpm_keras.skeletons import COCO_17, H36M_17

SIZE, FPS, FRAMES, SEED = (1280, 720), 30.0, 90, 3
NOISE = 1.2  # pixels, of a joint that is seen
OCCLUDED = {"left_elbow": (30, 52), "left_wrist": (28, 55)}  # frames from, to: behind the body
SIDES = {"Shoulder": "shoulder", "Elbow": "elbow", "Wrist": "wrist", "Hip": "hip", "Knee": "knee", "Foot": "ankle"}


def coco_joints(pose):
    """(F, 17, 3) of Human3.6M's joints as COCO's: eyes and ears are placed about nose and top of the head."""
    at = {name: pose[:, i] for i, name in enumerate(H36M_17.joints)}
    across, up = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (
        at["LShoulder"] - at["RShoulder"], at["Head"] - at["Thorax"],
    ))  # fmt: skip
    forward, nose = np.cross(across, up), at["Neck/Nose"]
    named = {"nose": nose}
    for side, letter, sign in (("left", "L", 1.0), ("right", "R", -1.0)):
        named |= {f"{side}_{joint}": at[letter + own] for own, joint in SIDES.items()}
        named[f"{side}_eye"] = nose + 0.033 * sign * across + 0.035 * up - 0.02 * forward
        named[f"{side}_ear"] = nose + 0.075 * sign * across + 0.02 * up - 0.10 * forward
    return np.stack([named[joint] for joint in COCO_17.joints], axis=1)


def walker():
    """(F, 17, 2) pixels and (F, 17) scores."""
    motion = synthetic_motion(1, seconds=FRAMES / FPS, fps=FPS, seed=SEED, activities=["walk"])
    pose = coco_joints(motion.clip(0).astype(np.float64))
    middle = (pose.min(axis=(0, 1)) + pose.max(axis=(0, 1))) / 2
    along = pose[-1].mean(axis=0) - pose[0].mean(axis=0)
    aside = np.array([along[1], -along[0], 0.0]) / np.linalg.norm(along[:2])
    position = middle + 5.5 * aside - 1.5 * along / np.linalg.norm(along) + [0, 0, 0.5]
    camera = geometry.Camera(geometry.look_at(position, middle), position, [1550.0, 1550.0], [640.0, 360.0], SIZE)
    points = geometry.project(geometry.world_to_camera(pose, camera), camera)
    rng = np.random.default_rng(SEED)
    noise, scores = np.full(points.shape[:2], NOISE), rng.uniform(0.8, 0.98, points.shape[:2])
    for joint, (start, end) in OCCLUDED.items():
        j = COCO_17.index(joint)
        noise[start:end, j], scores[start:end, j] = 6 * NOISE, rng.uniform(0.05, 0.25, end - start)
    return points + noise[..., None] * rng.normal(size=points.shape), scores


def as_mmpose(points, scores):
    """The layout of MMPose's inferencer: a frame is {frame_id, instances: [{keypoints, keypoint_scores, ...}]}."""
    frames = []
    for i, (xy, score) in enumerate(zip(points.round(2), scores.round(3), strict=True)):
        box = [*(xy.min(axis=0) - 10).round(2).tolist(), *(xy.max(axis=0) + 10).round(2).tolist()]
        person = {"keypoints": xy.tolist(), "keypoint_scores": score.tolist(), "bbox": [box], "bbox_score": 0.95}
        frames.append({"frame_id": i, "instances": [person]})
    return frames


def main():
    text = json.dumps(as_mmpose(*walker()), separators=(",", ":")).replace('{"frame_id"', '\n{"frame_id"') + "\n"
    atomic_write(Path(__file__).with_name("walk_mmpose.json"), lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
