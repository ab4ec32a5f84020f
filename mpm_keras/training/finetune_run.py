"""The stage II job: from sources and a pre-trained network to one that lifts."""

import math
import warnings

import keras
import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.masking import PARTIAL_2D, PartMasking
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import (
    load_network,
    load_preset,
    network_folder,
    read_preset,
    read_whole_preset,
    save_preset,
)
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.models.transfer import transfer
from mpm_keras.replicas import is_first, wait_for_all
from mpm_keras.training.callbacks import BestNetwork
from mpm_keras.training.finetuning import LiftTrainer
from mpm_keras.training.job import Job
from mpm_keras.training.validation import FixedBatches

SELECTED_BY = "val_center_mpjpe_mm"


def finetune(config: dict) -> dict:
    """Runs or resumes stage II.

    Args:
        config: the flags of `experiments/finetune.py`.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: the data, the pre-trained network or a setting makes no sense.
    """
    job = Job(config, modalities=("2d", "3d"))
    with job.devices.scope():
        return run(job)


def run(job) -> dict:
    """Trains, and writes what the folder of a run holds. Returns its metrics."""
    trainer = build_trainer(job.config, job.skeleton)
    job.compile(trainer)
    validation = partial_batches(job.held_out, trainer.occlusion, "2d", job.config.data_seed)
    validation = job.devices.share(validation)
    best = best_network(job, trainer, "lift", SELECTED_BY)
    trained = job.run(trainer, validation, [best])
    best.settle(trainer, validation)
    wait_for_all()
    trainer.network.set_weights(load_preset(job.workdir.path / "network").get_weights())
    logs = trainer.evaluate(validation, return_dict=True, verbose=0)
    metrics = {**{f"val_{name}": float(value) for name, value in logs.items()}, **trained}
    job.workdir.write_metrics(metrics)
    return metrics


def build_trainer(c, skeleton) -> LiftTrainer:
    """The lifter, its pre-trained weights and its trainer. Raises `InputError` where they do not fit."""
    try:
        network = MPMLifter(
            frames=c.frames, joints=skeleton.num_joints, layers=c.layers, width=c.width,
            encoder_width=c.encoder_width, heads=c.heads, dropout=c.dropout, encoder_dropout=c.encoder_dropout,
            normalization=c.normalization, decoder=c.decoder,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from error
    if c.pretrained:
        load_pretrained(c.pretrained, network)
    freeze(network, c.freeze)
    occlusion = None
    if c.occlusion == "partial":
        occlusion = PartMasking.of([0, *PARTIAL_2D.values()], skeleton, seed=c.seed)
    weights = {"center": c.weight_center, "sequence": c.weight_sequence}
    return LiftTrainer(network, occlusion, c.confidence_threshold, weights, skeleton.root)


def load_pretrained(path, network: MPMLifter):
    """Copies weights of stage I, or those of another lifter whole. Raises `InputError` that names what does not fit."""
    kind = MPMLifter if read_preset(network_folder(path))["network"] == MPMLifter.__name__ else MPMPretrainer
    try:
        transfer(load_network(path, kind), network)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def freeze(network: MPMLifter, what: str):
    """Makes parts of the backbone untrainable; frozen batch norms use their stored statistics."""
    layers = []
    if what in ("encoder", "backbone"):
        layers += [network.backbone.encoders["2d"], network.joint_token]
    if what in ("shared", "backbone"):
        layers += network.backbone.shared
    for layer in layers:
        layer.trainable = False


def best_network(job, trainer, stage, metric) -> BestNetwork:
    """Saves the network whenever the validation metric falls; goes on from an earlier start's best."""
    folder = job.workdir.path / "network"
    best = best_so_far(folder, metric) if job.workdir.checkpoints.paths() else None

    def save(value):
        if not is_first():
            return
        threshold = {"confidence_threshold": getattr(job.config, "confidence_threshold", 0.0)}
        save_preset(trainer.network, folder, stage=stage, **{metric: value}, **threshold, **job.facts())

    return BestNetwork(metric, best, save)


def best_so_far(folder, metric) -> float | None:
    """The metric of the network of an earlier start; None where there is none, or only half of one.

    A process that is killed between the two files of a network leaves those of two epochs. The run then goes on
    from a checkpoint before that epoch, and saves its network once more.
    """
    if not (folder / "preset.json").exists():
        return None
    try:
        best = read_whole_preset(folder)["facts"].get(metric)
    except InputError as error:
        warnings.warn(f"{error}; the best network from here on takes its place", stacklevel=2)
        return None
    return best if isinstance(best, float) and math.isfinite(best) else None


def partial_batches(batches, occlusion, modality, seed) -> FixedBatches:
    """All batches of an unshuffled epoch, with body parts hidden by NumPy's choice if at all."""
    rng = np.random.default_rng(seed)
    found = []
    for step in range(batches.num_steps):
        batch = batches.batch(0, step)
        if occlusion is not None:
            size, frames, joints, _ = batch[f"pose_{modality}"].shape
            choice = rng.integers(0, len(occlusion.counts), size, np.int32)
            noise = rng.random((size, joints), np.float32)
            stretch = [rng.random((size, 3), np.float32)] if occlusion.stretches else []
            hidden = occlusion.from_noise(choice, noise, frames, *stretch)
            batch["hidden"] = keras.ops.convert_to_numpy(hidden)
        found.append(batch)
    return FixedBatches(found)
