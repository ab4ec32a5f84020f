"""The evaluation job: from a trained lifter and sources to numbers, tables and pictures."""

import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from mpm_keras.data.sources import SourceOptions, load_splits, load_views
from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.inference import report
from mpm_keras.inference.clips import MODES
from mpm_keras.inference.evaluation import (
    MEAN_POSE,
    METRICS,
    evaluate_clips,
    lifters,
    mean_pose_predictor,
    nearest_predictor,
)
from mpm_keras.inference.facts import network_facts
from mpm_keras.inference.known_poses import NEAREST, nearest_poses
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import load_network, network_folder
from mpm_keras.skeletons import get_skeleton
from mpm_keras.training.workdir import Workdir
from mpm_keras.viz.lifting import animate_lifting, joint_error_figure, lifting_figure

SPEED_FRAMES = 512  # speed is measured on so many frames, or on the longest clip where it is shorter
_ANIMATED, _ANIMATED_FPS = 40, 12.5


def evaluate(config: dict) -> dict:
    """Evaluates a trained lifter and writes `metrics.json`, `metrics.csv` and pictures to the run folder.

    Args:
        config: the flags of `experiments/evaluate.py`.

    Returns:
        What `metrics.json` holds, see `report.nested`; speeds are `{mode}_ms_per_frame`.

    Raises:
        InputError: the network, the data or a setting makes no sense; nothing is written then.
    """
    c = SimpleNamespace(**config)
    workdir = Workdir(config)
    check_folder(workdir.path)
    network = load_network(c.network, MPMLifter)
    facts = network_facts(c.network, network)
    skeleton, modes = get_skeleton(facts.skeleton), MODES if c.mode == "both" else (c.mode,)
    sources = source_options(c, facts)
    clips = chosen_clips(read_views(c, facts, sources), c.max_clips)
    options = {"stride": facts.stride, "flip": c.flip, "batch_size": c.batch_size}
    threshold = facts.confidence_threshold if c.confidence_threshold is None else c.confidence_threshold
    options["confidence_threshold"] = threshold
    predictors = lifters(network, skeleton, modes=modes, step=c.frame_step, **options)
    if c.nearest:
        if c.split in ("train", "all"):
            raise InputError("--nearest compares with training poses, which --split=test and validation do not hold")
        predictors[NEAREST] = nearest_predictor(nearest_poses(c.data, sources, c.nearest), threshold)
    if facts.mean_pose_3d is not None:
        predictors[MEAN_POSE] = mean_pose_predictor(facts.mean_pose_3d)
    workdir.begin()
    speeds = measure_speeds(clips, lifters(network, skeleton, modes=modes, **options))
    evaluations = evaluate_clips(with_progress(clips, c.progress), predictors, c.frame_step)
    metrics = {
        "network": str(network_folder(c.network)), "split": c.split, "clips": len(clips),
        "frames": evaluations[modes[0]].num_frames, "backend": keras.backend.backend(),
        "frames_per_window": network.frames, "stride": facts.stride, "flip": c.flip, "frame_step": c.frame_step,
        "detector": c.detector or facts.detector, "confidence_threshold": threshold,
        **speeds, **report.nested(evaluations, skeleton),
    }  # fmt: skip
    workdir.write_metrics(metrics)
    report.write_csv(workdir.path / "metrics.csv", report.rows(metrics, predictors))
    write_tables(workdir.path / "tables.md", metrics, list(predictors))
    if c.pictures:
        per_joint = {name.replace("_", " "): found.per_joint() for name, found in evaluations.items()}
        title = f"Error per joint, {c.split}: {len(clips)} clips"
        joint_error_figure(workdir.path / "joint_errors.png", per_joint, skeleton, title)
        examples = pick_examples(evaluations[modes[0]], c.pictures)
        whole = lifters(network, skeleton, modes=modes[:1], **options)[modes[0]]
        draw_examples(workdir.path, clips, examples, whole, skeleton, c.frame_step, f"{modes[0]} mode")
    return metrics


def check_folder(path: Path):
    """Raises `InputError` for the folder of a training run, whose files would be written over."""
    for name in ("checkpoints", "network", "preset.json"):
        if (path / name).exists():
            raise InputError(f"--workdir {path}: holds a training run ({name}); choose another folder")


def source_options(c, facts) -> SourceOptions:
    """How sources are seen: as in training, but for what the flags say."""
    return SourceOptions(
        fps=facts.fps, cameras=c.cameras, skeleton=facts.skeleton, seed=c.data_seed,
        synthetic_clips=c.synthetic_clips, validation_subjects=tuple(c.val_subjects),
        test_subjects=tuple(c.test_subjects), detector=c.detector or facts.detector,
        without_licenses=tuple(c.without_licenses),
    )  # fmt: skip


def write_tables(path, metrics, predictors):
    """`tables.md`: the groups of a report as Markdown, each from its best to its worst."""
    kinds = [
        f"Per {kind}, mm\n\n{report.group_table(metrics, predictors, kind)}" for kind in ("subject", "action", "joint")
    ]
    atomic_write(path, lambda file: file.write(("\n\n".join(kinds) + "\n").encode()))


def read_views(c, facts, options) -> list:
    """The views of the split, with 2D and 3D. Raises `InputError` where there are none."""
    found = load_views(c.data, options) if c.split == "all" else load_splits(c.data, options, (c.split,))[c.split]
    for views in found:
        for modality in ("2d", "3d"):
            if getattr(views, f"pose_{modality}") is None:
                raise InputError(f"{views.names[0]}: its source holds no {modality.upper()} poses to evaluate with")
        if (other := np.abs(views.fps - facts.fps) > 0.01 * facts.fps).any():
            i = int(other.argmax())
            print(f"note: {views.names[i]} has {views.fps[i]:g} frames a second, the network learned at {facts.fps:g}")
    return found


def chosen_clips(found, most: int) -> list:
    """Single views: all, or `most` of them spread evenly, if that is not 0."""
    places = [(views, i) for views in found for i in range(views.num_views)]
    if 0 < most < len(places):
        places = [places[k] for k in np.linspace(0, len(places) - 1, most).round().astype(int)]
    return [views.view(i) for views, i in places]


def with_progress(clips, progress: bool):
    """The clips one by one, with a progress bar."""
    bar = keras.utils.Progbar(len(clips), unit_name="clip", verbose=int(progress))
    for k, clip in enumerate(clips):
        yield clip
        bar.update(k + 1, finalize=k + 1 == len(clips))


def measure_speeds(clips, predictors) -> dict:
    """{"{mode}_ms_per_frame": wall time}, of one clip lifted whole, after a call to warm up."""
    longest = max(clips, key=lambda clip: clip.num_frames)
    count = min(longest.num_frames, SPEED_FRAMES)
    cut = SimpleNamespace(pose_2d=longest.pose_2d[:count], confidence=None)
    if longest.confidence is not None:
        cut.confidence = longest.confidence[:count]
    speeds = {"speed_clip_frames": count}
    for mode, predict in predictors.items():
        predict(cut)
        start = time.perf_counter()
        predict(cut)
        speeds[f"{mode}_ms_per_frame"] = 1000 * (time.perf_counter() - start) / count
    return speeds


def pick_examples(evaluation, count: int) -> list[tuple[int, int]]:
    """(clip, frame) of examples from the best to the worst clip; of each, a frame whose error is its median.

    The frame counts those that were evaluated.
    """
    order = np.argsort([clip.mpjpe_mm for clip in evaluation.clips], kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, count + 2).round().astype(int)[1:-1])
    found = []
    for k in order[places]:
        errors = evaluation.clips[k].frames[:, METRICS.index("mpjpe_mm")]
        found.append((int(k), int(np.argsort(errors, kind="stable")[len(errors) // 2])))
    return found


def draw_examples(folder: Path, clips, examples, predict, skeleton, step, mode):
    """`examples.png` of all examples, and `clip.gif` of the beginning of the one in the middle."""
    inputs, predictions, truths, labels = [], [], [], []
    for n, (k, frame) in enumerate(examples):
        clip, frame = clips[k], frame * step
        predicted = predict(clip)
        inputs.append(clip.pose_2d[frame])
        predictions.append(predicted[frame])
        truths.append(clip.pose_3d[frame])
        labels.append(label(clip, frame))
        if n == len(examples) // 2:
            every = max(1, round(float(clip.fps[0]) / _ANIMATED_FPS))
            shown = slice(0, every * _ANIMATED, every)
            arrays = (clip.pose_2d[shown], predicted[shown], clip.pose_3d[shown])
            fps = float(clip.fps[0]) / every
            animate_lifting(folder / "clip.gif", *arrays, skeleton, fps, title=f"{label(clip)}, {mode}")
    title = f"Lifted in {mode}: from better to worse clips"
    poses = [np.stack(poses) for poses in (inputs, predictions, truths)]
    lifting_figure(folder / "examples.png", *poses, skeleton, labels, title=title)


def label(clip, frame=None, most=50) -> str:
    """Name, action and frame of a clip in a line; the action is cut short where there is no room."""
    parts = [clip.names[0], clip.actions[0], "" if frame is None else f"frame {frame}"]
    room = most - len(parts[0]) - len(parts[2])
    parts[1] = parts[1] if len(parts[1]) <= room else parts[1][: max(room - 1, 0)].rstrip() + "…"
    return "  ·  ".join(part for part in parts if part)
