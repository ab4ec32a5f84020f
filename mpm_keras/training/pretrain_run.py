"""The stage I job: from sources to a trained network, metrics and a picture."""

import keras
import numpy as np

from mpm_keras.data.sources import mean_of
from mpm_keras.errors import InputError
from mpm_keras.masking import PoseMasking, hidden_joints
from mpm_keras.models.presets import save_preset
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.replicas import is_first
from mpm_keras.training.job import Job
from mpm_keras.training.pretraining import PretrainTrainer
from mpm_keras.training.validation import baseline_errors, masked_batches


def pretrain(config: dict) -> dict:
    """Runs or resumes stage I.

    Args:
        config: the flags of `experiments/pretrain.py`.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: the data or a setting makes no sense.
    """
    job = Job(config)
    with job.devices.scope():
        return run(job)


def run(job) -> dict:
    """Trains, and writes what the folder of a run holds. Returns its metrics."""
    trainer = build_trainer(job.config, job.skeleton)
    job.compile(trainer)
    validation = masked_batches(job.held_out, trainer.masking, seed=job.config.data_seed)
    validation = job.devices.share(validation)
    trained = job.run(trainer, validation)
    if is_first():
        save_preset(trainer.network, job.workdir.path / "network", stage="pretrain", **job.facts())
    draw_reconstruction(trainer, validation, job.skeleton, job.workdir.path / "reconstruction.png")
    means = {m: mean_of(job.splits["train"], m) for m in modalities(validation)}
    metrics = {
        **validation_metrics(trainer, validation),
        **baseline_errors(validation, means, job.skeleton.root),
        "masked_share": trainer.masking.ratio(job.config.frames, job.skeleton.num_joints),
        **trained,
    }
    job.workdir.write_metrics(metrics)
    return metrics


def build_trainer(c, skeleton) -> PretrainTrainer:
    """The network, its masks and its trainer. Raises `InputError` where the settings do not fit."""
    try:
        masking = PoseMasking(c.spatial_mask, c.temporal_mask, c.mask_strategy, seed=c.seed)
        _, hidden_frames = masking.count_hidden(c.frames, skeleton.num_joints)
        network = MPMPretrainer(
            frames=c.frames, joints=skeleton.num_joints, hidden_frames=hidden_frames, layers=c.layers,
            width=c.width, encoder_width=c.encoder_width, heads=c.heads, dropout=c.dropout,
            normalization=c.normalization,
        )  # fmt: skip
        weights = {"2d": c.weight_2d, "3d": c.weight_3d, "lift": c.weight_lift}
        return PretrainTrainer(network, masking, weights, c.schedule, c.loss == "masked", skeleton.root)
    except ValueError as error:
        raise InputError(str(error)) from error


def modalities(validation) -> list[str]:
    return [m for m in ("2d", "3d") if f"pose_{m}" in validation.batches[0]]


def validation_metrics(trainer, validation) -> dict:
    """The errors of the hidden joints under the names of `metrics.json`."""
    logs = trainer.evaluate(validation, return_dict=True, verbose=0)
    present = modalities(validation)
    names = {"loss": "val_loss"}
    if "3d" in present:
        names["masked_3d"] = "val_masked_3d_mpjpe_mm"
    if "2d" in present:
        names["masked_2d"] = "val_masked_2d_error"
    if len(present) == 2:
        names["masked_lift"] = "val_masked_lift_mpjpe_mm"
    return {name: float(logs[key]) for key, name in names.items() if key in logs}


def draw_reconstruction(trainer, validation, skeleton, path):
    """The picture of masked, reconstructed and true poses of a window amid the validation data."""
    from mpm_keras.viz.skeleton import reconstruction_figure

    batch = validation.batches[len(validation.batches) // 2]
    middle = len(next(iter(batch.values()))) // 2
    one = keras.tree.map_structure(lambda x: x[middle : middle + 1], batch)
    predicted = trainer.network(one, training=False)
    arrays = {}
    for m in modalities(validation):
        arrays[f"true_{m}"] = one[f"pose_{m}"][0]
        arrays[f"predicted_{m}"] = np.asarray(keras.ops.convert_to_numpy(predicted[f"pose_{m}"])[0], np.float32)
        arrays[f"masked_{m}"] = keras.ops.convert_to_numpy(hidden_joints(one[f"masks_{m}"]))[0]
    if is_first():
        reconstruction_figure(path, skeleton=skeleton, **arrays)
