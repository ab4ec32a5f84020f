"""The job behind `experiments/evaluate_completion.py`: every gap, every way to fill it, one table."""

from types import SimpleNamespace

import keras
import numpy as np

from mpm_keras.data.sources import SourceOptions, load_splits
from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.inference import report
from mpm_keras.inference.evaluate_run import check_folder, chosen_clips
from mpm_keras.inference.motion_gaps import fillers, gaps, measure_gap
from mpm_keras.inference.pose_lifter import COMPLETION, PoseLifter
from mpm_keras.markdown import markdown
from mpm_keras.models.presets import network_folder
from mpm_keras.training.workdir import Workdir


def evaluate_gaps(config: dict) -> dict:
    """Measures how a preset completes motion capture with gaps, beside interpolation, and writes tables.

    Args:
        config: the flags of `experiments/evaluate_completion.py`.

    Returns:
        What `metrics.json` holds: facts, and `gaps`, a row each (`motion_gaps.measure_gap`).

    Raises:
        InputError: the preset completes nothing, or the data or a setting makes no sense; nothing is written then.
    """
    c = SimpleNamespace(**config)
    workdir = Workdir(config)
    check_folder(workdir.path)
    lifter = PoseLifter.from_preset(c.network)
    if lifter.completer is None:
        raise InputError(f"{lifter.folder}: holds no completion network (a folder {COMPLETION!r} of complete.py's)")
    if lifter.facts.mean_pose_3d is None:
        raise InputError(f"{lifter.folder}/preset.json: without the fact 'mean_pose_3d', which is compared with")
    options = SourceOptions(
        fps=c.fps, cameras=1, skeleton=lifter.facts.skeleton, seed=c.data_seed, synthetic_clips=c.synthetic_clips,
        validation_subjects=tuple(c.val_subjects), test_subjects=tuple(c.test_subjects),
        without_licenses=tuple(c.without_licenses), detector="none" if lifter.facts.detector == "none" else "exact",
    )  # fmt: skip
    clips = chosen_clips(load_splits(c.data, options, (c.split,))[c.split], c.max_clips)
    if lacking := [view.names[0] for view in clips if view.pose_3d is None]:
        raise InputError(f"{lacking[0]}: completion needs 3D motion")
    ways, wanted = fillers(lifter, np.asarray(lifter.facts.mean_pose_3d)), gaps()
    workdir.begin()
    rows, bar = [], keras.utils.Progbar(len(wanted), unit_name="gap", verbose=int(c.progress))
    for k, gap in enumerate(wanted):
        rows.append(measure_gap(gap, clips, lifter, ways, c.data_seed))
        bar.update(k + 1, finalize=k + 1 == len(wanted))
    metrics = {
        "network": str(network_folder(lifter.folder)), "split": c.split, "fps": c.fps,
        "backend": keras.backend.backend(), "gaps": rows,
    }  # fmt: skip
    workdir.write_metrics(metrics)
    report.write_csv(workdir.path / "gaps.csv", rows)
    atomic_write(workdir.path / "gaps.md", lambda file: file.write((gap_table(rows, list(ways)) + "\n").encode()))
    return metrics


def gap_table(rows, ways) -> str:
    """Rows of `measure_gap` as Markdown: the error of hidden joints by each way of filling them, mm."""
    lines, parts = [["lacking", "for", "frames", *(way.replace("_", " ") for way in ways)]], None
    for row in rows:
        errors = [row.get(f"{way}_hidden_mpjpe_mm") for way in ways]
        name = "" if row["parts"] == parts else f"**{row['parts']}**"
        lines.append([name, row["gap"], row["frames"], *("" if e is None else f"{e:.1f}" for e in errors)])
        parts = row["parts"]
    return markdown(lines)
