"""The job behind `experiments/inspect_lift.py`: how steady lifted people are, and a page to look at for each."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write, write_json
from mpm_keras.inference import report
from mpm_keras.inference.lift_run import ALL, check_settings, lift_track, read_people
from mpm_keras.inference.own_depth import mediapipe_depth
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.inference.steadiness import bone_figures, foot_figures, motion_figures
from mpm_keras.markdown import markdown
from mpm_keras.viz.strip import strip_figure

LIFTED, OWN = "lifted", "detector's own 3D"
_SHOWN = {
    "found_share": "joints found %", "thigh_mm": "thigh mm", "thigh_variation": "thigh ± %",
    "shank_variation": "shank ± %", "upper_arm_variation": "upper arm ± %", "forearm_variation": "forearm ± %",
    "hips_variation": "hips ± %", "shoulders_variation": "shoulders ± %",
    "thigh_asymmetry": "thighs differ %", "forearm_asymmetry": "forearms differ %",
    "between_feet_mm_s": "both feet mm/s", "foot_slide_mm_s": "standing foot mm/s",
    "flips": "flips", "upright_degrees": "lean °", "upright_degrees_95": "lean 95 % °", "jerk_m_s3": "jerk m/s³",
}  # fmt: skip


def inspect_files(paths, config: dict) -> list[dict]:
    """Lifts everybody in detectors' files and measures how steady they are.

    Args:
        paths: files or folders of keypoints.
        config: the flags of `experiments/inspect_lift.py`.

    Returns:
        A row per person, file and 3D: the lifted one, and the detector's own where the file has it.

    Raises:
        InputError: a file, the preset or a setting makes no sense.
    """
    c = SimpleNamespace(**config, person=ALL, trajectory=True, height=None, camera_pitch=0.0, formats=[])
    check_settings(c)
    people = [(path, *read_people(path, c)) for path in paths]
    lifter = PoseLifter.from_preset(c.preset)
    rows, out = [], Path(c.out)
    motions = [(path, lift_track(lifter, t, found, c, path), found) for path, found, tracks in people for t in tracks]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from error
    for path, motion, detections in motions:
        motion, kept = in_view(motion)
        own = mediapipe_depth(path, detections.num_frames)
        shown = {LIFTED: motion.positions_3d}
        rows.append({"file": name_of(path), "person": motion.name, "3d": LIFTED, **figures(motion)})
        if own is not None and (stretch := longest_stretch(np.isfinite(own[kept]).all(axis=(1, 2)))) is not None:
            part = cut(motion, stretch)
            for name, poses in ((f"{LIFTED}, same frames", part.positions_3d), (OWN, own[kept][stretch])):
                person = dataclasses.replace(part, positions_3d=poses, trajectory=None)
                rows.append({"file": name_of(path), "person": motion.name, "3d": name, **figures(person)})
            shown[OWN] = np.nan_to_num(own[kept])
        title = f"{name_of(path)}: {motion.name}, {len(motion.filled)} frames"
        strip_figure(out / f"{Path(path).stem}_{motion.name}.png", motion, shown, c.moments, title)
    write_json(out / "steadiness.json", rows)
    report.write_csv(out / "steadiness.csv", rows)
    text = steadiness_table(rows)
    atomic_write(out / "steadiness.md", lambda file: file.write((text + "\n").encode()))
    return rows


def name_of(path) -> str:
    """A file with its folder: layouts differ by it."""
    path = Path(path)
    return f"{path.parent.name}/{path.name}"


def in_view(motion):
    """The motion from the first to the last frame in which anything of the person is seen, and those frames."""
    seen = np.flatnonzero(~motion.filled.all(axis=1))
    kept = slice(seen[0], seen[-1] + 1)
    return cut(motion, kept), kept


def cut(motion, frames):
    """Some frames of a motion."""
    fields = ("positions_3d", "filled", "keypoints_2d", "confidence", "trajectory")
    values = {name: getattr(motion, name) for name in fields}
    return dataclasses.replace(motion, **{name: v[frames] for name, v in values.items() if v is not None})


def longest_stretch(known) -> slice | None:
    """The longest run of frames that are known, None for less than ten."""
    edges = np.flatnonzero(np.diff(known.astype(int), prepend=0, append=0))
    runs = edges.reshape(-1, 2)
    if not len(runs) or np.diff(runs, axis=1).max() < 10:
        return None
    first, last = runs[np.diff(runs, axis=1)[:, 0].argmax()]
    return slice(int(first), int(last))


def figures(motion) -> dict:
    """All that is measured of a person, see `steadiness`."""
    poses, skeleton = np.asarray(motion.positions_3d, np.float64), motion.skeleton
    feet = foot_figures(poses, motion.keypoints_2d, motion.fps, skeleton, motion.trajectory)
    return {
        "frames": len(poses), "found_share": float(1 - motion.filled.mean()), **bone_figures(poses, skeleton), **feet,
        **motion_figures(poses, motion.fps, skeleton),
    }  # fmt: skip


def steadiness_table(rows) -> str:
    """The rows as Markdown: a column per person, shares in percent."""
    lines = [["", *(f"{row['file']} {row['person']}: {row['3d']}" for row in rows)]]
    lines.append(["frames", *(row["frames"] for row in rows)])
    for key, heading in _SHOWN.items():
        factor = 100 if "%" in heading and "°" not in heading else 1
        values = [None if row.get(key) is None else factor * row[key] for row in rows]
        lines.append([heading, *("-" if v is None else f"{v:.{0 if v >= 20 else 1}f}" for v in values)])
    return markdown(lines)
