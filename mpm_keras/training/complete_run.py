"""The completion jobs: 3D from partial 2D (Table 3) and from partial 3D (Table 4)."""

import csv
import io
from types import SimpleNamespace

import keras
import numpy as np

from mpm_keras.data.sources import load_splits, make_batches
from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write, write_json
from mpm_keras.inference.clips import predict_flipped
from mpm_keras.masking import BROKEN_3D, PARTIAL_2D, PARTIAL_3D, PartMasking
from mpm_keras.metrics import mpjpe_mm
from mpm_keras.models.presets import load_network, load_preset
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.replicas import is_first, wait_for_all
from mpm_keras.skeletons import get_skeleton
from mpm_keras.training.finetune_run import best_network, finetune, partial_batches
from mpm_keras.training.finetuning import CompletionTrainer
from mpm_keras.training.job import Job, source_options
from mpm_keras.training.validation import unshuffled

SELECTED_BY = "val_hidden_mpjpe_mm"
NOTHING = "nothing hidden"


def complete(config: dict) -> dict:
    """Trains the networks of both tables, or those asked for, and evaluates every row.

    Args:
        config: the flags of `experiments/complete.py`.

    Returns:
        What `metrics.json` holds: `table_3` and `table_4`, a dict of numbers per row.

    Raises:
        InputError: the data, the pre-trained network or a setting makes no sense.
    """
    c = SimpleNamespace(**config)
    load_splits(c.data, source_options(c), (c.split,))  # before the training, which takes long
    metrics = {"backend": keras.backend.backend(), "split": c.split}
    if "2d" in c.tasks:
        part = {**config, "workdir": f"{c.workdir}/partial_2d", "occlusion": "partial", "confidence_threshold": 0.0}
        metrics["partial_2d"] = finetune(part)
        metrics["table_3"] = evaluate_partial_2d(load_preset(f"{c.workdir}/partial_2d/network"), c)
    if "3d" in c.tasks:
        metrics["partial_3d"] = train_partial_3d({**config, "workdir": f"{c.workdir}/partial_3d"})
        metrics["table_4"] = evaluate_partial_3d(load_preset(f"{c.workdir}/partial_3d/network"), c)
        if c.pretrained:
            metrics["table_4_without_training"] = evaluate_partial_3d(completer(c, get_skeleton(c.skeleton)), c)
    if is_first():
        write_json(f"{c.workdir}/metrics.json", metrics)
        write_tables(metrics, f"{c.workdir}/metrics.csv")
    return metrics


def completer(c, skeleton) -> MPMPretrainer:
    """The stage I network with no hidden frames: pre-trained, or with new weights."""
    try:
        if c.pretrained:
            network = load_network(c.pretrained, MPMPretrainer, hidden_frames=0)
        else:
            network = MPMPretrainer(
                frames=c.frames, joints=skeleton.num_joints, layers=c.layers, width=c.width,
                encoder_width=c.encoder_width, heads=c.heads, dropout=c.dropout, normalization=c.normalization,
            )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from error
    if (network.frames, network.joints) != (c.frames, skeleton.num_joints):
        raise InputError(
            f"{c.pretrained}: takes {network.frames} frames of {network.joints} joints, "
            f"expected {c.frames} frames of {skeleton.num_joints} joints"
        )
    return network


def train_partial_3d(config: dict) -> dict:
    """Runs or resumes the training of the 3D completer. Returns its metrics."""
    job = Job(config, modalities=("3d",))
    with job.devices.scope():
        return run_partial_3d(job)


def run_partial_3d(job) -> dict:
    """Trains, and writes what the folder of a run holds. Returns its metrics."""
    network = completer(job.config, job.skeleton)
    choices, stretches = (BROKEN_3D, 0.5) if job.config.broken else (PARTIAL_3D, 0.0)
    occlusion = PartMasking.of(choices.values(), job.skeleton, job.config.seed, stretches)
    trainer = CompletionTrainer(network, occlusion, job.skeleton.root)
    job.compile(trainer)
    validation = job.devices.share(partial_batches(job.held_out, occlusion, "3d", job.config.data_seed))
    best = best_network(job, trainer, "complete", SELECTED_BY)
    run = job.run(trainer, validation, [best])
    best.settle(trainer, validation)
    wait_for_all()
    metrics = {SELECTED_BY: best.best, **run}
    job.workdir.write_metrics(metrics)
    return metrics


def evaluation_batches(c):
    """Windows of the split to evaluate, spread evenly, unmirrored and in order."""
    views = load_splits(c.data, source_options(c), (c.split,))[c.split]
    return unshuffled(make_batches, views, c.frames, c.stride, c.batch_size, c.eval_windows)


def evaluate_partial_2d(network, c) -> dict:
    """MPJPE of the centre pose for every row of Table 3 and for whole 2D.

    Returns:
        {row: {"mpjpe_mm": all joints, as the field reports it; "hidden_mpjpe_mm": hidden joints}}.
    """
    skeleton, rows = get_skeleton(c.skeleton), {}
    middle = network.frames // 2
    for row, choice in {NOTHING: 0, **PARTIAL_2D}.items():
        data = partial_batches(evaluation_batches(c), PartMasking.of([choice], skeleton), "2d", c.data_seed)
        predicted, true, hidden = [], [], []
        for batch in data.batches:
            inputs = {"pose_2d": batch["pose_2d"], "hidden": batch["hidden"]}
            predicted.append(predict_flipped(network, inputs, "center", skeleton, c.flip, c.batch_size)[:, 0])
            true.append(batch["pose_3d"][:, middle])
            hidden.append(batch["hidden"][:, middle])
        rows[row] = errors_of(predicted, true, hidden, skeleton)
    return rows


def evaluate_partial_3d(network, c) -> dict:
    """MPJPE of whole completed windows for every row of Table 4; observed joints stay as observed.

    Returns:
        As `evaluate_partial_2d`. The released code reports the mean over all joints.
    """
    skeleton, rows = get_skeleton(c.skeleton), {}
    for row, limbs in PARTIAL_3D.items():
        data = partial_batches(evaluation_batches(c), PartMasking.of([limbs], skeleton), "3d", c.data_seed)
        predicted, true, masks = [], [], []
        for batch in data.batches:
            pose, hidden = batch["pose_3d"], batch["hidden"]
            inputs = {"pose_3d": pose, "masks_3d": {"joints": hidden, "frames": np.zeros(hidden.shape[:2], bool)}}
            output = predict_flipped(network, inputs, "pose_3d", skeleton, c.flip, c.batch_size)
            predicted.append(np.where(hidden[..., None], output, pose))
            true.append(pose)
            masks.append(hidden)
        rows[row] = errors_of(predicted, true, masks, skeleton)
    return rows


def errors_of(predicted, true, hidden, skeleton) -> dict:
    """{"mpjpe_mm", "hidden_mpjpe_mm"} of lists of poses; the latter only where something is hidden."""
    predicted, true, hidden = (np.concatenate(arrays) for arrays in (predicted, true, hidden))
    errors = {"mpjpe_mm": float(mpjpe_mm(predicted, true, root=skeleton.root, reduce=True))}
    if hidden.any(axis=-1).all():
        errors["hidden_mpjpe_mm"] = float(mpjpe_mm(predicted, true, root=skeleton.root, mask=hidden, reduce=True))
    return errors


def table_rows(metrics: dict) -> list[dict]:
    """The tables of `metrics.json` as one list of {"table", "row", numbers}."""
    tables = [name for name in metrics if name.startswith("table_")]
    return [{"table": t, "row": row, **values} for t in tables for row, values in metrics[t].items()]


def write_tables(metrics: dict, path):
    """Writes all rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["table", "row", "mpjpe_mm", "hidden_mpjpe_mm"])
    writer.writeheader()
    writer.writerows(table_rows(metrics))
    atomic_write(path, lambda file: file.write(text.getvalue().encode()))
