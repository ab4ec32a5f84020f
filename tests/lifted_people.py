"""People as lifting gives them: synthetic motion before one camera, with joints that no detector saw."""

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.cameras import CameraRanges, camera_rng, draw_camera
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.skeletons import H36M_17


def lifted_people(count=2, frames=60, fps=30.0, image_size=(1280, 720), names=None, seed=1):
    """`count` people side by side; hidden joints are filled, and the last one is away at the end."""
    clips = synthetic_motion(count, frames / fps, fps, seed, ["walk", "wave", "gesture", "dance"])
    world = [clips.clip(k) + [1.5 * k, 0.4 * k, 0.0] for k in range(count)]
    camera = draw_camera(
        np.concatenate(world, axis=1), CameraRanges(image_size=image_size), camera_rng(seed, "people", 0)
    )
    rng = np.random.default_rng(seed)
    return [
        _person(names[k] if names else f"person{k + 1}", world[k], camera, fps, rng, away=0 < k == count - 1)
        for k in range(count)
    ]


def _person(name, world, camera, fps, rng, away):
    seen = geometry.world_to_camera(world, camera)
    frames = len(seen)
    pixels = geometry.project(seen, camera) + rng.normal(0, 1.5, (*seen.shape[:2], 2))
    confidence = rng.uniform(0.6, 1.0, (frames, 17)) * rng.uniform(0.5, 1.0, 17)
    filled = np.zeros((frames, 17), bool)
    filled[frames // 4 : frames // 2, H36M_17.limb("left_arm")] = True
    filled[frames // 3 : frames // 3 + frames // 10] = True  # nothing seen at all
    pixels[filled], confidence[filled] = np.nan, 0.0
    pose = geometry.root_relative(seen)
    if away:
        gone = slice(frames - frames // 5, None)
        pose[gone], pixels[gone], confidence[gone] = np.nan, np.nan, 0.0
    return LiftedMotion(
        name=name,
        positions_3d=pose.astype(np.float32),
        filled=filled,
        fps=fps,
        keypoints_2d=pixels.astype(np.float32),
        confidence=confidence.astype(np.float32),
        image_size=camera.image_size,
        trajectory=np.where(np.isnan(pose[:, 0]), np.nan, seen[:, 0]).astype(np.float32),
        assumptions={"frames per second": fps, "focal length": "known", "smoothing": None},
    )
