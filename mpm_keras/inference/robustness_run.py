"""The job behind `experiments/evaluate_noise.py`: every condition, every lifter, one table."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np

from mpm_keras.data.sources import SourceOptions, load_splits, load_views
from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.inference import report
from mpm_keras.inference.conditions import conditions
from mpm_keras.inference.evaluate_run import check_folder, chosen_clips
from mpm_keras.inference.evaluation import MEAN_POSE
from mpm_keras.inference.known_poses import NEAREST, nearest_poses
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.inference.robustness import RuleLifter, measure, take_of
from mpm_keras.models.presets import network_folder
from mpm_keras.skeletons import H36M_17
from mpm_keras.training.workdir import Workdir
from mpm_keras.viz.conditions import conditions_figure

NETWORK = "network"
_FPS = 50.0  # of the motion that is filmed; films have their own
_STEP = 0.2  # seconds between the frames whose errors are averaged


def evaluate_conditions(config: dict) -> dict:
    """Measures a preset and the baselines under all conditions, and writes tables and a picture.

    Args:
        config: the flags of `experiments/evaluate_noise.py`.

    Returns:
        What `metrics.json` holds: facts, and `conditions`, a row each (`robustness.measure`).

    Raises:
        InputError: the preset, the data or a setting makes no sense; nothing is written then.
    """
    c = SimpleNamespace(**config)
    workdir = Workdir(config)
    check_folder(workdir.path)
    wanted = chosen_conditions(c.groups)
    lifter = PoseLifter.from_preset(c.network)
    options = SourceOptions(
        fps=_FPS, cameras=1, seed=c.data_seed, synthetic_clips=c.synthetic_clips,
        validation_subjects=tuple(c.val_subjects), test_subjects=tuple(c.test_subjects),
        without_licenses=tuple(c.without_licenses), skeleton=H36M_17.name,
    )  # fmt: skip
    lifters = {NETWORK: lifter}
    if c.nearest:
        if c.split in ("train", "all"):
            raise InputError("--nearest compares with training poses, which --split=test and validation do not hold")
        seen_by = replace(options, detector=lifter.facts.detector, skeleton=lifter.facts.skeleton)
        lifters[NEAREST] = RuleLifter(lifter.facts, nearest_poses(c.data, seen_by, c.nearest).find)
    if lifter.facts.mean_pose_3d is not None:
        mean = lifter.facts.mean_pose_3d
        lifters[MEAN_POSE] = RuleLifter(lifter.facts, lambda pose_2d, _: np.repeat(mean[None], len(pose_2d), axis=0))
    films = {}
    clips_under(wanted[0], c, options, films)
    workdir.begin()
    rows, bar = [], keras.utils.Progbar(len(wanted), unit_name="condition", verbose=int(c.progress))
    for k, condition in enumerate(wanted):
        takes = (take_of(v, condition, c.seconds, c.data_seed) for v in clips_under(condition, c, options, films))
        if takes := [take for take in takes if take is not None]:
            those = {NETWORK: lifter} if condition.options else lifters  # baselines have no options
            rows.append(measure(those, takes, condition, _STEP))
        bar.update(k + 1, finalize=k + 1 == len(wanted))
    metrics = {
        "network": str(network_folder(lifter.folder)), "split": c.split, "seconds_per_clip": c.seconds,
        "seconds_between_frames": _STEP, "backend": keras.backend.backend(), "conditions": rows,
    }  # fmt: skip
    workdir.write_metrics(metrics)
    report.write_csv(workdir.path / "conditions.csv", rows)
    text = report.condition_table(rows, list(lifters))
    atomic_write(workdir.path / "conditions.md", lambda file: file.write((text + "\n").encode()))
    conditions_figure(workdir.path / "conditions.png", rows, list(lifters))
    return metrics


def chosen_conditions(groups) -> list:
    """The conditions of the groups named, all by default. Raises `InputError` for an unknown one."""
    known = conditions()
    names = list(dict.fromkeys(condition.group for condition in known))
    if unknown := [group for group in groups if group not in names]:
        raise InputError(f"--groups: unknown group {unknown[0]!r}; known: {', '.join(names)}")
    return [condition for condition in known if not groups or condition.group in groups]


def clips_under(condition, c, options, films: dict) -> list:
    """The clips as the condition's cameras film them; `films` keeps what was filmed."""
    if condition.cameras not in films:
        filmed = replace(options, ranges=condition.cameras)
        found = load_views(c.data, filmed) if c.split == "all" else load_splits(c.data, filmed, (c.split,))[c.split]
        for views in found:
            if views.skeleton.name != H36M_17.name or views.root_3d is None or np.isnan(views.intrinsics).any():
                raise InputError(f"{views.names[0]}: conditions need 3D motion of {H36M_17.name} that can be filmed")
        films[condition.cameras] = chosen_clips(found, c.max_clips)
    return films[condition.cameras]
