"""The lifting job: from a detector's file to 3D files, a page and pictures."""

import contextlib
import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.formats import FORMATS, Placement, gravity_of_pitch, write_motion
from mpm_keras.inference.bones import scale_to_height, steady_bones
from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.inference.smoothing import one_euro, savitzky_golay
from mpm_keras.inference.trajectory import estimate_trajectory
from mpm_keras.keypoints.detections import Detections, Track
from mpm_keras.keypoints.exchanges import mend_exchanges
from mpm_keras.keypoints.outliers import drop_outliers
from mpm_keras.keypoints.readers import read_keypoints
from mpm_keras.keypoints.tracking import find_tracks, main_track
from mpm_keras.viz.motion import animate_motion
from mpm_keras.viz.viewer import write_viewer

MAIN, ALL = "main", "all"
ONE_EURO = {"min_cutoff": 1.5, "beta": 1.0}  # Hz, Hz per m/s
SAVITZKY_GOLAY_SECONDS = 0.3
LONG_CLIP = 10_000  # frames; of a longer one a bar shows the progress, and what is done outlives a crash
GIF_SECONDS = 30  # a longer one takes too much memory to write and to look at


def lift_file(path, config: dict) -> list[tuple[LiftedMotion, list[Path]]]:
    """Lifts the people of a detector's file and writes what was asked for.

    Args:
        path: file or folder of keypoints.
        config: the flags of `experiments/lift.py`.

    Returns:
        Each lifted person with the files that were written of it.

    Raises:
        InputError: the file, the preset or a setting makes no sense; nothing is written then.
    """
    c = SimpleNamespace(**config)
    check_settings(c)
    detections, tracks = read_people(path, c)
    lifter = PoseLifter.from_preset(c.preset)
    motions = [lift_track(lifter, track, detections, c, path) for track in tracks]
    placement = Placement(gravity_of_pitch(c.camera_pitch), c.floor)
    written = [(motion, write_motion(motion, c.out, c.formats, placement)) for motion in motions]
    for file in shown(motions, c, Path(path).name):
        written[0][1].append(file)
    return written


def read_people(path, c) -> tuple[Detections, list[Track]]:
    """What a file holds, and whom of it the settings choose. Raises `InputError` for what neither tells."""
    detections = read_keypoints(path, layout=c.layout, image_size=image_size(c), fps=c.fps, video=c.video)
    for name, flag in (("image_size", "WxH"), ("fps", "30")):
        if getattr(detections, name) is None:
            raise InputError(f"{path}: {detections.layout} files do not tell it: give --{name}={flag}")
    tracks = find_tracks(detections, image_size=detections.image_size)
    return detections, chosen_tracks(path, tracks, c.person)


def mended(track, detections, c) -> Track:
    """A track without what the detector took for something else: exchanged sides, joints that leapt away."""
    if c.mend:
        track = mend_exchanges(track, fps=detections.fps)
    return drop_outliers(track, fps=detections.fps)


def shown(motions, c, title) -> list[Path]:
    """Writes the page and the animations of all people together. Returns the files."""
    files = []
    if c.view:
        files.append(Path(c.out) / "view.html")
        write_viewer(motions, files[-1], title=title)
    for ending in c.animation:
        files.append(Path(c.out) / f"animation.{ending}")
        last = len(motions[0].filled) - 1
        if ending == "gif":
            last = min(last, round(GIF_SECONDS * motions[0].fps) - 1)
        animate_motion(motions, files[-1], last=last, title=title)
    return files


def check_settings(c):
    """Raises `InputError` for settings that only fail late, before anything is read."""
    if unknown := [name for name in c.formats if name not in FORMATS]:
        raise InputError(f"--formats: unknown format {unknown[0]!r}; known: {', '.join(FORMATS)}")
    out = Path(c.out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: expected a folder, found a file")
    if not -89 <= c.camera_pitch <= 89:
        raise InputError(f"--camera_pitch: expected -89 to 89 degrees, found {c.camera_pitch}")
    if c.height is not None and not 0.3 <= c.height <= 3:
        raise InputError(f"--height: expected 0.3 to 3 metres, found {c.height}")
    camera_of(c)


def image_size(c) -> tuple[int, int] | None:
    """`--image_size=WxH` as numbers."""
    if c.image_size is None:
        return None
    words = c.image_size.lower().split("x")
    if len(words) != 2 or not all(word.isdigit() and 0 < int(word) < 10**6 for word in words):
        raise InputError(f"--image_size: expected WIDTHxHEIGHT such as 1920x1080, found {c.image_size!r}")
    return int(words[0]), int(words[1])


def camera_of(c) -> list[float] | None:
    """`--intrinsics=fx,fy,cx,cy` as numbers."""
    if not c.intrinsics:
        return None
    try:
        values = [float(word) for word in c.intrinsics]
    except ValueError:
        values = []
    if len(values) != 4 or not np.isfinite(values).all() or min(values[:2]) <= 0:
        raise InputError(f"--intrinsics: expected fx,fy,cx,cy in pixels, found {','.join(c.intrinsics)!r}")
    return values


def chosen_tracks(path, tracks, person) -> list:
    """All people, the main one, or one by name. Raises `InputError` that lists the names."""
    if not tracks:
        raise InputError(f"{path}: nobody is seen in it")
    if person == ALL:
        return tracks
    if person == MAIN:
        return [main_track(tracks)]
    found = [track for track in tracks if track.name == person]
    if not found:
        raise InputError(f"{path}: nobody is called {person!r}; found {', '.join(t.name for t in tracks)}")
    return found


def lift_track(lifter, track, detections, c, path) -> LiftedMotion:
    """One person: keypoints put right, lifted, steadied, smoothed and placed."""
    track = mended(track, detections, c)
    try:
        motion = lifter.lift(
            track.points, track.scores, skeleton=track.skeleton.name, image_size=detections.image_size,
            fps=detections.fps, intrinsics=camera_of(c), mode=c.mode, flip=c.flip, threshold=c.threshold,
            fill_seconds=c.fill_seconds, fit=c.fit, name=track.name, **long_clip(track, c),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{path}: {track.name}: {error}") from error
    return finished(motion, c, facts_of(track, detections, c, path))


def long_clip(track, c) -> dict:
    """What lifting a long clip needs beside the options: a bar on stderr, and a file for what is done."""
    if len(track.points) <= LONG_CLIP:
        return {}
    bar = []

    def progress(done, windows):
        with contextlib.redirect_stdout(sys.stderr):  # Keras writes bars to stdout, which is for the results
            if not bar:
                interval = 0.1 if sys.stderr.isatty() else 30.0
                bar.append(keras.utils.Progbar(windows, interval=interval, unit_name="window"))
            bar[0].update(done)

    return {"progress": progress, "unfinished": Path(c.out) / f".{track.name}.unfinished.npz"}


def facts_of(track, detections, c, path) -> dict:
    """What was taken for granted before the lifting."""
    return {
        "source": Path(path).name, "layout": detections.layout, "preset": str(c.preset),
        "notes": [*detections.notes, *track.notes],
        "left_right_exchanged_frames": np.flatnonzero(track.exchanged).tolist(),
    }  # fmt: skip


def finished(motion: LiftedMotion, c, facts: dict) -> LiftedMotion:
    """The motion with steady bones, smoothed, scaled and with a trajectory, as asked for."""
    poses = motion.positions_3d
    if c.smooth == "one_euro":
        poses = one_euro(poses, motion.fps, **ONE_EURO)
    elif c.smooth == "savitzky_golay":
        poses = savitzky_golay(poses, SAVITZKY_GOLAY_SECONDS, motion.fps)
    if c.steady_bones:
        poses = steady_bones(poses, motion.skeleton)
    factor = 1.0
    if c.height is not None:
        poses, factor = scale_to_height(poses, c.height, motion.skeleton)
    poses = np.asarray(poses, np.float32)
    trajectory, placed = None, {}
    if c.trajectory:
        options = {"intrinsics": camera_of(c)}
        trajectory, placed = estimate_trajectory(
            poses, motion.keypoints_2d, np.where(motion.filled, 0.0, motion.confidence), motion.image_size, motion.fps,
            **options,
        )  # fmt: skip
        trajectory = None if np.isnan(trajectory).any() else trajectory
    facts |= {
        **motion.assumptions, "smooth": c.smooth, "steady_bones": bool(c.steady_bones),
        "scale": "of an average adult" if c.height is None else f"to a height of {c.height:g} m",
        "scale_factor": float(factor), "trajectory": placed or "not asked for",
    }  # fmt: skip
    return dataclasses.replace(motion, positions_3d=poses, trajectory=trajectory, assumptions=facts)
