"""The attribution job: from a detector's file to the map of one joint at one moment."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mpm_keras.data.windows import WindowIndex
from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write, write_json
from mpm_keras.inference.lift_run import mended, read_people
from mpm_keras.inference.pose_lifter import PoseLifter, checked_intrinsics, checked_picture
from mpm_keras.inference.resampling import resample_keypoints
from mpm_keras.viz.attribution import COORDINATES, Attribution, attribute, check_available
from mpm_keras.viz.attribution_figure import attribution_figure

UNIT = "mm per pixel"


def explain(path, config: dict) -> dict:
    """Writes `attribution.png`, `.npz` and `.json` of one predicted joint.

    Args:
        path: file or folder of keypoints.
        config: the flags of `experiments/explain.py`.

    Returns:
        The contents of `attribution.json`.

    Raises:
        InputError: the file, the preset or a setting makes no sense, or the backend cannot.
    """
    check_available()
    c = SimpleNamespace(**config)
    detections, (track,) = read_people(path, c)
    lifter = PoseLifter.from_preset(c.preset)
    skeleton = lifter.skeleton
    joint = checked_joint(c.joint, skeleton)
    frame = len(track.points) // 2 if c.frame is None else c.frame
    if not 0 <= frame < len(track.points):
        raise InputError(f"--frame: {path} has the frames 0 to {len(track.points) - 1}, found {c.frame}")
    try:
        window = window_of(lifter, mended(track, detections, c), detections, frame)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    samples = c.samples if c.method == "smoothgrad" else 0
    attribution = attribute(
        lifter.network, window.pose_2d, joint, root=skeleton.root, hidden=window.hidden, samples=samples,
        noise=c.noise, seed=c.seed,
    )  # fmt: skip
    coordinates = COORDINATES if c.coordinate == "all" else (c.coordinate,)
    values = 1000 * attribution.map(coordinates) * window.unit_per_pixel
    facts = {
        "keypoints": Path(path).name, "person": track.name, "preset": Path(c.preset).name, "joint": c.joint,
        "frame": frame, "method": c.method, "samples": samples, "noise": c.noise, "seed": c.seed,
        "coordinates": list(coordinates), "unit": UNIT, "unit_per_pixel": window.unit_per_pixel,
        "strongest": strongest(values, skeleton, window.frames),
    }  # fmt: skip
    write(Path(c.out), attribution, values, window, skeleton, facts)
    return facts


def checked_joint(name, skeleton) -> int:
    """Index of the joint to explain. Raises `InputError` for an unknown one and for the root."""
    try:
        joint = skeleton.index(name)
    except ValueError as error:
        raise InputError(f"--joint: {error}") from error
    if joint == skeleton.root:
        raise InputError(f"--joint: {name} is the root, which is where it is by definition")
    return joint


def window_of(lifter, track, detections, frame: int) -> SimpleNamespace:
    """What the network sees when it lifts a frame.

    Returns:
        `pose_2d` (F, J, 2) and `hidden` (F, J) of the window, `frames` (F,) float, the places of its poses
        in the video, `seconds` (F,) from its centre, and `unit_per_pixel` of `pose_2d`.
    """
    *size, fps = checked_picture(detections.image_size, detections.fps)
    points, scores = lifter.to_network_joints(track.points, track.scores, track.skeleton.name)
    sampled, seen = resample_keypoints(points, scores, fps, lifter.rate, lifter.facts.confidence_threshold)
    camera, _ = checked_intrinsics(None, *size)
    pose_2d, _ = lifter.framed(sampled, seen, size, camera)
    index = WindowIndex(np.array([0, len(pose_2d)]), lifter.network.frames)
    centre = min(round(frame * lifter.rate / fps), len(pose_2d) - 1)
    rows = index.frame_indices(np.array([centre]))[0]
    follows = lifter.facts.detector != "none"
    return SimpleNamespace(
        pose_2d=pose_2d[rows], hidden=~seen[rows], frames=rows * fps / lifter.rate,
        seconds=(np.arange(len(rows)) - len(rows) // 2) / lifter.rate,
        unit_per_pixel=1 / float(camera[0]) if follows else 2 / size[0],
    )  # fmt: skip


def strongest(values, skeleton, frames, most: int = 5) -> list[dict]:
    """The input joints that count most."""
    order = np.argsort(values, axis=None)[::-1][:most]
    places = zip(*np.unravel_index(order, values.shape), strict=True)
    return [
        {"joint": skeleton.joints[j], "frame": round(float(frames[f]), 2), UNIT.replace(" ", "_"): float(values[f, j])}
        for f, j in places
    ]


def write(folder: Path, attribution: Attribution, values, window, skeleton, facts: dict):
    """Arrays, picture and facts, the facts last."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "map": values, "gradients": attribution.gradients, "pose_2d": window.pose_2d, "hidden": window.hidden,
        "frames": window.frames, "joints": np.array(skeleton.joints),
    }  # fmt: skip
    atomic_write(folder / "attribution.npz", lambda file: np.savez(file, **arrays))
    what = facts["joint"] if len(facts["coordinates"]) == 3 else f"{facts['coordinates'][0]} of {facts['joint']}"
    method = f"SmoothGrad of {facts['samples']} noisy copies" if facts["samples"] else "saliency"
    attribution_figure(
        folder / "attribution.png", values, window.pose_2d, skeleton, attribution.joint, hidden=window.hidden,
        seconds=window.seconds, unit=UNIT,
        title=f"What moves {what} at frame {facts['frame']}: {method}",
    )  # fmt: skip
    write_json(folder / "attribution.json", facts)
